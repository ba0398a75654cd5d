from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.errors import MienError
from tests.cli.conftest import FakeProgram

Mien = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def small(program: FakeProgram) -> Path:
    """The file of the small model, in the cache."""
    path = program.folder / "cache" / "models" / "small.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"hello")
    return path


def test_models_list_as_table_and_json(mien: Mien, small: Path, capsys: Capture) -> None:
    assert mien("models", "list") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert rows[0] == ["model", "family", "size", "licence", "commercial", "use", "state"]
    assert ["small", "detector", "5", "B", "Apache-2.0", "yes", "present"] in rows
    assert ["large", "swap", "12.3", "MB", "Non-Commercial", "[NC]", "no", "absent"] in rows
    assert mien("models", "list", "--json", "--present") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["paths"] == [str(small)]
    assert mien("models", "list", "--json", "--family", "swap") == 0
    assert [item["id"] for item in json.loads(capsys.readouterr().out)] == ["large"]


def test_models_fetch_takes_the_small_ones_by_default(mien: Mien, small: Path, capsys: Capture) -> None:
    assert mien("models", "fetch") == 0
    assert capsys.readouterr().out == "1 models are here.\n"


def test_models_fetch_says_where_to_put_a_file(mien: Mien, program: FakeProgram, capsys: Capture) -> None:
    assert mien("models", "fetch", "large") == 32
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert str(program.folder / "cache" / "models" / "large.bin") in err


def test_models_path(mien: Mien, small: Path, capsys: Capture) -> None:
    assert mien("models", "path", "small") == 0
    assert capsys.readouterr().out == f"{small}\n"
    assert mien("models", "path", "smal") == 31
    assert "did you mean small" in capsys.readouterr().err
    assert mien("models", "path") == 2
    assert mien("models", "path", "small", "large") == 2


def test_models_verify(mien: Mien, small: Path, capsys: Capture) -> None:
    assert mien("models", "verify") == 0
    assert "present" in capsys.readouterr().out
    small.write_bytes(b"hullo")
    assert mien("models", "verify") == 33
    out, err = capsys.readouterr()
    assert "damaged" in out
    assert err == "mien: Damaged: small; mien models fetch small replaces them.\n"
    assert mien("models", "verify", "large") == 32


def test_faces_are_numbered_in_order(mien: Mien, program: FakeProgram, capsys: Capture) -> None:
    assert mien("faces", "p.jpg", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["width"], found["height"]) == (120, 100)
    assert [(face["position"], face["score"]) for face in found["faces"]] == [(0, 0.9), (1, 0.7)]
    assert found["faces"][0]["box"] == [5, 5, 45, 45]
    assert len(found["faces"][0]["landmarks_68"]) == 68
    assert mien("faces", "p.jpg") == 0
    assert "0 5 5 45 45 40x40 0.90 +12 -3 +0" in " ".join(capsys.readouterr().out.split())
    assert mien("faces", "v.mp4", "--json", "--face-selector-order", "small-large", "--frame", "7") == 0
    assert [face["score"] for face in json.loads(capsys.readouterr().out)["faces"]] == [0.7, 0.9]
    assert program.engines[-1].asked == (Path("v.mp4"), {"face_selector_order": "small-large"}, 7)
    assert mien("faces") == 2
    assert mien("faces", "p.jpg", "--frame", "-1") == 2


def test_options_are_listed_with_filter(mien: Mien, capsys: Capture) -> None:
    assert mien("options", "--json") == 0
    found = {item["key"]: item for item in json.loads(capsys.readouterr().out)}
    assert found["painter_weight"]["flag"] == "--painter-weight"
    assert found["painter_weight"]["section"] == "processors"
    assert {"source_paths", "processors", "execution_providers", "output_video_quality"} <= found.keys()
    assert mien("options", "painter", "we") == 0
    out = capsys.readouterr().out
    assert "--painter-weight" in out
    assert "--painter-color" not in out


def test_doctor_reports_everything(mien: Mien, program: FakeProgram, small: Path, capsys: Capture) -> None:
    assert mien("doctor", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == []
    assert report["providers"] == [{"name": "cpu", "opens": True, "remark": ""}]
    assert report["models"] == {"needed": {"small": True}, "others_present": [], "known": 2}
    assert report["packages"]["numpy"]
    assert [folder["writable"] for folder in report["folders"]] == [True, True]
    assert mien("doctor") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "All is well."
    small.unlink()
    assert mien("doctor") == 0
    assert "mien models fetch" in capsys.readouterr().out


def test_doctor_fails_when_nothing_can_work(mien: Mien, program: FakeProgram, capsys: Capture) -> None:
    program.opens = False
    assert mien("doctor") == 1
    out, err = capsys.readouterr()
    assert "broken" in out
    assert err == "mien: No execution provider opens.\n"


def test_a_part_that_cannot_be_examined_does_not_stop_the_doctor(
    mien: Mien, program: FakeProgram, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise MienError("The thing is broken.")

    monkeypatch.setattr(program, "encoders", fail)
    assert mien("doctor", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["encoders"] == {"error": "The thing is broken."}
    assert report["providers"]
    assert any("encoders cannot be examined: The thing is broken." in item for item in report["problems"])
