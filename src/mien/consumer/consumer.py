"""The consumer: asks for tasks, as many at once as it may, and ends in order."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mien.consumer.errand import Errands, Outcome
from mien.consumer.gateway import Away, Gateway
from mien.consumer.heart import Heart
from mien.consumer.journal import Entry, Journal
from mien.consumer.settings import ConsumerSettings
from mien.errors import MienError, RemoteFailed

if TYPE_CHECKING:
    from mien.service.logs import Log

GRACE = 5.0
"""Seconds for giving tasks back, after the time to finish them is over."""


class Consumer:
    """Works until it is stopped. ``errands.leaving`` belongs to it."""

    def __init__(
        self,
        settings: ConsumerSettings,
        gateway: Gateway,
        errands: Errands,
        journal: Journal,
        log: Log,
    ) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        """What became of the tasks so far."""
        self._settings = settings
        self._gateway = gateway
        self._errands = errands
        self._journal = journal
        self._log = log
        self._environments: Sequence[str] = sorted(errands.worlds)
        self._stopping = threading.Event()
        self._polling = threading.Lock()
        self._lock = threading.Lock()
        self._hearts: set[Heart] = set()
        self._left: list[Entry] = []
        self._failure: MienError | None = None
        self._known = False
        self._once = False

    def stop(self) -> None:
        """Ask for no more tasks, and return from ``run`` soon; may be called by a signal handler."""
        self._stopping.set()

    def run(self, once: bool = False) -> bool:
        """Work until ``stop``; with ``once``, until there is no task any more.

        Returns whether all work has ended; if not, the process should end, and a consumer that starts in the same
        folder takes it up. Raises what the gateway refused at the first contact, JobBusy when another consumer uses
        the folder.
        """
        self._once = once
        with self._journal.opened():
            self._left = self._journal.left()
            count = self._settings.concurrency
            threads = [
                threading.Thread(target=self._work_on, name=f"tasks-{n}", daemon=True) for n in range(count)
            ]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not self._stopping.is_set():
                self._stopping.wait(0.2)
            clean = self._end(threads)
        if self._failure is not None:
            raise self._failure
        return clean

    def _end(self, threads: Sequence[threading.Thread]) -> bool:
        """Let tasks finish, give back those that take too long, and report no longer than ``GRACE``."""
        if _joined(threads, self._settings.shutdown_seconds):
            return True
        with self._lock:
            hearts = list(self._hearts)
        for heart in hearts:
            heart.stop("ending")
        if _joined(threads, GRACE):
            return True
        self._errands.leaving.set()
        return _joined(threads, GRACE)

    def _work_on(self) -> None:
        while (entry := self._next()) is not None:
            outcome = self._run(entry)
            with self._lock:
                self.outcomes[outcome] += 1
            if outcome == "unable":
                # Other consumers are to get the task, and all those behind it.
                self._stopping.wait(self._settings.poll_max_seconds)

    def _run(self, entry: Entry) -> Outcome:
        settings = self._settings
        heart = Heart(self._gateway, entry.task, settings.lease_seconds, settings.run_seconds)
        with self._lock:
            self._hearts.add(heart)
        try:
            return self._errands.run(entry, heart)
        finally:
            with self._lock:
                self._hearts.discard(heart)

    def _next(self) -> Entry | None:
        """The next task; None when the consumer is to end. One thread asks at a time, the others wait for it."""
        with self._polling:
            pause = self._settings.poll_seconds
            while not self._stopping.is_set() and self._failure is None:
                if self._left:
                    return self._left.pop()
                asked_for = 0.0
                try:
                    found = self._fetch()
                    if found is not None or self._once:
                        return found
                except Away as away:
                    if self._once:
                        self._failure = RemoteFailed(str(away))
                    self._log.warning("gateway_away", reason=str(away))
                    asked_for = away.pause
                except MienError as error:
                    self._refused(error)
                self._stopping.wait(max(asked_for, pause) * random.uniform(0.75, 1.25))
                pause = min(pause * 2, self._settings.poll_max_seconds)
        return None

    def _fetch(self) -> Entry | None:
        task = self._gateway.fetch(self._environments)
        self._known = True
        if task is None:
            return None
        try:
            return self._journal.begin(task)
        except MienError:
            with suppress(Away, MienError):
                self._gateway.give_back(task)
            raise

    def _refused(self, error: MienError) -> None:
        """What a gateway refuses from the start will not become right; later it may, such as for a new key."""
        if not self._known:
            self._failure = error
        else:
            self._log.error("fetch_refused", code=error.code, reason=str(error))


def _joined(threads: Sequence[threading.Thread], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    return not any(thread.is_alive() for thread in threads)
