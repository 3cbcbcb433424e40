"""The screen Trust graph: who may make agents act, shown, asked, lent and taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, screenshot
from tests.browser.conftest import Open
from tests.browser.people import OWNER_PASSWORD
from tests.interaction.fixtures import Fleet
from tests.interaction.people import invite_person, new_approver
from tests.interaction.rest import Answer, Rest

pytestmark = pytest.mark.usefixtures("packages")
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
HOSTILE = "params.path == '<img src=x onerror=alert(1)>\u202e'"


@dataclass(frozen=True)
class Lent:
    """What is lent in the shared fleet while these tests run."""

    person: Rest
    """`dora`, a member: she may hand in orders, and was lent nothing by that."""
    did: str
    """Of `dora`."""
    key: str
    """DID of a key to which the root lent `writ.approve`."""
    peer: str
    """Id of what the worker was lent at the helper, under a hostile condition."""


@pytest.fixture(scope="module")
def lent(owned_fleet: Fleet) -> Iterator[Lent]:
    """A member, an approver's key and an agent that may order another."""
    system = owned_fleet.system
    person = invite_person(system, "dora", "member", OWNER_PASSWORD)
    subject = person.get("/me")["subject"]
    key = new_approver(system, "trusted").did
    peer = system.rest.post(
        "/delegations",
        {
            "subject": owned_fleet.worker.did,
            "capabilities": [{"action": "files.read", "agents": ["helper"]}],
            "conditions": [HOSTILE],
        },
    )
    yield Lent(person, subject, key, peer["id"])
    system.rest.post(f"/delegations/{peer['id']}/revoke", {"reason": "tests end"})


def order(lent: Lent, fleet: Fleet) -> Answer:
    body = {"target": {"agent": fleet.worker.did}, "action": "echo", "params": {"a": 1}}
    return lent.person.send("POST", "/intents", body, wait=30)


def test_what_is_lent_is_obeyed_and_what_is_taken_back_is_refused(
    owned_fleet: Fleet, lent: Lent, open_page: Open
) -> None:
    refused = order(lent, owned_fleet)
    assert (refused.status, refused.code) == (403, "person_not_granted")
    with open_page("/trust") as (page, _):
        page.get_by_role("button", name="Delegate").click()
        asked = page.get_by_role("dialog", name="Delegate")
        asked.get_by_label("To").select_option("dora")
        asked.get_by_label("Actions").fill("echo")
        asked.get_by_label("In realm").select_option("default")
        asked.get_by_label("Only at these agents").fill("worker")
        asked.get_by_label("Only while").fill("size(params) < 3")
        asked.get_by_role("button", name="Delegate").click()
        path = page.get_by_role("dialog", name="What dora was lent")
        links = path.get_by_role("list", name="Links from the root").get_by_role("listitem")
        expect(links.filter(has_text="This hub lends dora")).to_contain_text(
            "at worker, in default"
        )
        expect(path.get_by_text("size(params) < 3")).to_be_visible()
        expect(path.get_by_text("Verified by this browser: signed link by link")).to_be_visible()
        done = order(lent, owned_fleet)
        assert done.status in (200, 201, 202), done
        assert done.value["intents"][0]["state"] == "succeeded", done.value

        path.get_by_role("button", name="Take it back").click()
        sure = page.get_by_role("dialog", name="Take this back from dora?")
        sure.get_by_label("Reason").fill("no longer needed")
        sure.get_by_role("button", name="Take it back").click()
        expect(path.get_by_text("revoked", exact=True).first).to_be_visible()
        expect(path.get_by_role("button", name="Take it back")).to_be_hidden()
    refused = order(lent, owned_fleet)
    assert (refused.status, refused.code) == (403, "person_not_granted")


def test_a_node_and_a_path_say_what_they_allow_by_keys_alone(
    owned_fleet: Fleet, lent: Lent, open_page: Open
) -> None:
    with open_page("/trust") as (page, _):
        worker = page.get_by_role("button", name=re.compile("^worker"))
        worker.focus()
        page.keyboard.press("Enter")
        expect(worker).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("heading", name="worker")).to_be_visible()
        given = page.get_by_role("region", name="Lent to it (1)").get_by_role("button")
        expect(given).to_contain_text("files.read")
        given.focus()
        page.keyboard.press("Enter")
        path = page.get_by_role("dialog", name="What worker was lent")
        # Whatever was written into a condition is text.
        expect(path.get_by_text("<img src=x onerror=alert(1)>⟨U+202E⟩")).to_be_visible()
        assert page.locator("main img, [role=dialog] img").count() == 0
        page.keyboard.press("Escape")
        expect(path).to_be_hidden()
        page.get_by_role("button", name="Only its paths").click()
        expect(page.get_by_role("button", name=re.compile("^This hub"))).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("^The record"))).to_be_hidden()
        page.reload()
        expect(page.get_by_role("button", name="Show everything")).to_be_visible()


