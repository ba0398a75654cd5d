from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Page, expect

from tests.studio.bench import add_sources, check_access, detail
from tests.studio.conftest import Media

pytestmark = pytest.mark.timeout(240)


def test_workflows_of_comfyui_are_steps_with_a_form(page: Page, media: Media) -> None:
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name="New job").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name="Workflow", exact=True).check(force=True)
    dialog.get_by_text("Larger picture", exact=True).click()
    expect(dialog.get_by_role("status")).to_have_text("Picture is still missing.")
    dialog.locator("input[type=file]").set_input_files(media.officer)
    expect(dialog.get_by_role("radio", name="officer.jpg")).to_be_checked()
    factor = dialog.get_by_role("textbox", name="Factor")
    factor.fill("1.5")
    factor.press("Enter")
    dialog.get_by_label("Method").select_option("area")
    check_access(page)
    dialog.get_by_role("button", name="Save as draft").click()
    shown = detail(page, "drafted")
    page.get_by_role("button", name="Edit").click()
    expect(dialog.locator("input:checked + .pic img")).to_have_count(1)
    expect(factor).to_have_value("1.5")
    dialog.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Add a step").click()
    dialog.get_by_role("radio", name="Workflow", exact=True).check(force=True)
    dialog.get_by_text("Larger picture", exact=True).click()
    expect(dialog.get_by_role("radio", name="Result of step 1")).to_be_checked()
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("works on the result of step 1")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    shown = detail(page, "completed")
    # 512 x 600, by 1.5 and then by 2.
    expect(shown.get_by_text("768 × 900")).to_be_visible()
    expect(shown.get_by_text("1536 × 1800")).to_be_visible()


def test_every_source_goes_onto_every_target(page: Page, media: Media, tmp_path: Path) -> None:
    add_sources(page, media.woman, media.officer)
    page.get_by_role("button", name="Other ways to run").click()
    page.get_by_role("button", name="Run for many targets").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Add: Targets").and_(page.locator("input")).set_input_files(
        [media.woman, media.officer, media.group]
    )
    expect(dialog.get_by_role("button", name="Start 3 jobs")).to_be_enabled()
    dialog.get_by_role("checkbox", name="group.jpg").set_checked(False, force=True)
    dialog.get_by_role("switch").click()
    expect(dialog.get_by_role("status")).to_contain_text("2 targets × 2 sources = 4 jobs · about")
    check_access(page)
    dialog.get_by_role("button", name="Start 4 jobs").click()
    shown = page.get_by_test_id("batch")
    expect(page.locator("[data-testid=batch][data-status=completed]")).to_be_visible()
    expect(shown.get_by_text("4 Done")).to_be_visible()
    expect(shown.get_by_role("listitem")).to_have_count(4)
    with page.expect_download() as coming:
        shown.get_by_role("link", name="Download results").click()
    file = tmp_path / "all.zip"
    coming.value.save_as(file)
    with zipfile.ZipFile(file) as archive:
        assert sum(name.endswith(".jpg") for name in archive.namelist()) == 4
    check_access(page)
