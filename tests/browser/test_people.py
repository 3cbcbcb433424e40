"""The screen People: invited, given and taken roles, keys made and ended, walls between realms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, Watch, screenshot, watched
from tests.browser.conftest import Open, dashboard_url
from tests.browser.people import OWNER_PASSWORD, enter
from tests.interaction.fixtures import Fleet
from tests.interaction.rest import Rest

pytestmark = pytest.mark.usefixtures("packages")
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe"


@pytest.fixture(scope="module")
def owner(owned_fleet: Fleet) -> Rest:
    """The first owner, signed in: keys cannot make invitations' people or keys."""
    return owned_fleet.system.owner


@pytest.fixture(scope="module")
def lab(owner: Rest) -> str:
    """A realm beside `default`, with Lea who manages it and Max who is in it."""
    owner.post("/realms", {"id": "lab", "description": "where things are tried"})
    for name, role in (("lea", "manager"), ("max", "operator")):
        invited(owner, name, role, "lab")
    return "lab"


def invited(owner: Rest, name: str, role: str, realm: str) -> None:
    """Have somebody come in by an invitation, with the password that all have here."""
    link = owner.post("/invitations", {"role": role, "realm": realm})["link"]
    body = {"token": link.partition("#")[2], "name": name, "password": OWNER_PASSWORD}
    owner.post("/invitations/accept", body)


@contextmanager
def page_of(browser: Browser, fleet: Fleet, name: str, path: str) -> Iterator[tuple[Page, Watch]]:
    """A page that somebody else has open, in a browser of their own."""
    url = dashboard_url(fleet.system)
    with watched(browser, url) as (page, watch):
        enter(page, url, name)
        page.goto(path)
        yield page, watch


def test_somebody_is_invited_comes_in_and_can_be_found(
    open_page: Open, owned_fleet: Fleet, browser: Browser
) -> None:
    with open_page("/people/invitations") as (page, _):
        page.get_by_role("button", name="Invite").first.click()
        asked = page.get_by_role("dialog", name="Invite somebody")
        asked.get_by_label("As").select_option("operator")
        asked.get_by_role("button", name="Make the link").click()
        shown = page.get_by_role("dialog", name="An invitation as operator")
        link = shown.locator("code").inner_text()
        shown.get_by_role("button", name="I have it").click()
        rows = page.get_by_role("table", name="Invitations")
        expect(rows.get_by_role("row", name="operator default open").first).to_be_visible()
        assert link not in page.content()

        url = dashboard_url(owned_fleet.system)
        with watched(browser, url) as (newcomer, _):
            newcomer.goto(link.replace("127.0.0.1", "localhost"))
            newcomer.get_by_label("Your name here").fill("grace")
            newcomer.get_by_role("button", name="Come in").click()
            newcomer.get_by_label("Or a password").fill(OWNER_PASSWORD)
            newcomer.get_by_role("button", name="Set this password").click()
            expect(newcomer.get_by_role("button", name="grace")).to_be_visible()

        page.goto("/people")
        page.get_by_label("Find by name or e-mail").fill("GRA")
        table = page.get_by_role("table", name="People")
        expect(table.get_by_role("link")).to_have_text(["grace"])
        table.get_by_role("link", name="grace").press("Enter")
        expect(page.get_by_role("heading", name="grace")).to_be_visible()
        expect(page.get_by_role("region", name="Roles")).to_contain_text("defaultoperator")
        page.goto("/people/invitations")
        expect(page.get_by_role("row", name=re.compile("operator.*used")).first).to_be_visible()


def test_a_role_that_is_taken_is_lost_at_once(
    open_page: Open, owned_fleet: Fleet, browser: Browser, lab: str
) -> None:
    with page_of(browser, owned_fleet, "max", "/people/keys") as (other, watch):
        watch.allowed.append("status of 403")
        other.get_by_role("button", name="New key").first.click()
        other.get_by_label("What it is for").fill("a robot of max")
        other.get_by_label("It acts for").select_option("machine")
        other.get_by_label("In realm").select_option(lab)
        other.get_by_label("member", exact=True).check()
        with open_page(f"/people/realms/{lab}") as (page, _):
            page.get_by_role("table", name="Members").get_by_role("button", name="max").click()
            drawer = page.get_by_role("dialog", name="max")
            drawer.get_by_label("Role").select_option("member")
            drawer.get_by_role("button", name="Save").click()
            expect(page.get_by_role("row", name=re.compile("max.*member"))).to_be_visible()
        other.get_by_role("button", name="Make it").click()
        expect(other.get_by_role("alert")).to_contain_text("keys.machine")
        # What was refused is not offered again, and what was typed is still there.
        expect(other.get_by_label("It acts for").locator("option")).to_have_text(["max (you)"])
        expect(other.get_by_label("What it is for")).to_have_value("a robot of max")


def test_a_realm_is_all_there_is_for_who_manages_it(
    owned_fleet: Fleet, browser: Browser, lab: str
) -> None:
    with page_of(browser, owned_fleet, "lea", "/people") as (page, watch):
        watch.allowed.append("status of 404")
        rows = page.get_by_role("table", name="People").get_by_role("link")
        expect(rows).to_have_text(["lea", "max"])
        page.get_by_role("link", name="Realms").click()
        expect(page.get_by_role("table", name="Realms").get_by_role("link")).to_have_text([lab])
        expect(page.get_by_role("button", name="New realm")).to_be_hidden()
        page.goto("/people/realms/default")
        expect(page.get_by_role("alert")).to_contain_text("not_found")
        page.goto(f"/people/realms/{lab}")
        page.get_by_role("button", name="Invite").click()
        asked = page.get_by_role("dialog", name="Invite somebody")
        expect(asked.get_by_label("Into").locator("option")).to_have_text([f"realm {lab}"])
        expect(asked.get_by_label("As").locator("option")).to_have_text(
            ["operator", "member", "approver"]
        )


