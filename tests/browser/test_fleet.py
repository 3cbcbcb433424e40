"""Home and Fleet against a real hub and real agents: enrol, watch, stop, shut out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, pictures, screenshot, watched
from tests.browser.conftest import Open, dashboard_url
from tests.browser.people import sign_in
from tests.interaction.fixtures import Fleet
from tests.interaction.plugins import ASK, install_model
from tests.interaction.processes import wait_until
from tests.interaction.system import Agent, System

pytestmark = pytest.mark.usefixtures("packages")
MakeSystem = Callable[..., System]
HOSTILE = {"site": "<img src=x onerror=alert(1)>", "note": "a\u202egnp.exe"}


@pytest.fixture
def worker(owned_fleet: Fleet) -> Agent:
    """An agent of the shared fleet that has done something."""
    owned_fleet.system.run(owned_fleet.worker, "echo", a=1)
    return owned_fleet.worker


@contextmanager
def owner_at(browser: Browser, system: System, path: str) -> Iterator[Page]:
    """A page of a system of the test's own, signed in as its owner."""
    assert system.owner is not None
    with watched(browser, dashboard_url(system)) as (page, _):
        sign_in(page)
        page.goto(path)
        yield page


def test_an_agent_is_enrolled_by_the_command_that_is_shown(
    make_system: MakeSystem, browser: Browser
) -> None:
    system = make_system()
    with owner_at(browser, system, "/") as page:
        page.get_by_role("link", name="Enrol an agent").click()
        page.get_by_label("Its name").fill("build-1")
        page.get_by_role("button", name="Make the command").click()
        dialog = page.get_by_role("dialog", name="Run this where the work is")
        command = shlex.split(dialog.locator("code").first.inner_text())
        assert command[:4] == ["writ", "agent", "run", "--join"]
        assert command[5:] == ["--name", "build-1"]

        agent = system.new_agent("build-1", token=command[4])
        agent.start()
        agent.state("pending")
        dialog.get_by_role("link", name="Compare fingerprints").click()
        drawer = page.get_by_role("dialog", name="build-1 asks to join")
        # As it stands on the agent's own console.
        expect(drawer.get_by_text(str(agent.state("pending")["fingerprint"]))).to_be_visible()
        enrol = drawer.get_by_role("button", name="Enrol")
        expect(enrol).to_be_disabled()
        drawer.get_by_label("echo").check()
        expect(enrol).to_be_disabled()
        drawer.get_by_label("It is the same there").check()
        pictures(page, "fleet-request")
        enrol.click()
        expect(page.get_by_role("heading", name="build-1", exact=True)).to_be_visible()
        agent.state("online")
        expect(page.get_by_text("online", exact=True).first).to_be_visible()
        assert system.run(agent, "echo", a=1)["state"] == "succeeded"
        page.get_by_role("link", name="Policy", exact=True).click()
        expect(page.get_by_text("Whatever no rule allows is denied.")).to_be_visible()


def test_a_join_token_is_listed_and_made_worthless(
    owned_fleet: Fleet, open_page: Open, axe: str
) -> None:
    with open_page("/fleet", size=PHONE) as (page, _):
        page.get_by_role("link", name="Join tokens").click()
        page.get_by_role("button", name="New token").click()
        page.get_by_label("Its name").fill("token-1")
        page.get_by_role("button", name="Make the command").click()
        dialog = page.get_by_role("dialog", name="Run this where the work is")
        dialog.get_by_role("button", name="Close").last.click()
        row = (
            page.get_by_role("list", name="Join tokens")
            .get_by_role("listitem")
            .filter(has_text="for token-1")
        )
        expect(row).to_contain_text("open")
        check_fits(page)
        check_accessible(page, axe)
        pictures(page, "fleet-tokens")
        row.get_by_role("button", name="Revoke").click()
        asked = page.get_by_role("dialog", name="Make this token worthless?")
        asked.get_by_role("button", name="Revoke").click()
        expect(row).to_contain_text("revoked")
    [token] = [
        one for one in owned_fleet.system.rest.items("/join-tokens") if one["name"] == "token-1"
    ]
    assert token["revokedAt"] is not None


def test_a_request_is_turned_down_with_a_reason(make_system: MakeSystem, browser: Browser) -> None:
    system = make_system()
    agent = system.new_agent("stranger")
    agent.start()
    agent.state("pending")
    with owner_at(browser, system, "/fleet") as page:
        page.get_by_role("region", name="Requests to join").get_by_role("link").click()
        page.get_by_role("button", name="Turn down").click()
        asked = page.get_by_role("dialog", name="Turn stranger down?")
        asked.get_by_label("Reason").fill("nobody here knows it")
        asked.get_by_role("button", name="Turn down").click()
        expect(page.get_by_role("region", name="Requests to join")).to_be_hidden()
        agent.state("refused")
    decided = system.rest.items("/registrations")[0]
    assert (decided["state"], decided["reason"]) == ("rejected", "nobody here knows it")


