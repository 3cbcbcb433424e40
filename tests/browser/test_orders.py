"""The screen Orders: given, watched, proved by the browser itself, and not where somebody lies."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, screenshot
from tests.browser.conftest import Open
from tests.browser.people import OWNER_PASSWORD, sign_in
from tests.interaction.fixtures import Fleet
from tests.interaction.people import invite_person

pytestmark = pytest.mark.usefixtures("packages")
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])


def verified(page: Page) -> Any:
    return page.get_by_text("verified", exact=True)


def not_verified(page: Page) -> Any:
    return page.get_by_text("not verified", exact=True)


def bend(page: Page, path: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Stand between page and hub, as an evil proxy does, and change an answer."""

    def answer(route: Route) -> None:
        said = route.fetch()
        value = said.json()
        change(value)
        route.fulfill(response=said, json=value)

    page.route(re.compile(path), answer)


def test_an_order_is_given_watched_and_proved(owned_fleet: Fleet, open_page: Open) -> None:
    with open_page("/orders") as (page, _):
        page.get_by_role("link", name="New order").first.click()
        page.get_by_label("Agent").fill("worker")
        expect(page.get_by_text("online")).to_be_visible()
        page.get_by_label("Action").select_option("files.write")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert")).to_contain_text("needed")
        page.get_by_label("path").fill("from-the-browser.txt")
        page.get_by_label("content").fill("written by a person")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("heading", name="files.write on worker")).to_be_visible()
        expect(verified(page)).to_be_visible()
        proof = page.get_by_role("region", name="Proof")
        for holds in ("as it was signed", "may order this", "is the agent's", "signed record"):
            expect(proof.get_by_role("listitem").filter(has_text=holds)).to_contain_text(": holds")
    assert owned_fleet.worker.lines("from-the-browser.txt") == ["written by a person"]


def test_an_order_signed_in_the_browser_is_its_persons_own(
    owned_fleet: Fleet, open_page: Open
) -> None:
    system = owned_fleet.system
    name = "olga"
    invite_person(system, name, "operator", OWNER_PASSWORD)
    asked = system.pending_approval(
        system.order(owned_fleet.worker, "shell.exec", argv=["uname", "-o"])
    )
    with open_page("/", signed_in=False) as (page, _):
        sign_in(page, name)
        page.goto(f"/approvals/{asked['id']}")
        page.get_by_role("button", name="Make a key in this browser").click()
        expect(page.get_by_text("Signed with your key in this browser")).to_be_visible()
        page.goto("/orders/new?agent=worker&action=files.write")
        page.get_by_label("path").fill("signed.txt")
        page.get_by_label("content").fill("by olga")
        page.get_by_label("Sign it with my key in this browser").check()
        page.get_by_role("button", name="Sign and send").click()
        expect(page.get_by_role("heading", name="files.write on worker")).to_be_visible()
        expect(verified(page)).to_be_visible()
        intent = page.url.rpartition("/")[2]
        key = system.rest.get(f"/intents/{intent}")["signer"]
        assert key not in (system.hub.did, system.hub.made["operatorDid"])
        expect(page.get_by_role("region", name="Proof")).to_contain_text(f"signed by {key}")
    system.rest.send("POST", f"/intents/{asked['intentId']}/cancel", {})
    assert owned_fleet.worker.lines("signed.txt") == ["by olga"]


@pytest.fixture
def finished(owned_fleet: Fleet) -> dict[str, Any]:
    """An order that has ended, with a hostile text in it."""
    text = "# not *markdown* <script>alert(1)</script>\u202e\nsecond line"
    return owned_fleet.system.run(owned_fleet.worker, "echo", text=text)


def test_a_bent_result_is_not_verified_and_the_check_is_named(
    finished: dict[str, Any], open_page: Open
) -> None:
    with open_page("/") as (page, _):

        def change(order: dict[str, Any]) -> None:
            bent = order["documents"]["result"].replace("second line", "another line")
            order["documents"]["result"] = bent
            order["result"]["output"]["text"] = "another line"

        bend(page, rf"/api/v1/intents/{finished['id']}$", change)
        page.goto(f"/orders/{finished['id']}")
        expect(not_verified(page)).to_be_visible()
        expect(page.get_by_role("region", name="Proof")).to_contain_text("bad_signature")
        expect(page.get_by_text("do not rely on what is shown here")).to_be_visible()
        expect(verified(page)).to_have_count(0)
        screenshot(page, "orders-not-verified")


def test_what_the_hub_says_beside_the_documents_is_not_believed(
    finished: dict[str, Any], open_page: Open
) -> None:
    with open_page("/") as (page, _):

        def change(order: dict[str, Any]) -> None:
            order["result"]["output"] = {"text": "a lie"}

        bend(page, rf"/api/v1/intents/{finished['id']}$", change)
        page.goto(f"/orders/{finished['id']}")
        expect(verified(page)).to_be_visible()
        expect(page.get_by_role("region", name="output")).to_contain_text("second line")
        expect(page.get_by_text("a lie")).to_have_count(0)


