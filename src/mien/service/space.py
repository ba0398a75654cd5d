"""How much room is left on the disk of the data folder, on which files lie while they are received and worked on.

Below ``min_free_mb`` nothing more is taken in: uploads are refused before they are read, ``/readyz`` is not ready, and
a worker leaves jobs to others. What is under way goes on, and needs the rest.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mien.errors import DiskFull
from mien.service.settings import MB

if TYPE_CHECKING:
    from mien.service.settings import ServiceSettings

Probe: TypeAlias = Callable[[Path], int]
"""Tells the free bytes of the disk on which a folder is; raises OSError."""
FRESH: Final = 1.0
"""Seconds for which what was found is believed."""


def free_bytes(folder: Path) -> int:
    """What a program that is not the system's may still write there, also where the folder is still to be made.

    Raises OSError.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


class Space:
    """Looks at the disk at most once in a second. Thread-safe."""

    def __init__(
        self,
        settings: ServiceSettings,
        probe: Probe = free_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = settings.data_folder()
        self._least = int(settings.min_free_mb * MB)
        self._probe = probe
        self._clock = clock
        self._lock = threading.Lock()
        self._last: tuple[float, int] | None = None

    def free(self) -> int:
        """Bytes; 0 where the disk cannot be looked at."""
        with self._lock:
            if self._last is None or self._clock() - self._last[0] >= FRESH:
                self._last = (self._clock(), self._look())
            return self._last[1]

    @property
    def is_low(self) -> bool:
        """Whether nothing more is taken in."""
        return self.free() < self._least

    def check(self, size: int = 0) -> None:
        """Raise DiskFull when so many bytes more would leave too little room."""
        free = self.free()
        if free - size < self._least:
            raise DiskFull(
                f"The disk of the data folder has {free / MB:,.0f} MB left, and {self._least / MB:,.0f} MB have to "
                f"stay free (MIEN_MIN_FREE_MB){_instead(size)}; try again when there is more room."
            )

    def plain(self) -> dict[str, Any]:
        """As a worker tells it of itself."""
        return {"free_bytes": self.free(), "low": self.is_low}

    def _look(self) -> int:
        try:
            return self._probe(self._folder)
        except OSError:
            return 0


def _instead(size: int) -> str:
    return f" after the {size / MB:,.0f} MB of this request" if size >= MB else ""
