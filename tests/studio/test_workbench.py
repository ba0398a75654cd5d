from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Page, expect

from tests.studio.bench import (
    add_sources,
    await_preview,
    check_access,
    choose_by_keyboard,
    detail,
    run,
    set_target,
    tab_to,
)
from tests.studio.conftest import Media

pytestmark = pytest.mark.timeout(240)


def test_a_picture_is_swapped_downloaded_and_verified(page: Page, media: Media, tmp_path: Path) -> None:
    add_sources(page, media.woman)
    set_target(page, media.officer)
    expect(await_preview(page)).to_contain_text("1 face")
    check_access(page)
    slider = page.get_by_role("slider", name="Compare before and after")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", "48")
    run(page)
    shown = page.get_by_test_id("result")
    page.wait_for_function("image => image.naturalWidth > 0", arg=shown.element_handle())
    with page.expect_download() as coming:
        page.get_by_role("region", name="Result").get_by_role("link", name="Download").click()
    file = tmp_path / "swapped.jpg"
    coming.value.save_as(file)
    page.get_by_role("link", name="Verify").click()
    page.get_by_label("Drop a file to check").and_(page.locator("input")).set_input_files(file)
    expect(page.get_by_test_id("verdict")).to_have_attribute("data-verdict", "marked")
    page.get_by_label("Drop a file to check").and_(page.locator("input")).set_input_files(media.woman)
    expect(page.get_by_test_id("verdict")).to_have_attribute("data-verdict", "unmarked")


def test_two_faces_get_two_sources(page: Page, media: Media) -> None:
    add_sources(page, media.woman, media.officer)
    set_target(page, media.group)
    expect(await_preview(page)).to_contain_text("2 faces")
    for face, source in ((1, "Source 1: woman.jpg"), (2, "Source 2: officer.jpg")):
        page.locator(".who").get_by_role("button", name=f"Face {face}").click()
        page.get_by_role("button", name=source).click()
        page.keyboard.press("Escape")
    expect(page.get_by_role("radio", name="Chosen")).to_be_checked()
    expect(page.get_by_role("button", name="Face 1: replaced by woman.jpg")).to_be_visible()
    expect(page.get_by_role("button", name="Face 2: replaced by officer.jpg")).to_be_visible()
    with page.expect_request("**/jobs") as asked:
        run(page)
    step = asked.value.post_data_json["steps"][0]
    assert [len(item["sources"]) for item in step["face_map"]] == [1, 1]
    assert step["face_map"][0]["sources"] != step["face_map"][1]["sources"]
    assert "face_selector_mode" not in step["options"]


def test_a_video_is_trimmed_and_swapped(page: Page, media: Media) -> None:
    add_sources(page, media.woman)
    set_target(page, media.clip)
    await_preview(page)
    expect(page.get_by_text("Faces in frame 0")).to_be_visible()
    start = page.get_by_role("slider", name="Start of the part")
    start.press("Shift+ArrowRight")
    page.get_by_role("slider", name="End of the part").press("Shift+ArrowLeft")
    expect(start).to_have_attribute("aria-valuenow", "25")
    start.press("ArrowLeft")
    page.get_by_role("button", name="Previous frame").click()
    expect(page.get_by_text("Faces in frame 23")).to_be_visible()
    with page.expect_request("**/jobs") as asked:
        run(page)
    options = asked.value.post_data_json["steps"][0]["options"]
    assert (options["trim_frame_start"], options["trim_frame_end"]) == (24, 26)
    page.wait_for_function("() => document.querySelectorAll('.result video')[1].duration > 0.05")


def test_processors_are_ordered_and_their_forms_say_what_changed(page: Page, media: Media) -> None:
    set_target(page, media.officer)
    page.get_by_role("button", name="Add a processor").click()
    page.get_by_role("button", name="Anonymise faces").click()
    page.get_by_label("Strength", exact=True).and_(page.locator("input[type=text]")).fill("0,3")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 changed")).to_be_visible()
    page.get_by_role("button", name="Move Anonymise faces:").press("ArrowUp")
    names = page.locator("ol .title .clip")
    expect(names).to_have_text(["Anonymise faces", "Swap faces"])
    expect(page.get_by_role("button", name="Move Anonymise faces:")).to_be_focused()
    page.get_by_role("button", name="Remove Swap faces").click()
    await_preview(page)
    page.get_by_role("button", name="Presets").click()
    page.get_by_label("Name of the preset").fill("Hide")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.get_by_text("1 changed")).to_be_visible()
    page.get_by_role("button", name="Remove Anonymise faces").click()
    page.get_by_role("button", name="Presets").click()
    page.get_by_role("button", name="Hide", exact=True).click()
    expect(names).to_have_text(["Anonymise faces"])


def test_everything_by_keyboard(page: Page, media: Media) -> None:
    # From the first listener on, choosers are caught; that takes a moment, which a slow machine would not have later.
    page.on("filechooser", lambda chooser: None)
    expect(page.get_by_role("heading", name="Drop a picture or video")).to_be_visible()
    tab_to(page, "Skip to content")
    page.keyboard.press("Enter")

    def menu() -> None:
        tab_to(page, "Add a source")
        page.keyboard.press("Enter")
        expect(page.locator(".item").first).to_be_focused()

    choose_by_keyboard(page, menu, media.woman)
    expect(page.get_by_test_id("source")).to_have_count(1)
    choose_by_keyboard(page, lambda: tab_to(page, "Choose a file"), media.group)
    await_preview(page)
    page.evaluate("() => document.getElementById('main').focus()")
    tab_to(page, "Face 2")
    page.keyboard.press("Enter")
    expect(page.locator(".item").first).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Face 2: replaced by woman.jpg")).to_be_focused()
    tab_to(page, "Compare before and after")
    page.keyboard.press("End")
    tab_to(page, "Swap faces")
    page.keyboard.press("Enter")
    expect(page.locator("ol").get_by_label("Model", exact=True)).to_be_visible()
    page.keyboard.press("Enter")
    tab_to(page, "Run")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Result")).to_be_visible()
    tab_to(page, "Use as target")
    page.evaluate("() => document.querySelector('header.top a').focus()")
    tab_to(page, "Jobs")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Swap faces").first).to_be_visible()
    tab_to(page, "Swap faces")
    page.keyboard.press("Enter")
    detail(page, "completed")
