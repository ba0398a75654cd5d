"""Which frames of a segment are read, which of them are shown, and when: warm-up, look-ahead, and frame rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from numpy.typing import NDArray

from mien.types import Frame

if TYPE_CHECKING:
    import numpy as np

    from mien.media.reader import Decoded

WARM_UP = 24
"""Frames before a segment that are worked on and thrown away, so that what a processor remembers is there again."""

FINE = 1000
"""Parts of a second, at the least, in which times of a new frame rate are written."""

Role = Literal["before", "shown", "after"]


@dataclass(slots=True)
class Shot:
    """One frame on its way through the stages."""

    image: Frame
    alpha: NDArray[np.uint8] | None
    index: int
    """Number of the frame in the target."""
    pts: int
    """When it is shown, in ticks of the source."""
    time: float
    """Seconds since the start of the work."""
    role: Role
    """before: warm-up, after: looked at only for the sake of the frames before it."""
    stamps: tuple[int, ...]
    """When it is shown: ticks of the source since the start of the segment, or, at a new frame rate, numbers of
    frames since the start of the work; several if it is repeated."""


@dataclass(frozen=True, slots=True)
class Span:
    """The frames that are read for one segment; times in ticks of the source."""

    start: int
    end: int
    """Frames from here on belong to the next segment, or to nobody."""
    first_index: int
    origin: int
    """Where the whole work starts."""
    time_base: Fraction
    rate: Fraction
    before: int
    """Frames of warm-up."""
    after: int
    """Frames of look-ahead."""
    is_last: bool

    @property
    def read_from(self) -> int:
        """Where reading starts. Counted in time, since frames may come at irregular times."""
        return self.start - math.ceil(self.before / self.rate / self.time_base)


@dataclass(frozen=True, slots=True)
class Resampler:
    """Shows frames at a steady rate: at each tick the newest frame, so none or several times each.

    ``start``: ticks of the source at which the work starts; the ticks of the new rate are counted from there.
    """

    start: int
    time_base: Fraction
    rate: Fraction

    @property
    def output_base(self) -> Fraction:
        """Time base of the output: fine enough for the sound's edges, and exact for the new rate."""
        return 1 / Fraction(self.rate.numerator * FINE)

    def output_time(self, tick: int) -> int:
        """A tick in the time base of the output."""
        return tick * self.rate.denominator * FINE

    def ticks(self, begin: int, end: int) -> range:
        """Ticks at which the frame that is shown from ``begin`` to ``end`` (source ticks) is the newest."""
        return range(self.first_tick(begin), self.first_tick(end))

    def first_tick(self, pts: int) -> int:
        """The first tick at or after a time (source ticks)."""
        return math.ceil((pts - self.start) * self.time_base * self.rate)


def shots(frames: Iterable[Decoded], span: Span, resampler: Resampler | None = None) -> Iterator[Shot]:
    """Give every decoded frame its role and the times at which it is shown.

    Frames that a lower frame rate drops are left out at once, before anybody works on them.
    """
    index, later = span.first_index, 0
    for frame, end in _with_end(frames, span):
        role = _role(frame.pts, span)
        if role == "after":
            if later == span.after:
                return
            later += 1
        stamps = _stamps(frame.pts, end, span, resampler)
        number = index if role != "before" else index - _ticks_before(frame.pts, span)
        index += role != "before"
        if stamps:
            time = float((frame.pts - span.origin) * span.time_base)
            yield Shot(frame.image, frame.alpha, number, frame.pts, time, role, stamps)


def _with_end(frames: Iterable[Decoded], span: Span) -> Iterator[tuple[Decoded, int]]:
    """Each frame and the time at which the next one is shown; the last one stays for the usual time."""
    last: Decoded | None = None
    for frame in frames:
        if last is not None:
            yield last, frame.pts
        last = frame
    if last is not None:
        usual = last.pts + max(round(1 / span.rate / span.time_base), 1)
        yield last, usual if span.is_last or _role(last.pts, span) != "shown" else span.end


def _role(pts: int, span: Span) -> Role:
    if pts < span.start:
        return "before"
    return "shown" if pts < span.end else "after"


def _ticks_before(pts: int, span: Span) -> int:
    """How many frames before the segment a frame of the warm-up is, by its time; at least one."""
    return max(round((span.start - pts) * span.time_base * span.rate), 1)


def _stamps(pts: int, end: int, span: Span, resampler: Resampler | None) -> tuple[int, ...]:
    if resampler is None:
        return (pts - span.start,)
    return tuple(resampler.ticks(pts, end))
