import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mien.db.tables import job_events, jobs, usage
from mien.errors import InputError, MienError, QuotaExceeded
from mien.jobs.rows import JobRow, NewJob
from mien.service.callers import Caller
from mien.service.idempotency import new_seed
from mien.service.requests import JobRequest
from mien.service.submitting import Submissions
from tests.server.served import face_png, served

ANN = Caller("ann", "k1")


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Any]:
    with served(tmp_path, works=False, database_url=database_url) as found:
        yield found.service


def picture(service: Any, owner: str = "ann", shade: int = 0) -> str:
    return str(service.assets.add_stream([face_png(shade)], owner, "face.png").id)


def request_of(asset: str, **more: Any) -> JobRequest:
    return JobRequest.model_validate({"processors": ["inverter"], "target": asset, **more})


def count(service: Any, table: sa.Table) -> int:
    with service.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


class Slow:
    """Stands in for ``Submissions.insert`` and lets nobody through until it is told to."""

    def __init__(self, submissions: Submissions) -> None:
        self.sizes: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._insert = submissions.insert

    def __call__(self, new: Sequence[NewJob], caller: Caller) -> tuple[JobRow, ...]:
        self.sizes.append(len(new))
        self.begun.set()
        assert self.go_on.wait(60)
        return self._insert(new, caller)


@pytest.fixture
def slow(service: Any, monkeypatch: pytest.MonkeyPatch) -> Slow:
    found = Slow(service.desk.submissions)
    monkeypatch.setattr(Submissions, "insert", lambda self, *words: found(*words))
    return found


def all_at_once(service: Any, slow: Slow, wanted: Sequence[tuple[JobRequest, Caller]]) -> list[Any]:
    """Submit the first request, and while it is being stored all others; each one's row or error."""
    submissions = service.desk.submissions

    def one(request: JobRequest, caller: Caller) -> Any:
        try:
            return submissions.submit(request, caller, new_seed())
        except MienError as error:
            return error

    with ThreadPoolExecutor(len(wanted)) as pool:
        first = pool.submit(one, *wanted[0])
        assert slow.begun.wait(60)
        others = [pool.submit(one, *item) for item in wanted[1:]]
        while len(submissions._together._waiting) < len(others):
            threading.Event().wait(0.01)
        slow.go_on.set()
        return [future.result(60) for future in (first, *others)]


def test_jobs_that_come_at_once_are_stored_together_each_with_all_that_belongs_to_it(
    service: Any, slow: Slow
) -> None:
    wanted = [(request_of(picture(service, shade=number)), ANN) for number in range(5)]
    rows = all_at_once(service, slow, wanted)
    assert slow.sizes == [1, 4]
    targets = [row.job.steps[0].target_path for row in rows]
    assert targets == [f"asset:{request.steps[0].target}" for request, _ in wanted]
    assert {row.owner for row in rows} == {"ann"}
    assert count(service, jobs) == count(service, job_events) == 5
    with service.database.read() as connection:
        assert connection.execute(sa.select(usage.c.amount).where(usage.c.what == "jobs")).scalar_one() == 5


def test_callers_are_kept_apart(service: Any, slow: Slow) -> None:
    bob = Caller("bob", "k2")
    wanted = [(request_of(picture(service, who.owner)), who) for who in (ANN, bob, ANN, bob)]
    rows = all_at_once(service, slow, wanted)
    assert [row.owner for row in rows] == ["ann", "bob", "ann", "bob"]
    assert sorted(slow.sizes) == [1, 1, 2]


def test_one_that_is_refused_does_not_hinder_the_others(service: Any, slow: Slow) -> None:
    few = Caller("few", "k3", limits={"jobs_per_day": 1})
    mine, theirs = picture(service), picture(service, "few")
    wanted = [(request_of(mine), ANN)] + [(request_of(theirs), few)] * 2 + [(request_of(mine), ANN)]
    first, one, other, last = all_at_once(service, slow, wanted)
    assert isinstance(first, JobRow)
    assert isinstance(last, JobRow)
    assert sorted(type(item).__name__ for item in (one, other)) == ["JobRow", "QuotaExceeded"]
    refused = one if isinstance(one, QuotaExceeded) else other
    assert "1 jobs a day" in str(refused)
    assert count(service, jobs) == 3


def test_an_asset_that_went_a_moment_ago_is_named_by_its_field(service: Any) -> None:
    id = picture(service)
    submissions = service.desk.submissions
    submissions.cancel(submissions.submit(request_of(id), ANN, new_seed()).id, ANN)
    service.assets.delete(id, "ann")
    with pytest.raises(InputError, match="There is no asset") as caught:
        submissions.submit(request_of(id), ANN, new_seed())
    assert [field for field, _ in caught.value.details] == ["steps.0.target"]


def test_submitted_twice_with_one_seed_it_is_one_job(service: Any) -> None:
    request, seed = request_of(picture(service)), new_seed()
    first, second = (service.desk.submissions.submit(request, ANN, seed) for _ in range(2))
    assert first.id == second.id
    assert count(service, jobs) == 1
