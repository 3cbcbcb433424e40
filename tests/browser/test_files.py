"""The screen Files: put there, fetched again to the last byte, cancelled, deleted."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.accessibility import check_accessible, check_fits
from tests.browser.chromium import PHONE, SCHEMES, WIDE, screenshot
from tests.browser.conftest import Open
from tests.interaction.fixtures import Fleet
from tests.servers.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server

pytestmark = pytest.mark.usefixtures("packages")
SEED = 20260
HOSTILE = "<img src=x onerror=alert(1)>"


Put = Callable[[Page, str, bytes], None]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Choose a file of that name and content, as people do."""

    def choose(page: Page, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        expect(page.get_by_role("button", name="Upload")).to_be_visible()
        page.get_by_label("Files to upload").set_input_files(tmp_path / name, timeout=40_000)

    return choose


def fetch(page: Page, name: str) -> bytes:
    """Open a file in the list and save it, as people do; return its bytes."""
    page.get_by_role("table", name="Files").get_by_role("link", name=name).click()
    with page.expect_download() as fetched:
        page.get_by_role("dialog", name=name).get_by_role("link", name="Download").click()
    return Path(fetched.value.path()).read_bytes()


def test_what_is_uploaded_is_what_is_downloaded_until_it_is_deleted(
    open_page: Open, put: Put
) -> None:
    content = random.Random(SEED).randbytes(3_000_000)
    print(f"seed {SEED}")
    with open_page("/files") as (page, watch):
        # The drawer may ask once more for what has just gone.
        watch.allowed.append("status of 404")
        put(page, "report.bin", content)
        uploads = page.get_by_role("region", name="Uploads")
        expect(uploads).to_contain_text("arrived")
        assert fetch(page, "report.bin") == content
        drawer = page.get_by_role("dialog", name="report.bin")
        digest = hashlib.sha256(content).hexdigest()
        expect(drawer.get_by_title(digest)).to_be_visible()
        drawer.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog", name="Delete report.bin?").get_by_role(
            "button", name="Delete"
        ).click()
        expect(page.get_by_role("link", name="report.bin")).to_have_count(0)
        uploads.get_by_role("button", name="Clear").click()
        expect(uploads).to_be_hidden()
        assert page.url.endswith("/files")


def test_on_s3_the_bytes_come_and_go_through_the_hub_alone(
    owned_fleet: Fleet, open_page: Open, put: Put, s3_server: S3Server
) -> None:
    content = random.Random(SEED + 1).randbytes(400_000)
    rest = owned_fleet.system.rest
    place = {
        "url": f"s3://{BUCKET}/{s3_server.make_prefix()}",
        "endpoint": s3_server.endpoint,
        "credentials": {"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY},
    }
    assert rest.send("PATCH", "/settings/storage", place).status == 200
    try:
        # Whoever watches this page fails it when a request leaves the host.
        with open_page("/files") as (page, _):
            put(page, "in-the-bucket.bin", content)
            expect(page.get_by_role("region", name="Uploads")).to_contain_text("arrived")
            assert fetch(page, "in-the-bucket.bin") == content
    finally:
        rest.send("PATCH", "/settings/storage", {"url": None})


def test_an_upload_is_cancelled_and_one_that_broke_off_is_sent_again(
    open_page: Open, put: Put
) -> None:
    with open_page("/files") as (page, watch):
        watch.allowed.append("net::ERR_")
        held: list[Route] = []
        page.route(re.compile(r"/api/v1/files$"), lambda route: held.append(route))
        put(page, "slow.bin", b"x" * 100_000)
        cancel = page.get_by_role("button", name="Cancel slow.bin")
        cancel.click()
        expect(page.get_by_role("region", name="Uploads")).to_be_hidden()

        page.unroute(re.compile(r"/api/v1/files$"))
        page.route(re.compile(r"/api/v1/files$"), lambda route: route.abort(), times=1)
        put(page, "broken.bin", b"y" * 1000)
        expect(page.get_by_role("alert")).to_contain_text("The connection broke")
        page.get_by_role("button", name="Again").click()
        expect(page.get_by_role("region", name="Uploads")).to_contain_text("arrived")
        assert fetch(page, "broken.bin") == b"y" * 1000
        expect(page.get_by_role("link", name="slow.bin")).to_have_count(0)


def test_a_hostile_name_is_text_and_one_that_turns_text_around_is_refused(
    open_page: Open, put: Put
) -> None:
    with open_page("/files") as (page, watch):
        watch.allowed.append("status of 422")
        put(page, f"\u202e{HOSTILE}", b"x")
        expect(page.get_by_role("alert")).to_contain_text("printable")
        expect(page.get_by_role("region", name="Uploads")).to_contain_text(f"⟨U+202E⟩{HOSTILE}")
        page.get_by_role("button", name=re.compile("Forget")).click()

        put(page, HOSTILE, b"<script>alert(1)</script>")
        expect(page.get_by_role("region", name="Uploads")).to_contain_text("arrived")
        shown = page.get_by_role("table", name="Files").get_by_role("link").first
        expect(shown).to_have_text(HOSTILE)
        assert page.locator("main img").count() == 0
        shown.click()
        with page.expect_download() as fetched:
            page.get_by_role("link", name="Download").click()
        assert "/" not in fetched.value.suggested_filename
        expect(page).to_have_url(re.compile("/files/"))  # nothing of it was opened here


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_there_shuts_people_out(
    open_page: Open, put: Put, axe: str, size: dict[str, int], scheme: str
) -> None:
    kind = "phone" if size is PHONE else "wide"
    with open_page("/files", size=size, scheme=scheme) as (page, _):
        put(page, "minutes.txt", b"of a meeting")
        expect(page.get_by_role("table", name="Files")).to_be_visible()
        expect(page.get_by_role("region", name="Uploads")).to_contain_text("arrived")
        check_accessible(page, axe)
        check_fits(page)
        screenshot(page, f"files-{scheme}-{kind}")
        page.get_by_role("table").get_by_role("link").first.click()
        expect(page.get_by_role("dialog")).to_contain_text("SHA-256")
        check_accessible(page, axe)
        screenshot(page, f"files-one-{scheme}-{kind}")
