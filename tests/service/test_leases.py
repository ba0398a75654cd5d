from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from mien.db import Database
from mien.errors import Canceled, InputError, JobBusy, NoFace, OptionError
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.job import JobStep
from mien.jobs.queries import PULL
from mien.jobs.rows import NewJob
from mien.service.events import Events
from mien.service.leases import Leases
from mien.service.settings import ServiceSettings
from tests.jobs.test_database import new

COMM = f"{PULL}comm"


@pytest.fixture
def store(database: Database) -> DatabaseStore:
    return DatabaseStore(database)


@pytest.fixture
def leases(store: DatabaseStore) -> Leases:
    return Leases(store, Events(store.database), ServiceSettings(max_attempts=2))


def task(id: str, **values: Any) -> NewJob:
    values = {"workflow": "basic_generation", "environment": COMM, **values}
    return new(id, **values)


def swap(id: str, *processors: str, **values: Any) -> NewJob:
    """A task of face swaps with pictures of its own, each after the other."""
    args = {"source_paths": [f"asset:{'a' * 64}"], "target_path": f"asset:{'b' * 64}"}
    steps = tuple(
        JobStep({**args, "output_path": "result:x.png", "processors": [name]}, "queued")
        for name in processors or ("face_swapper",)
    )
    made = task(id, **{"workflow": "face_swap", "environment": "local", **values})
    return replace(made, job=replace(made.job, steps=steps))


def expire(store: DatabaseStore, id: str) -> None:
    store.change(id, lease_until=time.time() - 1)


def test_tasks_are_lent_by_priority_then_age_once(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("late", priority=9), task("one"), task("two"), task("first", priority=0)])
    store.insert([swap("elsewhere"), new("no_task", environment=COMM)])
    taken = [leases.take([COMM], "w", None) for _ in range(5)]
    assert [lent and lent.row.id for lent in taken] == ["first", "one", "two", "late", None]
    assert len({lent.token for lent in taken if lent}) == 4
    assert store.row("one").status == "running"
    found = leases.take([COMM, "local"], "w", None)
    assert found is not None
    assert found.row.id == "elsewhere"


def test_many_that_ask_at_once_get_each_task_once(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task(f"t{number}") for number in range(12)])
    got: list[str] = []

    def ask() -> None:
        while (lent := leases.take([COMM], "w", None)) is not None:
            got.append(lent.row.id)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(f"t{number}" for number in range(12))


def test_a_task_of_which_nothing_is_heard_is_lent_again(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("x")])
    late = leases.take([COMM], "late", None)
    assert late is not None
    assert leases.take([COMM], "next", None) is None
    expire(store, "x")
    lent = leases.take([COMM], "next", None)
    assert lent is not None
    assert [attempt.worker for attempt in lent.row.job.attempts] == ["late", "next"]
    for act in (
        lambda: leases.extend("x", late.token),
        lambda: leases.complete("x", late.token, [], {}),
        lambda: leases.fail("x", late.token, NoFace("none"), again=False),
        lambda: leases.give_back("x", late.token),
    ):
        with pytest.raises(JobBusy, match="not yours"):
            act()
    assert leases.complete("x", lent.token, [], {"output_url": "u"}).status == "completed"


def test_a_task_over_which_one_worker_after_the_other_dies_fails(
    store: DatabaseStore, leases: Leases
) -> None:
    store.insert([task("x")])
    for _ in range(2):
        assert leases.take([COMM], "w", None) is not None
        expire(store, "x")
    assert leases.take([COMM], "w", None) is None
    failure = store.row("x").job.failure
    assert failure is not None
    assert failure.kind == "lost"


def test_tasks_come_back_by_themselves_when_their_lease_is_over(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("silent"), task("lives"), task("unwanted")])
    for _ in range(3):
        assert leases.take([COMM], "w", None) is not None
    store.request_cancel("unwanted")
    for id in ("silent", "unwanted"):
        expire(store, id)
    assert leases.sweep() == 2
    assert [store.row(id).status for id in ("silent", "lives", "unwanted")] == [
        "queued",
        "running",
        "canceled",
    ]
    assert leases.sweep() == 0


