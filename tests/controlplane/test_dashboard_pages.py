"""How the built pages are served; built by hand here, so that no Node is needed."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from controlplane.access.page_address import own_address, own_prefix
from controlplane.dashboard.site import Dashboard
from tests.controlplane.hubs import ServedHub

PAGE = (
    '<!doctype html><base href="/" /><meta name="n" content="%NONCE%">'
    '<meta name="s" content="%SESSION%"><script>first()</script>'
    '<script type="module" src="./assets/a-1.js"></script>'
)
BROWSER = {"accept": "text/html,*/*", "accept-encoding": "gzip, br"}


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "index.html").write_text(PAGE)
    (assets / "a-1.js").write_text("let a = 1")
    (assets / "a-1.js.gz").write_bytes(gzip.compress(b"let a = 1"))
    return assets.parent


def test_every_address_of_a_person_is_the_page_and_of_a_program_none(dist: Path) -> None:
    site = Dashboard(dist)
    for path in ("/", "/fleet", "/fleet/did:key:z6Mk", "/anything/else"):
        reply = site.reply(path, BROWSER)
        assert reply is not None
        assert reply.media_type.startswith("text/html")
        assert reply.headers["cache-control"] == "no-store"
    assert site.reply("/fleet", {"accept": "application/json"}) is None
    assert site.reply("/assets/gone-2.js", BROWSER) is None
    assert site.reply("/../index.html", {"accept": "*/*"}) is None
    assert site.reply("/.sources", {"accept": "*/*"}) is None


def test_a_file_with_a_hash_in_its_name_is_kept_for_ever_and_sent_packed(dist: Path) -> None:
    site = Dashboard(dist)
    reply = site.reply("/assets/a-1.js", BROWSER)
    assert reply is not None
    assert "immutable" in reply.headers["cache-control"]
    assert reply.headers["content-encoding"] == "gzip"
    assert gzip.decompress(reply.body) == b"let a = 1"
    plain = site.reply("/assets/a-1.js", {})
    assert plain is not None
    assert plain.body == b"let a = 1"
    again = site.reply("/assets/a-1.js", {"if-none-match": plain.headers["etag"]})
    assert again is not None
    assert (again.status, again.body) == (304, b"")


def test_the_policy_lets_in_only_what_the_page_itself_has(dist: Path) -> None:
    site = Dashboard(dist)
    first, second = site.reply("/", BROWSER), site.reply("/", BROWSER)
    assert first is not None
    assert second is not None
    policy = first.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert re.search(r"script-src 'self' 'sha256-[A-Za-z0-9+/=]{44}';", policy)
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    assert f'content="{nonce[1]}"' in first.body.decode()
    assert policy != second.headers["content-security-policy"]


def test_links_begin_with_the_path_the_hub_lies_below(dist: Path) -> None:
    reply = Dashboard(dist).reply("/fleet", BROWSER, "/writ")
    assert reply is not None
    assert '<base href="/writ/" />' in reply.body.decode()


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("/writ", "/writ"),
        ("/a/b/", "/a/b"),
        ("", ""),
        ("/", ""),
        ("writ", ""),
        ("//evil.example", ""),
        ("https://evil.example", ""),
        ("/\\evil.example", ""),
        ("/%2fevil.example", ""),
        ("\t//evil.example", ""),
        ("/a//evil.example", ""),
        ("javascript:alert(1)", ""),
        ('/"><script>', ""),
        ("/a" * 200, ""),
    ],
)
def test_a_proxy_may_say_a_plain_path_and_nothing_else(said: str, taken: str) -> None:
    headers = {"x-forwarded-prefix": said, "host": "hub"}
    assert own_prefix("", headers) == taken
    assert own_address("", "http", headers) == f"http://hub{taken}"
    assert own_address("https://hub.example/w/", "http", headers) == "https://hub.example/w"


def test_a_hub_without_pages_says_what_to_do_and_finds_them_later(tmp_path: Path) -> None:
    site = Dashboard(tmp_path / "dist")
    reply = site.reply("/", BROWSER)
    assert reply is not None
    assert reply.status == 503
    assert b"make hub" in reply.body
    assert site.reply("/", {"accept": "application/json"}) is None
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text(PAGE)
    reply = site.reply("/", BROWSER)
    assert reply is not None
    assert reply.status == 200


async def test_an_address_of_the_api_is_never_a_page(served: ServedHub) -> None:
    for path, headers in (("/api/v1/nothing", {"Accept": "text/html"}), ("/nothing", {})):
        answer = await served.client.get(path, headers=headers)
        assert (answer.status, answer.code) == (404, "not_found")
    posted = await served.client.post("/nothing", headers={"Accept": "text/html"})
    assert posted.status == 404
