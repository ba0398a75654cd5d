"""Threads that hand items on through bounded channels, and stop together.

A ``Crew`` runs the stages of one pipeline. Whatever happens in one stage, the others end: normally when the channel
that they read is closed, at once when it is broken. The crew's ``with`` block ends only when every thread has, and
raises the one error that started it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Broken(Exception):
    """The other side of a channel has gone; the reason is the error of another thread."""


class Channel(Generic[T]):
    """A bounded queue from one stage to the next.

    The writer uses it as a context manager: leaving the block closes the channel, leaving it by an error breaks it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._broken = False

    def put(self, item: T) -> None:
        """Add an item; waits while the channel is full. Raises Broken."""
        with self._changed:
            self._changed.wait_for(lambda: self._broken or len(self._items) < self._size)
            if self._broken:
                raise Broken
            self._items.append(item)
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more items will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """Drop all items and make both sides stop."""
        with self._changed:
            self._broken = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take items until the channel is closed and empty. Raises Broken."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._broken or self._closed or self._items)
                if self._broken:
                    raise Broken
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def __enter__(self) -> Channel[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close() if kind is None else self.break_off()


class Crew:
    """The threads of one pipeline: ``stages`` that run once, and ``workers`` that take one task after the other."""

    def __init__(self, stages: int, workers: int) -> None:
        self._stages = ThreadPoolExecutor(stages, thread_name_prefix="mien-stage")
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="mien-worker")
        self._channels: list[Channel[Any]] = []
        self._running: list[Future[None]] = []

    def channel(self, size: int) -> Channel[Any]:
        """A new channel that breaks when the crew stops."""
        channel: Channel[Any] = Channel(size)
        self._channels.append(channel)
        return channel

    def start(self, stage: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run a stage in a thread of its own."""
        self._running.append(self._stages.submit(stage, *args, **kwargs))

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Give a task to the next free worker; with one worker, tasks run in the order of submission."""
        return self._workers.submit(task, *args, **kwargs)

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            for channel in self._channels:
                channel.break_off()
        self._stages.shutdown(wait=True)
        self._workers.shutdown(wait=True, cancel_futures=True)
        if error is None or isinstance(error, Broken):
            self._raise_first()

    def _raise_first(self) -> None:
        failures = [failure for stage in self._running if (failure := stage.exception()) is not None]
        for failure in failures:
            if not isinstance(failure, Broken):
                raise failure
