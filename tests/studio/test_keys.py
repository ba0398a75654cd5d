from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Locator, Page, expect

from tests.studio.bench import check_access
from tests.studio.conftest import PATIENCE, serve

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A visitor of a service that has no key yet and only answers."""
    with serve(tmp_path, command="api") as address:
        context = browser.new_context(locale="en-GB", base_url=address)
        context.set_default_timeout(PATIENCE)
        context.add_init_script("localStorage.setItem('mien.tour', 'seen')")
        page = context.new_page()
        page.goto("/#/settings")
        yield page
        context.close()


def secret_of(page: Page) -> str:
    """What the dialog shows, which is then closed for good."""
    shown = page.get_by_test_id("secret")
    expect(shown).to_have_text(re.compile(r"^mien_\w+"))
    secret = shown.inner_text()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_text(secret)).to_have_count(0)
    return secret


def make_key(page: Page, name: str) -> str:
    page.get_by_role("button", name="New key").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    check_access(page)
    page.get_by_role("dialog").get_by_role("button", name="New key").click()
    return secret_of(page)


def test_keys_are_made_replaced_revoked_and_signed_in_with(page: Page) -> None:
    expect(page.get_by_text("This service asks nobody for a key.")).to_be_visible()
    mine = make_key(page, "me")
    expect(page.get_by_text("Signed in as")).to_be_visible()
    guest = make_key(page, "guest")
    confirm(page, "Replace guest")
    assert secret_of(page) not in (mine, guest)
    keys = page.get_by_test_id("key")
    expect(keys).to_have_count(3)
    confirm(page, "Revoke guest")
    expect(keys.get_by_text("revoked")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, guest[:-4] + "0000")
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page, mine)
    expect(page.get_by_text("Signed in as")).to_be_visible()
    # The network is away for a while.
    page.get_by_role("link", name="System").click()
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    page.get_by_role("link", name="Jobs").click()
    page.context.set_offline(True)
    page.get_by_role("link", name="System").click()
    expect(page.get_by_text("The service does not answer.")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    expect(page.get_by_text("The service does not answer.")).to_have_count(0)
    # The session ends while somebody works.
    page.get_by_role("link", name="Verify").click()
    page.context.clear_cookies()
    page.get_by_role("link", name="System").click()
    sign_in(page, mine)
    expect(page.get_by_role("heading", name="System", level=1)).to_be_visible()


def confirm(page: Page, action: str) -> None:
    page.get_by_role("button", name=action).first.click()
    button: Locator = page.get_by_role("dialog").get_by_role("button", name=action.split()[0], exact=True)
    button.click()


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
