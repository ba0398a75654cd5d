"""Holds frames back until the faces of later ones are known, so that a face that was lost for a moment is filled in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from mien.faces.analyser import Observed

T = TypeVar("T")

Fill = Callable[[Sequence[Observed], int], Observed]
"""Observations of neighbouring frames and the place of the middle one -> the middle one with its gaps filled."""


class LookAhead(Generic[T]):
    """A window over frames and what was seen in them: ``size`` later frames, and as many earlier ones.

    Works on observations, which are small; of frames it holds only those that are still to be handed on.
    """

    def __init__(self, size: int, fill: Fill) -> None:
        self._size = size
        self._fill = fill
        self._seen: deque[Observed] = deque()
        self._waiting: deque[T] = deque()

    def push(self, item: T, observed: Observed) -> Iterator[tuple[T, Observed]]:
        """Add the next frame; yields the one frame, if any, whose later frames are all known now."""
        self._waiting.append(item)
        self._seen.append(observed)
        if len(self._waiting) > self._size:
            yield self._next()

    def finish(self) -> Iterator[tuple[T, Observed]]:
        """Yield what is left, after the last frame."""
        while self._waiting:
            yield self._next()

    def _next(self) -> tuple[T, Observed]:
        place = len(self._seen) - len(self._waiting)
        filled = self._seen[place] if self._size == 0 else self._fill(self._seen, place)
        while place >= self._size:
            self._seen.popleft()
            place -= 1
        return self._waiting.popleft(), filled
