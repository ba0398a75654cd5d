from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mien.errors import (
    Canceled,
    DatabaseUnavailable,
    DiskFull,
    JobError,
    MienError,
    NoFace,
    StorageError,
)
from mien.jobs import states
from mien.jobs.job import Failure, Finished
from mien.jobs.rows import JobRow
from mien.service.attempt import Attempt, Why
from mien.service.retrying import _PAUSES
from mien.service.running import Runs, WrongQueue, overdue
from tests.service.clocks import Clock
from tests.service.workplaces import Workplace, new_job, workplace

Work = Callable[[Attempt, Path], None]
STEP: dict[str, Any] = {"target_path": "none.png"}
FULL = DiskFull("The disk is full.")


def do_all(attempt: Attempt, folder: Path) -> None:
    for index in range(len(attempt.row.job.steps)):
        attempt.change(lambda job, index=index: states.start_step(job, index, ""))
        attempt.change(lambda job, index=index: states.finish_step(job, index, Finished("asset:x", "")))


class Kind:
    """Does what it is told to, and remembers with whom."""

    def __init__(self, work: Work = do_all) -> None:
        self.work = work
        self.folders: list[Path] = []

    def run(self, attempt: Attempt, folder: Path) -> None:
        self.folders.append(folder)
        assert folder.is_dir()
        self.work(attempt, folder)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    monkeypatch.setattr("mien.service.watch.EVERY", 0.02)  # so that its thread ends soon
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data") as made:
        yield made
        made.jobs.watch.close()


@pytest.fixture
def kind() -> Kind:
    return Kind()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[tuple[str, str]]:
    """What the hooks were told."""
    return []


@pytest.fixture
def runs(place: Workplace, kind: Kind, clock: Clock, told: list[tuple[str, str]]) -> Runs:
    def hook(name: str) -> Any:
        return lambda *words: told.append((name, words[-1].status))

    return Runs(
        place.store,
        place.events,
        place.settings,
        {"faces": kind},
        place.settings.data_folder() / "runs",
        "worker",
        place.jobs.watch,
        on_begin=hook("begin"),
        on_end=hook("end"),
        on_ended=hook("ended"),
        on_error=lambda job, error: told.append(("error", type(error).__name__)),
        on_waiting=hook("waiting"),
        clock=clock,
        patience=0.0,
    )


def store(place: Workplace, id: str = "job_1", steps: int = 1, **more: Any) -> JobRow:
    return place.store.insert([new_job(id, *[STEP] * steps, **more)])[0]


def raising(error: Exception, why: Why | None = None) -> Work:
    """Work that stops in its second step, for a reason that was told before."""

    def work(attempt: Attempt, folder: Path) -> None:
        attempt.change(lambda job: states.start_step(job, 0, ""))
        attempt.change(lambda job: states.finish_step(job, 0, Finished("asset:x", "")))
        attempt.change(lambda job: states.start_step(job, 1, ""))
        if why is not None:
            attempt.stop(why)
        raise error

    return work


def statuses(place: Workplace, id: str = "job_1") -> list[Any]:
    return [event.data["status"] for event in place.events.since(id) if event.type == "status"]


def test_a_run_goes_to_its_end(
    place: Workplace, runs: Runs, kind: Kind, clock: Clock, told: list[tuple[str, str]]
) -> None:
    store(place, steps=2, request={"retain": 60})
    assert runs.run("job_1", 1) == "completed"
    row = place.store.row("job_1")
    assert (row.status, row.fence, row.tries, row.worker) == ("completed", 1, 1, "worker")
    assert row.expires_at == clock.moment + 60
    assert told == [("begin", "running"), ("end", "completed"), ("ended", "completed")]
    assert statuses(place) == ["running", "completed"]
    assert not any(folder.exists() for folder in kind.folders)
    assert runs.run("job_1", 1) == "stale"
    assert len(kind.folders) == 1


def test_jobs_are_kept_as_long_as_the_service_says(place: Workplace, runs: Runs, clock: Clock) -> None:
    store(place)
    runs.run("job_1", 1)
    assert place.store.row("job_1").expires_at == clock.moment + place.settings.retain_jobs


def test_what_is_not_due_is_not_begun(place: Workplace, runs: Runs, kind: Kind) -> None:
    store(place)
    assert runs.run("job_1", 2) == "stale"
    assert runs.run("unknown", 1) == "stale"
    place.store.request_cancel("job_1")
    assert runs.run("job_1", 1) == "stale"
    assert kind.folders == []
    assert place.store.row("job_1").fence == 0


