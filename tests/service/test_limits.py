from __future__ import annotations

import pytest

from mien.db import Database
from mien.errors import QueueFull, QuotaExceeded, RateLimited
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import NewJob
from mien.service.callers import Caller
from mien.service.limits import Limits, Waiting
from mien.service.settings import ServiceSettings
from mien.service.usage import Usage

ANNA = Caller("anna", "k1", frozenset({"submit"}))
BERT = Caller(
    "bert", "k2", frozenset({"submit"}), {"max_queue": 1, "jobs_per_day": 2, "requests_per_minute": 1}
)


def _limits(database: Database, **settings: float) -> Limits:
    return Limits(database, ServiceSettings.model_validate(settings), Usage(database))


def _submit(database: Database, limits: Limits, caller: Caller, *ids: str) -> None:
    jobs = [states.submit(Job(id, now(), steps=(JobStep({}),))) for id in ids]
    DatabaseStore(database).insert(
        [NewJob(job, caller.owner) for job in jobs], limits.for_jobs(caller, len(jobs))
    )


def _count(database: Database) -> int:
    return sum(DatabaseStore(database).counts().values())


def test_a_full_queue_takes_nothing_more_from_anybody(database: Database) -> None:
    limits = _limits(database, max_queue=3)
    _submit(database, limits, ANNA, "a1", "a2")
    with pytest.raises(QueueFull) as caught:
        _submit(database, limits, Caller("carl", "k3"), "c1", "c2")
    assert caught.value.retry_after > 0
    assert _count(database) == 2
    _submit(database, limits, Caller("carl", "k3"), "c1")


def test_one_owner_may_fill_a_part_of_the_queue_only(database: Database) -> None:
    limits = _limits(database, max_queue_per_key=2)
    _submit(database, limits, ANNA, "a1", "a2")
    with pytest.raises(RateLimited, match="2 of your jobs"):
        _submit(database, limits, ANNA, "a3")
    _submit(database, limits, Caller("carl", "k3"), "c1")
    assert _count(database) == 3


def test_a_day_has_so_many_jobs_and_refused_ones_do_not_count(database: Database) -> None:
    limits = _limits(database, jobs_per_day=3)
    _submit(database, limits, ANNA, "a1", "a2")
    with pytest.raises(QuotaExceeded) as caught:
        _submit(database, limits, ANNA, "a3", "a4")
    assert 0 < caught.value.retry_after <= 86400
    _submit(database, limits, ANNA, "a3")
    with pytest.raises(QuotaExceeded):
        _submit(database, limits, ANNA, "a5")
    assert _count(database) == 3


def test_a_key_may_have_limits_of_its_own(database: Database) -> None:
    limits = _limits(database)
    assert limits.of(BERT) == {"requests_per_minute": 1, "jobs_per_day": 2, "max_queue": 1, "stored_mb": None}
    assert limits.of(ANNA) == {
        "requests_per_minute": 600,
        "jobs_per_day": None,
        "max_queue": 1000,
        "stored_mb": None,
    }
    _submit(database, limits, BERT, "b1")
    with pytest.raises(RateLimited):
        _submit(database, limits, BERT, "b2")


def test_requests_are_counted_by_key_or_by_address(database: Database) -> None:
    limits = _limits(database, requests_per_minute=1)
    limits.request(BERT, "10.0.0.1")
    with pytest.raises(RateLimited):
        limits.request(BERT, "10.0.0.2")
    limits.request(Caller(), "10.0.0.1")
    with pytest.raises(RateLimited):
        limits.request(Caller(), "10.0.0.1")
    limits.request(Caller(), "10.0.0.2")


def test_what_waits_is_counted_again_near_a_limit_and_after_a_while() -> None:
    now = [0.0]
    waiting = Waiting(lambda: now[0])
    assert not waiting.is_far("a", 1, 100)
    waiting.learn({"a": 10})
    assert all(waiting.is_far("a", 10, 100) for _ in range(4))
    assert not waiting.is_far("a", 1, 100)
    waiting.learn({"a": 10})
    assert not waiting.is_far("b", 1, 100)
    now[0] = 2.0
    assert not waiting.is_far("a", 1, 100)
