"""Work that many threads ask for at the same time, done in one go."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")

MOST = 100
"""Items that are done in one go."""


class _Wish(Generic[A, B]):
    def __init__(self, item: A) -> None:
        self.item = item
        self.woken = threading.Event()
        self.result: B | None = None
        self.error: BaseException | None = None
        self.done = False


class Together(Generic[A, B]):
    """Collects what threads want done while an earlier go is under way, and does all of it in the next one.

    ``work`` gets items in the order in which they came and returns one result for each. When it raises, each item of
    that go is done once more alone, so that nobody suffers for the item of another. There is no thread for this: one
    of those who wait does the work for all, and nobody waits where nobody else is there.

    Errors of the kinds ``common`` are nobody's own, such as that of a database that is away: everybody of that go gets
    them, or each would wait for it once more, one after the other.
    """

    def __init__(
        self,
        work: Callable[[Sequence[A]], Sequence[B]],
        most: int = MOST,
        common: tuple[type[Exception], ...] = (),
    ) -> None:
        self._work = work
        self._most = most
        self._common = common
        self._lock = threading.Lock()
        self._waiting: deque[_Wish[A, B]] = deque()
        self._busy = False

    def do(self, item: A) -> B:
        """The result for one item. Raises what ``work`` raises for it alone."""
        wish: _Wish[A, B] = _Wish(item)
        with self._lock:
            self._waiting.append(wish)
            leads, self._busy = not self._busy, True
        if not leads:
            wish.woken.wait()
        if not wish.done:
            self._lead()
        if wish.error is not None:
            raise wish.error
        return wish.result  # type: ignore[return-value]  # set, or there is an error

    def _lead(self) -> None:
        """Do what waits, one's own wish among it, and leave what came meanwhile to the one who waits longest."""
        with self._lock:
            count = min(len(self._waiting), self._most)
            wishes = [self._waiting.popleft() for _ in range(count)]
        try:
            self._fulfil(wishes)
        except BaseException as error:  # the thread is to end; the others must not wait for ever
            for wish in wishes:
                wish.error = wish.error or error
            raise
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._busy = following is not None
            for wish in wishes:
                wish.done = True
                wish.woken.set()
            if following is not None:
                following.woken.set()

    def _fulfil(self, wishes: Sequence[_Wish[A, B]]) -> None:
        try:
            for wish, result in zip(wishes, self._work([wish.item for wish in wishes]), strict=True):
                wish.result = result
        except Exception as error:  # given to whom it belongs, and raised there
            if len(wishes) > 1 and not isinstance(error, self._common):
                for wish in wishes:
                    self._fulfil([wish])
                return
            for wish in wishes:
                wish.error = error
