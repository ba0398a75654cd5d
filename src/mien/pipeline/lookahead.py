"""Holds frames back until later ones were looked at, so that a face that was lost for a moment can be filled in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R")


class LookAhead(Generic[T, S, R]):
    """A window over frames and what was seen in them: ``size`` later frames, and as many earlier ones.

    ``judge`` makes the result of a frame of what was seen in its neighbours and its own place among them. It is called
    once for each frame, in their order. Of frames the window holds only those that are still to be handed on.
    """

    def __init__(self, size: int, judge: Callable[[Sequence[S], int], R]) -> None:
        self._size = size
        self._judge = judge
        self._seen: deque[S] = deque()
        self._waiting: deque[T] = deque()

    def push(self, item: T, observed: S) -> Iterator[tuple[T, R]]:
        """Add the next frame; yields the one frame, if any, whose later frames are all known now."""
        self._waiting.append(item)
        self._seen.append(observed)
        if len(self._waiting) > self._size:
            yield self._next()

    def finish(self) -> Iterator[tuple[T, R]]:
        """Yield what is left, after the last frame."""
        while self._waiting:
            yield self._next()

    def _next(self) -> tuple[T, R]:
        place = len(self._seen) - len(self._waiting)
        judged = self._judge(self._seen, place)
        while place >= self._size:
            self._seen.popleft()
            place -= 1
        return self._waiting.popleft(), judged
