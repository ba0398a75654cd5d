from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mien.errors import Canceled, InputError, JobBusy, NoFace
from mien.jobs import states
from mien.jobs.job import Failure, JobStep
from mien.service.attempt import Attempt, Why
from mien.service.running import WrongQueue
from mien.service.stepping import Steps
from mien.service.steps import StepDone, StepTask
from tests.service.workplaces import TextSteps, Workplace, new_job, workplace


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data") as made:
        yield made


def begun(place: Workplace, *steps: Mapping[str, Any], **more: Any) -> Attempt:
    place.store.insert([new_job("job_1", *steps, **more)])
    row = place.store.change("job_1", lambda job: states.begin(job, "worker"))
    return Attempt(place.store, place.events, row, time.monotonic() + 600)


def begun_again(place: Workplace) -> Attempt:
    row = place.store.change("job_1", lambda job: states.begin(job, "worker"))
    return Attempt(place.store, place.events, row, time.monotonic() + 600)


def run(place: Workplace, attempt: Attempt, runner: Any, environment: str = "local", **more: Any) -> None:
    folder = place.settings.data_folder() / f"run-{attempt.fence}"
    folder.mkdir()
    Steps(place.assets, {environment: runner}, **more).run(attempt, folder)


def told(place: Workplace, type: str) -> list[Any]:
    return [event.data for event in place.events.since("job_1") if event.type == type]


def test_each_step_works_on_files_and_leaves_records(place: Workplace) -> None:
    runner, measured = TextSteps(), list[tuple[Any, ...]]()
    attempt = begun(
        place,
        {"target_path": place.picture(), "label": "a"},
        {"target_path": "step:0", "label": "b", "output_path": "result:second"},
    )
    run(
        place, attempt, runner,
        measure=lambda step, media, done: measured.append((step.args["label"], media.get("kind"), done.faces)),
    )  # fmt: skip
    row = place.store.row("job_1")
    assert row == attempt.row
    assert [step.status for step in row.job.steps] == ["completed", "completed"]
    assert [place.text(record) for record in row.results] == ["a", "ab"]
    first, second = row.results
    assert (first["step"], first["index"], second["step"], second["index"]) == (0, 0, 1, 1)
    assert (first["frames"], first["faces"], first["seconds"], first["notices"]) == (1, 2, 0.01, ["said"])
    assert (first["content"], first["signed"], first["watermark"]) == ("unchecked", False, None)
    assert "workflow" not in first
    finished = row.job.steps[1].finished
    assert finished is not None
    assert finished.path == f"asset:{second['asset']}"
    assert told(place, "step") == [
        {"index": index, "status": status} for index in (0, 1) for status in ("started", "completed")
    ]
    assert told(place, "notice") == [{"step": index, "text": "said"} for index in (0, 1)]
    assert measured == [("a", "image", 2), ("b", "file", 2)]


def test_a_run_goes_on_at_the_first_step_without_result(place: Workplace) -> None:
    runner = TextSteps(lambda task: fail_once(task, failures))
    failures = [NoFace("none")]
    step = {"target_path": place.picture()}
    attempt = begun(place, {**step, "label": "a"}, {**step, "label": "b"})
    with pytest.raises(NoFace):
        run(place, attempt, runner)
    assert [step.status for step in attempt.row.job.steps] == ["completed", "started"]
    run(place, begun_again(place), runner)
    assert runner.done == ["a", "b"]
    assert [record["step"] for record in place.store.row("job_1").results] == [0, 1]


def fail_once(task: StepTask, failures: list[NoFace]) -> None:
    if task.index == 1 and failures:
        raise failures.pop()


def test_a_result_that_is_gone_is_made_again_and_the_others_are_kept(place: Workplace) -> None:
    runner, step = TextSteps(), {"target_path": place.picture()}
    attempt = begun(place, {**step, "label": "a"}, {**step, "label": "b"})
    run(place, attempt, runner)
    attempt.change(lambda job: states.cancel(job, Failure("canceled", "stopped")))
    place.assets.delete(attempt.row.results[0]["asset"], "")
    place.store.change("job_1", states.retry)
    again = begun_again(place)
    run(place, again, runner)
    assert runner.done == ["a", "b", "a"]
    # A client asks for results by number, so they keep the order of the steps.
    assert [(place.text(record), record["step"], record["index"]) for record in again.row.results] == [
        ("a", 0, 0),
        ("b", 1, 1),
    ]


