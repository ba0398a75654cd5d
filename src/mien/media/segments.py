"""A video in runs of frames that can be worked on alone, and their way back into one file."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from fractions import Fraction
from pathlib import Path

from mien.errors import OptionError
from mien.media.audio import AudioPlan
from mien.media.index import FrameIndex, read_index
from mien.media.join import join
from mien.media.segment import Segment

__all__ = ["AudioPlan", "Segment", "join", "plan"]


def plan(
    path: Path, *, start: int | None = None, end: int | None = None, seconds: float = 10.0
) -> tuple[Segment, ...]:
    """Cut a video into segments of about ``seconds``, at key frames where there are any near.

    ``start`` and ``end`` are frame numbers, ``end`` not included; both are clamped to the video. Only
    packets are read. The segments follow each other without a gap. Raises OptionError when the range is
    empty, CorruptMedia for a video without frames.
    """
    index = read_index(path)
    first = min(max(start or 0, 0), len(index.times))
    last = len(index.times) if end is None else min(max(end, 0), len(index.times))
    if first >= last:
        raise OptionError(
            f"The range of frames from {start or 0} to {end if end is not None else len(index.times)} is empty; "
            f"{path} has {len(index.times)} frames."
        )
    return tuple(_cut(index, first, last, seconds))


def _cut(index: FrameIndex, first: int, last: int, seconds: float) -> list[Segment]:
    length = max(int(Fraction(seconds) / index.time_base), 1)
    segments = []
    while first < last:
        following = min(_next_cut(index, first, length), last)
        # The last frame has no successor: a range that ends just behind it holds it.
        end = index.times[following] if following < len(index.times) else index.times[-1] + 1
        segments.append(Segment(index.times[first], end, first, following - first))
        first = following
    return segments


def _next_cut(index: FrameIndex, first: int, length: int) -> int:
    """Number of the frame at which the segment that begins with frame ``first`` ends."""
    begin = index.times[first]
    if index.times[-1] - begin < length + length // 2:
        return len(index.times)
    # The last key frame in the second half of the length, else the first one in as much again.
    key = bisect_right(index.keys, begin + length) - 1
    if key >= 0 and index.keys[key] > begin + length // 2:
        cut = index.keys[key]
    elif key + 1 < len(index.keys) and index.keys[key + 1] <= begin + 2 * length:
        cut = index.keys[key + 1]
    else:
        cut = begin + length
    return max(bisect_left(index.times, cut), first + 1)
