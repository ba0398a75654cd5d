"""Counts of the whole service since it was set up: kept in the database, because processes come and go.

What is counted is remembered in the process and written every few seconds; a process that is killed takes the last of
its counts with it, which is well enough for graphs.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mien.db import Database
from mien.jobs.job import Attempt
from mien.jobs.rows import JobRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
"""Upper ends of the classes of run times."""


@dataclass(frozen=True, slots=True)
class Count:
    """One number."""

    name: str
    labels: Mapping[str, str]
    value: float


class Counters:
    """Adds up. Shared by any number of threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: Counter[tuple[str, str]] = Counter()
        self._reached: dict[tuple[str, str], float] = {}

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count something."""
        with self._lock:
            self._waiting[name, json.dumps(labels, sort_keys=True)] += amount  # type: ignore[assignment]

    def reached(self, name: str, total: float, **labels: str) -> None:
        """Count what is new of a total that something in this process keeps."""
        key = name, json.dumps(labels, sort_keys=True)
        with self._lock:
            new = total - self._reached.get(key, 0.0)
            self._reached[key] = total
        if new > 0:
            self.add(name, new, **labels)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Count a time: in its class, in the sum and in the number of all."""
        end = next((str(end) for end in SECONDS if seconds <= end), "+Inf")
        self.add(f"{name}_bucket", 1.0, le=end, **labels)
        self.add(f"{name}_sum", seconds, **labels)

    def job_changed(self, connection: Connection, row: JobRow) -> None:
        """Count a job that has ended; run in the transaction of each change of a job."""
        if not row.has_ended:
            return
        failure = row.job.failure
        self.add("jobs_ended", status=row.status, kind=row.kind)
        if row.status == "failed" and failure is not None:
            self.add("job_failures", kind=failure.kind, code=failure.code)
            if failure.code == "unsafe_input":
                self.add("policy_refusals")
        if len(row.job.attempts) > 1 and row.status == "completed":
            self.add("jobs_completed_after_retries")
        last = row.job.attempts[-1] if row.job.attempts else None
        if last is not None and row.status != "canceled":
            self.observe("job_seconds", _length(last), kind=row.kind)
        for result in row.results:
            self._count_result(row, result)

    def flush(self) -> None:
        """Write what is remembered. Raises DatabaseUnavailable, and remembers it still."""
        with self._lock:
            waiting, self._waiting = self._waiting, Counter()
        if not waiting:
            return
        try:
            with self._database.begin() as connection:
                # In one order, so that two processes cannot wait for each other's rows.
                for (name, labels), amount in sorted(waiting.items()):
                    self._add(connection, name, labels, amount)
        except BaseException:
            with self._lock:
                self._waiting.update(waiting)
            raise

    def all(self) -> list[Count]:
        """All counts of the service, those of this process up to this moment."""
        import sqlalchemy as sa

        from mien.db.tables import counters

        self.flush()
        with self._database.read() as connection:
            found = connection.execute(sa.select(counters).order_by(counters.c.name, counters.c.labels))
            return [Count(row["name"], json.loads(row["labels"]), row["value"]) for row in found.mappings()]

    def _count_result(self, row: JobRow, result: Mapping[str, object]) -> None:
        index, seconds, frames = result.get("step"), result.get("seconds"), result.get("frames")
        if not isinstance(index, int) or not 0 <= index < len(row.job.steps):
            return
        names = row.job.steps[index].args.get("processors") or ["workflow"]
        label = "+".join(map(str, names)) if isinstance(names, Iterable) else str(names)
        if isinstance(seconds, int | float):
            self.observe("step_seconds", seconds, processors=label)
        if isinstance(frames, int | float):
            self.add("frames", frames, processors=label)

    def _add(self, connection: Connection, name: str, labels: str, amount: float) -> None:
        from sqlalchemy.dialects import postgresql, sqlite

        from mien.db.tables import counters

        kind = sqlite if self._database.is_sqlite else postgresql
        statement = kind.insert(counters).values(name=name, labels=labels, value=amount)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[counters.c.name, counters.c.labels],
                set_={"value": counters.c.value + amount},
            )
        )


def _length(attempt: Attempt) -> float:
    if attempt.ended is None:
        return 0.0
    begun, ended = (datetime.fromisoformat(text) for text in (attempt.started, attempt.ended))
    return max(0.0, (ended - begun).total_seconds())
