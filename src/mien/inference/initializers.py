"""Reads one constant out of an ONNX file without loading the rest: the file may be half a gigabyte.

Only the outermost fields of the protobuf message are walked (wire format: public protobuf documentation; field
numbers: onnx.proto3). Everything else is skipped by its length in a memory map.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt

_MODEL_GRAPH: Final = 7
_GRAPH_INITIALIZER: Final = 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_RAW = 1, 2, 4, 9
_TYPES: Final[Mapping[int, np.dtype[Any]]] = {1: np.dtype("<f4"), 10: np.dtype("<f2"), 11: np.dtype("<f8")}
"""TensorProto.DataType: FLOAT, FLOAT16, DOUBLE."""


def last_initializer(path: Path) -> NDArray[np.float32]:
    """The last initializer of the graph as float32.

    Raises ModelCorrupt if the file is no ONNX model or its last initializer holds no floating-point numbers.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            graph = _last(data, 0, len(data), _MODEL_GRAPH)
            tensor = _last(data, *graph, _GRAPH_INITIALIZER)
            return _tensor(data, *tensor)
    except (ValueError, IndexError, KeyError):
        raise ModelCorrupt(
            f"The model file {path} has no matrix at its end: it is not the model that it should be; fetch it again."
        ) from None


def _tensor(data: mmap.mmap, start: int, end: int) -> NDArray[np.float32]:
    dims: list[int] = []
    kind, raw = 0, b""
    for field, value in _fields(data, start, end):
        if field == _TENSOR_DIMS and isinstance(value, int):
            dims.append(value)
        elif field == _TENSOR_DIMS and isinstance(value, tuple):
            dims.extend(_packed(data, *value))
        elif field == _TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif field in (_TENSOR_RAW, _TENSOR_FLOATS) and isinstance(value, tuple):
            raw = data[value[0] : value[1]]
    values: NDArray[np.float32] = np.frombuffer(raw, _TYPES[kind]).reshape(dims).astype(np.float32)
    return values


def _last(data: mmap.mmap, start: int, end: int, wanted: int) -> tuple[int, int]:
    found = [
        value for field, value in _fields(data, start, end) if field == wanted and isinstance(value, tuple)
    ]
    return found[-1]


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """(field number, number or (start, end) of the bytes) of a message, in order."""
    position = start
    while position < end:
        tag, position = _varint(data, position)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield field, value
            continue
        size, position = (
            (8, position) if wire == 1 else (4, position) if wire == 5 else _varint(data, position)
        )
        if wire not in (1, 2, 5) or position + size > end:
            raise ValueError("not a protobuf message")
        yield field, (position, position + size)
        position += size


def _packed(data: mmap.mmap, start: int, end: int) -> Iterator[int]:
    while start < end:
        value, start = _varint(data, start)
        yield value


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("not a protobuf number")
