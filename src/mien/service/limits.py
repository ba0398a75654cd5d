"""What one caller, and all callers together, may ask of the service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mien.db import Database
from mien.errors import QueueFull, QuotaExceeded, RateLimited
from mien.service.callers import LIMITS, Caller
from mien.service.quotas import STORED, Quota
from mien.service.rates import Rates
from mien.service.settings import ServiceSettings
from mien.service.usage import Usage

if TYPE_CHECKING:
    from sqlalchemy import Connection

FRESH = 1.0
"""Seconds for which a count of waiting jobs is believed."""
MANY = 10_000
"""Owners whose counts are remembered."""
FULL = 15.0
"""Seconds after which it is worth trying again when the queue is full."""


class Limits:
    """Refuses what is too much: requests in a minute, jobs in a day, jobs that wait, files that are kept."""

    def __init__(self, database: Database, settings: ServiceSettings, usage: Usage) -> None:
        self._settings = settings
        self._usage = usage
        self._waiting = Waiting()
        self.rates = Rates(database)
        self.quota = Quota(database, settings)

    def of(self, caller: Caller) -> dict[str, float | None]:
        """The limits that count for a caller; None: there is none."""
        return {name: self._limit(caller, name) for name in LIMITS}

    def request_here(self, caller: Caller, address: str) -> bool:
        """Count a request without asking the database; False when it has to be asked. Raises RateLimited."""
        return self.rates.spend_here(_name(caller, address))

    def request(self, caller: Caller, address: str) -> None:
        """Count a request of a key, or of an address where there are no keys. Raises RateLimited."""
        per_minute = self._limit(caller, "requests_per_minute")
        assert per_minute is not None
        self.rates.spend(_name(caller, address), per_minute)

    def for_jobs(self, caller: Caller, count: int) -> Callable[[Connection], None]:
        """What has to happen in the transaction that has stored ``count`` new jobs of a caller, so that it counts.

        Raises there QueueFull when more than ``max_queue`` jobs wait, RateLimited when more of the caller's do than
        may, QuotaExceeded when it has had all its jobs of the day; then nothing was stored. Raises StorageQuotaExceeded
        at once when the caller's files leave no room for results.
        """
        self.quota.check_room(caller.owner, self._limit(caller, STORED))

        def check(connection: Connection) -> None:
            self._check_queue(connection, caller, count)
            self._check_day(connection, caller, count)
            self._usage.add(connection, caller.owner, jobs=count)

        return check

    def _check_queue(self, connection: Connection, caller: Caller, new: int) -> None:
        most = self._limit(caller, "max_queue")
        assert most is not None
        if self._waiting.is_far(None, new, self._settings.max_queue) and self._waiting.is_far(
            caller.owner, new, most
        ):
            return
        everybody, own = self._count(connection, caller.owner)
        self._waiting.learn({None: everybody, caller.owner: own})
        if everybody > self._settings.max_queue:
            raise QueueFull(
                f"{self._settings.max_queue} jobs may wait, and there is no room for more; try again later.",
                FULL,
            )
        if own > most:
            raise RateLimited(
                f"{most:.0f} of your jobs may wait, and there is no room for more; wait for some to end.",
                FULL,
            )

    @staticmethod
    def _count(connection: Connection, owner: str) -> tuple[int, int]:
        """How many jobs wait, of everybody and of one owner."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        own = sa.func.count().filter(jobs.c.owner == owner)
        row = connection.execute(sa.select(sa.func.count(), own).where(jobs.c.status == "queued")).one()
        return int(row[0]), int(row[1])

    def _check_day(self, connection: Connection, caller: Caller, count: int) -> None:
        most = self._limit(caller, "jobs_per_day")
        if most is None or self._usage.today(connection, caller.owner, "jobs") + count <= most:
            return
        raise QuotaExceeded(
            f"{most:.0f} jobs a day are yours, and they are used up; the next day begins at midnight UTC.",
            self._usage.seconds_left(),
        )

    def _limit(self, caller: Caller, name: str) -> float | None:
        own = caller.limits.get(name)
        value: float | None = getattr(self._settings, LIMITS[name])
        return value if own is None else own


class Waiting:
    """What is remembered of how many jobs wait, so that they need not be counted for each new one.

    Far from a limit a count of a moment ago is good enough; near it they are counted again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str | None, tuple[float, int]] = {}

    def is_far(self, owner: str | None, new: int, most: float) -> bool:
        """Whether so many more are surely allowed; they count from now on."""
        with self._lock:
            at, count = self._counts.get(owner, (0.0, 0))
            if owner not in self._counts or self._clock() - at > FRESH or count + new > most / 2:
                return False
            self._counts[owner] = (at, count + new)
            return True

    def learn(self, counts: Mapping[str | None, int]) -> None:
        """Remember what was counted."""
        with self._lock:
            if len(self._counts) > MANY:
                self._counts.clear()
            self._counts.update({owner: (self._clock(), count) for owner, count in counts.items()})


def _name(caller: Caller, address: str) -> str:
    return f"address:{address}" if caller.key_id is None else f"key:{caller.key_id}"
