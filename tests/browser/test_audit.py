"""The screen Audit: read, filtered, exported, and proved by the browser itself, or found false."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from controlplane.audit.kinds import KINDS
from protocol.checkpoint import seal_checkpoint
from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, pictures, screenshot
from tests.browser.conftest import Open
from tests.interaction.fixtures import Fleet

pytestmark = pytest.mark.usefixtures("packages")
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
QUERIES = Path(__file__).parents[2] / "controlplane/dashboard/src/screens/audit/queries.ts"


def verify(page: Page) -> None:
    page.get_by_role("button", name="Verify in this browser").click()


def test_an_entry_is_shown_to_lie_in_the_signed_record(owned_fleet: Fleet, open_page: Open) -> None:
    owned_fleet.system.run(owned_fleet.worker, "echo", say="hello")
    with open_page("/audit?kind=intent.*") as (page, _):
        entries = page.get_by_role("table", name="Entries of the record")
        entries.get_by_role("button", name="intent.finished").first.click()
        drawer = page.get_by_role("dialog")
        expect(drawer.get_by_text("Verified by this browser:")).to_be_visible()
        expect(drawer.get_by_text("enforced", exact=True)).to_be_visible()
        expect(entries.get_by_text("agent.enrolled")).to_have_count(0)


def test_the_whole_record_is_proved_in_the_browser(open_page: Open) -> None:
    with open_page("/audit") as (page, _):
        verify(page)
        expect(page.get_by_text(re.compile(r"The record holds: \d+ entries"))).to_be_visible()
        screenshot(page, "audit-verified")


def test_a_changed_entry_is_found_by_its_index(open_page: Open) -> None:
    def tamper(route: Route) -> None:
        lines = route.fetch().text().splitlines()
        changed = json.loads(lines[4])
        changed["leaf"] = changed["leaf"].replace('"at":"2', '"at":"1', 1)
        route.fulfill(body="\n".join([*lines[:4], json.dumps(changed), *lines[5:]]) + "\n")

    with open_page("/audit") as (page, _):
        page.route(re.compile(r"/audit/export"), tamper)
        verify(page)
        expect(page.get_by_role("alert")).to_contain_text("from entry 3 on")


def test_a_record_that_was_cut_short_does_not_hold(open_page: Open) -> None:
    def cut(route: Route) -> None:
        lines = route.fetch().text().splitlines()
        route.fulfill(body="\n".join(lines[:-2]) + "\n")

    with open_page("/audit") as (page, _):
        page.route(re.compile(r"/audit/export"), cut)
        verify(page)
        expect(page.get_by_role("alert")).to_contain_text("does not hold")


def test_another_root_is_said_loudly_and_believed_only_when_compared(open_page: Open) -> None:
    other = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"

    def lie(route: Route) -> None:
        said = route.fetch()
        route.fulfill(response=said, json=said.json() | {"root": other})

    with open_page("/audit") as (page, _):
        verify(page)
        expect(page.get_by_text("The record holds")).to_be_visible()
        page.keyboard.press("Escape")
        alarm = page.get_by_role("alert").filter(has_text="another root than this browser trusts")
        expect(alarm).to_be_hidden()
        page.route(re.compile(r"/\.well-known/writ\.json"), lie)
        page.reload()
        expect(alarm).to_be_visible()
        verify(page)
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("other_root")
        page.keyboard.press("Escape")
        alarm.get_by_role("button", name="Compare…").click()
        asked = page.get_by_role("dialog", name="Trust another root?")
        expect(asked).to_contain_text("z6Mk haXg BZDv")
        pictures(page, "root-changed")
        trust = asked.get_by_role("button", name="Trust the new root")
        asked.get_by_label(re.compile("to confirm")).fill("EGta2do")
        expect(trust).to_be_disabled()
        asked.get_by_label(re.compile("to confirm")).fill("EGta2doK")
        trust.click()
        expect(alarm).to_be_hidden()
        # The hub lied: what the real root signed is now refused, and the real one is the other.
        verify(page)
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("bad_checkpoint")
        page.keyboard.press("Escape")
        page.unroute_all()
        page.reload()
        expect(alarm).to_be_visible()


def test_a_fork_is_seen_by_the_browser_and_put_on_the_record(
    owned_fleet: Fleet, open_page: Open, axe: str
) -> None:
    system = owned_fleet.system
    with open_page("/audit") as (page, _):
        expect(page.get_by_text("This browser remembers the record from now on")).to_be_visible()
        system.run(owned_fleet.worker, "echo", say="one more")
        page.reload()
        expect(page.get_by_text("The record has only grown since")).to_be_visible()
        # Another record of which this browser has seen three entries, signed by the log's own key.
        name = page.evaluate("Object.keys(localStorage).find(one => one.startsWith('writ record'))")
        origin = page.evaluate("name => localStorage.getItem(name)", name).partition("\n")[0]
        other = seal_checkpoint(origin, 3, b"\x07" * 32, system.hub.key("log"))
        page.evaluate("([name, note]) => localStorage.setItem(name, note)", [name, other])
        page.reload()
        found = page.get_by_role("alert").filter(has_text="log_fork")
        expect(found).to_contain_text("does not contain the 3 this browser saw")
        check_accessible(page, axe)
        pictures(page, "audit-fork")
        found.get_by_role("button", name="I know why").click()
        verify(page)
        expect(page.get_by_text("The record holds")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_text("The record has a fork.")).to_be_visible()
        page.goto("/")
        needs = page.get_by_role("region", name="Needs you")
        needs.get_by_role("link", name="The record has a fork").click()
        expect(page.get_by_role("button", name="audit.fork_reported")).to_have_count(1)
    [leaf] = system.rest.items("/audit", kind="audit.fork_reported")
    assert (leaf["data"]["why"], leaf["data"]["seenBefore"]) == ("not_contained", other)


def test_what_is_filtered_is_what_is_exported(open_page: Open) -> None:
    with open_page("/audit") as (page, _):
        page.get_by_label("What", exact=True).select_option("agent.*")
        page.get_by_label("Export as").select_option("jsonl")
        with page.expect_download() as fetched:
            page.get_by_role("link", name="Export").click()
        lines = Path(fetched.value.path()).read_text("utf-8").splitlines()
        assert lines
        assert {json.loads(one)["kind"].partition(".")[0] for one in lines} == {"agent"}


@SIZES
@pytest.mark.parametrize("scheme", SCHEMES)
def test_everybody_can_use_it(open_page: Open, axe: str, size: dict[str, int], scheme: str) -> None:
    with open_page("/audit", size=size, scheme=scheme) as (page, _):
        expect(page.get_by_role("table", name="Entries of the record")).to_be_visible()
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"audit-{size['width']}-{scheme}")
        page.get_by_role("table").get_by_role("button").first.click()
        page.get_by_text(re.compile("Verified by this browser|Not verified")).wait_for()
        check_accessible(page, axe)
        screenshot(page, f"audit-entry-{size['width']}-{scheme}")


def test_every_family_of_entries_can_be_chosen() -> None:
    families = {one.family for one in KINDS.values()}
    listed = QUERIES.read_text("utf-8").partition("FAMILIES = [")[2].partition("]")[0]
    assert set(re.findall(r'"([a-z_]+)"', listed)) == families
