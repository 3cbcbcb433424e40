"""Signing in as people do it: by link, passkey, password, invitation; and again, losing nothing."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from protocol.envelope import parse_document
from tests.browser.chromium import Watch, watched
from tests.browser.conftest import Open, dashboard_url
from tests.browser.people import OWNER_PASSWORD, add_authenticator, sign_in
from tests.interaction.people import invite_person
from tests.interaction.system import System
from tests.servers.oidc import run_provider

pytestmark = pytest.mark.usefixtures("packages")
MakeSystem = Callable[..., System]


def link_of(system: System, user: str = "admin") -> str:
    """Return the path of a fresh link, as the console makes it."""
    words = ("hub", "sign-in-link", "--user", user, "--data-dir", str(system.hub.folder))
    link = str(system.writ(*words)["link"])
    return link[link.index("/enter#") :]


def test_a_passkey_from_the_first_link_to_the_step_up(
    make_system: MakeSystem, browser: Browser
) -> None:
    system = make_system()
    approval = {"people": 1, "from": ["approver"], "withinSeconds": 600}
    rule = {"id": "ask", "effect": "allow", "actions": ["echo"], "approval": approval}
    agent = system.agent("worker", policy={"rules": [rule], "limits": {}})
    body = {"target": {"agent": agent.did}, "action": "echo", "params": {}}
    # Somebody else's order: who gives one does not decide about it.
    other = invite_person(system, "olga", "operator", OWNER_PASSWORD)
    asked = system.pending_approval(other.post("/intents", body)["intents"][0]["id"])
    with watched(browser, dashboard_url(system)) as (page, watch):
        add_authenticator(page)
        page.goto(link_of(system))
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Welcome, admin")).to_be_visible()
        allow_refusals(watch)
        page.get_by_role("button", name="Make a passkey").click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()

        page.get_by_role("button", name="admin").click()
        page.get_by_role("menuitem", name="Sign out").click()
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        methods = [one["method"] for one in page.request.get("/api/v1/me/sessions").json()["items"]]
        assert methods[0] == "passkey"

        begun = page.request.post("/api/v1/login/device").json()
        page.goto("/device")
        page.get_by_label("The code it shows").fill(begun["userCode"])
        page.get_by_role("button", name="Look it up").click()
        expect(page.get_by_role("button", name="Let it in")).to_be_visible()
        # From here on the sign-in is too long ago, as far as this hub is concerned.
        system.hub.stop()
        system.hub.start(WRIT_STEP_UP_SECONDS="1")
        page.get_by_role("button", name="Let it in").click()
        dialog = page.get_by_role("dialog", name="Is it you?")
        dialog.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("heading", name="It is signed in")).to_be_visible()
        polled = page.request.post(
            "/api/v1/login/device/token", data={"deviceCode": begun["deviceCode"]}
        )
        assert polled.json()["user"]["name"] == "admin"

        # The hub vouches for a decision only after the passkey was shown again.
        page.goto(f"/approvals/{asked['id']}")
        page.get_by_role("button", name="Approve…").click()
        approve = page.get_by_role("dialog", name="Approve this call?").get_by_role(
            "button", name="Approve", exact=True
        )
        approved = page.get_by_text("Approved: it may happen, once")
        again = page.get_by_text("Sign in again first")
        approve.click()
        dialog.get_by_role("button", name="Use a passkey").click()
        expect(approved.or_(again).first).to_be_visible()
        for _ in range(10):  # a busy machine takes longer than the second for which it counts
            if approved.is_visible():
                break
            approve.click()
            expect(dialog.or_(approved).first).to_be_visible()
            if dialog.is_visible():
                dialog.get_by_role("button", name="Use a passkey").click()
                expect(dialog).not_to_be_visible()
            expect(approved.or_(again).first).to_be_visible()
        expect(approved).to_be_visible()
    ended = system.end(asked["intentId"])
    assert ended["state"] == "succeeded", ended["result"]
    [decision] = [parse_document(one) for one in ended["documents"]["approvals"]]
    assert decision.sender_did == system.hub.did


def test_a_link_signs_in_once(make_system: MakeSystem, browser: Browser) -> None:
    system = make_system()
    link = link_of(system)
    with watched(browser, dashboard_url(system)) as (page, _):
        page.goto(link)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Or a password").fill(OWNER_PASSWORD)
        page.get_by_role("button", name="Set this password").click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
    with watched(browser, dashboard_url(system)) as (page, watch):
        allow_refusals(watch)
        page.goto(link)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("Not signed in")
        page.goto("/")
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill(OWNER_PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()


def test_a_wrong_password_says_so_and_keeps_the_name(open_page: Open) -> None:
    with open_page(signed_in=False) as (page, watch):
        allow_refusals(watch)
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill("not this one, surely")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("Not signed in")
        expect(page.get_by_label("Name")).to_have_value("admin")


def test_somebody_invited_comes_in_and_chooses_a_password(
    make_system: MakeSystem, browser: Browser
) -> None:
    system = make_system()
    invited = system.owner.post("/invitations", {"role": "operator", "realm": "default"})
    with watched(browser, dashboard_url(system)) as (page, _):
        page.goto(invited["link"].replace("127.0.0.1", "localhost"))
        page.get_by_label("Your name here").fill("ada")
        page.get_by_role("button", name="Come in").click()
        expect(page.get_by_role("heading", name="Welcome, ada")).to_be_visible()
        page.get_by_label("Or a password").fill("a password of ada's")
        page.get_by_role("button", name="Set this password").click()
        expect(page.get_by_role("button", name="ada")).to_be_visible()


def test_what_was_typed_outlives_the_session(make_system: MakeSystem, browser: Browser) -> None:
    system = make_system()
    assert system.owner is not None
    with watched(browser, dashboard_url(system)) as (page, watch):
        sign_in(page)
        page.goto("/device")
        begun = page.request.post("/api/v1/login/device").json()
        page.get_by_label("The code it shows").fill(begun["userCode"])
        end_sessions(page)
        allow_refusals(watch)
        page.get_by_role("button", name="Look it up").click()
        dialog = page.get_by_role("dialog", name="Your session has ended")
        dialog.get_by_label("Password").fill(OWNER_PASSWORD)
        dialog.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Let it in")).to_be_visible()
        expect(page.get_by_label("The code it shows")).to_have_value(begun["userCode"])


def test_an_address_asked_for_signed_out_is_where_one_comes_to(open_page: Open) -> None:
    with open_page("/nowhere", signed_in=False) as (page, _):
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill(OWNER_PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()


def end_sessions(page: Page) -> None:
    """End the session of the page's browser, without the page knowing."""
    token = page.request.get("/api/v1/me").json()["csrfToken"]
    headers = {"X-CSRF-Token": token, "Origin": origin_of(page)}
    assert page.request.post("/api/v1/logout", headers=headers).status == 204
    # What a browser keeps of a session that has ended is its cookie.
    page.context.add_cookies([{"name": "writ_session", "value": "gone", "url": origin_of(page)}])