def test_a_run_that_is_to_stop_begins_nothing(place: Workplace) -> None:
    runner, attempt = TextSteps(), begun(place, {"target_path": place.picture()})
    attempt.stop("canceled")
    with pytest.raises(Canceled):
        run(place, attempt, runner)
    assert runner.done == []
    assert told(place, "step") == []


def test_what_is_made_after_the_stop_is_not_kept(place: Workplace) -> None:
    class Deaf:
        def run(self, task: StepTask) -> StepDone:
            task.output.write_text("late")
            attempt.stop("handed_back")
            return StepDone((task.output,))

    attempt = begun(place, {"target_path": place.picture()})
    with pytest.raises(Canceled):
        run(place, attempt, Deaf())
    assert attempt.row.results == ()
    assert attempt.row.job.steps[0].status == "started"


def test_what_a_runner_kept_itself_is_stored_once(place: Workplace) -> None:
    class Tidy:
        def run(self, task: StepTask) -> StepDone:
            task.output.write_text("whole")
            done = StepDone((task.output,), notices=(f"{task.step.target_path} is small.",), models=("m",))
            task.keep(done)
            attempt.stop("handed_back")  # too late: what is kept is kept
            return done

    attempt = begun(place, {"target_path": place.picture()})
    run(place, attempt, Tidy())
    (record,) = place.store.row("job_1").results
    assert (place.text(record), record["models"]) == ("whole", ["m"])
    assert record["notices"] == ["target.png is small."]
    assert told(place, "notice") == [{"step": 0, "text": "target.png is small."}]


def test_several_files_are_records_of_one_step_the_first_is_its_result(place: Workplace) -> None:
    class Several:
        def run(self, task: StepTask) -> StepDone:
            other = task.output.with_name("other")
            task.output.write_text("one")
            other.write_text("two")
            return StepDone((task.output, other), workflow={"name": "w"})

    attempt = begun(place, {"target_path": place.picture()})
    run(place, attempt, Several())
    row = attempt.row
    assert [(place.text(record), record["step"], record["index"]) for record in row.results] == [
        ("one", 0, 0),
        ("two", 0, 1),
    ]
    assert row.results[0]["workflow"] == {"name": "w"}
    finished = row.job.steps[0].finished
    assert finished is not None
    assert finished.path == f"asset:{row.results[0]['asset']}"


@pytest.mark.parametrize(
    ("queue", "environment", "better"),
    [
        ("pictures", "comfyui:fast", {"queue": "comfyui:fast"}),
        ("comfyui:slow", "comfyui:fast", {"queue": "comfyui:fast"}),
        ("comfyui:fast", None, {"queue": "pictures"}),
        (None, "pull:comm", {"queue": None, "environment": "pull:comm"}),
        ("videos", "pull:comm", {"queue": None, "environment": "pull:comm"}),
    ],
)
def test_a_step_of_other_workers_is_left_to_them(
    place: Workplace, queue: str | None, environment: str | None, better: dict[str, Any]
) -> None:
    step = {"target_path": place.picture(), **({"environment": environment} if environment else {})}
    attempt = begun(place, step, queue=queue)
    with pytest.raises(WrongQueue) as caught:
        run(place, attempt, TextSteps())
    assert caught.value.columns == better
    assert attempt.row.job.steps[0].status == "queued"


@pytest.mark.parametrize("queue", ["comfyui:fast", "pictures", "videos", None])
def test_a_step_stays_in_the_queue_of_those_who_do_it(place: Workplace, queue: str | None) -> None:
    environment = "comfyui:fast" if queue == "comfyui:fast" else "local"
    attempt = begun(place, {"target_path": place.picture(), "environment": environment}, queue=queue)
    run(place, attempt, TextSteps(), environment)
    assert attempt.row.job.steps[0].status == "completed"


