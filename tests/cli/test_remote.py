"""``mien remote`` against a real service of stand-ins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.cli.main import run
from mien.cli.program import Program
from tests.pipeline.fakes import PROCESSORS
from tests.server.served import Served, face_png, served

Capture = pytest.CaptureFixture[str]


class Known(Program):
    """A program whose processors are those of the service."""

    def processors(self) -> Any:
        return PROCESSORS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("remote")) as found:
        yield found


@pytest.fixture
def remote(place: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_URL", str(place.client.base_url).replace("/api/v1/", ""))
    Path("t.png").write_bytes(face_png())

    def remote(*words: str) -> int:
        return run(["remote", *words], Known())

    return remote


def job_of(capsys: Capture) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out))


def test_run_sends_waits_and_writes(remote: Any, capsys: Capture) -> None:
    words = ("--processors", "inverter", "-o", "out.png", "--priority", "1")
    assert remote("run", "t.png", *words) == 0
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")
    assert "out.png: job_" in capsys.readouterr().out
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["out.png", "t.png"]


def test_nobody_waits_when_told_so(remote: Any, capsys: Capture) -> None:
    assert remote("run", "t.png", "--processors", "inverter", "--detach", "--json") == 0
    id = job_of(capsys)["id"]
    assert remote("wait", id, "-o", "late.png", "--json") == 0
    job = job_of(capsys)
    assert (job["status"], job["steps"][0]["processors"]) == ("completed", ["inverter"])
    assert Path("late.png").is_file()
    assert remote("show", id) == 0
    assert f"{id}: completed" in capsys.readouterr().out
    assert remote("jobs", "--status", "completed") == 0
    assert id in capsys.readouterr().out
    assert remote("delete", id) == 0
    assert remote("show", id) == 1
    assert f"There is no job {id}" in capsys.readouterr().err


def test_a_failed_job_ends_with_its_own_exit_code(remote: Any, place: Served, capsys: Capture) -> None:
    asset = place.upload()
    id = place.submit(processors=["inverter"], target=asset, resolution="1x1")["id"]
    assert remote("wait", id, "-o", "out.png") == 10
    assert "less than a quarter" in capsys.readouterr().err
    assert not Path("out.png").exists()
    assert remote("jobs", "--status", "failed", "--json") == 0
    assert id in [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]]
    assert remote("retry", id) == 0
    assert remote("wait", id) == 10


def test_a_job_that_ended_cannot_be_canceled(remote: Any, capsys: Capture) -> None:
    assert remote("run", "t.png", "--processors", "inverter", "--detach", "--json") == 0
    id = job_of(capsys)["id"]
    assert remote("wait", id) == 0
    capsys.readouterr()
    assert remote("cancel", id) == 1
    assert "completed" in capsys.readouterr().err


def test_the_service_says_how_it_is(remote: Any, capsys: Capture) -> None:
    assert remote("health") == 0
    assert "database" in capsys.readouterr().out
    assert remote("models") == 0
    assert "face_mesh" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "t.png"), 2, "no output file"),
        (("run", "none.png", "-o", "o.png"), 11, "none.png does not exist"),
        (("run", "-o", "o.png"), 2, "One target is needed"),
        (("show",), 2, "One job is needed"),
        (("show", "x", "--url", "nowhere"), 2, "not the address of a service"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    remote: Any, capsys: Capture, words: tuple[str, ...], code: int, said: str
) -> None:
    assert remote(*words) == code
    assert said in capsys.readouterr().err


def test_a_service_that_is_away(remote: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.client.sync.time.sleep", lambda seconds: None)
    assert remote("show", "x", "--url", "http://127.0.0.1:1") == 25
    assert "The service at http://127.0.0.1:1 cannot be reached" in capsys.readouterr().err