def origin_of(page: Page) -> str:
    return str(page.evaluate("location.origin"))


def allow_refusals(watch: Watch) -> None:
    """Browsers write an error for each request that is refused; here that is what is tested."""
    watch.allowed += ["the server responded with a status of 40", "net::ERR_"]


def test_somebody_comes_in_by_a_provider_and_who_is_in_no_group_does_not(
    browser: Browser, packages: Path, tmp_path: Path, oidc_modules: Path
) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    with run_provider(oidc_modules, f"{url}/api/v1/login/oidc/test/callback") as issuer:
        provider = {
            "name": "test",
            "title": "Example Works",
            "issuer": issuer,
            "client_id": "writ",
            "client_secret": "a secret of the client",
            "roles": {"engineers": "default:manager"},
        }
        with System(tmp_path, WRIT_OIDC=json.dumps([provider])) as system:
            system.hub.start(port=port)
            for person, name in (("eve", None), ("ada", "ada")):
                # Not watched: here the way leads to another host, and back.
                with browser.new_context(base_url=url) as context:
                    page = context.new_page()
                    page.goto("/")
                    page.get_by_role("link", name="Continue with Example Works").click()
                    page.locator("input[name=login]").fill(person)
                    page.locator("input[name=password]").fill("any")
                    page.get_by_role("button", name="Sign-in").click()
                    page.get_by_role("button", name="Continue").click()
                    page.wait_for_url(re.compile(f"^{re.escape(url)}/"))
                    if name is None:
                        assert context.request.get("/api/v1/me").status == 401
                    else:
                        expect(page.get_by_role("heading", name="Home")).to_be_visible()
                        expect(page.get_by_text(name, exact=True)).to_be_visible()
