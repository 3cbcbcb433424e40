"""The screen Settings: where files are kept, tried out for real before anything is switched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, screenshot
from tests.browser.conftest import Open
from tests.interaction.fixtures import Fleet
from tests.servers.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server

pytestmark = pytest.mark.usefixtures("packages")


@pytest.fixture
def page(owned_fleet: Fleet, open_page: Open) -> Iterator[Page]:
    """The screen, in a hub that keeps its files where it was started with afterwards."""
    with open_page("/settings") as (page, _):
        yield page
    owned_fleet.system.rest.send("PATCH", "/settings/storage", {"url": None})


def test_files_go_to_s3_once_a_test_was_green_and_not_before(
    page: Page, owned_fleet: Fleet, s3_server: S3Server
) -> None:
    place = f"{BUCKET}/{s3_server.make_prefix()}"
    page.get_by_label("Kind").select_option("s3")
    page.get_by_label("Bucket, and a prefix in it").fill(place)
    page.get_by_label("Server").fill(s3_server.endpoint)
    page.get_by_label("Access key ID").fill(ACCESS_KEY)
    page.get_by_label("Secret access key").fill("not the secret of it")
    switch = page.get_by_role("button", name="Switch to it")
    expect(switch).to_be_disabled()
    page.get_by_role("button", name="Try it out").click()
    expect(page.get_by_text("That does not work")).to_be_visible()
    expect(switch).to_be_disabled()
    screenshot(page, "settings-refused-light-wide")

    page.get_by_label("Secret access key").fill(SECRET_KEY)
    expect(page.get_by_text("That does not work")).to_be_hidden()
    page.get_by_role("button", name="Try it out").click()
    expect(page.get_by_text("It works: written, read and removed")).to_be_visible()
    page.get_by_label("Region").fill("elsewhere")
    expect(switch).to_be_disabled()  # what was tried is not what stands there now
    page.get_by_label("Region").fill("")
    switch.click()
    page.get_by_role("dialog").get_by_role("button", name="Switch", exact=True).click()
    expect(page.get_by_text(f"s3://{place}").first).to_be_visible()
    expect(page.get_by_text("kept, sealed; never shown")).to_be_visible()
    assert SECRET_KEY not in page.content()
    assert page.get_by_label("Access key", exact=True).input_value() == "keep"

    # The kept secret goes to no other server.
    page.get_by_label("Server").fill("http://127.0.0.1:9")
    expect(page.get_by_label("Access key", exact=True)).to_have_value("new")
    stored = owned_fleet.system.rest.get("/settings/storage")
    assert stored["url"] == f"s3://{place}"

    page.get_by_label("Kind").select_option("start")
    page.get_by_role("button", name="Try it out").click()
    expect(page.get_by_text("It works: written, read and removed")).to_be_visible()
    switch.click()
    page.get_by_role("dialog").get_by_role("button", name="Switch", exact=True).click()
    expect(page.get_by_text("Files that lie there stay, and are still found.")).to_be_visible()


def test_a_folder_outside_the_hubs_own_is_refused_by_its_field(open_page: Open) -> None:
    with open_page("/settings") as (page, watch):
        watch.allowed.append("status of 422")
        page.get_by_label("Kind").select_option("folder")
        page.get_by_label("Folder").fill("/etc")
        page.get_by_role("button", name="Try it out").click()
        expect(page.get_by_role("alert")).to_contain_text("inside the hub's data folder")
        expect(page.get_by_role("button", name="Switch to it")).to_be_disabled()
        expect(page.get_by_label("Folder")).to_have_value("/etc")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_there_shuts_people_out(
    open_page: Open, axe: str, size: dict[str, int], scheme: str
) -> None:
    with open_page("/settings", size=size, scheme=scheme) as (page, _):
        expect(page.get_by_text("database: ok")).to_be_visible()
        page.get_by_label("Kind").select_option("s3")
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"settings-{scheme}-{'phone' if size is PHONE else 'wide'}")
