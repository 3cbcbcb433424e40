"""The screen Webhooks: made, tried, followed to a real receiver, sent again after it was down."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, pictures
from tests.browser.conftest import Open
from tests.browser.people import sign_in
from tests.interaction.fixtures import Fleet
from tests.interaction.processes import CHECKOUT, WritProcess, environment

pytestmark = pytest.mark.usefixtures("packages")
HOSTILE = '<img src=x onerror="alert(1)">\u202e'


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def example_receiver(folder: Path, secret: str, port: int) -> Iterator[WritProcess]:
    """The documented receiver as a process of its own; afterwards nobody answers there."""
    process = WritProcess(
        "receiver",
        [str(CHECKOUT / "examples/webhooks/receiver.py"), str(port)],
        log=folder / "receiver.log",
        env=environment(WEBHOOK_SECRET=secret),
        command=(sys.executable,),
    )
    try:
        process.wait_line(listening=port)
        yield process
    finally:
        process.kill()


@pytest.fixture
def hostile_receiver() -> Iterator[str]:
    """The address of one that answers everything with markup and an error."""

    class Hostile(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = HOSTILE.encode()
            self.send_response(500)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    with HTTPServer(("127.0.0.1", 0), Hostile) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{HOSTILE[:4]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def made(owned_fleet: Fleet, hostile_receiver: str) -> Iterator[dict[str, Any]]:
    """A webhook whose receiver is hostile, with one dead letter."""
    rest = owned_fleet.system.rest
    body = {"url": hostile_receiver, "events": ["realm.created"], "description": HOSTILE}
    one = rest.post("/webhooks", body)
    assert rest.post(f"/webhooks/{one['id']}/test")["status"] == 500
    yield one
    rest.send("DELETE", f"/webhooks/{one['id']}")


def deliveries(page: Page) -> Any:
    return page.get_by_role("table", name="Deliveries")


def test_a_webhook_is_made_tried_and_sent_again_after_its_receiver_was_down(
    owned_fleet: Fleet, open_page: Open, tmp_path: Path
) -> None:
    rest, port = owned_fleet.system.rest, free_port()
    with open_page("/", signed_in=False) as (page, watch):
        watch.allowed.append("401")
        sign_in(page)  # afresh: to make a webhook one has just proved who one is
        page.goto("/webhooks")
        page.get_by_role("button", name="New webhook").first.click()
        form = page.get_by_role("dialog", name="New webhook")
        form.get_by_label("Address").fill("http://169.254.169.254/latest")
        form.get_by_label("only some of it").check()
        expect(form.get_by_role("button", name="Make it")).to_be_disabled()
        form.get_by_label("All of realm", exact=True).check()
        watch.allowed.append("422")
        form.get_by_role("button", name="Make it").click()
        expect(form.get_by_text("not a public address")).to_be_visible()
        form.get_by_label("Address").fill(f"http://127.0.0.1:{port}/")
        form.get_by_role("button", name="Make it").click()

        shown = page.get_by_role("dialog", name="Its secret, shown this once")
        secret = shown.locator("code").inner_text()
        page.keyboard.press("Escape")  # nothing that is shown once goes by a stray key
        shown.get_by_role("button", name="I have kept it").click()
        expect(page.get_by_role("heading", name=f"127.0.0.1:{port}")).to_be_visible()
        expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
        assert secret not in page.content()

        with example_receiver(tmp_path, secret, port) as receiver:
            page.get_by_role("button", name="Send a test").click()
            drawer = page.get_by_role("dialog", name="A test")
            expect(drawer.get_by_text("It arrived: HTTP 204")).to_be_visible()
            page.keyboard.press("Escape")
            rest.post("/realms", {"id": f"told-{port}"})
            receiver.wait_line(type="realm.created")
            # Nobody has reloaded anything.
            expect(deliveries(page).get_by_text("realm.created")).to_be_visible()
            expect(deliveries(page).get_by_text("arrived")).to_have_count(2)

        rest.post("/realms", {"id": f"late-{port}"})
        again = page.get_by_role("button", name="Send the dead letter again")
        expect(again).to_be_visible()
        expect(page.get_by_text("What is sent there does not arrive.")).to_be_visible()
        page.get_by_role("button", name="Dead letters", exact=True).click()
        expect(deliveries(page).get_by_role("button", name="realm.created")).to_have_count(1)
        deliveries(page).get_by_role("button", name="realm.created").click()
        drawer = page.get_by_role("dialog", name="realm.created")
        expect(drawer.get_by_text("nobody answers at that address")).to_be_visible()
        pictures(page, "webhooks-dead")
        page.keyboard.press("Escape")
        with example_receiver(tmp_path, secret, port) as receiver:
            again.click()
            line = receiver.wait_line(type="realm.created")
            assert line["data"]["subject"] == f"late-{port}"
            expect(page.get_by_text("None is like that")).to_be_visible()
            page.get_by_role("button", name="All", exact=True).click()
            expect(deliveries(page).get_by_text("arrived")).to_have_count(3)
            expect(page.get_by_text("sending", exact=True)).to_be_visible()
            pictures(page, "webhooks-one")

            page.get_by_role("button", name="Replay a span…").click()
            span = page.get_by_role("dialog", name="Replay a span of time")
            span.get_by_role("button", name="Send again").click()
            expect(page.get_by_text("2 on their way again")).to_be_visible()

        page.get_by_role("button", name="Delete").click()
        asked = page.get_by_role("dialog", name=re.compile("Delete the webhook"))
        expect(asked.get_by_role("button", name="Delete")).to_be_disabled()
        asked.get_by_label(re.compile("to confirm")).fill(f"127.0.0.1:{port}")
        asked.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("The webhook is gone")).to_be_visible()
        expect(page.get_by_role("heading", name="Webhooks", exact=True)).to_be_visible()
    assert not [one for one in rest.items("/webhooks") if str(port) in one["url"]]


def test_a_webhook_is_paused_changed_and_given_a_new_secret(
    owned_fleet: Fleet, open_page: Open, made: dict[str, Any]
) -> None:
    rest, path = owned_fleet.system.rest, f"/webhooks/{made['id']}"
    with open_page("/", signed_in=False) as (page, watch):
        watch.allowed.append("401")
        sign_in(page)
        page.goto(path)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Somebody has paused it. Nothing is sent.")).to_be_visible()
        assert rest.get(path)["disabledReason"] == "by a person"
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("dialog").get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()

        page.get_by_role("button", name="Edit").click()
        form = page.get_by_role("dialog", name="Change the webhook")
        form.get_by_label("What it is for").fill("for the on-call")
        form.get_by_label("All of agent", exact=True).check()
        form.get_by_role("button", name="Save").click()
        expect(page.get_by_text("for the on-call")).to_be_visible()
        assert set(rest.get(path)["events"]) == {"realm.created", "agent.*"}

        page.get_by_role("button", name="New secret").click()
        page.get_by_role("dialog").get_by_role("button", name="Make it").click()
        shown = page.get_by_role("dialog", name="The new secret, shown this once")
        assert shown.locator("code").first.inner_text().startswith("whsec_")
        shown.get_by_role("button", name="I have kept it").click()
        expect(page.get_by_text(re.compile("signs too, until"))).to_be_visible()


def test_what_a_receiver_answers_and_people_wrote_is_inert(
    open_page: Open, made: dict[str, Any]
) -> None:
    with open_page(f"/webhooks/{made['id']}") as (page, _):
        deliveries(page).get_by_role("button", name="webhook.test").click()
        drawer = page.get_by_role("dialog", name="A test")
        expect(drawer.get_by_text("It did not arrive: HTTP 500")).to_be_visible()
        answer = drawer.get_by_role("region", name="answer")
        expect(answer).to_contain_text('<img src=x onerror="alert(1)">')
        body = drawer.get_by_role("region", name="body").inner_text()
        assert json.loads(body)["type"] == "webhook.test"
        assert page.locator("main img, [role=dialog] img").count() == 0
        assert "\u202e" not in page.inner_text("body")


def test_who_may_only_look_is_offered_no_changes(owned_fleet: Fleet, open_page: Open) -> None:
    with open_page("/webhooks") as (page, _):
        page.route("**/api/v1/me", lambda route: _without(route, "webhooks.write"))
        page.goto("/webhooks")
        expect(page.get_by_role("heading", name="Webhooks", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="New webhook")).to_have_count(0)


def _without(route: Any, permission: str) -> None:
    said = route.fetch()
    me = said.json()
    kept = [one for one in me["permissions"] if one != permission]
    route.fulfill(response=said, json=me | {"permissions": kept})


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_everybody_can_use_it(
    open_page: Open, made: dict[str, Any], axe: str, size: dict[str, int], scheme: str
) -> None:
    with open_page("/webhooks", size=size, scheme=scheme) as (page, _):
        page.get_by_role("table", name="Webhooks").get_by_role("link").first.wait_for()
        check_fits(page)
        check_accessible(page, axe)
        page.get_by_role("button", name="New webhook").click()
        page.get_by_label("only some of it").check()
        page.get_by_text("agent", exact=True).click()
        page.get_by_label(re.compile("agent.quarantined")).check()
        check_accessible(page, axe)
        if size is WIDE and scheme == "light":
            pictures(page, "webhooks-new")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("table", name="Webhooks").get_by_role("link").first.click()
        deliveries(page).get_by_role("button").first.wait_for()
        check_fits(page)
        check_accessible(page, axe)
        deliveries(page).get_by_role("button").first.click()
        page.get_by_role("region", name="body").wait_for()
        check_accessible(page, axe)
