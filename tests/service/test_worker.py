from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.errors import (
    CorruptMedia,
    DatabaseUnavailable,
    FetchError,
    JobError,
    MienError,
    NoFace,
    OptionError,
    OutOfMemory,
    StorageError,
)
from mien.jobs import states
from mien.service.retrying import _PAUSES
from mien.service.space import Space
from mien.service.steps import StepTask
from tests.forked import Forked
from tests.postgres import Server
from tests.service.workplaces import Workplace, new_job, worker_process, workers, workplace

STEP: dict[str, Any] = {"target_path": "none.png", "label": "a"}


class Gate:
    """Holds steps until it is opened; tells which began."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.open = threading.Event()
        self.errors: list[BaseException] = []

    def __call__(self, task: StepTask) -> None:
        self.begun.append(str(task.step.args.get("label")))
        while task.step.args.get("label") == "waits" and not self.open.is_set():
            task.cancel.wait(0.02)
        if task.step.args.get("label") == "fails" and self.errors:
            raise self.errors.pop(0)

    def wait_for(self, label: str) -> None:
        deadline = time.monotonic() + 60
        while label not in self.begun:
            assert time.monotonic() < deadline, self.begun
            time.sleep(0.01)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def place(database_url: str, tmp_path: Path, gate: Gate) -> Iterator[Workplace]:
    with workplace(database_url, tmp_path / "data", gate) as made:
        yield made


@pytest.fixture
def quick(tmp_path: Path, gate: Gate) -> Iterator[Workplace]:
    """A place on SQLite, for what the kind of database makes no difference to."""
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data", gate) as made:
        yield made


def told(place: Workplace, type: str, id: str = "job_1") -> list[Any]:
    return [event.data for event in place.events.since(id) if event.type == type]


def test_a_job_is_run_and_its_results_are_stored(place: Workplace) -> None:
    place.jobs.start("all")
    target = place.picture()
    place.submit({"target_path": target, "label": "a"}, {"target_path": "step:0", "label": "b"})
    row = place.wait()
    assert (row.status, row.fence, row.tries) == ("completed", 1, 1)
    assert [place.text(record) for record in row.results] == ["a", "ab"]
    assert [(record["step"], record["index"], record["faces"]) for record in row.results] == [
        (0, 0, 2),
        (1, 1, 2),
    ]
    assert [data["status"] for data in told(place, "status")] == ["running", "completed"]
    assert [(data["index"], data["status"]) for data in told(place, "step")] == [
        (0, "started"),
        (0, "completed"),
        (1, "started"),
        (1, "completed"),
    ]
    assert told(place, "result")[0]["results"] == list(row.results)
    assert (row.expires_at or 0) > (row.ended_at or 0) > 0
    assert list((place.settings.data_folder() / "scratch" / "runs").iterdir()) == []


def test_a_job_that_is_handed_over_twice_is_run_once(place: Workplace, gate: Gate) -> None:
    row = place.submit(STEP, now_too=False)
    place.jobs.dispatcher.dispatch([row])
    place.jobs.dispatcher.dispatch([row])  # somebody who saw the job before it was marked
    place.jobs.start("all")
    assert place.wait().fence == 1
    place.jobs.dispatcher.dispatch([row])
    place.submit(STEP, id="job_2")
    place.wait("job_2")
    assert gate.begun == ["a", "a"]
    assert place.store.row("job_1").fence == 1


def test_what_was_not_handed_over_is_found(place: Workplace) -> None:
    place.jobs.start("all")
    place.submit(STEP, now_too=False)
    assert place.wait().status == "completed"


def test_a_job_waits_in_the_table_while_nobody_works(place: Workplace) -> None:
    place.submit(STEP)
    row = place.store.row("job_1")
    assert (row.status, row.dispatched, row.queue) == ("queued", True, "pictures")
    place.jobs.start("worker")
    assert place.wait().status == "completed"


def test_what_is_urgent_comes_first(quick: Workplace, gate: Gate) -> None:
    for number, priority in enumerate((9, 5, 5, 0)):
        quick.submit({**STEP, "label": f"{priority}.{number}"}, id=f"job_{number}", priority=priority)
    with workplace(quick.settings.database(), quick.settings.data_folder(), gate, workers=1) as one:
        one.jobs.start("all")
        for number in range(4):
            one.wait(f"job_{number}")
    assert gate.begun == ["0.3", "5.1", "5.2", "9.0"]


def test_a_waiting_job_that_gets_another_priority_is_handed_over_anew(quick: Workplace, gate: Gate) -> None:
    quick.submit({**STEP, "label": "first"}, id="job_1")
    quick.submit({**STEP, "label": "second"}, id="job_2")
    assert quick.store.change("job_2", priority=0).dispatched is False
    with workplace(quick.settings.database(), quick.settings.data_folder(), gate, workers=1) as one:
        one.jobs.dispatcher.dispatch_waiting()
        one.jobs.start("all")
        assert [one.wait(id).fence for id in ("job_1", "job_2")] == [1, 1]
    assert gate.begun == ["second", "first"]


def test_a_running_job_stops_soon_after_it_was_asked_to(place: Workplace, gate: Gate) -> None:
    place.jobs.start("all")
    place.submit(STEP, {**STEP, "label": "waits"})
    gate.wait_for("waits")
    assert place.store.request_cancel("job_1").status == "running"
    row = place.wait()
    assert (row.status, row.job.failure and row.job.failure.kind) == ("canceled", "canceled")
    assert [step.status for step in row.job.steps] == ["completed", "queued"]
    gate.open.set()
    place.jobs.nudge([place.store.change("job_1", states.retry)])
    row = place.wait()
    assert (row.status, row.fence) == ("completed", 2)
    assert gate.begun == ["a", "waits", "waits"]


def test_a_waiting_job_that_was_canceled_never_begins(place: Workplace, gate: Gate) -> None:
    place.submit(STEP)
    place.jobs.nudge([place.store.request_cancel("job_1")])
    outcome = place.engine.outcomes(["job_1-1"])["job_1-1"]
    assert outcome.state == "canceled"
    place.jobs.start("all")
    place.submit({**STEP, "label": "b"}, id="job_2")
    place.wait("job_2")
    assert gate.begun == ["b"]
    place.jobs.nudge([place.store.change("job_1", states.retry)])
    assert place.wait().status == "completed"


@pytest.mark.parametrize(
    "error",
    [OutOfMemory("full"), StorageError("away"), FetchError("slow"), DatabaseUnavailable("away")],
    ids=lambda error: error.code,
)
def test_what_may_go_away_is_tried_again(
    quick: Workplace, gate: Gate, error: MienError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_PAUSES, error.code, 0.05)
    gate.errors = [error, error]
    quick.jobs.start("all")
    quick.submit(STEP, {**STEP, "label": "fails"})
    row = quick.wait()
    assert (row.status, row.fence, gate.begun) == ("completed", 3, ["a", "fails", "fails", "fails"])
    assert [attempt.outcome for attempt in row.job.attempts] == ["failed", "failed", "completed"]
    waits = [data for data in told(quick, "status") if data["status"] == "queued"]
    assert [data["failure"] for data in waits] == [str(error), str(error)]


def test_attempts_come_to_an_end(quick: Workplace, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_PAUSES, StorageError.code, 0.01)
    gate.errors = [StorageError("away")] * 3
    quick.jobs.start("all")
    quick.submit({**STEP, "label": "fails"})
    row = quick.wait()
    assert (row.status, row.fence, row.job.failure and row.job.failure.kind) == ("failed", 3, "storage_error")
    quick.jobs.nudge([quick.store.change("job_1", states.retry)])
    assert quick.wait().status == "completed"


@pytest.mark.parametrize("error", [NoFace("none"), CorruptMedia("bad"), RuntimeError("broken")])
def test_what_stays_wrong_is_not_tried_again(quick: Workplace, gate: Gate, error: Exception) -> None:
    gate.errors = [error]
    quick.jobs.start("all")
    quick.submit(STEP, {**STEP, "label": "fails"})
    row = quick.wait()
    assert (row.status, row.fence) == ("failed", 1)
    assert [step.status for step in row.job.steps] == ["completed", "failed"]
    assert (row.job.failure and row.job.failure.step) == 1


def test_a_job_that_kills_its_worker_fails_and_the_others_are_done(quick: Workplace, tmp_path: Path) -> None:
    quick.submit({**STEP, "label": "poison"}, id="job_0")
    quick.submit(STEP)

    def worker(number: int) -> Forked:
        folder, storage = tmp_path / f"worker-{number}", str(tmp_path / "data" / "storage")
        return worker_process(
            quick.settings.database(), folder, storage=storage, max_attempts=2, dead_after_seconds=1.0
        )

    with workers(0, worker) as running:
        deadline = time.monotonic() + 120
        while not (quick.store.row("job_0").has_ended and quick.store.row("job_1").has_ended):
            assert time.monotonic() < deadline
            if all(process.poll() is not None for process in running):
                running.append(worker(len(running)))
            time.sleep(0.1)
    poison = quick.store.row("job_0").job
    assert (poison.status, poison.failure and poison.failure.kind) == ("failed", "lost")
    assert [attempt.outcome for attempt in poison.attempts] == ["lost", "lost"]
    assert quick.store.row("job_1").status == "completed"


def test_a_worker_that_wakes_up_late_does_no_harm(place: Workplace, tmp_path: Path) -> None:
    """The first worker stands still in the middle of a step, is taken for dead, and goes on later."""

    def worker(number: int) -> Forked:
        folder, storage = tmp_path / f"worker-{number}", str(tmp_path / "data" / "storage")
        settings = {"dead_after_seconds": 1.0, "heartbeat_seconds": 0.2}
        return worker_process(place.settings.database(), folder, storage=storage, seconds=0.5, **settings)

    place.submit(STEP)
    with workers(1, worker) as running:
        while place.store.row("job_1").job.steps[0].status != "started":
            time.sleep(0.01)
        time.sleep(0.1)  # on SQLite nobody could go on if it stood still while it writes
        running[0].signal(signal.SIGSTOP)
        second = worker(1)
        running.append(second)
        second.wait_until_ready()
        row = place.wait()
        running[0].signal(signal.SIGCONT)
        assert running[0].end() == 0
    assert (row.status, row.fence) == ("completed", 2)
    after = place.store.row("job_1")
    assert (after.status, after.fence, after.results) == ("completed", 2, row.results)
    assert [data["status"] for data in told(place, "status")] == ["running", "running", "completed"]


def test_a_worker_that_ends_hands_back_what_it_cannot_finish(place: Workplace, gate: Gate) -> None:
    place.jobs.start("all")
    place.submit(STEP, {**STEP, "label": "waits"})
    gate.wait_for("waits")
    assert place.jobs.stop(0.1)
    row = place.store.row("job_1")
    assert (row.status, row.tries, row.job.attempts[-1].outcome) == ("queued", 0, "queued")
    assert place.jobs.executors.live(60) == ()
    gate.open.set()
    place.jobs.start("all")
    row = place.wait()
    assert (row.status, row.fence, gate.begun) == ("completed", 2, ["a", "waits", "waits"])


def test_a_worker_that_ends_finishes_what_it_can(quick: Workplace, gate: Gate) -> None:
    quick.jobs.start("all")
    quick.submit({**STEP, "label": "waits"})
    gate.wait_for("waits")
    threading.Timer(0.3, gate.open.set).start()
    assert quick.jobs.stop(30)
    assert (quick.store.row("job_1").status, quick.store.row("job_1").fence) == ("completed", 1)


def test_a_job_that_waited_too_long_fails(place: Workplace) -> None:
    place.submit(STEP, start_by=time.time() - 1)
    place.submit(STEP, id="job_2", start_by=time.time() + 600)
    place.jobs.start("all")
    row = place.wait()
    assert (row.status, row.job.failure and row.job.failure.code, row.fence) == ("failed", "timed_out", 0)
    assert place.wait("job_2").status == "completed"


def test_a_job_that_runs_too_long_fails(quick: Workplace, gate: Gate) -> None:
    quick.jobs.start("all")
    quick.submit({**STEP, "label": "waits"}, request={"run_within": 0.3})
    row = quick.wait()
    assert (row.status, row.job.failure and row.job.failure.kind, row.fence) == ("failed", "timeout", 1)


def test_pictures_do_not_wait_for_a_video(quick: Workplace, gate: Gate, clip: Path) -> None:
    target = f"asset:{quick.assets.store_file(clip, '', 'clip.mp4').id}"
    quick.jobs.start("all")
    for number in range(quick.settings.workers + 2):
        quick.submit({"target_path": target, "label": "waits"}, id=f"video_{number}")
    gate.wait_for("waits")
    quick.submit(STEP)
    assert quick.wait().status == "completed"
    assert gate.begun.count("waits") == quick.settings.video_workers
    gate.open.set()


def test_an_address_that_gives_a_video_is_moved_to_where_videos_wait(
    quick: Workplace, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(url: str, owner: str) -> Any:
        return quick.assets.store_file(clip, owner, "film", "fetch")

    monkeypatch.setattr(quick.assets, "add_url", fetched)
    quick.jobs.start("all")
    quick.submit({"target_path": "https://example.org/watch?v=1", "label": "a", "output_path": "result:film"})
    row = quick.wait()
    assert (row.status, row.queue, row.tries, row.fence) == ("completed", "videos", 1, 2)
    assert (row.job.steps[0].target_path or "").startswith("asset:")


def test_a_result_that_is_gone_is_made_again(quick: Workplace, gate: Gate) -> None:
    gate.errors = [NoFace("none")]
    quick.jobs.start("all")
    quick.submit(
        {**STEP, "target_path": quick.picture()}, {**STEP, "target_path": "step:0", "label": "fails"}
    )
    row = quick.wait()
    quick.assets.delete(row.results[0]["asset"], "")
    quick.jobs.nudge([quick.store.change("job_1", states.retry)])
    row = quick.wait()
    assert (row.status, gate.begun) == ("completed", ["a", "fails", "a", "fails"])
    assert [record["step"] for record in row.results] == [0, 1]


def test_a_worker_takes_up_nothing_while_its_disk_is_full(quick: Workplace) -> None:
    free = [0]
    quick.jobs.space = Space(quick.settings, lambda folder: free[0])
    quick.jobs.start("all")
    quick.submit(STEP)
    until_dispatched(quick)
    until(lambda: any(worker.info.get("disk", {}).get("low") for worker in quick.jobs.executors.live(60)))
    assert quick.store.row("job_1").status == "queued"
    free[0] = 10**12
    row = quick.wait()
    assert (row.status, row.tries, row.fence) == ("completed", 1, 1)


def test_there_is_one_worker_in_a_process_and_any_number_that_hand_over(
    quick: Workplace, tmp_path: Path
) -> None:
    quick.jobs.start("all")
    with workplace(f"sqlite:///{tmp_path}/other.db", tmp_path / "other") as other:
        other.jobs.start("api")
        other.submit(STEP)
        until_dispatched(other)
        other.jobs.stop()
        with pytest.raises(JobError, match="A worker runs in this process already"):
            other.jobs.start("all")
        quick.jobs.stop()
        other.jobs.start("all")
        assert other.wait().status == "completed"


def test_who_does_not_work_hands_over(quick: Workplace) -> None:
    quick.jobs.start("api")
    quick.submit(STEP)
    (executor,) = quick.jobs.executors.live(60)
    assert (executor.role, executor.info["queues"], quick.jobs.live()) == ("api", [], 0)
    until_dispatched(quick)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def until_dispatched(place: Workplace) -> None:
    until(lambda: place.store.row("job_1").dispatched)


def test_who_ends_leaves_a_long_queue_to_others(quick: Workplace) -> None:
    quick.jobs.start("api")
    quick.store.insert([new_job(f"job_{number}", STEP) for number in range(200)])
    quick.jobs.stop()
    assert len(quick.store.undispatched(200)) > 50


def test_a_queue_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with (
        workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data", queues=("gpus",)) as place,
        pytest.raises(OptionError, match="There is no queue gpus"),
    ):
        place.jobs.start("worker")


def test_a_worker_serves_the_queues_that_it_is_given(tmp_path: Path, clip: Path) -> None:
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data", queues=("videos",)) as place:
        place.jobs.start("worker")
        place.submit(STEP)
        target = f"asset:{place.assets.store_file(clip, '', 'clip.mp4').id}"
        place.submit({"target_path": target}, id="job_2")
        assert place.wait("job_2").status == "completed"
        assert place.store.row("job_1").status == "queued"


def test_jobs_of_commands_are_left_alone(quick: Workplace) -> None:
    quick.store.create("mine")
    quick.jobs.start("all")
    quick.submit(STEP)
    quick.wait()
    assert quick.store.get("mine").status == "drafted"


def test_the_work_goes_on_after_the_database_was_away(
    tmp_path: Path, gate: Gate, postgres_server: Server
) -> None:
    url = postgres_server.new_database(f"away_{tmp_path.name.replace('-', '_')}_{time.monotonic_ns()}")
    with workplace(url, tmp_path / "data", gate) as place:
        place.jobs.start("all")
        place.submit({**STEP, "label": "waits"})
        gate.wait_for("waits")
        postgres_server.stop("immediate")
        place.jobs.nudge([])
        gate.open.set()
        time.sleep(1)
        postgres_server.start()
        assert place.wait().status == "completed"
        place.submit(STEP, id="job_2")
        assert place.wait("job_2").status == "completed"


def test_what_ends_is_told_in_its_transaction_and_afterwards(quick: Workplace) -> None:
    quick.jobs.start("all")
    quick.submit(STEP)
    quick.wait()
    deadline = time.monotonic() + 30
    while not quick.ended:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [row.id for row in quick.ended] == ["job_1"]
