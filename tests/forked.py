"""Processes that begin at once: forked from one that has imported what they need, instead of importing it each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, Final

PRELOADED: Final = (
    "dbos",
    "psycopg",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "tests.consumer.process",
    "tests.service.comfy_places",
    "tests.service.workplaces",
)


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


class Forked:
    """A process that runs ``main``, which gets ``given`` and ``ready``, a function to be called at most once.

    It has the environment of this process as it is now, and ends with it.
    """

    def __init__(self, main: Callable[..., None], **given: Any) -> None:
        self._ready, theirs = _context().Pipe(duplex=False)
        self._process = _context().Process(
            target=_begin, args=(main, dict(os.environ), theirs, given), daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """How it ended (minus the signal that killed it); None while it runs."""
        return self._process.exitcode

    def wait_until_ready(self) -> None:
        """Raises EOFError where it ends before."""
        self._ready.recv()

    def wait(self, seconds: float = 60) -> int:
        """How it ended."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a forked process", seconds)
        return self._process.exitcode

    def signal(self, number: int) -> None:
        """Send a signal to it, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()

    def end(self) -> int:
        """Let it finish what it does."""
        self.signal(signal.SIGTERM)
        return self.wait()


def _begin(
    main: Callable[..., None], environ: Mapping[str, str], ready: Connection, given: Mapping[str, Any]
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    main(**given, ready=lambda: ready.send(True))
