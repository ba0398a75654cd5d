from __future__ import annotations

import zlib

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Page, expect

from mien.models.catalogue import load_catalogue
from tests.models.hub_server import Hub
from tests.studio.bench import add_sources, await_preview, check_access, detail, set_target
from tests.studio.conftest import Media

pytestmark = pytest.mark.timeout(240)

MODEL = "fan_68_5"
PLACE = "/facefusion/facefusion-assets/releases/download/models-3.0.0"


def test_a_job_is_canceled_and_run_again(page: Page, media: Media) -> None:
    add_sources(page, media.woman)
    set_target(page, media.clip)
    await_preview(page)
    page.get_by_role("button", name="Run").first.click()
    page.get_by_role("button", name="Open the job").click()
    page.get_by_role("button", name="Cancel job").click()
    detail(page, "canceled")
    page.get_by_role("button", name="Run again").click()
    shown = detail(page, "completed")
    expect(shown.locator("video")).to_have_count(1)
    shown.get_by_text("Log").click()
    expect(shown.locator("pre")).to_contain_text("completed")
    check_access(page)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The job is gone.")).to_be_visible()


def test_a_job_of_two_steps_is_composed(page: Page, media: Media) -> None:
    add_sources(page, media.woman)
    set_target(page, media.officer)
    await_preview(page)
    page.get_by_role("button", name="Other ways to run").click()
    page.get_by_role("button", name="Save as a draft job").click()
    page.get_by_role("link", name="Open the job").click()
    detail(page, "drafted")
    page.get_by_role("button", name="Add a step").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Remove Swap faces").click()
    dialog.get_by_role("button", name="Add a processor").click()
    dialog.get_by_role("button", name="Anonymise faces").click()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("works on the result of step 1")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    shown = detail(page, "completed")
    expect(shown.get_by_role("link", name="Download")).to_have_count(2)


def test_a_model_comes_from_the_hub_and_goes(page: Page, hub: Hub) -> None:
    file = load_catalogue()[MODEL].files[0]
    assert file.size is not None
    assert file.crc32 is not None
    hub.add(f"{PLACE}/{file.name}", _with_crc32(file.size, int(file.crc32, 16)))
    hub.add(f"{PLACE}/{MODEL}.hash", file.crc32.encode())
    page.get_by_role("link", name="Models").click()
    page.get_by_label("Search models").fill(MODEL)
    row = page.locator(f"[data-model={MODEL}]")
    row.get_by_role("button", name="Download").click()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row.get_by_role("button", name="Download")).to_be_visible()
    assert f"{PLACE}/{MODEL}.onnx" in hub.paths()


def _with_crc32(size: int, wanted: int) -> bytes:
    """Bytes that pass for a file whose CRC-32 is known: zeros, and four bytes that make it come out."""
    start = bytes(size - 4)
    table = [_crc_of_byte(value) for value in range(256)]
    by_top = {entry >> 24: index for index, entry in enumerate(table)}
    state = wanted ^ 0xFFFFFFFF
    for _ in range(4):
        index = by_top[state >> 24]
        state = ((state ^ table[index]) << 8 | index) & 0xFFFFFFFF
    content = start + (state ^ zlib.crc32(start) ^ 0xFFFFFFFF).to_bytes(4, "little")
    assert zlib.crc32(content) == wanted
    return content


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value


def test_the_camera_comes_back_changed(page: Page, media: Media) -> None:
    add_sources(page, media.woman)
    page.get_by_role("link", name="Live", exact=True).click()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("canvas")).to_have_attribute("data-state", "live")
    expect(page.get_by_test_id("latency")).to_contain_text("ms")
    check_access(page)
    with page.expect_download() as coming:
        page.get_by_role("button", name="Snapshot").click()
    assert coming.value.suggested_filename.endswith(".png")
    page.get_by_role("button", name="Record").click()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Stop recording").click()
    assert coming.value.suggested_filename.endswith((".webm", ".mp4"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("canvas")).to_have_attribute("data-state", "idle")


def test_the_machine_is_measured(page: Page) -> None:
    page.get_by_role("link", name="System").click()
    panel = page.get_by_role("region", name="Benchmark", exact=True)
    for size in ("240p", "720p"):
        expect(panel.get_by_role("button", name=size)).to_have_attribute("aria-pressed", "true")
    panel.get_by_role("button", name="720p").click()
    panel.get_by_label("Runs for each").fill("1")
    panel.get_by_role("button", name="Measure", exact=True).click()
    expect(panel.get_by_role("progressbar")).to_be_visible()
    cells = panel.get_by_test_id("benchmark").locator("tbody tr").first.locator("th, td")
    expect(cells.first).to_have_text("240p")
    expect(panel.get_by_role("button", name="Measure", exact=True)).to_be_enabled()
    assert float(cells.last.inner_text()) > 0
    check_access(page)
    page.get_by_role("link", name="Jobs").first.click()
    page.get_by_role("link", name="Benchmark").first.click()
    detail(page, "completed")
    check_access(page)


def test_settings_change_language_and_theme_and_make_keys(page: Page) -> None:
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("radio", name="Deutsch").check(force=True)
    expect(page.get_by_role("heading", name="Einstellungen", exact=True)).to_be_visible()
    assert page.evaluate("() => document.documentElement.lang") == "de"
    page.get_by_role("radio", name="Dunkel").check(force=True)
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.get_by_role("radio", name="Hell").check(force=True)
    assert ground != page.evaluate("() => getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_page_lets_everybody_in(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for place in ("Workbench", "Jobs", "Models", "Verify", "System", "Settings"):
        page.get_by_role("link", name=place, exact=True).first.click()
        expect(page.get_by_role("heading", level=1).first).to_be_attached()
        if place == "Models":
            expect(page.get_by_test_id("model").first).to_be_visible()
        if place == "System":
            expect(page.get_by_role("heading", name="Benchmark")).to_be_visible()
        check_access(page)
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_role("link", name="Workbench").first.click()
    expect(page.get_by_role("heading", name="Drop a picture or video")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    check_access(page)
