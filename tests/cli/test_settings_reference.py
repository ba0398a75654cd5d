from __future__ import annotations

from pathlib import Path

from mien.cli.settings_reference import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_the_page_of_settings_is_up_to_date() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == render(), "run: python -m mien.cli.settings_reference docs/settings.md"
