from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mien.errors import Canceled, DiskFull, JobBusy, JobError, NoFace, SigningFailed
from mien.jobs import editing, states
from mien.jobs.folder import FolderStore
from mien.jobs.job import Job, JobStep
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Result, Step
from mien.safety.carriers import sidecar_of
from tests.jobs.fakes import Death, TextEngine, runner, text_step
from tests.media.clips import make_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "target.png").write_text("t")
    return tmp_path


@pytest.fixture
def store(folder: Path) -> FolderStore:
    return FolderStore(folder / "jobs")


def submitted(store: FolderStore, *steps: JobStep, id: str = "x") -> Job:
    store.create(id)
    for step in steps:
        store.update(id, lambda job, step=step: editing.add_step(job, step))  # type: ignore[misc]
    return store.update(id, states.submit)


def fail_at(label: str, error: Exception) -> TextEngine:
    def behave(step: Step) -> None:
        if step.options["label"] == label:
            raise error

    return TextEngine(behave)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_results_of_a_chain_are_all_delivered(store: FolderStore, folder: Path) -> None:
    store.create("x")
    store.update("x", lambda job: editing.add_step(job, text_step(folder, "1", "a.png")))
    store.update("x", lambda job: editing.remix_step(job, 0, text_step(folder, "2", "b.png")))
    store.update("x", states.submit)
    job = runner(store, TextEngine()).run("x", Cancel())
    assert job.status == "completed"
    assert (folder / "a.png").read_text() == "t+1"
    assert (folder / "b.png").read_text() == "t+1+2"
    assert names(folder) == ["a.png", "b.png", "target.png"]
    assert [step.finished.faces for step in job.steps if step.finished] == [2, 2]
    assert job.attempts[0].outcome == "completed"


def test_of_several_pictures_with_one_output_the_last_counts(store: FolderStore, folder: Path) -> None:
    submitted(store, text_step(folder, "1", "a.png"), text_step(folder, "2", "a.png"))
    runner(store, TextEngine()).run("x", Cancel())
    assert (folder / "a.png").read_text() == "t+2"
    assert names(folder) == ["a.png", "target.png"]


def test_a_failed_job_keeps_what_was_finished_and_what_was_there(store: FolderStore, folder: Path) -> None:
    (folder / "a.png").write_text("old")
    steps = [text_step(folder, label, f"{name}.png") for label, name in zip("123", "abc", strict=True)]
    submitted(store, *steps)
    job = runner(store, fail_at("2", NoFace("There is no face."))).run("x", Cancel())
    assert job.status == "failed"
    assert job.failure is not None
    assert (job.failure.kind, job.failure.code, job.failure.exit_code) == ("no_face", "no_face", 16)
    assert (job.failure.step, job.failure.message) == (1, "There is no face.")
    assert [step.status for step in job.steps] == ["completed", "failed", "queued"]
    assert (folder / "a.png").read_text() == "old"
    assert (folder / "a-x-0.png").read_text() == "t+1"
    store.update("x", states.retry)
    again = TextEngine()
    assert runner(store, again).run("x", Cancel()).status == "completed"
    assert again.done == ["2", "3"]
    assert names(folder) == ["a.png", "b.png", "c.png", "target.png"]


def test_a_retry_does_again_what_has_changed(store: FolderStore, folder: Path) -> None:
    submitted(store, text_step(folder, "1", "a.png"), text_step(folder, "2", "b.png"))
    runner(store, fail_at("2", OSError("weather"))).run("x", Cancel())
    (folder / "target.png").write_text("other")
    store.update("x", states.retry)
    again = TextEngine()
    runner(store, again).run("x", Cancel())
    assert again.done == ["1", "2"]
    assert (folder / "a.png").read_text() == "other+1"


def test_a_file_from_before_is_not_taken_for_the_result_of_a_killed_run(
    store: FolderStore, folder: Path
) -> None:
    def die(step: Step) -> None:
        raise Death

    submitted(store, text_step(folder, "1", "a.png"))
    (folder / "a-x-0.png").write_text("of another job with this name")
    with pytest.raises(Death):
        runner(store, TextEngine(die)).run("x", Cancel())
    assert store.get("x").steps[0].status == "started"
    assert runner(store, TextEngine()).run("x", Cancel()).status == "completed"
    assert (folder / "a.png").read_text() == "t+1"


def test_a_retry_does_again_what_is_gone(store: FolderStore, folder: Path) -> None:
    submitted(store, text_step(folder, "1", "a.png"), text_step(folder, "2", "b.png"))
    runner(store, fail_at("2", OSError("weather"))).run("x", Cancel())
    (folder / "a-x-0.png").unlink()
    store.update("x", states.retry)
    assert runner(store, TextEngine()).run("x", Cancel()).status == "completed"
    assert (folder / "a.png").read_text() == "t+1"


