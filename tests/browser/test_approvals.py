"""The screen Approvals: people decide in real Chromium, a real agent judges what they signed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from protocol.envelope import parse_document
from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, Watch, screenshot
from tests.browser.conftest import Open
from tests.browser.people import OWNER_PASSWORD, sign_in
from tests.interaction.fixtures import Fleet
from tests.interaction.people import invite_person
from tests.interaction.system import TERMINAL, System

pytestmark = pytest.mark.usefixtures("packages")
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
_numbers = itertools.count(1)
READ_THE_KEY_OUT = """async () => {
  const done = (asked) => new Promise((resolve) => {
    asked.onsuccess = () => resolve(asked.result);
  });
  const base = await done(indexedDB.open("writ-keys", 1));
  const [{ pair }] = await done(base.transaction("keys").objectStore("keys").getAll());
  const read = crypto.subtle.exportKey("pkcs8", pair.privateKey);
  return read.then(() => "read", (error) => error.name);
}"""


@pytest.fixture
def approver(owned_fleet: Fleet) -> str:
    """The name of somebody new who decides in the realm `default`."""
    name = f"ann-{next(_numbers)}"
    invite_person(owned_fleet.system, name, "approver", OWNER_PASSWORD)
    return name


@pytest.fixture
def open_as(open_page: Open) -> Any:
    """Open a page as a named person."""

    @contextmanager
    def opened(name: str, path: str, **how: Any) -> Iterator[tuple[Page, Watch]]:
        with open_page("/", signed_in=False, **how) as (page, watch):
            sign_in(page, name)
            page.goto(path)
            yield page, watch

    return opened


def ask(fleet: Fleet, *argv: str) -> dict[str, Any]:
    """Order a program that a rule holds; return the request for approval."""
    intent = fleet.system.order(fleet.worker, "shell.exec", argv=list(argv))
    return fleet.system.pending_approval(intent)


def state_of(system: System, asked: dict[str, Any]) -> str:
    return str(system.rest.get(f"/approvals/{asked['id']}")["state"])


def make_key(page: Page) -> None:
    page.get_by_role("button", name="Make a key in this browser").click()
    expect(page.get_by_text("Signed with your key in this browser")).to_be_visible()


def cancel(system: System, asked: dict[str, Any]) -> None:
    system.rest.send("POST", f"/intents/{asked['intentId']}/cancel", {})


def test_a_decision_signed_in_the_browser_is_counted_by_the_agent(
    owned_fleet: Fleet, open_as: Any, approver: str
) -> None:
    system = owned_fleet.system
    asked = ask(owned_fleet, "uname", "-s")
    with open_as(approver, "/approvals") as (page, _):
        waiting = page.get_by_role("list", name="Waiting")
        waiting.locator(f"a[href$='{asked['id']}']").click()
        make_key(page)
        page.get_by_role("button", name="Approve…").click()
        question = page.get_by_role("dialog", name="Approve this call?")
        question.get_by_label("Reason").fill("looked at it")
        question.get_by_role("button", name="Sign: approve").click()
        expect(page.get_by_text("Approved: it may happen, once")).to_be_visible()
        expect(page.get_by_text("1 of 1 person has approved")).to_be_visible()
        expect(page.get_by_text("signed with their own key")).to_be_visible()
        # No script can read the key out, and it is there again after a reload.
        exported = page.evaluate(READ_THE_KEY_OUT)
        assert exported == "InvalidAccessError"
    ended = system.end(asked["intentId"])
    assert ended["state"] == "succeeded", ended["result"]
    [decision] = [parse_document(one) for one in ended["documents"]["approvals"]]
    assert decision.sender_did == decision.payload["approver"]
    assert decision.sender_did not in (
        system.hub.did,
        system.root if hasattr(system, "root") else "",
    )
    assert decision.payload["reason"] == "looked at it"
    assert parse_document(ended["documents"]["result"]).payload["approvals"] == [decision.id]


def test_a_denial_by_keys_alone_is_final(owned_fleet: Fleet, open_as: Any, approver: str) -> None:
    asked = ask(owned_fleet, "uname", "-r")
    with open_as(approver, f"/approvals/{asked['id']}") as (page, _):
        make_key(page)
        page.locator("main").focus()
        page.keyboard.press("d")
        expect(page.get_by_role("dialog", name="Deny this call?")).to_be_visible()
        page.keyboard.type("not today")
        expect(page.get_by_role("button", name="Sign: deny")).to_be_enabled()
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("Denied: it does not happen")).to_be_visible()
        expect(page.get_by_text("not today")).to_be_visible()
    ended = owned_fleet.system.end(asked["intentId"])
    assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "approval_denied")


def test_a_role_is_vouched_for_by_the_hub(owned_fleet: Fleet, open_as: Any, approver: str) -> None:
    system = owned_fleet.system
    asked = ask(owned_fleet, "id", "-g")
    with open_as(approver, f"/approvals/{asked['id']}") as (page, _):
        expect(page.get_by_text("Vouched for by the hub", exact=True)).to_be_visible()
        expect(page.get_by_text("Accepts approver, vouched for by the hub.")).to_be_visible()
        page.get_by_role("button", name="Approve…").click()
        page.get_by_role("dialog").get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_text("Approved: it may happen, once")).to_be_visible()
    ended = system.end(asked["intentId"])
    [decision] = [parse_document(one) for one in ended["documents"]["approvals"]]
    assert decision.sender_did == system.hub.did


def test_no_stray_click_approves(owned_fleet: Fleet, open_as: Any, approver: str) -> None:
    system = owned_fleet.system
    asked = ask(owned_fleet, "id", "-n")
    with open_as(approver, f"/approvals/{asked['id']}") as (page, _):
        button = page.get_by_role("button", name="Approve…")
        expect(button).to_be_enabled()
        button.dblclick()
        question = page.get_by_role("dialog", name="Approve this call?")
        expect(question).to_be_visible()
        # A burst of clicks and returns where the question came up is not an answer either.
        box = question.get_by_role("button", name="Approve", exact=True).bounding_box()
        assert box is not None
        page.keyboard.press("Escape")
        expect(question).to_be_hidden()
        page.keyboard.press("a")
        page.mouse.dblclick(box["x"] + 5, box["y"] + 5)
        page.keyboard.press("Enter")
        assert state_of(system, asked) == "pending"
        page.keyboard.press("Escape")
        # What arrives meanwhile moves nothing.
        before = button.bounding_box()
        other = ask(owned_fleet, "id", "-z")
        expect(
            page.get_by_role("list", name="Waiting").locator(f"a[href$='{other['id']}']")
        ).to_be_visible()
        assert button.bounding_box() == before
        assert page.url.endswith(asked["id"])
        assert state_of(system, asked) == "pending"
        cancel(system, asked)
        cancel(system, other)


def test_two_people_see_one_outcome(owned_fleet: Fleet, open_as: Any, approver: str) -> None:
    asked = ask(owned_fleet, "id", "-G")
    invite_person(owned_fleet.system, f"{approver}-too", "approver", OWNER_PASSWORD)
    path = f"/approvals/{asked['id']}"
    with open_as(approver, path) as (first, _), open_as(f"{approver}-too", path) as (second, watch):
        watch.allowed.append("409")
        second.get_by_role("button", name="Approve…").click()
        yes = second.get_by_role("dialog").get_by_role("button", name="Approve", exact=True)
        expect(yes).to_be_enabled()
        first.get_by_role("button", name="Deny…").click()
        first.get_by_role("dialog").get_by_role("button", name="Deny", exact=True).click()
        expect(first.get_by_text("Denied: it does not happen")).to_be_visible()
        expect(second.get_by_text("Meanwhile: Denied: it does not happen.")).to_be_visible()
        expect(yes).to_be_disabled()
        second.keyboard.press("Escape")
        expect(second.get_by_text("Denied: it does not happen")).to_be_visible()
    assert owned_fleet.system.end(asked["intentId"])["state"] == "refused"


def test_two_people_have_to_approve_and_each_counts_once(
    owned_fleet: Fleet, open_as: Any, approver: str
) -> None:
    system = owned_fleet.system
    asked = ask(owned_fleet, "whoami")
    invite_person(system, f"{approver}-too", "approver", OWNER_PASSWORD)
    path = f"/approvals/{asked['id']}"
    with open_as(approver, path) as (first, watch), open_as(f"{approver}-too", path) as (second, _):
        tab = first.context.new_page()
        watch.attach(tab)
        tab.goto("/approvals")
        row = tab.get_by_role("list", name="Waiting").locator(f"a[href$='{asked['id']}']")
        expect(row).to_contain_text("0 of 2")
        make_key(first)
        first.get_by_role("button", name="Approve…").click()
        first.get_by_role("dialog").get_by_role("button", name="Sign: approve").click()
        # Everybody sees the progress, and who has decided is not asked again, in no tab.
        for page in (first, second):
            expect(page.get_by_text("1 of 2 people have approved")).to_be_visible()
        expect(row).to_contain_text("1 of 2")
        expect(first.get_by_text("You have approved: 1 more person must approve")).to_be_visible()
        row.click()
        expect(tab.get_by_text("You have approved")).to_be_visible()
        expect(tab.get_by_role("button", name="Approve…")).to_be_disabled()
        screenshot(first, "approvals-one-of-two")
        assert state_of(system, asked) == "pending"
        assert system.rest.get(f"/intents/{asked['intentId']}")["state"] not in TERMINAL

        second.get_by_role("button", name="Approve…").click()
        second.get_by_role("dialog").get_by_role("button", name="Approve", exact=True).click()
        for page in (first, second, tab):
            expect(page.get_by_text("2 of 2 people have approved")).to_be_visible()
            expect(page.get_by_text("Approved: it may happen, once")).to_be_visible()
    ended = system.end(asked["intentId"])
    assert ended["state"] == "succeeded", ended["result"]
    decisions = [parse_document(one) for one in ended["documents"]["approvals"]]
    counted = parse_document(ended["documents"]["result"]).payload["approvals"]
    assert sorted(counted) == sorted(one.id for one in decisions)
    assert len({one.payload["approver"] for one in decisions}) == 2
    assert system.hub.did in {one.sender_did for one in decisions}


def test_what_differs_from_the_last_approved_call_is_shown_and_hostile_text_is_inert(
    owned_fleet: Fleet, open_as: Any, approver: str
) -> None:
    first = ask(owned_fleet, "id", "-u")
    with open_as(approver, f"/approvals/{first['id']}") as (page, _):
        page.get_by_role("button", name="Approve…").click()
        page.get_by_role("dialog").get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_text("Approved: it may happen, once")).to_be_visible()
        hostile = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) \u202egpj.exe"
        second = ask(owned_fleet, "id", hostile)
        page.goto(f"/approvals/{second['id']}")
        diff = page.get_by_role("region", name="Difference to the last approved call")
        expect(diff).to_contain_text('"-u"')
        expect(diff).to_contain_text("⟨U+202E⟩gpj.exe")
        assert page.locator("main img").count() == 0
        assert "\u202e" not in page.locator("main").inner_text()
        screenshot(page, "approvals-diff")
        cancel(owned_fleet.system, second)


@SIZES
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_is_shut_out_of_it(
    owned_fleet: Fleet, open_as: Any, approver: str, axe: str, size: dict[str, int], scheme: str
) -> None:
    asked = ask(owned_fleet, "uname", "-p")
    kind = f"{scheme}-{'phone' if size is PHONE else 'wide'}"
    with open_as(approver, "/approvals", size=size, scheme=scheme) as (page, _):
        row = page.get_by_role("list", name="Waiting").locator(f"a[href$='{asked['id']}']")
        expect(row).to_be_visible()
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"approvals-queue-{kind}")
        row.click()
        expect(page.get_by_role("button", name="Make a key in this browser")).to_be_visible()
        check_accessible(page, axe)
        check_fits(page)
        make_key(page)
        screenshot(page, f"approvals-call-{kind}")
        page.get_by_role("button", name="Approve…").click()
        expect(page.get_by_role("button", name="Sign: approve")).to_be_enabled()
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"approvals-question-{kind}")
        page.keyboard.press("Escape")
    cancel(owned_fleet.system, asked)
