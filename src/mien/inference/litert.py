"""Runs ``.tflite`` files with LiteRT on the CPU, one thread for each call."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from mien.errors import ModelCorrupt, ModelError, OutOfMemory
from mien.inference.clib import quiet_creation
from mien.inference.session import Array, Counter, Feeds, TensorSpec, arrange

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of a model file (the file identifier of its FlatBuffers schema)."""


class LiteRTSession:
    """A model for LiteRT. An interpreter serves one call at a time: as many are kept as ever ran at once.

    Two threads inside one interpreter are slower than one for every model that mien uses (measured).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: deque[Interpreter] = deque()
        self._counter = Counter()
        interpreter = self._create()
        self.inputs = tuple(_spec(item) for item in interpreter.get_input_details())
        self.outputs = tuple(_spec(item) for item in interpreter.get_output_details())
        self._input_indices = [item["index"] for item in interpreter.get_input_details()]
        self._output_indices = [item["index"] for item in interpreter.get_output_details()]
        self._idle.append(interpreter)

    @property
    def runs(self) -> int:
        """How often the model has run."""
        return self._counter.value

    def run(self, feeds: Feeds) -> list[Array]:
        """Run the model once; see ``Session.run``."""
        arrays = arrange(feeds, self.inputs, self.path)
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = self._create()
        try:
            return self._invoke(interpreter, arrays)
        finally:
            self._idle.append(interpreter)

    def close(self) -> None:
        """Let go of all interpreters."""
        self._idle.clear()

    def _invoke(self, interpreter: Interpreter, arrays: Sequence[Array]) -> list[Array]:
        try:
            for index, array in zip(self._input_indices, arrays, strict=True):
                interpreter.set_tensor(index, array)
            interpreter.invoke()
            outputs: list[Array] = [interpreter.get_tensor(index) for index in self._output_indices]
        except MemoryError:
            raise OutOfMemory(f"There is not enough memory to run {self.path.name}.") from None
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"The model {self.path.name} failed while it ran: {_short(error)}.") from None
        self._counter.add()
        return outputs

    def _create(self) -> Interpreter:
        _check_header(self.path)
        try:
            with quiet_creation():
                interpreter = Interpreter(model_path=str(self.path), num_threads=1)
                interpreter.allocate_tensors()
        except MemoryError:
            raise OutOfMemory(f"There is not enough memory to load {self.path.name}.") from None
        except (RuntimeError, ValueError) as error:
            raise ModelCorrupt(
                f"The file {self.path} is damaged or not a model that LiteRT can run ({_short(error)})."
            ) from None
        return interpreter


def _check_header(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(8)
    if head[4:8] != IDENTIFIER:
        raise ModelCorrupt(f"The file {path} is not a LiteRT model.")


def _spec(item: dict[str, Any]) -> TensorSpec:
    signature = item.get("shape_signature")
    lengths = item["shape"] if signature is None or not len(signature) else signature
    shape = tuple(None if length < 0 else int(length) for length in lengths)
    return TensorSpec(item["name"], shape, np.dtype(item["dtype"]))


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= 120 else text[:119] + "…"
