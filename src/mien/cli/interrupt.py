"""Turns Ctrl-C into a request to stop: the first asks, the second aborts, the third ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.pipeline.progress import Cancel

EXIT_CODE = 130


@contextmanager
def stopping(cancel: Cancel, say: Callable[[str], None]) -> Iterator[None]:
    """Set ``cancel`` on the first SIGINT or SIGTERM in the block; raise KeyboardInterrupt on the second.

    A third ends the process without clean-up, for the case that something hangs. Outside the main thread,
    where Python takes no signals, the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count == 1:
            cancel.set()
            # A signal may come in the middle of a write to stderr, which cannot be entered twice.
            with suppress(RuntimeError):
                say("stopping after the current frame; press Ctrl-C again to stop at once")
        elif count == 2:
            raise KeyboardInterrupt
        else:
            os._exit(EXIT_CODE)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
