"""Runs ``.onnx`` files with ONNX Runtime.

One session for each model, shared by all threads; one thread inside a call, since frames run in parallel
(measured: two spinning threads inside a call cost 1.3 to 2.3 times the CPU time of one). A session on a GPU
takes one call at a time. Session creation is serialised over the whole process.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as native

from mien.errors import MienError, ModelCorrupt, ModelError, OutOfMemory, ProviderError
from mien.inference.clib import CREATION, trim_memory
from mien.inference.graphs import GraphCache
from mien.inference.options import LoadOptions
from mien.inference.providers import (
    Placement,
    Provider,
    openvino_config,
    plugin_device,
    provider,
    workers_for,
)
from mien.inference.session import Array, Counter, Feeds, TensorSpec, arrange

FATAL = 4
"""Severity from which ONNX Runtime may log; what goes wrong is raised as an error."""

_NATIVE_ERRORS: tuple[type[Exception], ...] = (
    *(item for item in vars(native).values() if isinstance(item, type) and issubclass(item, Exception)),
    RuntimeError,
    ValueError,
)
_NOT_A_MODEL = (native.InvalidProtobuf, native.InvalidGraph, native.NoSuchFile, native.NoModel)
_MEMORY_WORDS = (
    "failed to allocate",
    "out of memory",
    "bad_alloc",
    "alloc failed",
    "cudaerrormemoryallocation",
)

_PREAMBLE = re.compile(r"^Load model from .* failed: ?")
_TYPES: Mapping[str, str] = MappingProxyType(
    {"float": "float32", "double": "float64", "string": "object", "bfloat16": "uint16"}
)
"""ONNX Runtime's names of element types that are not NumPy's."""


class OnnxSession:
    """A model for ONNX Runtime, on one device or on several; calls go to a device that is free."""

    def __init__(self, path: Path, sessions: Sequence[ort.InferenceSession], one_call: bool) -> None:
        self.path = path
        self._sessions = tuple(sessions)
        self._locks = tuple(threading.Lock() for _ in sessions) if one_call else ()
        self._turn = itertools.count()
        self._counter = Counter()
        self.inputs = tuple(_spec(item) for item in self._sessions[0].get_inputs())
        self.outputs = tuple(_spec(item) for item in self._sessions[0].get_outputs())
        self.providers: tuple[str, ...] = tuple(self._sessions[0].get_providers())

    @property
    def runs(self) -> int:
        """How often the model has run."""
        return self._counter.value

    def run(self, feeds: Feeds) -> list[Array]:
        """Run the model once; see ``Session.run``."""
        arrays = arrange(feeds, self.inputs, self.path)
        named = {spec.name: array for spec, array in zip(self.inputs, arrays, strict=True)}
        with ExitStack() as held:
            session = self._free_session(held)
            try:
                outputs: list[Array] = session.run(None, named, _run_options())
            except MemoryError:
                raise OutOfMemory(f"There is not enough memory to run {self.path.name}.") from None
            except _NATIVE_ERRORS as error:
                raise _run_error(error, self.path) from None
        self._counter.add()
        return outputs

    def close(self) -> None:
        """Nothing to do: the memory goes with the last reference."""

    def _free_session(self, held: ExitStack) -> ort.InferenceSession:
        start = next(self._turn) % len(self._sessions)
        if not self._locks:
            return self._sessions[start]
        order = [(start + step) % len(self._sessions) for step in range(len(self._sessions))]
        for index in order:
            if self._locks[index].acquire(blocking=False):
                held.callback(self._locks[index].release)
                return self._sessions[index]
        held.enter_context(self._locks[start])
        return self._sessions[start]


def open_session(path: Path, options: LoadOptions, graphs: GraphCache) -> OnnxSession:
    """Load a model; raises ModelCorrupt, ProviderError or OutOfMemory."""
    chosen = [provider(name) for name in options.providers]
    if not chosen:
        raise ProviderError("No execution provider is named; choose at least cpu.")
    one_call = any(item.one_call for item in chosen)
    devices = options.device_ids if one_call and options.device_ids else options.device_ids[:1] or (0,)
    with CREATION:
        ort.set_default_logger_severity(FATAL)
        sessions = [_open_on(path, options, chosen, device, graphs) for device in devices]
    return OnnxSession(path, sessions, one_call)


def _open_on(
    path: Path, options: LoadOptions, chosen: Sequence[Provider], device: int, graphs: GraphCache
) -> ort.InferenceSession:
    only_cpu = all(item.name == "cpu" for item in chosen)
    if only_cpu and options.cache_graph:
        session = _open_kept(path, options, graphs)
        if session is not None:
            return session
    compiled = None if only_cpu else graphs.compiled()
    place = Placement(device, options.precision, workers_for(options.workers), compiled)
    return _create(path, _session_options(options), chosen, place, options)


def _open_kept(path: Path, options: LoadOptions, graphs: GraphCache) -> ort.InferenceSession | None:
    """Open the optimised graph of a model, after making it if need be; None where that does not work."""
    cpu = [provider("cpu")]
    key = {"ort": ort.__version__, "ep": "cpu", "precision": options.precision, "threads": options.threads}
    place = graphs.place(path, key)
    if place is None:
        return None
    if not place.is_file() and not _make_graph(path, place, options, graphs):
        return None
    graphs.touch(place)
    kept = _session_options(options)
    kept.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return _create(place, kept, cpu, Placement(), options)
    except ModelError:  # a torn or foreign file: made again at the next start
        graphs.drop(place)
        return None


def _make_graph(path: Path, place: Path, options: LoadOptions, graphs: GraphCache) -> bool:
    temporary = graphs.temporary(place)
    if temporary is None:
        return False
    writing = _session_options(options)
    writing.optimized_model_filepath = str(temporary)
    try:
        _create(path, writing, [provider("cpu")], Placement(), options)
    except MienError:
        graphs.drop(temporary)
        # The plain model tells whether the file is at fault or only the writing.
        return False
    trim_memory()  # optimising takes about twice the weights; measured: 130 MB stay behind otherwise
    graphs.prune()
    return graphs.keep(temporary, place)


def _session_options(options: LoadOptions) -> ort.SessionOptions:
    session = ort.SessionOptions()
    session.intra_op_num_threads = options.threads
    session.inter_op_num_threads = 1
    session.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    session.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session.enable_cpu_mem_arena = not options.low_memory
    session.log_severity_level = FATAL
    session.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if options.precision == "fast":
        session.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1")
    return session


def _create(
    path: Path,
    session: ort.SessionOptions,
    chosen: Sequence[Provider],
    place: Placement,
    options: LoadOptions,
) -> ort.InferenceSession:
    arguments = _arguments(session, chosen, place, options)
    try:
        # enable_fallback: ONNX Runtime would otherwise print a message and go on with the CPU.
        made = ort.InferenceSession(str(path), session, enable_fallback=0, **arguments)
    except MemoryError:
        raise OutOfMemory(f"There is not enough memory to load {path.name}.") from None
    except _NATIVE_ERRORS as error:
        raise _load_error(error, path, chosen) from None
    lost = [item.name for item in chosen if item.ort_name not in made.get_providers()]
    if lost:
        raise ProviderError(
            f"The execution provider {lost[0]} does not open on this machine: its driver or libraries are "
            "missing; choose another one, such as cpu."
        )
    return made


def _arguments(
    session: ort.SessionOptions, chosen: Sequence[Provider], place: Placement, options: LoadOptions
) -> dict[str, Any]:
    """What names the providers to ONNX Runtime: an argument, or for plugins an entry in the session's options."""
    named: list[tuple[str, dict[str, str]]] = []
    for item in chosen:
        extra = dict(options.extra.get(item.name, {}))
        device = plugin_device(item, place)
        if device is None:
            named.append((item.ort_name, {**item.options(place), **extra}))
        else:
            config = openvino_config(place, device.device.type.name)
            session.add_provider_for_devices([device], {**config, **extra})
    return {} if session.has_providers() else {"providers": named}


