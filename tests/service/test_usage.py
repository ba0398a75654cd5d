from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mien.db import Database
from mien.errors import DatabaseUnavailable
from mien.service.usage import Usage
from tests.service.clocks import Clock

EVENING = datetime(2026, 11, 21, 23, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock(EVENING)


@pytest.fixture
def usage(database: Database, clock: Clock) -> Usage:
    return Usage(database, clock)


def test_what_was_noted_adds_up_by_owner_and_day(usage: Usage, clock: Clock) -> None:
    usage.note("a", requests=1, bytes_in=10)
    usage.flush()
    usage.note("a", requests=1, bytes_in=5.5)
    usage.note("b", requests=7)
    clock.pass_time(7200)
    usage.note("a", requests=3)
    assert [(day.day, dict(day.amounts)) for day in usage.days("a")] == [
        ("2026-11-22", {"requests": 3}),
        ("2026-11-21", {"bytes_in": 15.5, "requests": 2}),
    ]


def test_only_the_last_days_are_told(usage: Usage, clock: Clock) -> None:
    usage.note("a", requests=1)
    clock.pass_time(2 * 86400)
    assert usage.days("a", 2) == []
    assert [day.day for day in usage.days("a", 3)] == ["2026-11-21"]


def test_processes_add_to_the_same_numbers(database: Database, clock: Clock) -> None:
    both = [Usage(database, clock), Usage(database, clock)]
    for usage in both:
        usage.note("a", requests=2)
        usage.flush()
    assert both[0].days("a")[0].amounts == {"requests": 4}


def test_what_belongs_to_a_transaction_counts_with_it(usage: Usage, database: Database) -> None:
    with database.begin() as connection:
        usage.add(connection, "a", jobs=2)
        assert usage.today(connection, "a", "jobs") == 2

    def broken() -> None:
        with database.begin() as connection:
            usage.add(connection, "a", jobs=5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    with database.read() as connection:
        assert usage.today(connection, "a", "jobs") == 2
        assert usage.today(connection, "b", "jobs") == 0


def test_nothing_is_lost_while_the_database_is_away(
    usage: Usage, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object) -> None:
        raise DatabaseUnavailable("The database is away.")

    usage.note("a", requests=1)
    with monkeypatch.context() as patched:
        patched.setattr(usage, "_add", away)
        with pytest.raises(DatabaseUnavailable):
            usage.flush()
    usage.note("a", requests=1)
    assert usage.days("a")[0].amounts == {"requests": 2}


def test_the_day_ends_at_midnight_utc(usage: Usage) -> None:
    assert usage.seconds_left() == 3600