def test_a_sign_of_life_extends_the_lease_and_tells_progress(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("x")])
    lent = leases.take([COMM], "w", None, 5)
    assert lent is not None
    longer = leases.extend("x", lent.token, 100, {"done": 1, "total": 2})
    assert longer.until > lent.until + 50
    assert store.row("x").progress == {"done": 1, "total": 2}
    assert [event.type for event in leases.events.since("x")] == ["status", "progress"]
    with pytest.raises(OptionError, match="5 to 3600"):
        leases.extend("x", lent.token, 1)


def test_the_end_is_told_once_however_often_it_is_reported(store: DatabaseStore) -> None:
    ends: list[str] = []
    leases = Leases(
        store,
        Events(store.database),
        ServiceSettings(),
        on_end=lambda connection, row: ends.append(row.status),
    )
    store.insert([task("x")])
    lent = leases.take([COMM], "w", None)
    assert lent is not None
    results = [{"step": 0, "asset": "a"}]
    for _ in range(2):
        row = leases.complete("x", lent.token, results, {"output_url": "https://x/y"})
        assert (row.status, row.external["output_url"]) == ("completed", "https://x/y")
    assert ends == ["completed"]
    assert row.expires_at is not None
    assert [event.type for event in leases.events.since("x")] == ["status", "status", "result"]


def test_failures_are_tried_again_when_that_may_help(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("x")])
    first = leases.take([COMM], "w", None)
    assert first is not None
    assert leases.fail("x", first.token, InputError("odd"), again=True).status == "queued"
    with pytest.raises(JobBusy):
        leases.extend("x", first.token)
    second = leases.take([COMM], "w", None)
    assert second is not None
    row = leases.fail("x", second.token, NoFace("No face."), again=True)
    assert (row.status, row.job.failure and row.job.failure.kind) == ("failed", "no_face")
    assert leases.fail("x", second.token, NoFace("No face."), again=True).status == "failed"


def test_what_was_canceled_is_told_to_who_works_on_it(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("x")])
    lent = leases.take([COMM], "w", None)
    assert lent is not None
    store.request_cancel("x")
    with pytest.raises(Canceled):
        leases.extend("x", lent.token)
    assert leases.fail("x", lent.token, Canceled("stopped"), again=False).status == "canceled"


def test_what_is_given_back_costs_the_task_nothing(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("x")])
    for _ in range(4):
        lent = leases.take([COMM], "w", None)
        assert lent is not None
        leases.give_back("x", lent.token)
    assert store.row("x").status == "queued"


def test_tasks_of_consumers_are_left_alone_by_the_job_engine(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("pulled"), swap("both")])
    assert [row.id for row in store.undispatched()] == ["both"]
    before = store.row("both")
    store.mark_dispatched([before])
    lent = leases.take(["local"], "w", None)
    assert lent is not None
    assert lent.row.dispatch != before.dispatch


def test_own_tasks_only(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("a", owner="anna")])
    assert leases.take([COMM], "w", "bert") is None
    assert leases.take([COMM], "w", "anna") is not None


def stages(id: str, *places: str) -> NewJob:
    """A task whose steps are done in these environments, each with the result of the one before."""
    made = task(id, environment=places[0])
    step = made.job.steps[0]
    args = {"output_path": "result:x.png", "processors": []}
    steps = tuple(
        replace(step, args={**args, "environment": place, "target_path": f"step:{number - 1}"})
        for number, place in enumerate(places)
    )
    return replace(made, job=replace(made.job, steps=steps))


def record(asset: str, step: int = 0) -> dict[str, Any]:
    return {"step": step, "asset": asset * 64}


def test_a_task_of_stages_waits_again_after_each(store: DatabaseStore, leases: Leases) -> None:
    store.insert([stages("x", COMM, COMM)])
    first = leases.take([COMM], "one", None)
    assert first is not None
    row = leases.complete("x", first.token, [record("a"), record("b")], {}, ["seen"])
    assert (row.status, row.environment, row.tries) == ("queued", COMM, 0)
    finished = row.job.steps[0].finished
    assert finished is not None
    assert (finished.path, finished.notices) == (f"asset:{'a' * 64}", ("seen",))
    second = leases.take([COMM], "two", None)
    assert second is not None
    # An answer that was lost: the same report again changes nothing, whoever has the task by now.
    assert leases.complete("x", first.token, [record("c")], {}).fence == second.row.fence
    with pytest.raises(JobBusy):
        leases.extend("x", first.token)
    row = leases.complete("x", second.token, [record("d", 1)], {})
    assert row.status == "completed"
    assert [(found["step"], found["index"], found["asset"][0]) for found in row.results] == [
        (0, 0, "a"),
        (0, 1, "b"),
        (1, 2, "d"),
    ]