def test_going_on_behind_a_failure_delivers_what_is_complete(store: FolderStore, folder: Path) -> None:
    submitted(store, *(text_step(folder, label, f"{label}.png") for label in "123"))
    job = runner(store, fail_at("2", NoFace("There is no face.")), keep_going=True).run("x", Cancel())
    assert (job.status, [step.delivered for step in job.steps]) == ("failed", [True, False, True])
    assert names(folder) == ["1.png", "3.png", "target.png"]
    store.update("x", states.retry)
    again = TextEngine()
    assert runner(store, again).run("x", Cancel()).status == "completed"
    assert again.done == ["2"]
    assert names(folder) == ["1.png", "2.png", "3.png", "target.png"]


def test_going_on_delivers_nothing_of_an_output_that_lacks_a_step(store: FolderStore, folder: Path) -> None:
    (folder / "a.png").write_text("old")
    submitted(store, *(text_step(folder, label, f"{name}.png") for label, name in ("1a", "2a", "3b")))
    engine = fail_at("1", NoFace("There is no face."))
    job = runner(store, engine, keep_going=True).run("x", Cancel())
    assert [step.delivered for step in job.steps] == [False, False, True]
    assert (folder / "a.png").read_text() == "old"
    assert (folder / "a-x-1.png").read_text() == "t+2"
    store.update("x", states.retry)
    again = TextEngine()
    assert runner(store, again).run("x", Cancel()).status == "completed"
    assert again.done == ["1"]
    assert (folder / "a.png").read_text() == "t+2"
    assert names(folder) == ["a.png", "b.png", "target.png"]


def test_going_on_keeps_what_an_unfinished_step_works_on(store: FolderStore, folder: Path) -> None:
    store.create("x")
    store.update("x", lambda job: editing.add_step(job, text_step(folder, "1", "a.png")))
    store.update("x", lambda job: editing.remix_step(job, 0, text_step(folder, "2", "b.png")))
    store.update("x", states.submit)
    runner(store, fail_at("2", OSError("weather")), keep_going=True).run("x", Cancel())
    store.update("x", states.retry)
    assert runner(store, TextEngine()).run("x", Cancel()).status == "completed"
    assert (folder / "b.png").read_text() == "t+1+2"
    assert names(folder) == ["a.png", "b.png", "target.png"]


def test_signatures_that_lie_beside_results_come_with_them(store: FolderStore, folder: Path) -> None:
    def sign(step: Step) -> None:
        sidecar_of(step.output).write_text(f"of {step.options['label']}")

    submitted(store, *(text_step(folder, label, f"{name}.bmp") for label, name in ("1a", "2b", "3b")))
    assert runner(store, TextEngine(sign)).run("x", Cancel()).status == "completed"
    assert (folder / "a.bmp.c2pa").read_text() == "of 1"
    assert (folder / "b.bmp.c2pa").read_text() == "of 3"
    assert names(folder) == ["a.bmp", "a.bmp.c2pa", "b.bmp", "b.bmp.c2pa", "target.png"]


class Films(TextEngine):
    """Writes clips; the first one looks as if it were signed."""

    def run(self, step: Step, *, on_progress: object = None, cancel: Cancel | None = None) -> Result:
        make_clip(step.output, frames=4)
        if step.options["label"] == "1":
            with step.output.open("ab") as file:  # a box that players skip
                file.write(struct.pack(">I", 20) + b"free" + b"jumb....c2pa")
        return Result(step.output, "video", 4, 0.1, 0, (), (), 0)


def test_it_is_said_that_a_joined_video_is_not_signed(store: FolderStore, folder: Path) -> None:
    submitted(store, text_step(folder, "1", "a.mp4"), text_step(folder, "2", "a.mp4"))
    said: list[str] = []
    assert runner(store, Films(), on_notice=said.append).run("x", Cancel()).status == "completed"
    (notice,) = said
    assert "not signed" in notice


def test_a_joined_video_is_signed_and_named_after_its_parts(store: FolderStore, folder: Path) -> None:
    asked: list[tuple[int, Path]] = []

    def seal(parts: Sequence[Path], output: Path) -> Callable[[Path], None]:
        asked.append((len(parts), output))
        return lambda temporary: sidecar_of(output).write_text("signed")

    submitted(store, text_step(folder, "1", "a.mp4"), text_step(folder, "2", "a.mp4"))
    said: list[str] = []
    assert runner(store, Films(), on_notice=said.append, seal=seal).run("x", Cancel()).status == "completed"
    assert asked == [(2, folder / "a.mp4")]
    assert said == []
    assert names(folder) == ["a.mp4", "a.mp4.c2pa", "target.png"]


