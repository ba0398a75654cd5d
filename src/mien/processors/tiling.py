"""A frame through an enlarging network tile by tile, so that the network never sees more than one tile.

``enlarge`` is mien's way: tiles overlap and are faded into each other, and what a tile sees beyond the frame is the
frame mirrored. ``enlarge_as_upstream`` repeats FaceFusion 3.8.1: black beyond the frame, hard seams. Both write
straight into the result; beside it and the frame they need the memory of a few tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.errors import OutOfMemory
from mien.types import Frame

Enhance: TypeAlias = Callable[[Sequence[Frame]], Sequence[Frame]]
"""Some T×T×3 tiles, enlarged to sT×sT×3 each."""


@dataclass(frozen=True, slots=True)
class TileSize:
    """Lengths in pixels of the frame: a tile's side, the width of a fade, and what is cut off each side of a tile.

    The outermost pixels of a tile are only context: the network lacks their neighbours, so its result there is weak.
    FaceFusion uses ``pad`` for a black margin round the frame instead.
    """

    side: int
    pad: int
    overlap: int

    @property
    def payload(self) -> int:
        """Side of the part of a tile that is used."""
        return self.side - 2 * self.overlap


def starts(length: int, window: int, fade: int) -> tuple[int, ...]:
    """Where windows begin that cover 0 to ``length``, evenly, each over at least ``fade`` of the one before."""
    if length <= window:
        return (0,)
    count = -(-(length - fade) // (window - fade))
    return tuple(round(index * (length - window) / (count - 1)) for index in range(count))


def enlarge(image: Frame, size: TileSize, scale: int, enhance: Enhance, *, batch: int = 1) -> Frame:
    """H×W×3 to sH×sW×3; ``enhance`` is given up to ``batch`` tiles at once. Raises OutOfMemory."""
    height, width = image.shape[:2]
    result = _empty(height * scale, width * scale)
    inner = size.payload
    tops, lefts = (starts(length, inner, size.pad) for length in (height, width))
    cut, bottom = size.overlap * scale, 0
    for top in tops:
        above = result[top * scale : bottom].copy()  # what the row above left where this one fades in
        right = 0
        for left, tile in zip(lefts, _row(image, size, top, lefts, enhance, batch), strict=True):
            rows, columns = min(inner, height) * scale, min(inner, width) * scale
            piece = tile[cut : cut + rows, cut : cut + columns]
            y, x = top * scale, left * scale
            _fade(piece[: len(above)], above[:, x : x + columns], _ramp(len(above))[:, None, None])
            beside = result[y : y + rows, x : max(right, x)]
            _fade(piece[:, : beside.shape[1]], beside, _ramp(beside.shape[1])[:, None])
            result[y : y + rows, x : x + columns] = piece
            right = x + columns
        bottom = top * scale + min(inner, height) * scale
    return result


def enlarge_as_upstream(image: Frame, size: TileSize, scale: int, enhance: Enhance) -> Frame:
    """H×W×3 to sH×sW×3 as FaceFusion 3.8.1 does it, borders and seams included. Raises OutOfMemory."""
    height, width = image.shape[:2]
    result = _empty(height * scale, width * scale)
    margin, inner = size.pad + size.overlap, size.payload
    rows, columns = ((length + 2 * size.pad) // inner + 1 for length in (height, width))
    padded = np.zeros((2 * size.overlap + rows * inner, 2 * size.overlap + columns * inner, 3), np.uint8)
    padded[margin : margin + height, margin : margin + width] = image
    cut, block = size.overlap * scale, inner * scale
    for row in range(rows):
        for column in range(columns):
            y, x = row * inner, column * inner
            (tile,) = enhance([padded[y : y + size.side, x : x + size.side]])
            _place(
                result,
                tile[cut : cut + block, cut : cut + block],
                (y - size.pad) * scale,
                (x - size.pad) * scale,
            )
    return result


def _empty(height: int, width: int) -> Frame:
    try:
        return np.empty((height, width, 3), np.uint8)
    except MemoryError:
        raise OutOfMemory(f"There is not enough memory for a frame of {width}x{height} pixels.") from None


def _row(
    image: Frame, size: TileSize, top: int, lefts: Sequence[int], enhance: Enhance, batch: int
) -> Iterator[Frame]:
    """The enlarged tiles of one row, from left to right."""
    for first in range(0, len(lefts), batch):
        group = lefts[first : first + batch]
        yield from enhance(
            [_tile(image, top - size.overlap, left - size.overlap, size.side) for left in group]
        )


def _tile(image: Frame, top: int, left: int, side: int) -> Frame:
    """A square of the frame; beyond the frame it goes on as in a mirror."""
    rows, columns = (
        _mirrored(begin, side, length) for begin, length in ((top, image.shape[0]), (left, image.shape[1]))
    )
    return np.ascontiguousarray(image[rows[:, None], columns])


def _mirrored(start: int, count: int, length: int) -> NDArray[np.intp]:
    positions = np.arange(start, start + count) % (2 * length)
    return np.minimum(positions, 2 * length - 1 - positions)


def _ramp(count: int) -> NDArray[np.float32]:
    return ((np.arange(count) + 0.5) / max(count, 1)).astype(np.float32)


def _fade(new: Frame, old: Frame, share: NDArray[np.float32]) -> None:
    """Mix ``old`` into ``new``, in place; ``share`` is that of the new pixels."""
    if not new.size:
        return
    mixed = new.astype(np.float32)
    mixed -= old
    mixed *= share
    mixed += old
    mixed += 0.5
    new[:] = mixed.astype(np.uint8)


def _place(result: Frame, block: Frame, y: int, x: int) -> None:
    """Copy the part of a block that lies within the result."""
    height, width = result.shape[:2]
    top, left = max(-y, 0), max(-x, 0)
    bottom, right = min(block.shape[0], height - y), min(block.shape[1], width - x)
    if top < bottom and left < right:
        result[y + top : y + bottom, x + left : x + right] = block[top:bottom, left:right]
