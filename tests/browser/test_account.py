"""One's own account: sessions ended here and there, passkeys, password, signing keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, screenshot, watched
from tests.browser.conftest import dashboard_url
from tests.browser.people import OWNER_PASSWORD, add_authenticator, enter, sign_in
from tests.interaction.fixtures import Fleet

pytestmark = pytest.mark.usefixtures("packages")
OTHER_PASSWORD = "another horse, another battery"


@pytest.fixture(scope="module")
def nora(owned_fleet: Fleet) -> str:
    """Somebody who looks after her own account, and manages a realm of her own."""
    owner = owned_fleet.system.owner
    owner.post("/realms", {"id": "norland"})
    link = owner.post("/invitations", {"role": "admin", "realm": "norland"})["link"]
    body = {"token": link.partition("#")[2], "name": "nora", "password": OWNER_PASSWORD}
    owner.post("/invitations/accept", body)
    return "nora"


@pytest.fixture
def page(browser: Browser, owned_fleet: Fleet, nora: str) -> Iterator[Page]:
    """Her account, by the menu behind her name."""
    url = dashboard_url(owned_fleet.system)
    with watched(browser, url) as (page, watch):
        watch.allowed += ["status of 40", "net::ERR_"]
        enter(page, url, nora)
        page.goto("/")
        page.get_by_role("button", name=nora).click()
        page.get_by_role("menuitem", name="Your account").click()
        expect(page.get_by_role("heading", name="Your account")).to_be_visible()
        yield page


def test_what_was_typed_outlives_a_session_that_was_ended_elsewhere(
    page: Page, browser: Browser, owned_fleet: Fleet, nora: str
) -> None:
    with watched(browser, dashboard_url(owned_fleet.system)) as (other, watch):
        watch.allowed += ["status of 401", "net::ERR_"]
        sign_in(other, nora)
        other.goto("/people/realms/norland")
        other.get_by_role("button", name="Edit").click()
        other.get_by_label("What it is for").fill("typed before the end")

        page.reload()
        page.get_by_role("button", name="End all others").click()
        page.get_by_role("dialog").get_by_role("button", name="End them").click()
        sessions = page.get_by_role("list", name="Sessions")
        expect(sessions.get_by_role("listitem")).to_have_count(1)
        expect(sessions).to_contain_text("this one")

        # Its stream of events ends with the session, so it asks before anybody clicks.
        asked = other.get_by_role("dialog", name="Your session has ended")
        expect(asked).to_be_visible(timeout=40_000)
        asked.get_by_label("Password").fill(OWNER_PASSWORD)
        asked.get_by_role("button", name="Sign in").click()
        expect(asked).to_be_hidden()
        expect(other.get_by_label("What it is for")).to_have_value("typed before the end")
        other.get_by_role("button", name="Save").click()
        expect(other.get_by_role("main").get_by_text("typed before the end")).to_be_visible()

        page.reload()
        sessions.get_by_role("button", name=re.compile("End the session")).click()
        expect(sessions.get_by_role("listitem")).to_have_count(1)


def test_a_passkey_is_added_and_removed(page: Page) -> None:
    add_authenticator(page)
    page.get_by_role("button", name="Add a passkey").click()
    passkeys = page.get_by_role("list", name="Passkeys")
    expect(passkeys.get_by_role("listitem")).to_have_count(1)
    passkeys.get_by_role("button", name=re.compile("Remove")).click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("None yet. A passkey signs you in")).to_be_visible()


def test_a_key_to_sign_with_is_made_here_and_ended(page: Page) -> None:
    page.get_by_role("button", name="Make one in this browser").click()
    keys = page.get_by_role("list", name="Signing keys")
    expect(keys).to_contain_text("this browser")
    keys.get_by_role("button", name=re.compile("End")).click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(keys).to_be_hidden()
    expect(page.get_by_role("button", name="Make one in this browser")).to_be_visible()


def test_a_password_is_changed_by_who_knows_the_one_before(page: Page, nora: str) -> None:
    new = page.get_by_label("New password")
    page.get_by_label("Current password").fill("not this one, surely")
    new.fill(OTHER_PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_contain_text("Not signed in")
    expect(new).to_have_value(OTHER_PASSWORD)
    page.get_by_label("Current password").fill(OWNER_PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The password is set")).to_be_visible()
    page.context.clear_cookies()
    sign_in(page, nora, OTHER_PASSWORD)
    restored = {"password": OWNER_PASSWORD, "current": OTHER_PASSWORD}
    token = page.request.get("/api/v1/me").json()["csrfToken"]
    headers = {"X-CSRF-Token": token, "Origin": str(page.evaluate("location.origin"))}
    assert page.request.put("/api/v1/me/password", headers=headers, data=restored).ok


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_there_shuts_people_out(
    browser: Browser, owned_fleet: Fleet, nora: str, axe: str, scheme: str
) -> None:
    url = dashboard_url(owned_fleet.system)
    for kind, size in (("wide", WIDE), ("phone", PHONE)):
        with watched(browser, url, size=size, scheme=scheme) as (page, _):
            enter(page, url, nora)
            page.goto("/account")
            expect(page.get_by_role("list", name="Sessions")).to_be_visible()
            expect(page.get_by_text("None yet. With one, agents check")).to_be_visible()
            check_accessible(page, axe)
            check_fits(page)
            screenshot(page, f"account-{scheme}-{kind}")