def test_a_joined_video_that_must_be_signed_and_cannot_be_is_not_written(
    store: FolderStore, folder: Path
) -> None:
    def seal(parts: Sequence[Path], output: Path) -> Callable[[Path], None]:
        raise SigningFailed("There is no key.")

    submitted(store, text_step(folder, "1", "a.mp4"), text_step(folder, "2", "a.mp4"))
    job = runner(store, Films(), seal=seal).run("x", Cancel())
    assert job.status == "failed"
    assert job.failure is not None
    assert job.failure.code == "signing_failed"
    assert not (folder / "a.mp4").exists()
    store.update("x", states.retry)
    assert runner(store, Films()).run("x", Cancel()).status == "completed"


def test_the_output_may_be_the_target(store: FolderStore, folder: Path) -> None:
    submitted(store, text_step(folder, "1", "target.png"))
    runner(store, TextEngine()).run("x", Cancel())
    assert (folder / "target.png").read_text() == "t+1"


def test_a_stopped_job_is_canceled_and_goes_on(store: FolderStore, folder: Path) -> None:
    cancel = Cancel()

    def stop(step: Step) -> None:
        if step.options["label"] == "2":
            cancel.set()
            raise Canceled("stopped.")

    submitted(store, text_step(folder, "1", "a.png"), text_step(folder, "2", "b.png"))
    job = runner(store, TextEngine(stop)).run("x", cancel)
    assert (job.status, [step.status for step in job.steps]) == ("canceled", ["completed", "queued"])
    assert (store.folder / "failed" / "x.json").is_file()
    store.update("x", states.retry)
    again = TextEngine()
    assert runner(store, again).run("x", Cancel()).status == "completed"
    assert again.done == ["2"]


def test_a_job_is_not_run_by_two(store: FolderStore, folder: Path) -> None:
    seen: list[str] = []

    def look(step: Step) -> None:
        other = FolderStore(store.folder)
        seen.append(other.get("x").status)
        with pytest.raises(JobBusy):
            runner(other, TextEngine()).run("x", Cancel())
        with pytest.raises(JobError, match="running"):
            other.update("x", lambda job: editing.remove_step(job, 0))

    submitted(store, text_step(folder, "1", "a.png"))
    assert runner(store, TextEngine(look)).run("x", Cancel()).status == "completed"
    assert seen == ["running"]
    with pytest.raises(JobError, match="completed"):
        runner(store, TextEngine()).run("x", Cancel())


@pytest.mark.parametrize(
    ("args", "kind", "words"),
    [
        ({"target_path": None}, "invalid_input", "has no target"),
        ({"output_path": None}, "invalid_input", "needs an output path"),
        ({"output_path": "noending"}, "invalid_input", "needs an output path"),
        ({"output_path": "folder.png"}, "storage_error", "it is a folder"),
        ({"compat": "facefusion", "output_path": "o.jpg"}, "storage_error", "needs a folder"),
        ({"compat": "facefusion", "output_path": "./o.jpg"}, "invalid_input", "must end in .png"),
        ({"compat": "facefusion", "target_path": "none.png"}, "invalid_input", "does not exist"),
        ({"compat": "facefusion", "target_path": "notes.txt"}, "invalid_input", "neither a picture"),
    ],
)
def test_a_step_that_cannot_be_run_fails_with_a_sentence(
    store: FolderStore,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: dict[str, object],
    kind: str,
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    (folder / "folder.png").mkdir()
    (folder / "notes.txt").write_text("")
    step = text_step(folder, "1", "a.png")
    submitted(store, JobStep({**step.args, **args}))
    job = runner(store, TextEngine()).run("x", Cancel())
    assert job.failure is not None
    assert (job.status, job.failure.kind) == ("failed", kind)
    assert words in job.failure.message


def test_a_defect_fails_the_job_and_not_the_program(store: FolderStore, folder: Path) -> None:
    submitted(store, text_step(folder, "1", "a.png"))
    errors: list[BaseException] = []
    engine = fail_at("1", ZeroDivisionError("by 0"))
    job = runner(store, engine, on_error=errors.append).run("x", Cancel())
    assert job.failure is not None
    assert (job.failure.kind, job.failure.message) == (
        "internal",
        "Internal error (ZeroDivisionError: by 0).",
    )
    assert len(errors) == 1


def test_a_full_disk_can_be_retried(store: FolderStore, folder: Path) -> None:
    submitted(store, text_step(folder, "1", "a.png"))
    job = runner(store, fail_at("1", DiskFull("The disk is full."))).run("x", Cancel())
    assert job.failure is not None
    assert (job.failure.kind, job.failure.retryable) == ("storage_error", True)


@pytest.mark.parametrize("name", ["it's", "a b", "ünï", "-x", "100%", "[b]", 'q"q'])
def test_odd_names_work(store: FolderStore, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(folder)
    os.rename(folder / "target.png", folder / f"{name}.png")
    step = JobStep(
        {"target_path": f"{name}.png", "output_path": f"{name}-out.png", "processors": ["p"], "label": "1"}
    )
    submitted(store, step)
    assert runner(store, TextEngine()).run("x", Cancel()).status == "completed"
    assert (folder / f"{name}-out.png").read_text() == "t+1"
