from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.cli.main import run
from mien.errors import FetchError, NoFace, OptionError, UnsafeInput
from mien.settings import Settings
from tests.cli.conftest import FakeProgram
from tests.fetch.servers import Server, answer, png, serving

Mien = Callable[..., int]


class OnlineProgram(FakeProgram):
    """The program of stand-ins, allowed to download."""

    def settings(self) -> Settings:
        return super().settings().model_copy(update={"offline": False})


@pytest.fixture
def program(program: FakeProgram) -> FakeProgram:
    return OnlineProgram(program.folder)


@pytest.fixture
def mien(program: FakeProgram) -> Mien:
    return lambda *words: run([str(word) for word in words], program)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        monkeypatch.setenv("MIEN_FETCH_ALLOWED_NETWORKS", "127.0.0.1/32")
        monkeypatch.setenv("MIEN_FETCH_PORTS", str(server.port))
        yield server


def work(program: FakeProgram) -> list[Path]:
    return sorted((program.folder / "cache" / "work").rglob("*"))


def test_inputs_are_fetched_and_removed_afterwards(mien: Mien, program: FakeProgram, server: Server) -> None:
    seen: list[tuple[bytes, bytes]] = []
    program.behave = lambda step, *rest: seen.append((step.sources[0].read_bytes(), step.target.read_bytes()))
    source, target = server.add("//me.jpg?key=1", answer(png(2, 3))), server.add("/you", answer(png(4, 5)))
    assert mien("swap", source, target, "-o", "out.png") == 0
    assert seen == [(png(2, 3), png(4, 5))]
    assert program.step.target.suffix == ".png"
    assert work(program) == []


def test_files_and_urls_mix_and_nothing_is_fetched_twice(
    mien: Mien, program: FakeProgram, server: Server
) -> None:
    url = server.add("/a", answer(png()))
    assert mien("swap", "a.jpg", "-s", url, "-t", url, "-o", "out.png") == 0
    first, second = sorted(program.step.sources, key=lambda path: path != Path("a.jpg"))
    assert first == Path("a.jpg")
    assert second == program.step.target
    assert len(server.requests) == 1


def test_the_same_content_is_the_same_file_to_a_run_that_goes_on(
    mien: Mien, program: FakeProgram, server: Server
) -> None:
    times: list[float] = []
    program.behave = lambda step, *rest: times.append(step.target.stat().st_mtime)
    for path, content in (("/a", png(2, 3)), ("/b", png(2, 3)), ("/c", png(3, 2))):
        assert mien("edit", server.add(path, answer(content)), "-o", "out.png") == 0
    assert times[0] == times[1] != times[2]


def test_errors_name_the_url(
    mien: Mien, program: FakeProgram, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(step: Any, *rest: object) -> None:
        raise NoFace(f"No face was found in {step.target}.")

    program.behave = refuse
    url = server.add("/a.png?key=secret", answer(png()))
    assert mien("edit", url, "-o", "out.png", "--json") == NoFace.exit_code
    said = json.loads(capsys.readouterr().out)["error"]
    assert said == {"code": "no_face", "message": f"No face was found in {server.url('/a.png')}."}
    assert work(program) == []


def test_what_cannot_be_fetched_ends_the_command(
    mien: Mien, program: FakeProgram, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.add("/", answer(b"", status="503 Later"))
    assert mien("edit", url, "-o", "out.png") == FetchError.exit_code
    assert mien("edit", f"http://10.0.0.1:{server.port}/a.png", "-o", "out.png") == UnsafeInput.exit_code
    assert "The host 10.0.0.1 does not lead to a public address" in capsys.readouterr().err
    assert not any(engine.steps for engine in program.engines)
    assert work(program) == []


def test_nothing_is_fetched_offline(
    program: FakeProgram, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    offline = FakeProgram(program.folder)
    url = server.add("/", answer(png()))
    assert run(["edit", url, "-o", "out.png"], offline) == OptionError.exit_code
    assert "MIEN_OFFLINE forbids downloads" in capsys.readouterr().err
    assert not server.requests


def test_an_output_is_a_file(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("edit", "a.png", "-o", "https://example.com/b.png") == OptionError.exit_code
    assert "The output is a file of this machine" in capsys.readouterr().err


def test_the_limit_of_pixels_is_that_of_the_engine(
    mien: Mien, program: FakeProgram, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        program, "settings", lambda: Settings(cache_dir=program.folder / "cache", max_pixels=5)
    )
    assert mien("edit", server.add("/", answer(png(3, 2))), "-o", "out.png") == 14
