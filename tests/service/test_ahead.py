import pytest

from mien.db import Database
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import JobRow, NewJob
from mien.service.ahead import FEW, FRESH, MOST, Ahead
from tests.service.clocks import Clock


class Counted(DatabaseStore):
    """Counts how often it is asked."""

    asked = 0

    def ahead_of(self, row: JobRow, most: int = MOST) -> int:
        self.asked += 1
        return super().ahead_of(row, most)


@pytest.fixture
def store(database: Database) -> Counted:
    return Counted(database)


def queue(store: DatabaseStore, count: int, name: str, priority: int = 0) -> list[JobRow]:
    step = JobStep({"target_path": "asset:x", "output_path": "result:x.png", "processors": ["a"]})
    wanted = [states.submit(Job(f"{name}{number}", now(), steps=(step,))) for number in range(count)]
    return list(store.insert([NewJob(job, priority=priority) for job in wanted]))


def test_few_are_counted_exactly_each_time(store: Counted) -> None:
    ahead = Ahead(store, Clock())
    rows = queue(store, 3, "a")
    assert [ahead.of(row) for row in rows] == [0, 1, 2]
    first = queue(store, 1, "first", priority=-1)[0]
    assert ahead.of(first) == 0
    assert ahead.of(rows[2]) == 3


def test_many_are_counted_once_in_a_while(store: Counted) -> None:
    clock = Clock()
    ahead = Ahead(store, clock)
    rows = queue(store, FEW + 3, "a")
    assert ahead.of(rows[FEW]) == FEW
    assert ahead.of(rows[FEW + 2]) == FEW + 2
    assert store.asked == 1
    assert ahead.of(rows[5]) == 5  # an older one is not guessed
    clock.pass_time(FRESH + 0.1)
    assert ahead.of(rows[FEW + 1]) == FEW + 1
    assert store.asked == 3


def test_a_job_that_does_not_wait_has_none_before_it(store: Counted) -> None:
    row = store.insert([NewJob(Job("draft", now()))])[0]
    assert Ahead(store).of(row) is None
