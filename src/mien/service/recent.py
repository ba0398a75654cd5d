"""What was found a moment ago."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST: Final = 1000


class Recent(Generic[K, V]):
    """Remembers values for so many seconds, at most ``most`` of them. Shared by any number of threads."""

    def __init__(self, seconds: float, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """The value, or None where there is none, or an old one."""
        with self._lock:
            found = self._found.get(key)
        return found[1] if found is not None and self._clock() - found[0] < self._seconds else None

    def put(self, key: K, value: V) -> None:
        """Remember a value from now on."""
        with self._lock:
            self._found.pop(key, None)  # so that those put last come last
            while len(self._found) >= self._most:
                del self._found[next(iter(self._found))]
            self._found[key] = self._clock(), value