def test_a_stage_of_a_worker_comes_between(store: DatabaseStore, leases: Leases) -> None:
    store.insert([stages("x", COMM, "local")])
    lent = leases.take([COMM], "w", None)
    assert lent is not None
    assert store.undispatched() == ()
    row = leases.complete("x", lent.token, [record("a")], {})
    assert row.environment == "local"
    assert [found.id for found in store.undispatched()] == ["x"]
    assert leases.take([COMM], "w", None) is None


def test_a_later_stage_fails_and_is_tried_again_with_what_was_done(
    store: DatabaseStore, leases: Leases
) -> None:
    store.insert([stages("x", COMM, COMM)])
    first = leases.take([COMM], "w", None)
    assert first is not None
    leases.complete("x", first.token, [record("a")], {})
    second = leases.take([COMM], "w", None)
    assert second is not None
    row = leases.fail("x", second.token, NoFace("none"), again=False)
    assert [step.status for step in row.job.steps] == ["completed", "failed"]
    assert row.job.failure is not None
    assert row.job.failure.step == 1
    store.change("x", states.retry)
    third = leases.take([COMM], "w", None)
    assert third is not None
    assert [step.status for step in third.row.job.steps] == ["completed", "queued"]


def test_a_stage_is_done_again_when_its_result_has_expired(store: DatabaseStore) -> None:
    gone: list[int] = []
    leases = Leases(
        store, Events(store.database), ServiceSettings(), lost=lambda row: [gone.pop()] if gone else []
    )
    store.insert([stages("x", COMM, "local")])
    lent = leases.take([COMM], "w", None)
    assert lent is not None
    leases.complete("x", lent.token, [record("a")], {})
    store.change("x", environment=COMM)
    gone.append(0)
    found = leases.take([COMM], "w", None)
    assert found is not None
    assert [step.status for step in found.row.job.steps] == ["queued", "queued"]
    assert found.row.results == ()


def test_a_cancel_is_heeded_between_stages(store: DatabaseStore, leases: Leases) -> None:
    store.insert([stages("x", COMM, COMM)])
    lent = leases.take([COMM], "w", None)
    assert lent is not None
    store.request_cancel("x")
    row = leases.complete("x", lent.token, [record("a")], {})
    assert (row.status, len(row.results)) == ("canceled", 1)


def test_a_cancel_is_not_forgotten_by_who_gives_back(store: DatabaseStore, leases: Leases) -> None:
    store.insert([task("known"), task("race")])
    lent = [leases.take([COMM], "w", None) for _ in range(2)]
    assert lent[0] is not None
    assert lent[1] is not None
    store.request_cancel("known")
    assert leases.give_back("known", lent[0].token).status == "canceled"
    # Canceled after the look and before the change.
    row = store.row("race")
    store.request_cancel("race")
    assert leases._hand_back(row).cancel_requested
    assert leases.sweep() == 1
    assert store.row("race").status == "canceled"


def test_consumers_get_only_what_a_task_can_say(store: DatabaseStore, leases: Leases) -> None:
    store.insert([swap(f"other{number}", "face_enhancer") for number in range(60)])
    store.insert([swap("swap"), swap("later", "face_enhancer", "face_swapper", workflow="both")])
    lent = leases.take(["local"], "w", None)
    assert lent is not None
    assert lent.row.id == "swap"
    assert leases.take(["local"], "w", None) is None


def test_the_end_is_told_after_it_too(store: DatabaseStore) -> None:
    ended: list[tuple[str, str]] = []
    leases = Leases(
        store,
        Events(store.database),
        ServiceSettings(),
        on_ended=lambda row: ended.append((row.id, store.row(row.id).status)),
    )
    store.insert([task("x"), stages("y", COMM, COMM)])
    for id in ("x", "y"):
        lent = leases.take([COMM], "w", None)
        assert lent is not None
        leases.complete(id, lent.token, [record("a")], {})
    assert ended == [("x", "completed")]
