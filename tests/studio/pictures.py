"""Takes the pictures of docs/studio.md: ``python -m pytest tests/studio/pictures.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Page, expect

from tests.studio.bench import add_sources, await_preview, set_target
from tests.studio.conftest import PATIENCE, Media

pytestmark = pytest.mark.timeout(240)

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SIZES = {390: 844, 1280: 800, 1920: 1080}
"""Widths and heights of screens, in pixels."""
MOST = 150_000
"""Bytes of a picture."""


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", SIZES)
def test_take(browser: Browser, address: str, media: Media, width: int, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": SIZES[width]},
        locale="en-GB",
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        has_touch=width < 600,
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script("localStorage.setItem('mien.tour', 'seen')")
    page = context.new_page()
    page.goto(address)
    _work(page, media)
    (FOLDER / f"studio-{width}-{scheme}.jpg").write_bytes(_picture(page))
    context.close()


def test_take_workflow(browser: Browser, address: str, media: Media) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme="dark", reduced_motion="reduce", locale="en-GB"
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script("localStorage.setItem('mien.tour', 'seen')")
    page = context.new_page()
    page.goto(address)
    _work(page, media)
    page.get_by_role("button", name="Other ways to run").click()
    page.get_by_role("button", name="Run a workflow").click()
    page.get_by_text("Face swap, then a larger picture").click()
    page.wait_for_load_state("networkidle")
    (FOLDER / "studio-workflow.jpg").write_bytes(_picture(page))
    context.close()


def _work(page: Page, media: Media) -> None:
    """Two people, each to be replaced by the other."""
    add_sources(page, media.woman, media.officer)
    set_target(page, media.group)
    await_preview(page)
    for face, source in ((1, "Source 1: woman.jpg"), (2, "Source 2: officer.jpg")):
        page.locator(".who").get_by_role("button", name=f"Face {face}").click()
        page.get_by_role("button", name=source).click()
        page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Face 2: replaced by officer.jpg")).to_be_visible()
    expect(await_preview(page)).to_contain_text("2 faces")
    page.wait_for_load_state("networkidle")
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")


def _picture(page: Page) -> bytes:
    for quality in range(86, 30, -8):
        content = page.screenshot(type="jpeg", quality=quality, animations="disabled")
        if len(content) < MOST:
            return content
    raise AssertionError(f"the picture has more than {MOST} bytes in any quality")