def test_whoever_comes_in_between_has_the_job(place: Workplace, runs: Runs, kind: Kind) -> None:
    """Another worker begins between the look at the job and the first write."""
    store(place)
    seen = place.store.row("job_1")
    place.store.change("job_1", lambda job: states.begin(job, "faster"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(place.store), "row", lambda *_: seen)
        assert runs.run("job_1", 1) == "stale"
    assert [attempt.worker for attempt in place.store.row("job_1").job.attempts] == ["faster"]
    assert kind.folders == []


@pytest.mark.parametrize(
    ("why", "outcome", "status", "tries", "kind_of_failure"),
    [
        (None, "canceled", "canceled", 1, "canceled"),
        ("canceled", "canceled", "canceled", 1, "canceled"),
        ("late", "failed", "failed", 1, "timeout"),
        ("handed_back", "queued", "queued", 0, None),
        ("overtaken", "overtaken", "running", 1, None),
    ],
)
def test_a_run_that_stops_on_request_ends_as_the_reason_says(
    place: Workplace,
    runs: Runs,
    kind: Kind,
    why: Why | None,
    outcome: str,
    status: str,
    tries: int,
    kind_of_failure: str | None,
) -> None:
    kind.work = raising(Canceled("stop"), why)
    store(place, steps=2)
    assert runs.run("job_1", 1) == outcome
    row = place.store.row("job_1")
    assert (row.status, row.tries) == (status, tries)
    assert (row.job.failure and row.job.failure.kind) == kind_of_failure
    assert row.job.steps[0].status == "completed"
    if outcome in ("canceled", "queued"):
        assert row.job.steps[1].status == "queued"


@pytest.mark.parametrize(
    ("error", "kind_of_failure", "message"),
    [
        (NoFace("There is no face."), "no_face", "There is no face."),
        (RuntimeError("broken"), "internal", "Internal error (RuntimeError: broken)."),
    ],
)
def test_what_stays_wrong_fails_the_job_and_its_step(
    place: Workplace,
    runs: Runs,
    kind: Kind,
    told: list[tuple[str, str]],
    error: Exception,
    kind_of_failure: str,
    message: str,
) -> None:
    kind.work = raising(error)
    store(place, steps=2)
    assert runs.run("job_1", 1) == "failed"
    row = place.store.row("job_1")
    failure = row.job.failure
    assert failure is not None
    assert (failure.kind, failure.message, failure.step) == (kind_of_failure, message, 1)
    assert [step.status for step in row.job.steps] == ["completed", "failed"]
    assert told[1:] == [("error", type(error).__name__), ("end", "failed"), ("ended", "failed")]


def test_what_may_go_away_is_tried_again_later_and_not_for_ever(
    place: Workplace, runs: Runs, kind: Kind, clock: Clock, told: list[tuple[str, str]]
) -> None:
    kind.work = raising(StorageError("away"))
    most = place.settings.max_attempts
    store(place, steps=2)
    for number in range(1, most + 1):
        row = place.store.row("job_1")
        outcome = runs.run("job_1", row.dispatch)
        row = place.store.row("job_1")
        assert (outcome, row.tries) == ("queued" if number < most else "failed", number)
        if number < most:
            pause = _PAUSES[StorageError.code] * 2 ** (number - 1)
            assert row.not_before is not None
            assert 0.8 * pause <= row.not_before - clock.moment <= 1.2 * pause
            assert row.job.steps[0].status == "completed"
    assert place.store.row("job_1").job.failure is not None
    assert statuses(place) == ["running", "queued"] * (most - 1) + ["running", "failed"]
    assert told.count(("waiting", "queued")) == most - 1


@pytest.mark.parametrize(
    ("better", "columns"),
    [
        (WrongQueue("videos"), ("videos", "local")),
        (WrongQueue(None, "pull:comm"), (None, "pull:comm")),
    ],
)
def test_work_of_another_queue_moves_there_at_no_cost(
    place: Workplace, runs: Runs, kind: Kind, better: WrongQueue, columns: tuple[str | None, str]
) -> None:
    kind.work = raising(better)
    store(place, steps=2, queue="pictures")
    assert runs.run("job_1", 1) == "queued"
    row = place.store.row("job_1")
    assert (row.queue, row.environment) == columns
    assert (row.tries, row.not_before, row.dispatched, row.job.failure) == (0, None, False, None)


def test_a_run_that_was_overtaken_leaves_the_job_to_the_other(
    place: Workplace, runs: Runs, kind: Kind, told: list[tuple[str, str]]
) -> None:
    def work(attempt: Attempt, folder: Path) -> None:
        place.store.change("job_1", lambda job: states.begin(job, "another"))
        do_all(attempt, folder)

    kind.work = work
    store(place)
    assert runs.run("job_1", 1) == "overtaken"
    row = place.store.row("job_1")
    assert (row.status, row.fence, row.worker) == ("running", 2, "another")
    assert told == [("begin", "running")]


def test_a_job_that_waited_longer_than_it_may_is_not_begun(
    place: Workplace, runs: Runs, kind: Kind, clock: Clock, told: list[tuple[str, str]]
) -> None:
    store(place, start_by=clock.moment - 1)
    assert runs.run("job_1", 1) == "stale"
    row = place.store.row("job_1")
    assert row.job.failure == overdue()
    assert (row.status, row.fence, kind.folders) == ("failed", 0, [])
    assert told == [("end", "failed"), ("ended", "failed")]
    store(place, "job_2", start_by=clock.moment)
    assert runs.run("job_2", 1) == "completed"


def test_the_time_to_wait_is_over_with_the_first_run(place: Workplace, runs: Runs, clock: Clock) -> None:
    store(place, start_by=clock.moment - 1)
    place.store.change("job_1", lambda job: states.begin(job, "dead"))
    assert runs.run("job_1", 1) == "completed"


def test_a_job_over_which_its_workers_died_fails(place: Workplace, runs: Runs, kind: Kind) -> None:
    store(place)
    place.store.change("job_1", lambda job: states.begin(job, "dead"), tries=place.settings.max_attempts)
    assert runs.run("job_1", 1) == "stale"
    row = place.store.row("job_1")
    assert (row.status, row.job.failure and row.job.failure.kind) == ("failed", "lost")
    assert kind.folders == []


def test_no_job_fails_by_hand_that_somebody_works_on(place: Workplace, runs: Runs) -> None:
    row = store(place)
    place.store.change("job_1", lambda job: states.begin(job, "worker"))
    with pytest.raises(JobError):
        runs.fail_waiting(row, Failure("timeout", "Too late."))
    assert place.store.row("job_1").status == "running"


def test_a_suspect_is_begun_alone_in_its_queue_and_hinders_nobody_else(
    place: Workplace, runs: Runs, kind: Kind
) -> None:
    """Suspects are jobs whose last worker died."""
    for number, queue in enumerate(("pictures", "videos", "pictures")):
        store(place, f"job_{number}", queue=queue)
    for id in ("job_0", "job_1"):
        place.store.change(id, lambda job: states.begin(job, "dead"))
    beside: list[str] = []

    def work(attempt: Attempt, folder: Path) -> None:
        if attempt.row.id == "job_0":
            assert runs.suspects["pictures"].locked()
            beside.extend(runs.run(id, 1) for id in ("job_1", "job_2"))
        do_all(attempt, folder)

    kind.work = work
    assert runs.run("job_0", 1) == "completed"
    assert beside == ["completed", "completed"]
    assert not any(lock.locked() for lock in runs.suspects.values())


def test_a_second_suspect_goes_back_into_the_queue_when_its_worker_ends(
    place: Workplace, runs: Runs, kind: Kind, told: list[tuple[str, str]]
) -> None:
    store(place, "job_0", queue="pictures")
    store(place, "job_1", queue="pictures")
    for id in ("job_0", "job_1"):
        place.store.change(id, lambda job: states.begin(job, "dead"))

    def work(attempt: Attempt, folder: Path) -> None:
        place.jobs.watch.hand_back()
        assert runs.run("job_1", 1) == "queued"
        do_all(attempt, folder)

    kind.work = work
    assert runs.run("job_0", 1) == "completed"
    row = place.store.row("job_1")
    assert (row.status, row.tries, row.fence) == ("queued", 0, 1)
    assert [attempt.outcome for attempt in row.job.attempts] == ["lost"]
    assert ("waiting", "queued") in told


@pytest.mark.parametrize("begun", [False, True])
def test_a_full_worker_leaves_a_job_to_others(
    place: Workplace, runs: Runs, clock: Clock, told: list[tuple[str, str]], begun: bool
) -> None:
    store(place)
    if begun:  # by a worker that died
        place.store.change("job_1", lambda job: states.begin(job, "dead"))

    def check() -> None:
        raise FULL

    full = replace(runs, check_space=check)
    assert full.run("job_1", 1) == "queued"
    left = place.store.row("job_1")
    assert (left.status, left.dispatched, left.dispatch, left.tries) == ("queued", False, 2, 0)
    assert left.not_before == clock.moment
    assert [attempt.outcome for attempt in left.job.attempts] == (["lost"] if begun else [])
    assert told == [("error", "DiskFull"), ("waiting", "queued")]
    assert full.run("job_1", 1) == "stale"


def test_a_full_worker_waits_a_little_for_room(place: Workplace, runs: Runs) -> None:
    checks: list[MienError] = [FULL, FULL]

    def check() -> None:
        if checks:
            raise checks.pop()

    store(place)
    patient = replace(runs, check_space=check, patience=60.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: None)
        assert patient.run("job_1", 1) == "completed"
    assert checks == []


def test_a_database_that_stays_away_ends_the_run_with_its_error(
    place: Workplace, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailable("away")

    store(place)
    monkeypatch.setattr("mien.service.attempt.patiently.__defaults__", (0.0,))
    monkeypatch.setattr(type(place.store), "row", away)
    with pytest.raises(DatabaseUnavailable):
        runs.run("job_1", 1)


def test_a_run_ends_when_its_time_is_over(place: Workplace, runs: Runs, kind: Kind) -> None:
    deadlines: list[float] = []
    kind.work = lambda attempt, folder: deadlines.append(attempt.deadline)
    for number, request in enumerate(({"run_within": 5}, {})):
        store(place, f"job_{number}", request=request)
        runs.run(f"job_{number}", 1)
    own, usual = (deadline - time.monotonic() for deadline in deadlines)
    assert own <= 5
    assert place.settings.run_within - 60 <= usual <= place.settings.run_within
