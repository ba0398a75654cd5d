from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from mien.errors import ModelCorrupt, ModelError, OutOfMemory, ProviderError
from mien.inference import onnx as module
from mien.inference.graphs import GraphCache
from mien.inference.onnx import OnnxSession, open_session
from mien.inference.options import LoadOptions
from tests.inference.nets import write_onnx, write_sum


def load(path: Path, **changes: Any) -> OnnxSession:
    return open_session(path, LoadOptions(**changes), GraphCache(path.parent / "graphs"))


def test_the_session_describes_the_model(tmp_path: Path) -> None:
    session = load(write_onnx(tmp_path / "m.onnx", shape=("batch", 3, 8, "width")))
    (spec,) = session.inputs
    assert (spec.name, spec.shape, spec.dtype) == ("x", (None, 3, 8, None), np.dtype(np.float32))
    assert spec.has_batch
    assert [output.name for output in session.outputs] == ["y"]
    assert session.providers == ("CPUExecutionProvider",)


def test_feeds_by_position_and_by_name(tmp_path: Path) -> None:
    session = load(write_sum(tmp_path / "m.onnx"))
    a, b = np.array([[1.0, 2.0]], np.float32), np.array([[10.0, 20.0]], np.float32)
    for feeds in ([a, b], {"b": b, "a": a}):
        total, difference = session.run(feeds)
        np.testing.assert_array_equal(total, [[11, 22]])
        np.testing.assert_array_equal(difference, [[-9, -18]])
    assert session.runs == 2


def test_feeds_are_cast_and_made_contiguous(tmp_path: Path) -> None:
    session = load(write_sum(tmp_path / "m.onnx"))
    wide = np.arange(8, dtype=np.float64).reshape(1, 8)
    total, _ = session.run([wide[:, ::2], wide[:, ::-2]])
    np.testing.assert_array_equal(total, [[7, 7, 7, 7]])
    assert total.dtype == np.float32


def test_half_precision_models(tmp_path: Path) -> None:
    session = load(write_onnx(tmp_path / "m.onnx", dtype=TensorProto.FLOAT16))
    (y,) = session.run([np.ones((1, 3, 8, 8), np.float32)])
    assert session.inputs[0].dtype == y.dtype == np.float16


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ([np.zeros((1, 4, 8, 8))], "takes 1×3×8×8 as 'x', not 1×4×8×8"),
        ([np.zeros((3, 8, 8))], "not 3×8×8"),
        ([], "takes 1 inputs"),
        ([np.zeros((1, 3, 8, 8))] * 2, "takes 1 inputs"),
        ({"z": np.zeros((1, 3, 8, 8))}, "takes 1 inputs"),
        ({"x": np.zeros((1, 3, 8, 8)), "z": np.zeros(1)}, "takes 1 inputs"),
    ],
)
def test_feeds_that_do_not_fit(tmp_path: Path, feeds: Any, words: str) -> None:
    session = load(write_onnx(tmp_path / "m.onnx"))
    with pytest.raises(ModelCorrupt, match=words):
        session.run(feeds)
    assert session.runs == 0


def test_one_session_serves_many_threads(tmp_path: Path) -> None:
    session = load(write_onnx(tmp_path / "m.onnx"))
    inputs = [np.full((1, 3, 8, 8), value, np.float32) for value in range(8)]
    wanted = [session.run([x])[0] for x in inputs]
    results: dict[int, list[np.ndarray]] = {index: [] for index in range(8)}

    def work(index: int) -> None:
        for _ in range(20):
            results[index].append(session.run([inputs[index]])[0])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, outputs in results.items():
        assert len(outputs) == 20
        assert all(np.array_equal(output, wanted[index]) for output in outputs)
    assert session.runs == 8 + 160


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
def test_a_truncated_file_is_refused_in_one_sentence(tmp_path: Path, share: float) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelCorrupt, match=r"m\.onnx is damaged or not a model") as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "ONNXRuntimeError" not in str(caught.value)


def test_a_text_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("<html>not found</html>" * 20)
    with pytest.raises(ModelCorrupt, match="damaged or not a model"):
        load(tmp_path / "m.onnx")


def test_an_unknown_operator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="Magic"):
        load(write_onnx(tmp_path / "m.onnx", op="Magic", domain="nowhere"))


