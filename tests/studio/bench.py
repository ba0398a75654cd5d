"""What a person does on the pages, by the names that are read out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

expect.set_options(timeout=60_000)

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

SETTLED = """() => Promise.allSettled(
    document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < 1e5).map((one) => one.finished)
)"""
"""Colours that are on their way to others have any contrast; what turns for ever is not waited for."""


def add_sources(page: Page, *files: Path) -> None:
    """Put pictures to the sources, and wait until their faces are known."""
    page.get_by_label("Add a source").and_(page.locator("input")).set_input_files(list(files))
    expect(page.get_by_test_id("source")).to_have_count(len(files))
    for source in page.get_by_test_id("source").all():
        expect(source.locator(".busy")).to_have_count(0)


def set_target(page: Page, file: Path) -> None:
    """Choose the target, and wait for the preview where there can be one."""
    page.locator(".stage input[type=file]").set_input_files(file)


def await_preview(page: Page) -> Locator:
    """The line that says that the preview is ready."""
    ready = page.get_by_test_id("preview-ready")
    expect(ready).to_be_visible()
    return ready


def run(page: Page) -> None:
    """Start, and wait for the result."""
    page.get_by_role("button", name="Run").first.click()
    expect(page.get_by_role("region", name="Result")).to_be_visible()


def detail(page: Page, status: str) -> Locator:
    """The page of a job, once the job is in that state."""
    shown = page.locator(f"[data-testid=job-detail][data-status={status}]")
    expect(shown).to_be_visible()
    return shown


def check_access(page: Page) -> None:
    """Nothing that keeps people out, as far as a program can tell."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: cd web && npm install")
    # Through the debugger, since the page itself may run no script that is not the studio's.
    page.evaluate(AXE.read_text())
    page.evaluate(SETTLED)
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    serious = [item for item in found if item["impact"] in ("serious", "critical")]
    told = [f"{item['id']}: {node['html'][:160]}" for item in serious for node in item["nodes"]]
    assert not told, "\n".join(told)


def tab_to(page: Page, name: str, limit: int = 80) -> None:
    """Press Tab until what is focused has that name."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        said = page.evaluate(
            "() => (document.activeElement.ariaLabel || document.activeElement.innerText || '').trim()"
        )
        if said.startswith(name):
            return
    raise AssertionError(f"{name} cannot be reached by keyboard")


def choose_by_keyboard(page: Page, reach: Callable[[], None], file: Path, tries: int = 3) -> None:
    """Go to what opens the file chooser, press Enter, and choose.

    Browsers open a chooser only within some seconds of the key, which a machine under load may miss; people press
    again then.
    """
    for left in reversed(range(tries)):
        reach()
        try:
            with page.expect_file_chooser(timeout=20_000) as chooser:
                page.keyboard.press("Enter")
        except TimeoutError:
            if not left:
                raise
            continue
        chooser.value.set_files(file)
        return
