from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.errors import NoFace
from mien.pipeline.step import Step
from tests.cli.conftest import FakeProgram

Mien = Callable[..., int]


def test_swap_takes_the_last_file_as_target(mien: Mien, program: FakeProgram) -> None:
    assert mien("swap", "a.jpg", "b.jpg", "t.mp4", "-o", "out.mp4") == 0
    assert program.step == Step(
        sources=("a.jpg", "b.jpg"), target="t.mp4", output="out.mp4", processors=("face_swapper",)
    )
    assert program.engines[0].closed


def test_flags_for_files_go_before_positionals(mien: Mien, program: FakeProgram) -> None:
    assert mien("swap", "-s", "a", "b", "-t", "t", "-o", "out.png", "--", "c") == 0
    assert program.step.sources == (Path("a"), Path("b"), Path("c"))
    assert program.step.target == Path("t")


def test_only_written_options_reach_the_engine(mien: Mien, program: FakeProgram) -> None:
    words = "apply t -o o.png --processors painter writer --painter-weight 0.25 --painter-color 1 2 255"
    more = (
        "--painter-areas mouth --painter-areas hair --painter-angles 90 --painter-varnish --writer-words=-x"
    )
    assert mien(*words.split(), *more.split(), "--output-video-q", "7") == 0
    assert program.step.processors == ("painter", "writer")
    assert dict(program.step.options) == {
        "painter_weight": 0.25,
        "painter_color": (1, 2, 255),
        "painter_areas": ("mouth", "hair"),
        "painter_angles": (90,),
        "painter_varnish": True,
        "writer_words": "-x",
        "output_video_quality": 7,
    }


def test_run_options_become_settings(mien: Mien, program: FakeProgram) -> None:
    assert mien("edit", "t", "-o", "o.png", "--execution-thread-count", "7", "--temp-path", "w") == 0
    settings = program.engines[0].settings
    assert (settings.threads, settings.work_dir, settings.offline) == (7, Path("w"), True)
    assert not program.step.options


def test_environment_settings_stay_without_flags(mien: Mien, program: FakeProgram) -> None:
    assert mien("edit", "t", "-o", "o.png") == 0
    assert program.engines[0].settings == program.settings()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("swap t -o o", "mien: There is no source picture: mien swap SOURCE... TARGET -o OUTPUT."),
        ("swap -o o", "mien: There is no target: mien swap SOURCE... TARGET -o OUTPUT."),
        ("edit a b -o o", "mien: One target is needed, but a is there as well: mien edit TARGET -o OUTPUT."),
        ("edit a", "mien: There is no output file: mien edit TARGET -o OUTPUT."),
        ("apply t -o o", "mien: mien apply needs --processors, such as"),
        (
            "edit t -o o --painter-weight 2",
            "mien: --painter-weight cannot be '2': give a number from 0 to 1.",
        ),
        (
            "edit t -o o --painter-weight nan",
            "mien: --painter-weight cannot be 'nan': give a number from 0 to 1.",
        ),
        (
            "edit t -o o --painter-color 1 x",
            "mien: --painter-color cannot be 'x': give a number from 0 to 255.",
        ),
        (
            "edit t -o o --painter-model ink",
            "mien: --painter-model cannot be 'ink': choose from oil, chalk_2b.",
        ),
        ("edit t -o o --painter-secret -1", "mien: --painter-secret cannot be '-1': give at least 0."),
        ("edit t -o o --painter-angles 45", "mien: --painter-angles cannot be '45': choose from 0, 90, 180."),
        (
            "apply t -o o --processors sculptor",
            "mien: --processors cannot be 'sculptor': choose from painter,",
        ),
        (
            "edit t -o o --painter-wait 1",
            "mien: There is no option --painter-wait; did you mean --painter-weight.",
        ),
        ("edit t -o o --painter-w", "mien: --painter-weight needs a value."),
        ("paint t", "mien: No such command 'paint'."),
    ],
)
def test_a_wrong_command_line_gives_one_sentence(
    mien: Mien, program: FakeProgram, capsys: pytest.CaptureFixture[str], words: str, sentence: str
) -> None:
    assert mien(*words.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith(sentence)
    assert err.count("\n") == 1
    assert out == ""
    assert not program.engines


def test_the_result_is_one_line_and_notes_go_to_stderr(
    mien: Mien, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mien("edit", "t", "-o", "o.mp4") == 0
    out, err = capsys.readouterr()
    assert out == "o.mp4: 2 frames, 4 faces, 1 finished parts kept from before, 1:15 min\n"
    assert err == "mien: the model oil was chosen\n"


@pytest.mark.parametrize("words", [("--json", "edit"), ("edit", "--json")])
def test_json_is_all_there_is_on_stdout(
    mien: Mien, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert mien(*words, "t", "-o", "o.mp4") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["output"] == "o.mp4"
    assert found["models"] == ["oil"]
    assert found["resumed_segments"] == 1


@pytest.mark.parametrize("words", [("--quiet",), ("--log-level", "error")])
def test_quiet_says_nothing(mien: Mien, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert mien("edit", "t", "-o", "o.mp4", *words) == 0
    assert capsys.readouterr() == ("", "")


def test_errors_keep_their_exit_code(
    mien: Mien, program: FakeProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*rest: object) -> None:
        raise NoFace("No face was found in t.")

    program.behave = refuse
    assert mien("edit", "t", "-o", "o.png", "--json") == NoFace.exit_code
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == "mien: No face was found in t."
    assert json.loads(out) == {"error": {"code": "no_face", "message": "No face was found in t."}}
    assert program.engines[0].closed


def test_a_defect_gives_one_sentence_and_a_traceback_only_on_demand(
    mien: Mien, program: FakeProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*rest: object) -> None:
        raise ZeroDivisionError("two\nlines")

    program.behave = fail
    assert mien("edit", "t", "-o", "o.png", "--quiet") == 1
    assert capsys.readouterr().err == (
        "mien: internal error (ZeroDivisionError: two lines); run again with --debug to see where.\n"
    )
    assert mien("edit", "t", "-o", "o.png", "--quiet", "--debug") == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("mien: internal error (ZeroDivisionError: two lines).\n")


def test_the_first_interrupt_asks_and_handlers_come_back(
    mien: Mien, program: FakeProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    program.behave = lambda step, report, cancel: os.kill(os.getpid(), signal.SIGINT)
    assert mien("edit", "t", "-o", "o.mp4") == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "mien: stopping after the current frame; press Ctrl-C again to stop at once",
        "mien: The run was stopped on request.",
    ]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_aborts(
    mien: Mien, program: FakeProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    def twice(*rest: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second signal must not let the run go on")

    program.behave = twice
    assert mien("edit", "t", "-o", "o.mp4") == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        "mien: stopped; what was finished is kept, and the same command goes on from there."
    )


def test_memory_runs_out(mien: Mien, program: FakeProgram, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*rest: object) -> None:
        raise MemoryError

    program.behave = fail
    assert mien("edit", "t", "-o", "o.png") == 41
    assert capsys.readouterr().err.splitlines()[-1] == "mien: there was not enough memory."