def _load_error(error: Exception, path: Path, chosen: Sequence[Provider]) -> MienError:
    if _is_about_memory(error):
        return OutOfMemory(f"There is not enough memory to load {path.name}.")
    if all(item.name == "cpu" for item in chosen) or isinstance(error, _NOT_A_MODEL):
        return ModelCorrupt(
            f"The file {path} is damaged or not a model that ONNX Runtime can run ({_short(error)})."
        )
    names = ", ".join(item.name for item in chosen if item.name != "cpu")
    return ProviderError(f"The execution provider {names} cannot run {path.name}: {_short(error)}.")


def _run_error(error: Exception, path: Path) -> MienError:
    if _is_about_memory(error):
        return OutOfMemory(f"There is not enough memory on the device to run {path.name}.")
    return ModelError(f"The model {path.name} failed while it ran: {_short(error)}.")


def _is_about_memory(error: Exception) -> bool:
    return any(word in str(error).lower() for word in _MEMORY_WORDS)


def _run_options() -> ort.RunOptions:
    options = ort.RunOptions()
    options.log_severity_level = FATAL
    return options


def _spec(item: Any) -> TensorSpec:
    shape = tuple(length if isinstance(length, int) and length >= 0 else None for length in item.shape)
    element = item.type.removeprefix("tensor(").removesuffix(")")
    try:
        dtype = np.dtype(_TYPES.get(element, element))
    except TypeError:
        dtype = np.dtype(object)
    return TensorSpec(item.name, shape, dtype)


def _short(error: Exception) -> str:
    """ONNX Runtime's message without its code, the address of its source, and line breaks."""
    text = " ".join(str(error).split())
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    text = _PREAMBLE.sub("", text)
    return text[:119].rstrip(". ") + ("…" if len(text) > 119 else "")