def test_a_provider_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    absent = next(name for name in ("rocm", "qnn", "directml", "coreml") if _is_absent(name))
    for providers in ((absent,), (absent, "cpu"), ("cpu", absent)):
        with pytest.raises(ProviderError, match=f"{absent} is not part of this installation"):
            load(path, providers=providers)
    with pytest.raises(ProviderError, match="no execution provider warp"):
        load(path, providers=("warp",))
    with pytest.raises(ProviderError, match="choose at least cpu"):
        load(path, providers=())


def _is_absent(name: str) -> bool:
    from mien.inference.providers import available

    return name not in available()


def test_a_provider_that_does_not_open_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime lists it, then quietly makes a session without it: its library or driver is missing."""
    monkeypatch.setattr("mien.inference.providers.is_listed", lambda provider: True)
    genuine = module.ort.InferenceSession

    def without_it(path: str, options: Any, **arguments: Any) -> Any:
        assert arguments["enable_fallback"] == 0
        return genuine(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(module.ort, "InferenceSession", without_it)
    with pytest.raises(ProviderError, match="cuda does not open on this machine"):
        load(write_onnx(tmp_path / "m.onnx"), providers=("cuda", "cpu"))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", OutOfMemory),
        ("BFCArena: Failed to allocate memory for requested buffer of size 9", OutOfMemory),
        ("CUDA failure 100: no CUDA-capable device is detected", ProviderError),
    ],
)
def test_what_a_gpu_says_while_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, kind: type[Exception]
) -> None:
    monkeypatch.setattr("mien.inference.providers.is_listed", lambda provider: True)

    def failing(*_: Any, **__: Any) -> Any:
        raise module.native.Fail(f"[ONNXRuntimeError] : 1 : FAIL : {message}")

    monkeypatch.setattr(module.ort, "InferenceSession", failing)
    with pytest.raises(kind) as caught:
        load(write_onnx(tmp_path / "m.onnx"), providers=("cuda",))
    assert "ONNXRuntimeError" not in str(caught.value)


class Native:
    """An ONNX Runtime session that fails, or that notes how many calls are inside it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.calls, self.inside, self.most = error, 0, 0, 0

    def get_inputs(self) -> list[Any]:
        return []

    get_outputs = get_inputs

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider"]

    def run(self, *_: Any) -> list[Any]:
        if self.error:
            raise self.error
        self.inside += 1
        self.most = max(self.most, self.inside)
        threading.Event().wait(0.002)
        self.calls += 1
        self.inside -= 1
        return []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (module.native.Fail("[ONNXRuntimeError] : 1 : FAIL : CUDA out of memory"), OutOfMemory),
        (module.native.RuntimeException("Non-zero status code while running Conv node"), ModelError),
        (MemoryError(), OutOfMemory),
    ],
)
def test_what_goes_wrong_during_a_run(error: Exception, kind: type[Exception]) -> None:
    session = OnnxSession(Path("m.onnx"), [Native(error)], one_call=True)
    with pytest.raises(kind, match=r"m\.onnx"):
        session.run([])
    assert session.runs == 0


def test_a_gpu_takes_one_call_at_a_time_and_all_gpus_work() -> None:
    devices = [Native(), Native()]
    session = OnnxSession(Path("m.onnx"), devices, one_call=True)
    threads = [threading.Thread(target=lambda: [session.run([]) for _ in range(5)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [device.most for device in devices] == [1, 1]
    assert sum(device.calls for device in devices) == session.runs == 30
    assert min(device.calls for device in devices) > 0


def test_nothing_is_printed(tmp_path: Path) -> None:
    """Warnings of ONNX Runtime about a good, a bad and a kept graph stay away from the user."""
    write_onnx(tmp_path / "good.onnx")
    (tmp_path / "bad.onnx").write_bytes((tmp_path / "good.onnx").read_bytes()[:300])
    script = f"""
import pathlib
from mien.errors import ModelCorrupt
from mien.inference import Runtime, graphs
from mien.settings import Settings
graphs.SMALLEST = 0
folder = pathlib.Path({str(tmp_path)!r})
for _ in range(2):
    Runtime(Settings(cache_dir=folder / "cache")).load(folder / "good.onnx")
try:
    Runtime(Settings(cache_dir=folder / "cache")).load(folder / "bad.onnx")
except ModelCorrupt:
    raise SystemExit(7)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
