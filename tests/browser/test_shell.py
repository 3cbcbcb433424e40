"""What is around every screen: its look in both schemes and sizes, keys, the live connection."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from controlplane.dashboard.build import DIST
from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, watched
from tests.browser.conftest import Open, dashboard_url
from tests.browser.people import OWNER_PASSWORD, sign_in
from tests.browser.proxy import PathProxy
from tests.interaction.system import System

pytestmark = pytest.mark.usefixtures("packages")
MAX_INITIAL_JS_BYTES = 250_000
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])


@SIZES
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_of_the_frame_shuts_people_out(
    open_page: Open, axe: str, size: dict[str, int], scheme: str
) -> None:
    with open_page("/nowhere", size=size, scheme=scheme) as (page, _):
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        check_accessible(page, axe)
        check_fits(page)
    with open_page("/", signed_in=False, size=size, scheme=scheme) as (page, _):
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        check_accessible(page, axe)


def test_the_chosen_scheme_stays_and_is_there_at_the_first_paint(open_page: Open) -> None:
    with open_page(scheme="light") as (page, _):
        page.get_by_role("button", name="admin").click()
        page.get_by_role("menuitemradio", name="Dark").click()
        dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        page.reload(wait_until="commit")
        page.wait_for_selector("html[data-scheme=dark]", state="attached")
        page.wait_for_selector("#root")
        shown = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        assert shown == dark


def test_everything_is_reached_by_keys(open_page: Open) -> None:
    with open_page("/nowhere") as (page, _):
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        page.keyboard.press("g")
        page.keyboard.press("h")
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Go to Home")
        page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        chooser = page.get_by_role("dialog", name="Go anywhere")
        page.keyboard.type("home")
        expect(chooser.get_by_role("option", name="Home")).to_have_attribute(
            "aria-selected", "true"
        )
        page.keyboard.press("Enter")
        expect(chooser).to_be_hidden()
        page.reload()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_a_lost_connection_shows_and_heals_without_a_reload(
    make_system: Callable[..., System], browser: Browser
) -> None:
    system = make_system()
    assert system.owner is not None
    with watched(browser, dashboard_url(system)) as (page, watch):
        # What of a request was on its way decides what Chromium calls its end.
        watch.allowed.append("net::ERR_")
        sign_in(page)
        page.goto("/")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        page.evaluate("window.sameDocument = true")
        system.hub.kill()
        expect(page.get_by_text("The hub does not answer.")).to_be_visible()
        system.hub.start()
        page.get_by_role("button", name="Try now").click()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.get_by_text("The hub does not answer.")).to_be_hidden()
        assert page.evaluate("window.sameDocument") is True


def test_a_second_tab_listens_to_the_stream_of_the_first(open_page: Open) -> None:
    with open_page() as (page, watch):
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        second = page.context.new_page()
        watch.attach(second)
        streams: list[str] = []
        second.on(
            "request", lambda one: streams.append(one.url) if "/api/v1/events" in one.url else None
        )
        second.goto("/")
        expect(second.get_by_text("Live", exact=True)).to_be_visible()
        assert streams == []
        page.close()
        if not streams:
            second.wait_for_event("request", lambda one: "/api/v1/events" in one.url)
        expect(second.get_by_text("Live", exact=True)).to_be_visible()


@pytest.mark.parametrize("takes_off", [True, False], ids=["path taken off", "path left on"])
def test_below_a_path_everything_is_found(
    browser: Browser, tmp_path: Path, takes_off: bool
) -> None:
    with PathProxy("/writ", takes_off=takes_off) as proxy:
        # A proxy that says nothing of the path is one whose path stands in the settings.
        known = {} if takes_off else {"WRIT_PUBLIC_URL": f"{proxy.origin}/writ"}
        with System(tmp_path / "system", **known) as system:
            system.hub.start()
            proxy.upstream = system.hub.url
            system.rest.send("PUT", "/me/password", {"password": OWNER_PASSWORD})
            with watched(browser, proxy.origin) as (page, _):
                page.goto("/writ/")
                page.get_by_label("Name").fill("admin")
                page.get_by_label("Password").fill(OWNER_PASSWORD)
                page.get_by_role("button", name="Sign in").click()
                expect(page.get_by_role("heading", name="Home")).to_be_visible()
                expect(page.get_by_text("Live", exact=True)).to_be_visible()
                page.goto("/writ/deep/er")
                expect(page.get_by_role("heading", name="Not found")).to_be_visible()
                page.get_by_role("link", name="Go home").click()
                page.wait_for_url("**/writ/")
                begun = page.request.post("/writ/api/v1/login/device").json()
                assert begun["verificationUri"] == f"{proxy.origin}/writ/device"


def test_the_first_page_loads_less_than_its_budget() -> None:
    manifest = json.loads((DIST / "manifest.json").read_text())
    entry = next(name for name, one in manifest.items() if one.get("isEntry"))
    wanted, seen = [entry], set()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            wanted += manifest[name].get("imports", [])
    sizes = {
        manifest[name]["file"]: len(gzip.compress((DIST / manifest[name]["file"]).read_bytes()))
        for name in seen
    }
    print(f"initial JS: {sum(sizes.values()):,} bytes gzip of {MAX_INITIAL_JS_BYTES:,}")
    assert sum(sizes.values()) <= MAX_INITIAL_JS_BYTES, sizes
