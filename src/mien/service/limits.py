"""What one caller, and all callers together, may ask of the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mien.db import Database
from mien.errors import QueueFull, QuotaExceeded, RateLimited
from mien.service.callers import LIMITS, Caller
from mien.service.rates import Rates
from mien.service.settings import ServiceSettings
from mien.service.usage import Usage

if TYPE_CHECKING:
    from sqlalchemy import Connection

FULL = 15.0
"""Seconds after which it is worth trying again when the queue is full."""


class Limits:
    """Refuses what is too much: requests in a minute, jobs in a day, jobs that wait."""

    def __init__(self, database: Database, settings: ServiceSettings, usage: Usage) -> None:
        self._settings = settings
        self._usage = usage
        self.rates = Rates(database)

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
        may, QuotaExceeded when it has had all its jobs of the day; then nothing was stored.
        """

        def check(connection: Connection) -> None:
            self._check_queue(connection, caller)
            self._check_day(connection, caller, count)
            self._usage.add(connection, caller.owner, jobs=count)

        return check

    def _check_queue(self, connection: Connection, caller: Caller) -> None:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        waiting = jobs.c.status == "queued"
        count = sa.select(sa.func.count()).select_from(jobs)
        if connection.execute(count.where(waiting)).scalar_one() > self._settings.max_queue:
            raise QueueFull(
                f"{self._settings.max_queue} jobs may wait, and there is no room for more; try again later.",
                FULL,
            )
        most = self._limit(caller, "max_queue")
        assert most is not None
        if connection.execute(count.where(waiting, jobs.c.owner == caller.owner)).scalar_one() > most:
            raise RateLimited(
                f"{most:.0f} of your jobs may wait, and there is no room for more; wait for some to end.",
                FULL,
            )

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


def _name(caller: Caller, address: str) -> str:
    return f"address:{address}" if caller.key_id is None else f"key:{caller.key_id}"