def test_an_agent_is_stopped_let_go_by_an_own_key_and_shut_out_by_its_typed_name(
    make_system: MakeSystem, browser: Browser, axe: str
) -> None:
    system = make_system()
    agent = system.agent("worker")
    operator = system.hub.made["operatorKeyFile"]
    with owner_at(browser, system, f"/fleet/{agent.did}") as page:
        page.get_by_role("button", name="Quarantine").click()
        asked = page.get_by_role("dialog", name="Stop worker?")
        asked.get_by_label("Reason").fill("odd traffic")
        asked.get_by_role("button", name="Quarantine").click()
        expect(page.get_by_text("It refuses all work: odd traffic")).to_be_visible()
        assert system.run(agent, "echo")["result"]["error"]["code"] == "quarantined"

        # Without a key here: the command, and where a key is made.
        page.get_by_role("button", name="Release").click()
        dialog = page.get_by_role("dialog", name="Release worker")
        expect(dialog.get_by_text("writ agents release worker")).to_be_visible()
        pictures(page, "fleet-release-no-key")
        dialog.get_by_role("link", name="Make one under your account").click()
        page.get_by_role("button", name="Make one in this browser").click()
        expect(page.get_by_role("list", name="Signing keys")).to_contain_text("this browser")

        # With one that nobody has lent to: what is missing, and the command that lends it.
        page.goto(f"/fleet/{agent.did}")
        page.get_by_role("button", name="Release").click()
        expect(dialog.get_by_text("was not lent the right to release agents")).to_be_visible()
        expect(dialog.get_by_text("The operator's key:")).to_be_visible()
        check_accessible(page, axe)
        pictures(page, "fleet-release-not-lent")
        command = shlex.split(dialog.locator("code").first.inner_text())
        assert command[0] == "writ"
        agent.stop()
        system.writ(*(operator if word == "OPERATOR.pem" else word for word in command[1:]))

        # It is signed here, once, in whichever tab; the agent that was away hears of it first.
        sign = page.get_by_role("button", name="Sign the release")
        expect(sign).to_be_visible()
        expect(dialog.get_by_text("It is offline. The release is kept")).to_be_visible()
        check_accessible(page, axe)
        pictures(page, "fleet-release-sign")
        # The yes is to the quarantine that was shown, never to one that is set meanwhile.
        system.rest.post(f"/agents/{agent.did}/quarantine", {"reason": "at it again"})
        expect(dialog.get_by_text("Meanwhile it was stopped again: at it again")).to_be_visible()
        expect(sign).to_be_disabled()
        dialog.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Release").click()
        expect(dialog.get_by_text("at it again")).to_be_visible()
        tab = page.context.new_page()
        tab.goto(f"/fleet/{agent.did}")
        tab.get_by_role("button", name="Release").click()
        expect(tab.get_by_role("button", name="Sign the release")).to_be_enabled()
        dialog.get_by_label("Reason").fill("looked at it")
        sign.click()
        expect(page.get_by_text("It was released, and hears of it")).to_be_visible()
        expect(tab.get_by_text("Meanwhile it was released.")).to_be_visible()
        expect(tab.get_by_role("button", name="Sign the release")).to_be_disabled()
        pictures(page, "fleet-released-away")
        tab.close()
        agent.start()
        assert system.run(agent, "echo", a=1)["state"] == "succeeded"
        expect(page.get_by_text("It was released, and hears of it")).to_be_hidden()
        told = system.rest.get("/agents/worker")["quarantine"]
        assert (told["active"], told["answer"], told["reason"]) == (
            False,
            "accepted",
            "looked at it",
        )
        assert told["signer"] == command[3]

        page.get_by_role("button", name="Revoke").click()
        asked = page.get_by_role("dialog", name="Shut worker out for good?")
        revoke = asked.get_by_role("button", name="Revoke")
        asked.get_by_label(re.compile("to confirm")).fill("worke")
        expect(revoke).to_be_disabled()
        asked.get_by_label(re.compile("to confirm")).fill("worker")
        revoke.click()
        expect(page.get_by_text("Its key is shut out for good.")).to_be_visible()
        expect(page.get_by_role("button", name="Revoke")).to_be_hidden()
    assert system.rest.get("/agents/worker")["state"] == "revoked"


def test_what_happens_at_an_agent_shows_while_one_watches(
    make_system: MakeSystem, browser: Browser
) -> None:
    system = make_system()
    agent = system.agent("worker")
    with owner_at(browser, system, f"/fleet/{agent.did}/log") as page:
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.get_by_text("Listening")).to_be_visible()
        system.run(agent, "echo", a=1)
        expect(page.get_by_role("log")).to_contain_text("succeeded")
        parts = page.get_by_role("navigation", name="Parts of this agent")
        parts.get_by_role("link", name="Orders", exact=True).click()
        expect(page.get_by_role("row", name=re.compile("echo.*succeeded"))).to_be_visible()


