from __future__ import annotations

import pytest

from mien.db import Database
from mien.errors import JobMissing
from mien.jobs.database import DatabaseStore
from mien.jobs.queries import JobQueries
from tests.jobs.test_database import new


@pytest.fixture
def queries(database: Database) -> JobQueries:
    store = DatabaseStore(database)
    store.insert([new(f"j{number}", batch="b" if number % 2 else None) for number in range(7)])
    return store


def test_pages_lead_through_all_jobs_newest_first(queries: JobQueries) -> None:
    seen, before = [], None
    while True:
        rows, before = queries.page(before=before, limit=3)
        seen += [row.id for row in rows]
        if before is None:
            break
    assert seen == [f"j{number}" for number in reversed(range(7))]
    assert [row.id for row in queries.page(batch="b")[0]] == ["j5", "j3", "j1"]
    assert queries.page(statuses=("completed",)) == ([], None)


def test_nothing_is_counted_where_nothing_is(database: Database) -> None:
    queries = JobQueries(database)
    assert queries.counts() == {}
    assert queries.oldest_queued() is None
    assert queries.undispatched() == ()
    with pytest.raises(JobMissing):
        queries.row("none")


def test_how_many_come_before_is_counted_up_to_a_bound(queries: JobQueries) -> None:
    last = queries.row("j6")
    assert queries.ahead_of(last) == 6
    assert queries.ahead_of(last, most=4) == 4
