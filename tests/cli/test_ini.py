from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mien.cli import ini
from mien.errors import OptionError
from mien.options import declared
from tests.cli.conftest import FakeProgram, PainterOptions, SharedOptions

Mien = Callable[..., int]
ITEMS = (*declared(PainterOptions), *declared(SharedOptions))


def _file(folder: Path, text: str, name: str = "mien.ini") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_every_kind_of_value(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "[processors]\npainter_model = oil\npainter_weight = 0.35\npainter_color = 1 2\n  3\n"
        "painter_areas = mouth\npainter_varnish = yes\npainter_secret =\n[output_creation]\noutput_video_quality=9\n",
    )
    assert ini.read(path, ITEMS).values == {
        "painter_model": "oil",
        "painter_weight": 0.35,
        "painter_color": (1, 2, 3),
        "painter_areas": ("mouth",),
        "painter_varnish": True,
        "output_video_quality": 9,
    }


def test_a_missing_file_sets_nothing(tmp_path: Path) -> None:
    assert ini.read(tmp_path / "none.ini", ITEMS).values == {}
    assert ini.read(None, ITEMS).values == {}


def test_a_key_counts_in_its_own_section_only(tmp_path: Path) -> None:
    path = _file(tmp_path, "[misc]\npainter_weight = 1\nnothing =\n[other]\nx = 1\n")
    found = ini.read(path, ITEMS)
    assert found.values == {}
    assert found.unread == ("misc.painter_weight", "other.x")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("painter_weight = 1", "cannot be read as an ini file"),
        ("[processors]\npainter_weight = 1\npainter_weight = 2", "cannot be read as an ini file"),
        ("[processors]\npainter_weight = %x", "cannot be read as an ini file"),
        (
            "[processors]\npainter_weight = x",
            "painter_weight in mien.ini cannot be 'x': give a number from 0 to 1.",
        ),
        (
            "[processors]\npainter_varnish = maybe",
            "painter_varnish in mien.ini cannot be 'maybe': give true or false.",
        ),
    ],
)
def test_refuses_what_it_cannot_read(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(OptionError) as caught:
        ini.read(_file(tmp_path, text), ITEMS)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_finds_our_file_before_that_of_facefusion(tmp_path: Path) -> None:
    assert ini.find(None, tmp_path) is None
    theirs = _file(tmp_path, "", "facefusion.ini")
    assert ini.find(None, tmp_path) == theirs
    ours = _file(tmp_path, "")
    assert ini.find(None, tmp_path) == ours
    assert ini.find("x.ini", tmp_path) == Path("x.ini")


def test_the_command_line_is_stronger_than_the_file(mien: Mien, program: FakeProgram) -> None:
    _file(
        Path.cwd(),
        "[processors]\npainter_weight = 0.1\npainter_color = 7\n[execution]\nexecution_thread_count = 2",
    )
    assert mien("edit", "t", "-o", "o.png", "--painter-weight", "0.9") == 0
    assert dict(program.step.options) == {"painter_weight": 0.9, "painter_color": (7,)}
    assert program.engines[0].settings.threads == 2


def test_files_and_processors_of_the_file_fill_what_is_left_out(mien: Mien, program: FakeProgram) -> None:
    text = "[paths]\nsource_paths = s\ntarget_path = my t.jpg\noutput_path = o.png\n"
    text += "[processors]\nprocessors = painter writer"
    path = _file(Path.cwd(), text, "other.ini")
    assert mien("apply", "--config-path", path) == 0
    step = program.step
    assert (step.sources, step.target, step.output) == ((Path("s"),), Path("my t.jpg"), Path("o.png"))
    assert step.processors == ("painter", "writer")


def test_typed_files_and_named_commands_are_stronger(mien: Mien, program: FakeProgram) -> None:
    text = (
        "[paths]\nsource_paths = s\ntarget_path = t\noutput_path = o.png\n[processors]\nprocessors = painter"
    )
    _file(Path.cwd(), text)
    assert mien("swap", "a", "b", "-o", "x.png") == 0
    step = program.step
    assert (step.sources, step.target, step.output) == ((Path("a"),), Path("b"), Path("x.png"))
    assert step.processors == ("face_swapper",)


def test_notes_on_the_file(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    _file(Path.cwd(), "[processors]\npainter_wait = 1\n")
    assert mien("edit", "t", "-o", "o.png") == 0
    assert (
        "mien: mien.ini sets what no option reads: processors.painter_wait"
        in capsys.readouterr().err.replace(f"{Path.cwd()}/", "")
    )
    assert mien("edit", "t", "-o", "o.png", "--config-path", "none.ini") == 0
    assert "there is no configuration file none.ini" in capsys.readouterr().err
