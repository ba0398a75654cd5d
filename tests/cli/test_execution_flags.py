"""Flags that say where and how models run reach the settings of the engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cli.conftest import FakeProgram

Mien = Callable[..., int]


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--execution-providers cuda cpu", "providers", ("cuda", "cpu")),
        ("--execution-device-ids 0 1", "device_ids", (0, 1)),
        ("--execution-thread-count 5", "threads", 5),
        ("--precision fast", "precision", "fast"),
        ("--video-memory-strategy moderate", "memory_strategy", "moderate"),
        ("--system-memory-limit 0", "memory_strategy", "tolerant"),
    ],
)
@pytest.mark.parametrize("command", ["edit", "headless-run"])
def test_flags_reach_the_settings(
    mien: Mien, program: FakeProgram, command: str, words: str, name: str, value: object
) -> None:
    files = ("t.png", "-o", "o.png") if command == "edit" else ("-t", "t.png", "-o", "o.png")
    mien(command, *files, *words.split())  # the engine of these tests writes no output
    assert getattr(program.engines[0].settings, name) == value


@pytest.mark.parametrize(
    "words",
    [
        "--precision half",
        "--video-memory-strategy lax",
        "--execution-providers metal",
        "--system-memory-limit 999",
        "--execution-device-ids -1",
    ],
)
def test_other_values_are_refused(mien: Mien, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("edit", "t.png", "-o", "o.png", *words.split()) == 2
    assert capsys.readouterr().err.startswith("mien: ")


def test_the_memory_limit_is_set(mien: Mien, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr("mien.cli.running.limit_memory", limits.append)
    assert mien("edit", "t.png", "-o", "o.png", "--system-memory-limit", "6") == 0
    assert limits == [6]
