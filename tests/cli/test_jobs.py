"""The commands that FaceFusion has too: exit codes, job files, messages, over an engine of stand-ins."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mien.cli.commands.jobs import time_ago
from mien.errors import NoFace
from mien.jobs.facefusion import STEP_DEFAULTS
from mien.pipeline.step import Step
from tests.cli.conftest import FakeProgram

Mien = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _working_engine(program: FakeProgram) -> None:
    def work(step: Step, *rest: Any) -> None:
        if "bad" in step.target.name:
            raise NoFace(f"{step.target} shows no face.")
        step.output.write_text(f"{step.target.name} done")

    program.behave = work
    for name in ("t1.png", "t2.png", "bad.png", "s1.png", "s2.png"):
        Path(name).write_text(name)
    Path("out").mkdir()


def stored(place: str) -> dict[str, Any]:
    return dict(json.loads((Path(".jobs") / f"{place}.json").read_text()))


def files(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def with_step(mien: Mien, id: str = "demo", target: str = "t1.png", output: str = "out/a.png") -> None:
    assert mien("job-create", id) == 0
    assert mien("job-add-step", id, "-t", target, "-o", output) == 0


def test_list(mien: Mien, capsys: Capture) -> None:
    assert mien("job-list", "drafted") == 1
    assert capsys.readouterr() == ("", "")
    assert mien("job-create", "demo") == 0
    assert mien("job-list", "queued") == 1
    capsys.readouterr()
    assert mien("job-list", "drafted", "--log-level", "error") == 0
    assert capsys.readouterr().out.splitlines() == [
        "+--------+-------+--------------+--------------+------------+",
        "| job id | steps | date created | date updated | job status |",
        "+--------+-------+--------------+--------------+------------+",
        "| demo   | 0     | just now     | None         | drafted    |",
        "+--------+-------+--------------+--------------+------------+",
    ]


def test_create(mien: Mien, capsys: Capture) -> None:
    assert mien("job-create", "demo") == 0
    assert capsys.readouterr().out == "job demo created\n"
    assert list(stored("drafted/demo")) == ["version", "date_created", "date_updated", "steps"]
    assert mien("job-create", "demo") == 1
    assert capsys.readouterr().err == "mien: There is a job demo already.\n"


def test_jobs_live_in_a_database_as_well(mien: Mien, capsys: Capture) -> None:
    place = ("--jobs-path", "sqlite:///jobs.db")
    assert mien("job-create", "demo", *place) == 0
    for output in ("out/a.png", "out/b.png"):
        assert mien("job-add-step", "demo", "-t", "t1.png", "-o", output, *place) == 0
    assert mien("job-remove-step", "demo", "0", *place) == 0
    assert mien("job-submit", "demo", *place) == 0
    assert mien("job-run-all", *place) == 0
    assert files("out") == ["b.png"]
    assert mien("job-list", "completed", *place) == 0
    assert "| demo   | 1     |" in capsys.readouterr().out
    assert mien("job-delete", "demo", *place) == 0
    assert mien("job-list", "completed", *place) == 1
    assert not Path(".jobs").exists()


@pytest.mark.parametrize("id", ["a_b", "a.b", "a b", "../a", "-", "ü/"])
def test_an_id_that_is_no_name_is_replaced(mien: Mien, id: str) -> None:
    assert mien("job-create", "--", id) == 0
    (name,) = files(".jobs/drafted")
    assert len(name) == 40 + len(".json")
    assert mien("job-delete", "--", id) == 0


def test_submit(mien: Mien) -> None:
    assert mien("job-submit", "demo") == 1
    assert mien("job-create", "demo") == 0
    assert mien("job-submit", "demo") == 1
    assert mien("job-add-step", "demo", "-t", "t1.png", "-o", "out/a.png") == 0
    assert mien("job-submit", "demo") == 0
    assert stored("queued/demo")["steps"][0]["status"] == "queued"
    assert mien("job-submit", "demo") == 1


def test_submit_all(mien: Mien) -> None:
    assert mien("job-submit-all", "--halt-on-error") == 1
    with_step(mien, "one")
    assert mien("job-create", "two") == 0
    assert mien("job-submit-all") == 1
    assert (files(".jobs/queued"), files(".jobs/drafted")) == (["one.json"], ["two.json"])
    assert mien("job-add-step", "two", "-t", "t1.png", "-o", "out/b.png") == 0
    assert mien("job-submit-all", "--halt-on-error") == 0
    assert mien("job-submit-all", "--halt-on-error") == 1


def test_delete(mien: Mien) -> None:
    assert mien("job-delete", "demo") == 1
    assert mien("job-create", "demo") == 0
    assert mien("job-delete", "demo") == 0
    assert mien("job-delete", "demo") == 1
    assert mien("job-delete-all", "--halt-on-error") == 1
    with_step(mien, "one")
    with_step(mien, "two")
    assert mien("job-submit", "two") == 0
    assert mien("job-delete-all", "--halt-on-error") == 0
    assert not list(Path(".jobs").rglob("*.json"))


def test_steps(mien: Mien) -> None:
    def targets() -> list[str]:
        return [step["args"]["target_path"] for step in stored("drafted/demo")["steps"]]

    assert mien("job-add-step", "demo", "-t", "t1.png", "-o", "out/a.png") == 1
    assert mien("job-remix-step", "demo", "0", "-o", "out/b.png") == 1
    with_step(mien)
    assert mien("job-remix-step", "demo", "0", "-o", "out/b.png") == 0
    assert mien("job-remix-step", "demo", "-1", "-o", "out/c.png") == 0
    assert targets() == ["t1.png", "out/a-demo-0.png", "out/b-demo-1.png"]
    assert mien("job-insert-step", "demo", "9", "-t", "t2.png", "-o", "out/d.png") == 1
    assert mien("job-insert-step", "demo", "0", "-t", "t2.png", "-o", "out/d.png") == 0
    assert targets() == ["t2.png", "t1.png", "out/a-demo-1.png", "out/b-demo-2.png"]
    assert mien("job-insert-step", "demo", "-1", "-t", "t2.png", "-o", "out/d.png") == 0
    assert targets()[3:] == ["t2.png", "out/b-demo-2.png"]
    for code in (0, 0, 0, 0, 0, 1):
        assert mien("job-remove-step", "demo", "-1") == code


def test_a_step_has_every_key_that_the_field_stores(mien: Mien) -> None:
    assert mien("job-create", "demo") == 0
    words = "-s s1.png s2.png -t t1.png -o out/a.png --processors painter --painter-weight 0.25 --output-video-q 7"
    assert mien("job-add-step", "demo", *words.split()) == 0
    (step,) = stored("drafted/demo")["steps"]
    args = step["args"]
    assert list(args)[: len(STEP_DEFAULTS)] == list(STEP_DEFAULTS)
    assert len(STEP_DEFAULTS) == 85
    assert (args["source_paths"], args["processors"], args["painter_weight"]) == (
        ["s1.png", "s2.png"],
        ["painter"],
        0.25,
    )
    assert (args["output_video_quality"], args["face_mask_padding"]) == (7, [0, 0, 0, 0])


@pytest.mark.parametrize(
    "words",
    [
        "job-list",
        "job-list done",
        "job-create",
        "job-create a b",
        "job-remove-step a",
        "job-remove-step a one",
        "job-add-step a --execution-thread-count 2",
        "job-run a --face-swapper-weight 1",
        "job-add-step a --processors sculptor",
        "job-run-all --workers 0",
        "benchmark --benchmark-cycle-count 11",
    ],
)
def test_a_command_line_that_is_not_understood(mien: Mien, capsys: Capture, words: str) -> None:
    assert mien(*words.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_run(mien: Mien, program: FakeProgram, capsys: Capture) -> None:
    assert mien("job-run", "demo") == 1
    with_step(mien)
    assert mien("job-run", "demo") == 1
    assert mien("job-submit", "demo") == 0
    capsys.readouterr()
    assert mien("job-run", "demo", "--execution-thread-count", "2") == 0
    out, err = capsys.readouterr()
    assert out == "processing of job demo succeeded\n"
    assert "mien: processing step 1 of 1 of job demo" in err
    assert files("out") == ["a.png"]
    assert program.engines[-1].settings.threads == 2
    assert stored("completed/demo")["steps"][0]["status"] == "completed"
    assert mien("job-run", "demo") == 1


def test_a_failed_run_and_its_retry(mien: Mien, capsys: Capture) -> None:
    with_step(mien, target="bad.png")
    assert mien("job-submit", "demo") == 0
    assert mien("job-retry", "demo") == 1
    assert mien("job-run", "demo") == 1
    assert "processing of job demo failed: bad.png shows no face." in capsys.readouterr().err
    job = stored("failed/demo")
    assert job["steps"][0]["status"] == "failed"
    assert (job["mien"]["failure"]["code"], job["mien"]["failure"]["exit_code"]) == ("no_face", 16)
    assert mien("job-retry", "demo", "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["status"], data["failure"]["kind"], len(data["attempts"])) == ("failed", "no_face", 2)
    assert mien("job-list", "failed") == 0


def test_run_all(mien: Mien, capsys: Capture) -> None:
    assert mien("job-run-all", "--halt-on-error") == 1
    for number in range(5):
        with_step(mien, f"job{number}", output=f"out/{number}.png")
    with_step(mien, "sick", target="bad.png")
    assert mien("job-submit-all") == 0
    assert mien("job-run-all", "--workers", "3") == 1
    assert files("out") == [f"{number}.png" for number in range(5)]
    assert "1 of 6 jobs failed" in capsys.readouterr().err
    assert mien("job-run-all") == 1
    Path("bad.png").unlink()
    assert mien("job-retry-all", "--halt-on-error") == 1
    assert mien("job-delete", "sick") == 0
    assert mien("job-retry-all") == 1


def test_halt_on_error_leaves_the_rest_queued(mien: Mien) -> None:
    with_step(mien, "a", target="bad.png")
    with_step(mien, "b", output="out/b.png")
    assert mien("job-submit", "a") == 0
    assert mien("job-submit", "b") == 0
    assert mien("job-run-all", "--halt-on-error") == 1
    assert (files(".jobs/failed"), files(".jobs/queued"), files("out")) == (["a.json"], ["b.json"], [])


def test_headless_run(mien: Mien, program: FakeProgram, capsys: Capture) -> None:
    words = "headless-run -s s1.png -t t1.png -o out/a.png --processors painter --painter-weight 0.25"
    for _ in range(2):
        assert mien(*words.split()) == 0
    assert capsys.readouterr().out == "out/a.png\nout/a.png\n"
    assert len(files(".jobs/completed")) == 2
    step = program.engines[-1].steps[0]
    assert (step.processors, step.sources) == (("painter",), (Path("s1.png"),))
    assert step.options["painter_weight"] == 0.25
    assert mien("headless-run", "-t", "bad.png", "-o", "out/b.png") == 1
    assert mien("headless-run", "-o", "out/b.png") == 1
    assert "has no target" in capsys.readouterr().err


def test_a_model_that_nobody_named_is_left_to_the_engine(mien: Mien, program: FakeProgram) -> None:
    words = ("headless-run", "-t", "t1.png", "-o", "out/a.png", "--processors", "painter")
    assert mien(*words) == 0
    assert "painter_model" not in program.engines[-1].steps[0].options
    assert mien(*words, "--painter-model", "chalk_2b") == 0
    assert program.engines[-1].steps[0].options["painter_model"] == "chalk_2b"


def test_batch(mien: Mien, program: FakeProgram, capsys: Capture) -> None:
    pattern = "out/{index:02d}-{source_name}-{target_name}{target_extension}"
    assert mien("batch-run", "-s", "./s*.png", "-t", "./t*.png", "-o", pattern) == 0
    assert files("out") == ["00-s1-t1.png", "01-s1-t2.png", "02-s2-t1.png", "03-s2-t2.png"]
    assert "completed" in capsys.readouterr().out
    assert mien("batch-run", "-t", "t*.png", "-o", "out/{index}.png") == 0
    assert "1.png" in files("out")
    assert "2.png" not in files("out")


def test_a_batch_goes_on_behind_a_failure(mien: Mien, capsys: Capture) -> None:
    words = ("batch-run", "-t", "[bt]*.png", "-o", "out/{target_name}.png")
    assert mien(*words) == 1
    assert files("out") == ["t1.png", "t2.png"]
    assert "1 of 3 steps" in capsys.readouterr().err
    for name in ("t1.png", "t2.png"):
        (Path("out") / name).unlink()
    assert mien(*words, "--halt-on-error") == 1
    assert files("out") == []


@pytest.mark.parametrize(
    "words",
    [
        "-t t*.png -o out/{wrong}.png",
        "-t t*.png -o out/{source_name}.png",
        "-t t*.png -o out/{}.png",
        "-t t*.png -o out/{index.__class__}.png",
        "-t t*.png -o out/{index",
        "-t none*.png -o out/{index}.png",
        "-s none*.png -t t*.png -o out/{index}.png",
        "-t t*.png",
        "-o out/{index}.png",
    ],
)
def test_a_batch_that_cannot_be_run_leaves_no_job(mien: Mien, capsys: Capture, words: str) -> None:
    assert mien("batch-run", *words.split()) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(Path(".jobs").rglob("*.json"))


def test_defaults_come_from_the_ini_file(mien: Mien, program: FakeProgram, capsys: Capture) -> None:
    Path("other.ini").write_text(
        "[processors]\nprocessors = writer\nwriter_words = hello\n[paths]\njobs_path = j\n"
    )
    assert mien("headless-run", "-t", "t1.png", "-o", "out/a.png", "--config-path", "other.ini") == 0
    assert program.engines[-1].steps[0].options["writer_words"] == "hello"
    assert len(files("j/completed")) == 1
    Path("facefusion.ini").write_text(
        "[paths]\njobs_path = k\n[misc]\nhalt_on_error = yes\n[uis]\nopen_browser = no\n"
    )
    assert mien("job-create", "demo") == 0
    assert files("k/drafted") == ["demo.json"]
    assert mien("job-create", "demo", "--jobs-path", "l") == 0
    assert files("l/drafted") == ["demo.json"]
    assert capsys.readouterr().err.count("sets what no option reads") == 0


def test_json_is_all_there_is_on_stdout(mien: Mien, capsys: Capture) -> None:
    for words in (
        ("job-create", "demo"),
        ("job-add-step", "demo", "-t", "t1.png", "-o", "out/a.png"),
        ("job-submit", "demo"),
        ("job-list", "queued"),
        ("job-run", "demo"),
        ("job-delete", "demo"),
        ("job-delete-all",),
    ):
        mien(*words, "--json")
        json.loads(capsys.readouterr().out)


def test_run_serves_here_and_opens_the_page(
    mien: Mien, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    import webbrowser

    from mien.cli.commands import serve

    opened = threading.Event()
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: (shown.append(address), opened.set()))

    def serving(*parts: Any, with_worker: bool, on_ready: Callable[[str], None]) -> None:
        assert with_worker
        on_ready("http://127.0.0.1:1")

    monkeypatch.setattr(serve, "run_server", serving)
    assert mien("run", "--ui-layouts", "default", "jobs", "--painter-weight", "0.5") == 0
    assert opened.wait(30)
    assert "without effect here: --painter-weight" in capsys.readouterr().err
    assert mien("run", "--no-open-browser") == 0
    assert shown == ["http://127.0.0.1:1"]


def test_force_download_goes_on_behind_what_cannot_be_had(mien: Mien, capsys: Capture) -> None:
    assert mien("force-download", "--download-scope", "full", "--download-providers", "github") == 1
    assert "small, large" in capsys.readouterr().err


def test_older_flags_are_accepted(mien: Mien) -> None:
    words = ("headless-run", "-t", "t1.png", "-o", "out/a.png", "--keep-temp", "--system-memory-limit", "4")
    assert mien(*words) == 0


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=60), "just now"),
        (timedelta(seconds=61), "1 minutes ago"),
        (timedelta(hours=1), "60 minutes ago"),
        (timedelta(hours=2, minutes=3, seconds=1), "2 hours and 3 minutes ago"),
        (timedelta(days=1, hours=2, minutes=3), "1 days, 2 hours and 3 minutes ago"),
    ],
)
def test_ages_in_words(monkeypatch: pytest.MonkeyPatch, age: timedelta, words: str) -> None:
    moment = datetime(2026, 8, 1, 12, 0).astimezone()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment

    monkeypatch.setattr("datetime.datetime", Clock)
    assert time_ago((moment - age).isoformat()) == words
