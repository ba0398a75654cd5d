"""The queue and the history of one process life; both are lost with it."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(order=False)
class Prompt:
    """An accepted submission."""

    number: float
    id: str
    graph: dict[str, Any]
    extra_data: dict[str, Any]
    outputs: list[str]

    def __lt__(self, other: Prompt) -> bool:
        return (self.number, self.id) < (other.number, other.id)

    def item(self) -> list[Any]:
        """The five-element list of queue and history."""
        return [self.number, self.id, self.graph, self.extra_data, self.outputs]

    @property
    def client_id(self) -> Any:
        """Whose socket gets the messages; None when nobody's."""
        return self.extra_data.get("client_id")


class Prompts:
    """Safe to use from all threads; ``changed`` is called after each change of the number of prompts."""

    def __init__(self, changed: Callable[[int], None], limit: int = 10_000) -> None:
        self._condition = threading.Condition(threading.RLock())
        self._changed = changed
        self._heap: list[Prompt] = []
        self._history: dict[str, dict[str, Any]] = {}
        self._limit = limit
        self._counter = 0
        self.running: Prompt | None = None

    def number(self, asked: float | None, front: bool) -> float:
        """The place of a new prompt in the queue."""
        if asked is not None:
            return float(asked)
        with self._condition:
            taken = self._counter
            self._counter += 1
            return -taken if front else taken

    def put(self, prompt: Prompt) -> None:
        """Queue a prompt."""
        with self._condition:
            heapq.heappush(self._heap, prompt)
            self._tell()
            self._condition.notify_all()

    def take(self, seconds: float, may: Callable[[], bool]) -> Prompt | None:
        """The next prompt, which is then running; None when none came in time, or none may be taken."""
        with self._condition:
            if not self._heap:
                self._condition.wait(seconds)
            if not self._heap or not may():
                return None
            self.running = heapq.heappop(self._heap)
            self._tell()
            return self.running

    def finish(self, prompt: Prompt, entry: dict[str, Any] | None) -> None:
        """The prompt is no longer running; without an entry it leaves no trace."""
        with self._condition:
            self.running = None
            if entry is not None:
                self._history.pop(prompt.id, None)
                self._history[prompt.id] = entry
                while len(self._history) > self._limit:
                    del self._history[next(iter(self._history))]
            self._tell()

    def remove(self, ids: Iterable[object]) -> bool:
        """Take waiting prompts out of the queue; True if there was one."""
        with self._condition:
            wanted = set(map(str, ids))
            left = [prompt for prompt in self._heap if prompt.id not in wanted]
            removed = len(left) != len(self._heap)
            self._heap = left
            heapq.heapify(self._heap)
            if removed:
                self._tell()
            return removed

    def clear(self) -> None:
        """Take all waiting prompts out of the queue."""
        with self._condition:
            self._heap = []
            self._tell()

    def forget(self, ids: Iterable[object] | None = None) -> None:
        """Delete entries of the history, all of them without ``ids``."""
        with self._condition:
            if ids is None:
                self._history = {}
            for name in ids or ():
                self._history.pop(str(name), None)

    def remaining(self) -> int:
        """Running and waiting prompts."""
        with self._condition:
            return len(self._heap) + (self.running is not None)

    def view(self) -> tuple[list[Prompt], list[Prompt]]:
        """Running and waiting prompts; the latter in the order of the heap, as the server shows them."""
        with self._condition:
            return [self.running] if self.running else [], list(self._heap)

    def history(self) -> dict[str, dict[str, Any]]:
        """Entries by prompt id, oldest first."""
        with self._condition:
            return dict(self._history)

    def _tell(self) -> None:
        self._changed(self.remaining())


def now() -> int:
    """Milliseconds since 1970, as the server stamps its messages."""
    return int(time.time() * 1000)
