from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import ProviderError
from mien.inference import probe as probe_module
from mien.inference import providers
from mien.inference.graphs import GraphCache
from mien.inference.onnx import open_session
from mien.inference.options import LoadOptions
from mien.inference.probe import probe
from mien.inference.providers import PROVIDERS, Placement, available, provider, workers_for
from tests.inference.nets import write_onnx

with_openvino = pytest.mark.skipif(
    importlib.util.find_spec(providers.OPENVINO_PLUGIN) is None, reason="the OpenVINO plugin is not installed"
)


def test_the_names_and_their_order() -> None:
    assert list(PROVIDERS) == [
        "cuda",
        "tensorrt",
        "rocm",
        "migraphx",
        "coreml",
        "openvino",
        "qnn",
        "directml",
        "cpu",
    ]
    assert available()[-1] == "cpu"
    assert set(available()) <= set(PROVIDERS)


def test_available_follows_what_onnxruntime_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["CPUExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider"]
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: listed)
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: None)
    assert available() == ("cuda", "cpu")
    assert provider("cuda").ort_name == "CUDAExecutionProvider"
    with pytest.raises(ProviderError, match=r"openvino is not part of .*: install mien\[openvino\]"):
        provider("openvino")


def test_the_plugin_counts_as_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: object())
    assert available() == ("openvino", "cpu")


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_options_are_text(name: str, precision: Any, tmp_path: Path) -> None:
    options = PROVIDERS[name].options(Placement(1, precision, 2, tmp_path))
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in options.items())


def test_cuda_does_not_search_for_every_shape() -> None:
    options = PROVIDERS["cuda"].options(Placement(3))
    assert options["device_id"] == "3"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert options["arena_extend_strategy"] == "kSameAsRequested"


@pytest.mark.parametrize(
    ("name", "key"),
    [("cuda", "use_tf32"), ("tensorrt", "trt_fp16_enable"), ("migraphx", "migraphx_fp16_enable")],
)
def test_exact_switches_low_precision_off(name: str, key: str) -> None:
    assert PROVIDERS[name].options(Placement())[key] == "0"
    assert PROVIDERS[name].options(Placement(precision="fast"))[key] == "1"


@pytest.mark.parametrize(
    ("kind", "precision", "hint"),
    [("CPU", "exact", "f32"), ("CPU", "fast", "bf16"), ("GPU", "exact", "f32"), ("GPU", "fast", "f16")],
)
def test_openvino_always_gets_a_precision(kind: str, precision: Any, hint: str) -> None:
    options = providers.openvino_config(Placement(precision=precision, workers=3), kind)
    config = json.loads(options["load_config"])
    assert config[kind]["INFERENCE_PRECISION_HINT"] == hint
    assert (config[kind].get("NUM_STREAMS") == "3") is (kind == "CPU")


def test_compiled_engines_are_kept_only_where_there_is_a_folder(tmp_path: Path) -> None:
    assert PROVIDERS["tensorrt"].options(Placement(cache=tmp_path))["trt_engine_cache_path"] == str(tmp_path)
    assert "trt_engine_cache_path" not in PROVIDERS["tensorrt"].options(Placement())


def test_gpus_take_one_call_and_the_cpu_many() -> None:
    assert PROVIDERS["cuda"].one_call
    assert not PROVIDERS["cpu"].one_call
    assert not PROVIDERS["openvino"].one_call


def test_workers() -> None:
    assert workers_for(5) == 5
    assert workers_for(0) >= 1


def test_the_cpu_opens() -> None:
    assert probe("cpu") is None


def test_a_provider_that_is_not_here_says_why() -> None:
    absent = next(name for name in PROVIDERS if name not in available())
    reason = probe(absent)
    assert reason is not None
    assert f"{absent} is not part of this installation" in reason


def test_wrong_numbers_do_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        def run(self, feeds: object) -> list[np.ndarray]:
            return [np.ones((1, 1, 2, 2), np.float32)]

    monkeypatch.setattr(probe_module, "open_session", lambda *_: Wrong())
    assert probe("cpu") == "The execution provider cpu opens but computes wrong numbers."


@with_openvino
def test_openvino_computes_in_float32_when_exact(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", shape=(1, 3, 64, 64), channels=32)
    x = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    cpu, exact = (
        open_session(path, LoadOptions(providers=(name,)), GraphCache(tmp_path)).run([x])[0]
        for name in ("cpu", "openvino")
    )
    np.testing.assert_allclose(exact, cpu, atol=1e-5)
    assert probe("openvino") is None


def test_a_plugin_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise ImportError("libtbb.so.12: cannot open shared object file")

    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(providers.importlib, "import_module", broken)
    monkeypatch.setattr(providers.ort, "get_ep_devices", lambda: [])
    with pytest.raises(
        ProviderError, match="plugin of the execution provider openvino does not load: libtbb"
    ):
        providers.plugin_device(PROVIDERS["openvino"], Placement())