def test_who_can_make_an_agent_do_something_is_answered(
    owned_fleet: Fleet, lent: Lent, open_page: Open
) -> None:
    with open_page("/trust/who") as (page, _):
        expect(page.get_by_text("Choose an agent and an action")).to_be_visible()
        page.get_by_label("This agent").fill("worker")
        page.get_by_label("Do this").fill("shell.exec")
        page.get_by_label("With these parameters").fill('{"argv": ["uname"]}')
        ways = page.get_by_role("list", name="Who can make worker do shell.exec")
        admin = ways.get_by_role("listitem").filter(has_text="admin")
        expect(admin.first).to_contain_text("in the hub's own name")
        expect(admin.first).to_contain_text("asks 1 first: anybody who may")
        expect(ways).to_contain_text("whoever holds the root's key")
        expect(ways).not_to_contain_text("dora")
        page.get_by_label("With these parameters").fill('{"argv": ["ls"]}')
        expect(admin.first).to_contain_text("allowed")
        page.get_by_label("This agent").fill("helper")
        page.get_by_label("Do this").fill("files.read")
        ways = page.get_by_role("list", name="Who can make helper do files.read")
        peer = ways.get_by_role("listitem").filter(has_text="as another agent")
        expect(peer).to_contain_text("worker")
        expect(peer).to_contain_text("only while")
        expect(page.get_by_role("region", name="What this does not know")).to_contain_text(
            "requireOperatorSignature"
        )
        peer.get_by_role("button", name=re.compile("Path: Root → This hub → worker")).click()
        expect(page.get_by_role("dialog", name="What worker was lent")).to_be_visible()


def test_a_large_fleet_is_drawn_in_a_few_boxes(
    owned_fleet: Fleet, lent: Lent, open_page: Open
) -> None:
    agents = [
        {
            **owned_fleet.system.rest.get(f"/agents/{owned_fleet.helper.did}"),
            "did": f"did:key:z6Mkagent{number}",
            "name": f"agent-{number}",
            "actions": [],
        }
        for number in range(200)
    ]
    worker = owned_fleet.system.rest.get(f"/agents/{owned_fleet.worker.did}")
    held = owned_fleet.system.rest.get(f"/delegations/{lent.peer}")
    delegations = [
        {
            **held,
            "id": f"id-{number}",
            "digest": f"digest-{number}",
            "subject": f"did:key:z6Mkperson{number}",
            "revoked": False,
            "revokedAt": None,
            "document": "",
        }
        for number in range(5_000)
    ]
    with open_page("/", signed_in=True) as (page, _):
        # The hub's answers for a fleet of 5,000, without making one.
        page.route(
            re.compile(r"/api/v1/agents\?"),
            lambda route: route.fulfill(json={"items": [*agents, worker], "nextCursor": "more"}),
        )
        real = owned_fleet.system.rest.items("/delegations")
        page.route(
            re.compile(r"/api/v1/delegations\?"),
            lambda route: route.fulfill(json={"items": [*delegations, *real], "nextCursor": None}),
        )
        page.goto("/trust")
        crowd = page.get_by_role("button", name=re.compile("^5000 keys"))
        expect(crowd).to_be_visible(timeout=60_000)
        assert page.locator(".react-flow__node").count() < 40
        crowd.click()
        page.get_by_label("Find one").fill("person4711")
        page.get_by_role("region", name="5000 that were lent the same").get_by_role(
            "button"
        ).click()
        expect(page.get_by_role("button", name="Show everything")).to_be_visible()
        page.goto("/trust/list")
        rows = page.get_by_role("table", name="Delegations").get_by_role("row")
        expect(rows.nth(5)).to_be_visible()
        assert rows.count() < 100


def test_nothing_to_show_and_a_failure_are_said(open_page: Open) -> None:
    with open_page("/") as (page, watch):
        watch.allowed.append("status of 500")
        problem = {"title": "Internal error", "status": 500, "code": "internal"}
        page.route(
            re.compile(r"/api/v1/delegations\?"),
            lambda route: route.fulfill(
                status=500, json=problem, content_type="application/problem+json"
            ),
        )
        page.goto("/trust")
        expect(page.get_by_role("alert")).to_contain_text("Internal error")
        page.unroute_all()
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("button", name=re.compile("^Root"))).to_be_visible()
        page.goto("/trust/list")
        page.get_by_label("Find by name").fill("nobody is called this")
        expect(page.get_by_text("No delegation is like that")).to_be_visible()


@SIZES
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_is_shut_out_of_it(
    owned_fleet: Fleet, lent: Lent, open_page: Open, axe: str, size: dict[str, int], scheme: str
) -> None:
    kind = f"{scheme}-{'phone' if size is PHONE else 'wide'}"
    with open_page("/trust", size=size, scheme=scheme) as (page, _):
        if size is PHONE:
            expect(page.get_by_role("table", name="Delegations")).to_be_visible()
        else:
            expect(page.get_by_role("button", name=re.compile("^Root"))).to_be_visible()
            page.get_by_role("button", name=re.compile("^dora|^worker")).first.click()
            page.wait_for_timeout(200)  # transitions
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"trust-{kind}")
        for name, path, shown in (
            ("who", f"/trust/who?agent=worker&action={quote('files.read')}", "admin"),
            ("path", f"/trust?link={lent.peer}", "Verified by this browser"),
        ):
            page.goto(path)
            expect(page.get_by_text(shown).first).to_be_visible()
            check_accessible(page, axe)
            check_fits(page)
            screenshot(page, f"trust-{name}-{kind}")