def test_a_video_is_not_worked_on_where_pictures_wait(place: Workplace, clip: Path) -> None:
    target = f"asset:{place.assets.store_file(clip, '', 'clip.mp4').id}"
    attempt = begun(place, {"target_path": target}, queue="pictures")
    with pytest.raises(WrongQueue) as caught:
        run(place, attempt, TextSteps())
    assert caught.value.columns == {"queue": "videos"}


def test_an_address_is_fetched_once_and_names_the_result_after_what_it_was(
    place: Workplace, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(url: str, owner: str) -> Any:
        fetched.append(url)
        return place.assets.store_file(clip, owner, "film.mp4", "fetch")

    monkeypatch.setattr(place.assets, "add_url", fetch)
    tasks: list[StepTask] = []
    failures = [NoFace("none")]

    def behave(task: StepTask) -> None:
        Path(str(task.step.target_path)).stat()  # the file is here
        tasks.append(task)
        if failures:
            raise failures.pop()

    runner = TextSteps(behave)
    url = "https://example.org/watch?v=1"
    attempt = begun(place, {"target_path": url, "output_path": "result:film"}, queue="videos")
    with pytest.raises(NoFace):
        run(place, attempt, runner)
    run(place, begun_again(place), runner)
    assert fetched == [url]
    assert [task.output.name for task in tasks] == ["film.mp4", "film.mp4"]
    (record,) = place.store.row("job_1").results
    assert record["name"] == "film.mp4"
    assert tasks[1].target_media["frames"] == 12


def test_a_step_that_nobody_here_does_is_refused(place: Workplace) -> None:
    attempt = begun(place, {"target_path": place.picture(), "environment": "remote"})
    with pytest.raises(InputError, match="no environment remote"):
        run(place, attempt, TextSteps())
    assert attempt.row.results == ()


def test_errors_name_files_as_their_owner_does(place: Workplace) -> None:
    def behave(task: StepTask) -> None:
        raise NoFace(f"{task.step.target_path} shows no face.")

    attempt = begun(place, {"target_path": place.picture()})
    with pytest.raises(NoFace) as caught:
        run(place, attempt, TextSteps(behave))
    assert str(caught.value) == "target.png shows no face."


def test_what_a_runner_tells_and_remembers_is_the_jobs(place: Workplace) -> None:
    def behave(task: StepTask) -> None:
        task.remember({"prompt": task.index})
        task.remember({"url": "u"})
        task.preview({"data": "picture"})

    attempt = begun(place, {"target_path": place.picture()})
    run(place, attempt, TextSteps(behave))
    assert attempt.row.external == {"prompt": 0, "url": "u"}
    assert told(place, "preview") == [{"data": "picture"}]


@pytest.mark.parametrize(
    ("why", "leaving"), [("handed_back", True), ("overtaken", True), ("canceled", False), ("late", False)]
)
def test_work_elsewhere_goes_on_only_where_somebody_takes_it_up(
    place: Workplace, why: Why, leaving: bool
) -> None:
    seen: list[bool] = []

    def behave(task: StepTask) -> None:
        seen.append(task.leaving())
        attempt.stop(why)
        seen.append(task.leaving())

    attempt = begun(place, {"target_path": place.picture()})
    with pytest.raises(Canceled):
        run(place, attempt, TextSteps(behave))
    assert seen == [False, leaving]


def test_a_late_run_stores_no_record(place: Workplace) -> None:
    def behave(task: StepTask) -> None:
        place.store.change("job_1", lambda job: states.begin(job, "another"))

    attempt = begun(place, {"target_path": place.picture()})
    with pytest.raises(JobBusy):
        run(place, attempt, TextSteps(behave))
    row = place.store.row("job_1")
    assert (row.results, row.worker) == ((), "another")


def test_steps_that_were_delivered_elsewhere_are_done(place: Workplace) -> None:
    """As the command line leaves them."""
    runner, attempt = (
        TextSteps(),
        begun(place, {"target_path": "x.png"}, {"target_path": "y.png", "label": "b"}),
    )
    attempt.change(lambda job: job.with_step(0, delivered(job.steps[0])))
    run(place, attempt, runner)
    assert runner.done == ["b"]


def delivered(step: JobStep) -> JobStep:
    return replace(step, status="completed", delivered=True)
