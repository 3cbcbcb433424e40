"""Notifications: a bell that counts up live, an inbox that leads on, what one wants to be told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, Watch, pictures, watched
from tests.browser.conftest import dashboard_url
from tests.browser.people import OWNER_PASSWORD, enter
from tests.interaction.fixtures import Fleet
from tests.interaction.people import invite_person
from tests.interaction.processes import wait_until

pytestmark = pytest.mark.usefixtures("packages")


@pytest.fixture(scope="module")
def ann(owned_fleet: Fleet) -> str:
    """Somebody who decides in the realm `default`, and was told nothing before."""
    rest = owned_fleet.system.rest
    for one in rest.items("/approvals", state="pending"):  # whose ends she would be told
        rest.send("POST", f"/intents/{one['intentId']}/cancel", {})
    wait_until(lambda: not rest.items("/approvals", state="pending"), "nothing to wait for anybody")
    invite_person(owned_fleet.system, "bell-ann", "approver", OWNER_PASSWORD)
    return "bell-ann"


@pytest.fixture
def open_as_ann(browser: Browser, owned_fleet: Fleet, ann: str) -> Any:
    """Open a page as her."""

    @contextmanager
    def opened(path: str, **how: Any) -> Iterator[tuple[Page, Watch]]:
        url = dashboard_url(owned_fleet.system)
        with watched(browser, url, **how) as (page, watch):
            enter(page, url, ann)
            page.goto(path)
            yield page, watch

    return opened


def ask(fleet: Fleet, *argv: str) -> dict[str, Any]:
    """Order a program that a rule holds; return the request for approval."""
    return fleet.system.pending_approval(
        fleet.system.order(fleet.worker, "shell.exec", argv=list(argv))
    )


def bell(page: Page, unread: int) -> Any:
    name = f"Notifications, {unread} unread" if unread else "Notifications"
    return page.get_by_role("link", name=name, exact=True)


def test_the_bell_counts_up_live_and_is_cleared_from_a_second_tab(
    owned_fleet: Fleet, open_as_ann: Any
) -> None:
    with open_as_ann("/orders") as (page, watch):
        expect(bell(page, 0)).to_be_visible()
        page.evaluate("window.loadedOnce = true")
        first = ask(owned_fleet, "uname", "-s")
        expect(bell(page, 1)).to_be_visible()
        second = ask(owned_fleet, "uname", "-r")
        expect(bell(page, 2)).to_be_visible()

        other = page.context.new_page()
        watch.attach(other)
        other.goto("/")
        bell(other, 2).click()
        told = other.get_by_role("list", name="Notifications").get_by_role("listitem")
        expect(told).to_have_count(2)
        expect(told.first).to_contain_text("shell.exec on worker waits for your decision")
        pictures(other, "notifications-inbox")
        told.first.get_by_role("button", name="Mark read").click()
        expect(bell(page, 1)).to_be_visible()
        other.get_by_role("button", name="Mark all read").click()
        expect(bell(page, 0)).to_be_visible()
        expect(bell(other, 0)).to_be_visible()
        assert page.evaluate("window.loadedOnce"), "nobody has loaded the page anew"
        other.close()
        for one in (first, second):
            owned_fleet.system.rest.send("POST", f"/intents/{one['intentId']}/cancel", {})


def test_a_notification_leads_to_what_it_is_about_and_is_read_then(
    owned_fleet: Fleet, open_as_ann: Any
) -> None:
    with open_as_ann("/notifications?unread") as (page, _):
        expect(page.get_by_text("You have read everything")).to_be_visible()
        asked = ask(owned_fleet, "uname", "-m")
        page.get_by_role("link", name=re.compile("waits for your decision")).click()
        expect(page).to_have_url(re.compile(f"/approvals/{asked['id']}$"))
        expect(bell(page, 0)).to_be_visible()
        owned_fleet.system.rest.send("POST", f"/intents/{asked['intentId']}/cancel", {})


def test_what_nobody_decided_in_time_is_recorded_and_told(
    owned_fleet: Fleet, open_as_ann: Any
) -> None:
    asked = ask(owned_fleet, "true")
    with open_as_ann("/notifications") as (page, _):
        line = "nobody decided in time about shell.exec on worker"
        expect(page.get_by_text(line).first).to_be_visible()
    leaves = owned_fleet.system.rest.items("/audit", subject=asked["id"])
    expired = [one for one in leaves if one["kind"] == "approval.expired"]
    assert [one["data"]["intentId"] for one in expired] == [asked["intentId"]]


def test_what_one_wants_to_be_told_is_kept(open_as_ann: Any) -> None:
    with open_as_ann("/notifications/preferences") as (page, _):
        expect(page.get_by_text("This hub has no mail server")).to_be_visible()
        agents = page.get_by_label("agents: in this inbox")
        agents.uncheck()
        expect(page.get_by_text("Kept")).to_be_visible()
        page.reload()
        expect(agents).not_to_be_checked()
        agents.check()
        expect(page.get_by_text("Kept")).to_be_visible()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_everybody_can_use_it(
    owned_fleet: Fleet, open_as_ann: Any, axe: str, size: dict[str, int], scheme: str
) -> None:
    asked = ask(owned_fleet, "uname", "-n")
    with open_as_ann("/notifications", size=size, scheme=scheme) as (page, _):
        page.get_by_role("list", name="Notifications").get_by_role("listitem").first.wait_for()
        check_fits(page)
        check_accessible(page, axe)
        page.get_by_role("link", name="What you are told").click()
        page.get_by_label("agents: in this inbox").wait_for()
        check_fits(page)
        check_accessible(page, axe)
        if size is WIDE and scheme == "light":
            pictures(page, "notifications-preferences")
    owned_fleet.system.rest.post(f"/intents/{asked['intentId']}/cancel", {})