def test_home_says_what_waits_and_what_was_done(
    make_system: MakeSystem, browser: Browser, tmp_path: Path
) -> None:
    system = make_system(WRIT_HEARTBEAT_SECONDS="1")
    rule = {"id": "ask", "effect": "allow", "actions": ["shell.exec"]}
    approval = {"people": 1, "from": ["*"], "withinSeconds": 600}
    policy = {"rules": [{**rule, "approval": approval}, {**rule, "id": "e", "actions": ["*"]}]}
    agent = system.agent("worker", policy={**policy, "limits": {}})
    frugal = {**policy, "limits": {"tokensPerDay": 500}}
    model = install_model(tmp_path / "site")
    asker = system.agent("asker", policy=frugal, **model)
    with owner_at(browser, system, "/") as page:
        expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
        order = system.order(agent, "shell.exec", argv=["uname"])
        waiting = page.get_by_role("region", name="Needs you")
        expect(waiting).to_contain_text("shell.exec on worker")
        asked = system.pending_approval(order)
        expect(waiting.get_by_role("link")).to_have_attribute(
            "href", re.compile(f"/approvals/{asked['id']}$")
        )
        for _ in range(3):
            system.run(agent, "echo", a=1)
        lately = page.get_by_role("region", name="Lately")
        expect(lately.get_by_role("link", name=re.compile("echo worker succeeded"))).to_have_count(
            3
        )
        newcomer = system.new_agent("newcomer")
        newcomer.start()
        expect(waiting).to_contain_text("newcomer asks to join")
        system.end(system.order(agent, "files.read", path="x"))
        failed = waiting.get_by_role("link", name=re.compile("1 order has failed"))
        expect(failed).to_have_attribute(
            "href", re.compile(r"/orders\?state=failed,timed_out,interrupted,expired$")
        )
        expect(page.get_by_role("region", name="Spend")).to_have_count(0)
        system.run(asker, ASK, tokens=450, cents=1.25)
        spend = page.get_by_role("region", name="Spend")
        expect(spend).to_contain_text("1.25cents")
        spend.get_by_role("button", name="Tokens").click()
        expect(spend).to_contain_text("450tokens")
        wait_until(
            lambda: system.rest.get("/overview")["nearLimits"]["agents"] == 1,
            "the agent to say how near its limit is",
            seconds=60,
        )
        system.run(agent, "echo", b=1)
        expect(waiting).to_contain_text("asker has used most of a limit")
        expect(waiting).to_contain_text("450 of 500 tokens in a day")
        pictures(page, "home")
        orders = page.get_by_role("region", name="Orders")
        orders.get_by_text("As a table").click()
        expect(orders.get_by_role("row").nth(1)).to_be_visible()
        page.mouse.move(0, 0)  # over a bar, the sums are those of the bar
        expect(orders).to_contain_text("5succeeded")


def test_the_list_is_filtered_and_kept_in_the_address(open_page: Open) -> None:
    with open_page("/fleet") as (page, _):
        rows = page.get_by_role("table", name="Agents").get_by_role("link")
        expect(rows).to_have_count(2)
        page.get_by_label("Find by name or DID").fill("work")
        expect(rows).to_have_text(["worker"])
        page.get_by_label("Find by name or DID").fill("")
        page.get_by_label("Label").fill("site=there")
        expect(rows).to_have_text(["helper"])
        page.reload()
        expect(rows).to_have_text(["helper"])
        rows.first.press("Enter")
        expect(page.get_by_role("heading", name="helper", exact=True)).to_be_visible()
        page.go_back()
        page.get_by_label("State").select_option("revoked")
        expect(page.get_by_text("No agent is like that")).to_be_visible()
        page.get_by_role("button", name="Show all").click()
        expect(rows).to_have_count(2)
        rows.first.focus()
        page.keyboard.press("ArrowDown")
        expect(rows.nth(1)).to_be_focused()


def test_hostile_labels_are_text(make_system: MakeSystem, browser: Browser) -> None:
    system = make_system()
    agent = system.agent("worker")
    system.rest.send("PATCH", f"/agents/{agent.did}", {"labels": HOSTILE})
    with owner_at(browser, system, f"/fleet/{agent.did}") as page:
        expect(page.get_by_text("site=<img src=x onerror=alert(1)>")).to_be_visible()
        expect(page.get_by_text("note=a⟨U+202E⟩gnp.exe")).to_be_visible()
        assert page.locator("img").count() == 0


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_there_shuts_people_out(
    open_page: Open, axe: str, worker: Agent, size: dict[str, int], scheme: str
) -> None:
    with open_page("/", size=size, scheme=scheme) as (page, _):
        for name, path, shown in (
            ("fleet-home", "/", "Lately"),
            ("fleet", "/fleet", "helper"),
            ("fleet-agent", f"/fleet/{worker.did}", "Identity"),
            ("fleet-policy", f"/fleet/{worker.did}/policy", "no-secrets"),
            ("fleet-orders", f"/fleet/{worker.did}/orders", "echo"),
        ):
            page.goto(path)
            expect(page.get_by_role("main").get_by_text(shown).first).to_be_visible()
            check_accessible(page, axe)
            check_fits(page)
            screenshot(page, f"{name}-{scheme}-{'phone' if size is PHONE else 'wide'}")
        page.goto("/fleet?enrol")
        expect(page.get_by_role("dialog", name="Enrol an agent")).to_be_visible()
        check_accessible(page, axe)
