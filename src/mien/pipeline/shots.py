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

Role = Literal["before", "shown", "after"]


@dataclass(slots=True)
class Shot:
    """One frame on its way through the stages."""

    image: Frame
    alpha: NDArray[np.uint8] | None
    index: int
    """Number of the frame in the target."""
    time: float
    """Seconds since the start of the work."""
    role: Role
    """before: warm-up, after: looked at only for the sake of the frames before it."""
    stamps: tuple[int, ...]
    """When it is shown, in ticks of the output since the start of the segment; several times if it is repeated."""


@dataclass(frozen=True, slots=True)
class Span:
    """The frames that are read for one segment; times in ticks of the source."""

    start: int
    end: int | None
    """Frames from here on belong to the next segment; None for the last."""
    first_index: int
    origin: int
    """Where the whole work starts."""
    time_base: Fraction
    rate: Fraction
    before: int
    """Frames of warm-up."""
    after: int
    """Frames of look-ahead."""

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

    def ticks(self, begin: int, end: int) -> range:
        """Ticks at which the frame that is shown from ``begin`` to ``end`` (source ticks) is the newest."""
        return range(self._first_tick(begin), self._first_tick(end))

    def _first_tick(self, pts: int) -> int:
        return math.ceil((pts - self.start) * self.time_base * self.rate)


def shots(frames: Iterable[Decoded], span: Span, resampler: Resampler | None = None) -> Iterator[Shot]:
    """Give every decoded frame its role and the times at which it is shown.

    Frames that a lower frame rate drops are left out at once, before anybody works on them.
    """
    later = 0
    for frame, end in _with_end(frames, span):
        role = _role(frame.pts, span)
        if role == "after":
            if later == span.after:
                return
            later += 1
        stamps = _stamps(frame.pts, end, span, resampler)
        if stamps:
            index = _index(frame.pts, span) if role == "before" else frame.index + span.first_index
            time = float((frame.pts - span.origin) * span.time_base)
            yield Shot(frame.image, frame.alpha, index, time, role, stamps)
