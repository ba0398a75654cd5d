from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mien.cli.app import build_app
from mien.cli.commands.steps import STEP_COMMANDS
from tests.cli.conftest import FakeProgram

Mien = Callable[..., int]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def _help(mien: Mien, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert mien(*words) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",)])
def test_the_program_explains_itself(
    mien: Mien, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    text = _help(mien, capsys, *words)
    for name in (*(about.name for about in STEP_COMMANDS), "faces", "models", "doctor", "demo", "options"):
        assert re.search(rf"│ {name} +\w", text)


def test_flags_stand_in_the_panel_of_their_group(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(mien, capsys, "edit", "-h")
    painter = text[text.index("─ Painter ─") :]
    painter = painter[: painter.index("╰")]
    for flag in ("model oil|chalk_2b", "weight NUMBER", "color INT...", "areas hair|mouth..."):
        assert f"--painter-{flag} " in painter
    assert "--[no-]painter-varnish" in painter
    assert "default: 0.5" in painter
    assert "TARGET -o OUTPUT" in text


def test_rare_options_and_those_of_other_processors_are_folded(
    mien: Mien, capsys: pytest.CaptureFixture[str]
) -> None:
    short = _help(mien, capsys, "edit", "-h")
    everything = _help(mien, capsys, "edit", "--help-all")
    for flag in ("--painter-secret", "--writer-words", "--processors", "--temp-path"):
        assert flag not in short
        assert flag in everything


def test_no_flag_is_cut_short(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(mien, capsys, "edit", "--help-all")
    assert "--execution-thread-count INT" in text
    assert not re.search(r"--[\w-]*…", text)
    assert max(len(line) for line in text.splitlines()) <= 80


def test_the_help_of_groups(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("models",), ("models", "-h")):
        assert "verify" in _help(mien, capsys, *words)
    assert "--family NAME" in _help(mien, capsys, "models", "list", "-h")


def test_version(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--version", "-v"):
        assert re.fullmatch(r"mien \d+\.\d+\.\d+\S*\n", _help(mien, capsys, flag))


def test_two_apps_share_nothing(program: FakeProgram) -> None:
    first, second = build_app(program), build_app(program)
    assert first.commands.keys() == second.commands.keys()
    assert all(first.commands[name] is not second.commands[name] for name in first.commands)


def test_completion_offers_flags_and_choices(
    mien: Mien, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def complete(line: str) -> str:
        monkeypatch.setenv("_MIEN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        assert mien() == 0
        return capsys.readouterr().out

    assert "anonymize" in complete("mien an")
    assert "--painter-weight" in complete("mien edit --painter-w")
    assert complete("mien edit t --painter-model ").split() == ["oil", "chalk_2b"]
