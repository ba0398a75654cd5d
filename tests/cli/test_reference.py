from __future__ import annotations

import re
from pathlib import Path

import pytest

from mien.cli.app import build_app
from mien.cli.program import Program, processor_groups
from mien.cli.reference import render
from mien.errors import MienError
from tests.cli.conftest import FakeProgram

PAGE = Path(__file__).resolve().parents[2] / "docs" / "options.md"


def test_the_page_of_options_is_up_to_date() -> None:
    program = Program()
    if not program.processors():
        pytest.skip("the package is not installed, so that its processors are not known")
    assert processor_groups(program).keys() == program.processors().keys(), "a processor cannot be loaded"
    assert PAGE.read_text(encoding="utf-8") == render(program), (
        "run: python -m mien.cli.reference docs/options.md"
    )


def test_a_row_says_all_there_is_to_know(program: FakeProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(program.processors()["painter"]), "__module__", "mien.processors.painter")
    text = render(program)
    assert "| `--painter-weight` | number, 0 to 1 | `0.5` | How thick. |" in text
    assert "| `--painter-areas` | several: `hair`, `mouth` | `hair mouth` | Where. |" in text
    assert "| `--[no-]painter-varnish` | on or off | `false` | Shine. |" in text
    assert "| `--painter-secret` * | whole number, at least 0 | `1` | Rarely needed. |" in text
    assert "| `-o` `--output-path` | text |  | Where the result goes. |" in text
    assert "ini section `[output_creation]`" in text
    assert "--writer-words" not in text


def test_the_page_of_the_command_line_has_every_exit_code() -> None:
    text = (PAGE.parent / "command-line.md").read_text(encoding="utf-8")
    written = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}

    def codes(error: type[MienError]) -> set[int]:
        return {error.exit_code}.union(*(codes(child) for child in error.__subclasses__()))

    assert written == codes(MienError) | {0}


def test_the_page_of_the_command_line_has_every_command(program: FakeProgram) -> None:
    text = (PAGE.parent / "command-line.md").read_text(encoding="utf-8")
    for name in build_app(program).commands:
        assert f"`mien {name}" in text
