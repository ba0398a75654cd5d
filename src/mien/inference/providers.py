"""Execution providers: our names for ONNX Runtime's, the options that each gets, and which really open.

    cpu  cuda  tensorrt  rocm  migraphx  coreml  openvino  qnn  directml

A provider that is asked for and does not open is an error, never a silent run on the CPU. LiteRT models
always run on the CPU, whatever is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as native

from mien.errors import ProviderError
from mien.settings import Precision

OPENVINO_PLUGIN = "onnxruntime_ep_openvino"
"""Module of the plugin that works beside the stock onnxruntime (extra ``openvino`` of mien)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how one session runs."""

    device_id: int = 0
    precision: Precision = "exact"
    workers: int = 1
    """Calls that will run at the same time."""
    cache: Path | None = None
    """Folder for what a provider compiles."""

    @property
    def fast(self) -> bool:
        """True if bf16, fp16 or TF32 may replace float32."""
        return self.precision == "fast"


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider."""

    name: str
    ort_name: str
    options: Callable[[Placement], dict[str, str]]
    install: str
    """What to do if this onnxruntime does not have it."""
    one_call: bool = True
    """True if a session takes one call at a time: concurrent calls on one device fail or only wait."""


def _cuda(place: Placement) -> dict[str, str]:
    # HEURISTIC: the default (EXHAUSTIVE) times all algorithms again for every new input shape.
    return {
        "device_id": str(place.device_id),
        "cudnn_conv_algo_search": "HEURISTIC",
        "cudnn_conv_use_max_workspace": "1",
        "arena_extend_strategy": "kSameAsRequested",
        "do_copy_in_default_stream": "1",
        "use_tf32": "1" if place.fast else "0",
    }


def _tensorrt(place: Placement) -> dict[str, str]:
    options = {"device_id": str(place.device_id), "trt_fp16_enable": "1" if place.fast else "0"}
    if place.cache is not None:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(place.cache),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(place.cache),
            "trt_builder_optimization_level": "4",
        }
    return options


def _migraphx(place: Placement) -> dict[str, str]:
    options = {"device_id": str(place.device_id), "migraphx_fp16_enable": "1" if place.fast else "0"}
    if place.cache is not None:
        options["migraphx_model_cache_dir"] = str(place.cache)
    return options


def _coreml(place: Placement) -> dict[str, str]:
    options = {"SpecializationStrategy": "FastPrediction"}
    if place.fast:
        options["AllowLowPrecisionAccumulationOnGPU"] = "1"
    if place.cache is not None:
        options["ModelCacheDirectory"] = str(place.cache)
    return options


def openvino_config(place: Placement, kind: str) -> dict[str, str]:
    """Options for one OpenVINO device (``CPU``, ``GPU``, ``NPU``).

    The precision is always stated: left alone, OpenVINO computes in bf16 on CPUs that have it, and results
    differ by about 1 %.
    """
    fast = "bf16" if kind == "CPU" else "f16"
    config = {"INFERENCE_PRECISION_HINT": fast if place.fast else "f32"}
    if kind == "CPU":
        config |= {"INFERENCE_NUM_THREADS": str(place.workers), "NUM_STREAMS": str(place.workers)}
    return {"load_config": json.dumps({kind: config})}


def _openvino(place: Placement) -> dict[str, str]:
    return {"device_type": "CPU", **openvino_config(place, "CPU")}


def _qnn(place: Placement) -> dict[str, str]:
    return {"backend_type": "htp", "enable_htp_fp16_precision": "1" if place.fast else "0"}


def _device_only(place: Placement) -> dict[str, str]:
    return {"device_id": str(place.device_id)}


def _nothing(place: Placement) -> dict[str, str]:
    return {}


_GPU_WHEEL = "install onnxruntime-gpu in place of onnxruntime"
_TABLE = (
    Provider("cuda", "CUDAExecutionProvider", _cuda, _GPU_WHEEL),
    Provider("tensorrt", "TensorrtExecutionProvider", _tensorrt, _GPU_WHEEL),
    Provider("rocm", "ROCMExecutionProvider", _device_only, "install a build of onnxruntime for ROCm"),
    Provider("migraphx", "MIGraphXExecutionProvider", _migraphx, "install onnxruntime-migraphx"),
    Provider("coreml", "CoreMLExecutionProvider", _coreml, "it needs macOS"),
    Provider("openvino", "OpenVINOExecutionProvider", _openvino, "install mien[openvino]", one_call=False),
    Provider("qnn", "QNNExecutionProvider", _qnn, "install onnxruntime-qnn"),
    Provider("directml", "DmlExecutionProvider", _device_only, "install onnxruntime-directml"),
    Provider("cpu", "CPUExecutionProvider", _nothing, "", one_call=False),
)
PROVIDERS: Mapping[str, Provider] = MappingProxyType({provider.name: provider for provider in _TABLE})


def provider(name: str) -> Provider:
    """The provider of that name, if this installation has it; raises ProviderError."""
    found = PROVIDERS.get(name)
    if found is None:
        names = ", ".join(PROVIDERS)
        raise ProviderError(f"There is no execution provider {name}; choose from {names}.")
    if not is_listed(found):
        raise ProviderError(
            f"The execution provider {name} is not part of this installation of onnxruntime: {found.install}."
        )
    return found


def is_listed(provider: Provider) -> bool:
    """True if the installed software has the provider; whether it opens is another matter (``probe``)."""
    if provider.ort_name in ort.get_available_providers():
        return True
    return provider.name == "openvino" and importlib.util.find_spec(OPENVINO_PLUGIN) is not None


def available() -> tuple[str, ...]:
    """Names of the providers that the installed software has, best first."""
    return tuple(provider.name for provider in PROVIDERS.values() if is_listed(provider))


def plugin_device(provider: Provider, place: Placement) -> Any | None:
    """The device of a plugin provider that a session is to use; None for a provider built into onnxruntime.

    Only OpenVINO comes as a plugin so far: the GPU of that number if there is one, the CPU otherwise.
    """
    if provider.name != "openvino" or importlib.util.find_spec(OPENVINO_PLUGIN) is None:
        return None
    devices = _plugin_devices(provider)
    if not devices:
        _register(provider)
        devices = _plugin_devices(provider)
    by_kind: dict[str, list[Any]] = {}
    for device in devices:
        by_kind.setdefault(device.device.type.name, []).append(device)
    candidates = by_kind.get("GPU", [])[place.device_id :] or by_kind.get("CPU", [])
    if not candidates:
        raise ProviderError("The OpenVINO plugin finds no device that it can run on.")
    return candidates[0]


def _register(provider: Provider) -> None:
    """Load the plugin into this process (once: ONNX Runtime keeps it)."""
    try:
        plugin = importlib.import_module(OPENVINO_PLUGIN)
        ort.register_execution_provider_library(provider.ort_name, plugin.get_library_path())
    except (ImportError, OSError, RuntimeError, native.Fail, native.EPFail) as error:
        raise ProviderError(
            f"The plugin of the execution provider {provider.name} does not load: {error}."
        ) from None


def _plugin_devices(provider: Provider) -> list[Any]:
    return [device for device in ort.get_ep_devices() if device.ep_name.startswith(provider.ort_name)]


def workers_for(threads: int) -> int:
    """Calls at a time for a setting where 0 means one for each core."""
    if threads:
        return threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