def test_a_key_is_made_shown_once_used_and_revoked(open_page: Open, owned_fleet: Fleet) -> None:
    with open_page("/people/keys") as (page, _):
        page.get_by_role("button", name="New key").first.click()
        asked = page.get_by_role("dialog", name="New API key")
        asked.get_by_label("What it is for").fill("nightly")
        asked.get_by_label("It may do").select_option("some")
        make = asked.get_by_role("button", name="Make it")
        expect(make).to_be_disabled()  # nothing ticked is not everything
        asked.get_by_label("see agents").check()
        screenshot(page, "people-key-light-wide")
        make.click()
        shown = page.get_by_role("dialog", name="The new key")
        key = shown.locator("code").first.inner_text()
        shown.get_by_role("button", name="I have it").click()
        assert key not in page.content()
        bearer = {"Authorization": f"Bearer {key}"}
        used = page.context.browser.new_context(base_url=dashboard_url(owned_fleet.system))  # type: ignore[union-attr]
        assert used.request.get("/api/v1/agents", headers=bearer).status == 200
        assert used.request.get("/api/v1/users", headers=bearer).status == 403

        page.get_by_role("table", name="API keys").get_by_role("button", name="nightly").click()
        drawer = page.get_by_role("dialog", name="nightly")
        expect(drawer).to_contain_text("agents.read")
        drawer.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog", name="Revoke nightly?").get_by_role(
            "button", name="Revoke"
        ).click()
        expect(page.get_by_role("row", name=re.compile("nightly.*revoked"))).to_be_visible()
        assert used.request.get("/api/v1/agents", headers=bearer).status == 401
        used.close()


def test_a_service_account_has_its_key_and_ends_by_its_typed_name(open_page: Open) -> None:
    with open_page("/people") as (page, _):
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_label("Name *").fill("ci")
        page.get_by_role("dialog").get_by_label("member").check()
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        expect(page.get_by_role("heading", name="ci")).to_be_visible()
        page.get_by_role("link", name="Make a key").click()
        asked = page.get_by_role("dialog", name="New API key")
        expect(asked.get_by_label("It acts for")).to_have_value("service:ci")
        asked.get_by_label("What it is for").fill("of the service")
        asked.get_by_role("button", name="Make it").click()
        page.get_by_role("button", name="I have it").click()
        expect(page.get_by_role("row", name=re.compile("of the service.*ci"))).to_be_visible()

        page.goto("/people?kind=service")
        page.get_by_role("table").get_by_role("link", name="ci").click()
        page.get_by_role("button", name="Disable").click()
        page.get_by_role("dialog").get_by_role("button", name="Disable").click()
        expect(page.get_by_text("disabled", exact=True)).to_be_visible()
        page.get_by_role("button", name="Enable").click()
        expect(page.get_by_text("active", exact=True)).to_be_visible()
        page.get_by_role("button", name="Remove").click()
        asked = page.get_by_role("dialog", name="Remove ci for good?")
        expect(asked.get_by_role("button", name="Remove")).to_be_disabled()
        asked.get_by_label(re.compile("to confirm")).fill("ci")
        asked.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("Nobody is like that")).to_be_hidden()
        expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_a_realm_is_made_described_inertly_and_deleted_by_its_typed_name(open_page: Open) -> None:
    with open_page("/people/realms") as (page, _):
        page.get_by_role("button", name="New realm").click()
        page.get_by_label("Name *").fill("attic")
        page.get_by_role("button", name="Make it").click()
        expect(page.get_by_role("heading", name="Realm attic")).to_be_visible()
        page.get_by_role("button", name="Edit").click()
        page.get_by_label("What it is for").fill(HOSTILE)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("<img src=x onerror=alert(1)>⟨U+202E⟩gnp.exe")).to_be_visible()
        assert page.locator("main img").count() == 0
        page.get_by_role("button", name="Add member").click()
        page.get_by_label("Name *").fill("admin")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        expect(page.get_by_role("row", name=re.compile("admin.*member"))).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        page.get_by_label(re.compile("to confirm")).fill("attic")
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="People")).to_be_visible()
        expect(page.get_by_role("link", name="attic")).to_have_count(0)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_there_shuts_people_out(
    open_page: Open, axe: str, lab: str, size: dict[str, int], scheme: str
) -> None:
    kind = "phone" if size is PHONE else "wide"
    with open_page("/people", size=size, scheme=scheme) as (page, _):
        places: list[tuple[str, str, Any]] = [
            ("list", "/people", page.get_by_role("table", name="People")),
            ("realms", "/people/realms", page.get_by_role("table", name="Realms")),
            ("realm", f"/people/realms/{lab}", page.get_by_role("table", name="Members")),
            ("roles", "/people/roles", page.get_by_text("see agents")),
            ("invitations", "/people/invitations", page.get_by_role("table", name="Invitations")),
            ("keys", "/people/keys", page.get_by_role("table", name="API keys")),
        ]
        for name, path, shown in places:
            page.goto(path)
            expect(shown).to_be_visible()
            check_accessible(page, axe)
            check_fits(page)
            screenshot(page, f"people-{name}-{scheme}-{kind}")
        page.get_by_role("button", name="New key").click()
        page.get_by_label("It may do").select_option("some")
        check_accessible(page, axe)
        screenshot(page, f"people-new-key-{scheme}-{kind}")
