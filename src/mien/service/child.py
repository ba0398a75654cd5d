"""A worker in a process of its own, which lives as long as the process that started it.

Work that takes all processors, or all memory, or brings a library down, must not take the server with it. The child
gets its settings by its standard input, so that no secret stands in its arguments or environment; when that ends,
because the parent wants it to or has died, the child finishes and ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

from pydantic import BaseModel, SecretStr

from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import StorageSettings

if TYPE_CHECKING:
    from mien.service.logs import Log

NICE: Final = 5
"""How much the work gives way to the server when both want a processor."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
STEADY: Final = 60.0
"""Seconds after which a child that ended counts as one that worked."""


class WorkerProcess:
    """Starts the child, and starts it again when it dies."""

    def __init__(
        self,
        settings: ServiceSettings,
        engine_settings: Settings,
        storage_settings: StorageSettings,
        log: Log,
        command: tuple[str, ...] = (sys.executable, "-m", "mien.service.child"),
    ) -> None:
        self._message = encoded(settings, engine_settings, storage_settings)
        self._seconds = settings.shutdown_seconds
        self._log = log
        self._command = command
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The child's process number; None while there is none."""
        with self._lock:
            alive = self._process is not None and self._process.poll() is None
            return self._process.pid if self._process is not None and alive else None

    def start(self) -> None:
        """Start the child and the thread that watches it."""
        self._done.clear()
        self._spawn()
        self._thread = threading.Thread(target=self._watch, name="mien-worker-watch", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the child begin to finish; does not wait."""
        self._done.set()
        with self._lock:
            process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()

    def stop(self) -> None:
        """Let the child finish what it can in the time of the settings, and end it then."""
        self.ask_to_stop()
        thread = self._thread
        if thread is None:
            return
        thread.join(self._seconds + 15)
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            self._log.warning("worker_killed", pid=process.pid)
            process.kill()
            process.wait()
        thread.join()
        self._thread = None

    def _spawn(self) -> None:
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, text=True)
        assert process.stdin is not None
        with self._lock:
            self._process = process
        with suppress(OSError):  # it died at once; the watch tells
            process.stdin.write(self._message + "\n")
            process.stdin.flush()
        if self._done.is_set():
            self.ask_to_stop()

    def _watch(self) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            assert self._process is not None
            code = self._process.wait()
            if self._done.is_set():
                return
            pause = FIRST_PAUSE if time.monotonic() - started > STEADY else min(2 * pause, LONGEST_PAUSE)
            self._log.error("worker_died", exit_code=code, again_in=pause)
            if self._done.wait(pause):
                return
            self._spawn()


def encoded(settings: ServiceSettings, engine_settings: Settings, storage_settings: StorageSettings) -> str:
    """All settings as one line, with their secrets."""
    parts: Mapping[str, BaseModel] = {
        "service": settings,
        "engine": engine_settings,
        "storage": storage_settings,
    }
    return json.dumps({name: part.model_dump() for name, part in parts.items()}, default=_plain)


def decoded(line: str) -> tuple[ServiceSettings, Settings, StorageSettings]:
    """The settings of a line of ``encoded``."""
    data = json.loads(line)
    return (
        ServiceSettings.model_validate(data["service"]),
        Settings.model_validate(data["engine"]),
        StorageSettings.model_validate(data["storage"]),
    )


def main(
    stdin: TextIO, work: Callable[[ServiceSettings, Settings, StorageSettings, threading.Event], bool]
) -> int:
    """The child: read the settings, ``work`` until the input ends. Returns the exit code."""
    # Ctrl-C goes to the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = stdin.readline()
    if not line:
        return 0
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: end.set())
    threading.Thread(target=_wait_for_end, args=(stdin, end), daemon=True).start()
    return 0 if work(*decoded(line), end) else 1


def work(settings: ServiceSettings, engine: Settings, storage: StorageSettings, end: threading.Event) -> bool:
    """Run a worker until ``end`` is set; returns whether everything could be finished or handed back."""
    from mien.service.logs import take_over
    from mien.service.service import open_service

    if hasattr(os, "nice"):
        os.nice(NICE)
    with open_service(settings, engine, storage) as service:
        take_over(service.log, settings)
        service.start("worker")
        while not end.wait(1.0):  # a signal may come to another thread, and then this one has to look
            pass
        return service.stop()


def _wait_for_end(stdin: TextIO, end: threading.Event) -> None:
    with suppress(OSError, ValueError):
        stdin.read()
    end.set()


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


if __name__ == "__main__":
    clean = main(sys.stdin, work) == 0
    # Runs that do not listen would keep the interpreter alive.
    os._exit(0 if clean else 1)
