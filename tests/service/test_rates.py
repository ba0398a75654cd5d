from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.db import Database
from mien.db.tables import rate_limits
from mien.errors import RateLimited
from mien.service.rates import Rates
from tests.service.clocks import Clock


def _spend(rates: Rates, name: str, limit: float) -> bool:
    try:
        rates.spend(name, limit)
    except RateLimited:
        return False
    return True


@pytest.mark.parametrize("limit", [1, 7, 60, 600])
def test_a_minutes_requests_may_come_at_once_and_no_more(database: Database, limit: int) -> None:
    rates = Rates(database, Clock())
    assert sum(_spend(rates, "a", limit) for _ in range(2 * limit)) == limit
    assert _spend(rates, "b", limit)


def test_the_error_says_when_there_is_room_and_then_there_is(database: Database) -> None:
    clock = Clock()
    rates = Rates(database, clock)
    for _ in range(6):
        rates.spend("a", 6)
    with pytest.raises(RateLimited) as caught:
        rates.spend("a", 6)
    assert caught.value.retry_after == pytest.approx(10, abs=0.01)
    clock.pass_time(caught.value.retry_after - 0.1)
    assert not _spend(rates, "a", 6)
    clock.pass_time(0.2)
    assert _spend(rates, "a", 6)
    assert not _spend(rates, "a", 6)


def test_processes_share_one_limit(database: Database) -> None:
    clock = Clock()
    both = [Rates(database, clock), Rates(database, clock)]
    assert sum(_spend(both[number % 2], "a", 600) for number in range(1300)) == 600


def test_threads_share_one_limit(database: Database) -> None:
    rates, passed = Rates(database, Clock()), []
    threads = [
        threading.Thread(target=lambda: passed.extend(_spend(rates, "a", 40) for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 40


def test_most_requests_ask_no_database(database: Database) -> None:
    rates = Rates(database, Clock())
    assert not rates.spend_here("a")
    rates.spend("a", 600)
    assert [rates.spend_here("a") for _ in range(12)] == [True] * 11 + [False]


def test_a_refusal_is_remembered_without_the_database(database: Database) -> None:
    rates = Rates(database, Clock())
    _spend(rates, "a", 1)
    _spend(rates, "a", 1)
    with pytest.raises(RateLimited):
        rates.spend_here("a")


def test_names_that_have_all_their_room_again_are_forgotten(database: Database) -> None:
    clock = Clock()
    rates = Rates(database, clock)
    rates.spend("a", 60)
    rates.prune()
    assert _count(database) == 1
    clock.pass_time(61)
    rates.prune()
    assert _count(database) == 0


def _count(database: Database) -> int:
    with database.read() as connection:
        found: int = connection.execute(sa.select(sa.func.count()).select_from(rate_limits)).scalar_one()
    return found


@settings(max_examples=15, deadline=None)
@given(
    limit=st.sampled_from([0.5, 3, 60, 200]),
    pauses=st.lists(st.sampled_from([0.0, 0.01, 0.4, 2.0, 30.0]), min_size=1, max_size=60),
)
def test_in_no_time_more_passes_than_a_minutes_worth_and_the_rate(limit: float, pauses: list[float]) -> None:
    import tempfile

    from mien.db import open_database

    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/mien.db")
        clock = Clock()
        rates, begun, passed = Rates(database, clock), clock.moment, 0
        for pause in pauses:
            clock.pass_time(pause)
            passed += _spend(rates, "a", limit)
            assert passed <= max(1, limit) + (clock.moment - begun) * limit / 60 + 0.01
        database.close()