def test_a_bent_proof_of_the_record_is_not_verified(
    finished: dict[str, Any], open_page: Open
) -> None:
    with open_page("/") as (page, _):
        bend(page, "/inclusion$", lambda proof: proof.update(index=proof["index"] - 1))
        page.goto(f"/orders/{finished['id']}")
        expect(not_verified(page)).to_be_visible()
        expect(page.get_by_role("region", name="Proof")).to_contain_text("bad_inclusion")


def test_without_a_proof_of_the_record_nothing_is_called_verified(
    finished: dict[str, Any], open_page: Open
) -> None:
    with open_page("/") as (page, watch):
        watch.allowed.append("Failed to load resource")
        page.route(re.compile("/inclusion$"), lambda route: route.fulfill(status=503, body="{}"))
        page.goto(f"/orders/{finished['id']}")
        expect(page.get_by_text("not verified yet")).to_be_visible()


def test_a_root_that_was_never_seen_here_is_not_taken(
    finished: dict[str, Any], open_page: Open, owned_fleet: Fleet
) -> None:
    with open_page(f"/orders/{finished['id']}") as (page, _):
        expect(verified(page)).to_be_visible()
        other = owned_fleet.system.hub.made["operatorDid"]
        bend(page, "/.well-known/writ.json$", lambda about: about.update(root=other))
        page.reload()
        expect(page.get_by_text("another root than the one this browser has seen")).to_be_visible()
        expect(not_verified(page)).to_be_visible()


def test_hostile_results_are_shown_inert(finished: dict[str, Any], open_page: Open) -> None:
    with open_page(f"/orders/{finished['id']}") as (page, _):
        expect(page.get_by_role("region", name="text")).to_contain_text("# not *markdown* <script>")
        assert page.locator("main script").count() == 0
        assert "\u202e" not in page.locator("main").inner_text()


def test_a_running_order_is_cancelled_and_repeated(owned_fleet: Fleet, open_page: Open) -> None:
    intent = owned_fleet.system.order(
        owned_fleet.worker, "shell.exec", argv=["sleep", "600"], timeoutSeconds=900
    )
    owned_fleet.system.reaches(intent, "running")
    with open_page(f"/orders/{intent}") as (page, _):
        expect(page.get_by_role("listitem").filter(has_text="started")).to_be_visible()
        page.get_by_role("button", name="Cancel…").click()
        question = page.get_by_role("dialog", name="Cancel this order?")
        question.get_by_label("Reason").fill("took too long")
        question.get_by_role("button", name="Cancel the order").click()
        expect(page.get_by_role("region", name="Result")).to_contain_text("cancelled")
        page.get_by_role("link", name="Repeat…").click()
        expect(page.get_by_label("Agent")).to_have_value("worker")
        expect(page.get_by_label("Action")).to_have_value("shell.exec")
        expect(page.get_by_label("argv 2")).to_have_value("600")
    assert owned_fleet.system.end(intent)["state"] == "cancelled"


def test_the_list_is_filtered_by_its_address(owned_fleet: Fleet, open_page: Open) -> None:
    owned_fleet.system.run(owned_fleet.worker, "echo", text="one")
    refused = owned_fleet.system.run(owned_fleet.worker, "files.read", path="secrets/x")
    with open_page("/orders") as (page, _):
        page.get_by_label("State").select_option("refused")
        expect(page).to_have_url(re.compile(r"\?state=refused$"))
        table = page.get_by_role("table", name="Orders")
        expect(table.locator(f"a[href$='{refused['id']}']")).to_be_visible()
        expect(table.get_by_text("echo")).to_have_count(0)
        page.get_by_label("Action").fill("echo")
        page.keyboard.press("Enter")
        expect(page.get_by_text("No order is like that")).to_be_visible()
        page.get_by_role("button", name="Clear").click()
        expect(table.get_by_text("echo").first).to_be_visible()


@SIZES
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_is_shut_out_of_it(
    finished: dict[str, Any], open_page: Open, axe: str, size: dict[str, int], scheme: str
) -> None:
    kind = f"{scheme}-{'phone' if size is PHONE else 'wide'}"
    with open_page("/orders", size=size, scheme=scheme) as (page, _):
        expect(page.get_by_role("table", name="Orders")).to_be_visible()
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"orders-list-{kind}")
        page.goto(f"/orders/{finished['id']}")
        expect(verified(page)).to_be_visible()
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"orders-order-{kind}")
        page.goto("/orders/new?agent=worker&action=shell.exec")
        expect(page.get_by_text("online")).to_be_visible()
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"orders-new-{kind}")
