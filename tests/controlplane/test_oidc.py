"""Signing in by an OpenID provider: a real one start to finish, and tokens that prove nothing."""

from __future__ import annotations

import asyncio
import base64
import hmac
import http.client
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from controlplane.access.oidc_provider import OidcProvider
from controlplane.access.oidc_tokens import TokenError, groups_of, new_pkce, verify_id_token
from controlplane.errors import ProviderUnreachableError, SettingsError
from controlplane.settings import OidcIssuer, load_settings
from tests.controlplane.hubs import Answer, Client, ServedHub, serve
from tests.servers.oidc import run_provider

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ISSUER, CLIENT = "https://id.example.org", "writ"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
HS256 = b'{"alg": "HS256", "kid": "one"}'
JWKS = KeySet([KEY]).as_dict(private=False)


ELSEWHERE = (
    "//evil.example",
    "/\\evil.example",
    "https:evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "%2f%2fevil.example",
    "%5c%5cevil.example",
    "\t//evil.example",
    "/\n/evil.example",
    " https://evil.example",
)
WISHES = ("next", "redirect_uri", "return_to", "url")


class Browser:
    """Follows a provider's pages as a person would: fills in the forms and keeps cookies."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}

    def request(self, url: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, `Location` and the page."""
        parts = urlsplit(url)
        jar = self.cookies.setdefault(parts.netloc, {})
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())} if jar else {}
        body = None
        if form is not None:
            body = urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("POST" if form is not None else "GET", target, body, headers)
        response = connection.getresponse()
        page = response.read().decode()
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                jar[key] = rest.partition(";")[0]
        location = response.getheader("Location") or ""
        connection.close()
        if location.startswith("/"):
            location = f"{parts.scheme}://{parts.netloc}{location}"
        return response.status, location, page

    def go_until(self, url: str, stop: str, person: str) -> str:
        """Sign in and consent wherever asked; return the address that begins with `stop`."""
        for _ in range(12):
            if url.startswith(stop):
                return url
            status, location, page = self.request(url)
            if status == 200:
                prompt = "login" if 'value="login"' in page else "consent"
                form = {"prompt": prompt, "login": person, "password": "any"}
                _, location, page = self.request(url, form)
            assert location, page
            url = location
        raise AssertionError(f"never came to {stop}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def as_cookie(browser: Browser, client: Client) -> dict[str, str]:
    jar = browser.cookies[f"127.0.0.1:{client.port}"]
    return {"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items() if v)}


async def sign_in(served: ServedHub, person: str) -> tuple[Browser, int]:
    browser = Browser()
    hub = f"http://127.0.0.1:{served.client.port}"

    def drive() -> int:
        # Whoever made the link has put in where they would have the person go.
        wishes = urlencode([(name, ELSEWHERE[0]) for name in WISHES])
        _, away, _ = browser.request(f"{hub}/api/v1/login/oidc/test?{wishes}")
        query = parse_qs(urlsplit(away).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == [f"{hub}/api/v1/login/oidc/test/callback"]
        back = browser.go_until(away, f"{hub}/api/v1/login/oidc/test/callback", person)
        back += f"&{wishes}"
        status, location, _ = browser.request(back)
        if status == 302:
            assert location == f"{hub}/"
        again, _, _ = browser.request(back)
        assert again == 401, "a code is redeemed once"
        return status

    return browser, await asyncio.to_thread(drive)


async def me(served: ServedHub, browser: Browser) -> Answer:
    stranger = served.client.as_key(None)
    return await stranger.get("/api/v1/me", headers=as_cookie(browser, stranger))


async def test_somebody_signs_in_by_a_real_provider(tmp_path: Path, oidc_modules: Path) -> None:
    port = free_port()
    redirect = f"http://127.0.0.1:{port}/api/v1/login/oidc/test/callback"
    with run_provider(oidc_modules, redirect) as issuer:
        provider: dict[str, Any] = {
            "name": "test",
            "issuer": issuer,
            "client_id": "writ",
            "client_secret": "a secret of the client",
            "roles": {"engineers": "default:manager", "everybody": "default:member"},
        }
        async with serve(tmp_path / "hub", port=port, oidc=[provider]) as served:
            stranger = served.client.as_key(None)
            shown = (await stranger.get("/api/v1/login/methods")).json["providers"]
            assert [one["name"] for one in shown] == ["test"]
            ada, status = await sign_in(served, "ada")
            assert status == 302
            who = (await me(served, ada)).json
            assert (who["name"], who["realmRoles"]) == ("ada", {"default": ["manager"]})
            # The same person again, not a second one; a role taken here comes back by the group.
            owner = await served.owner()
            path = "/api/v1/realms/default/members/ada"
            assert (await owner.send("PUT", path, {"role": "member"})).status == 200
            again, _ = await sign_in(served, "ada")
            back = (await me(served, again)).json
            assert (back["id"], back["realmRoles"]) == (who["id"], {"default": ["manager"]})
            bob, _ = await sign_in(served, "bob")
            assert (await me(served, bob)).json["realmRoles"] == {"default": ["member"]}
            # In no group that means anything here: nobody.
            eve, status = await sign_in(served, "eve")
            assert status == 401
            assert (await me(served, eve)).status == 401
            names = [one["name"] for one in (await owner.get("/api/v1/users")).json["items"]]
            assert names == ["ada", "admin", "bob"]
            await another_browser_cannot_end_it(served)


async def another_browser_cannot_end_it(served: ServedHub) -> None:
    hub = f"http://127.0.0.1:{served.client.port}"

    def drive() -> int:
        victim, thief = Browser(), Browser()
        _, away, _ = thief.request(f"{hub}/api/v1/login/oidc/test")
        back = thief.go_until(away, f"{hub}/api/v1/login/oidc/test/callback", "ada")
        status, _, _ = victim.request(back)
        return status

    assert await asyncio.to_thread(drive) == 401


async def test_what_was_not_begun_here_is_not_ended_here(tmp_path: Path) -> None:
    provider = {"name": "test", "issuer": "http://127.0.0.1:9", "client_id": "writ"}
    async with serve(tmp_path / "hub", oidc=[provider]) as served:
        stranger = served.client.as_key(None)
        base = "/api/v1/login/oidc"
        assert (await stranger.get(f"{base}/nobody")).status == 404
        down = await stranger.get(f"{base}/test")
        assert (down.status, down.code) == (502, "provider_unreachable")
        for query in ("", "?state=x&code=y", "?error=access_denied&state=x", "?state=x&next=//e"):
            answer = await stranger.get(f"{base}/test/callback{query}")
            assert (answer.status, answer.code) == (401, "sign_in_failed"), query


async def test_no_wish_where_to_go_leads_anywhere(tmp_path: Path) -> None:
    provider = {"name": "test", "issuer": "http://127.0.0.1:9", "client_id": "writ"}
    async with serve(tmp_path / "hub", oidc=[provider]) as served:
        stranger = served.client.as_key(None)
        for where in ELSEWHERE:
            for wish in WISHES:
                query = urlencode({wish: where})
                begun = await stranger.get(f"/api/v1/login/oidc/test?{query}")
                assert (begun.status, begun.code) == (502, "provider_unreachable"), query
                ended = await stranger.get(f"/api/v1/login/oidc/test/callback?{query}&state=x")
                assert (ended.status, ended.code) == (401, "sign_in_failed"), query
                for answer in (begun, ended):
                    assert "location" not in answer.headers
                    assert b"evil.example" not in answer.data


@pytest.mark.parametrize(
    "page",
    [
        None,
        "",
        7,
        "/authorize",
        "//evil.example",
        "javascript:alert(1)",
        "javascript://127.0.0.1/%0aalert(1)",
        "data:text/html,x",
        "ftp://127.0.0.1/",
        "http://id.example.org/authorize",
        "https:evil.example",
        "https://",
        "https://id.example.org\\@evil.example/",
        "https://id.example.org/\nSet-Cookie: x=y",
        "\thttps://id.example.org/",
        "https://[::1",
    ],
)
async def test_a_provider_sends_nobody_where_a_browser_should_not_go(page: Any) -> None:
    found = {"issuer": ISSUER, "authorization_endpoint": page}
    with pytest.raises(ProviderUnreachableError):
        await Described(found).sign_in_page()


async def test_a_providers_own_page_is_where_people_are_sent() -> None:
    for page in ("https://id.example.org/authorize?tenant=1", "http://127.0.0.1:8/authorize"):
        found = {"issuer": ISSUER, "authorization_endpoint": page}
        assert await Described(found).sign_in_page() == page


class Described(OidcProvider):
    """A provider whose description is at hand."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        super().__init__(OidcIssuer(name="test", issuer=ISSUER, client_id=CLIENT))
        self._metadata = metadata

    async def metadata(self) -> dict[str, Any]:
        return self._metadata


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example",
        "hub.example",
        "HTTPS://hub.example",
        "javascript:alert(1)",
        "https://hub.example//evil.example",
        "https://hub.example/\\evil.example",
        "https://user:word@hub.example",
        "https://hub.example/?next=x",
        "https://hub.example/#x",
        "https://hub.example/\n",
        "https://hub.example ",
    ],
)
def test_a_public_address_is_an_origin_and_a_plain_path(url: str) -> None:
    with pytest.raises(SettingsError):
        load_settings({"public_url": url}, environ={})


def test_public_addresses_as_people_have_them_are_taken() -> None:
    for url in ("", "https://hub.example", "http://[::1]:8080/", "https://example.org:8/a/writ/"):
        assert load_settings({"public_url": url}, environ={}).public_url == url


def claims(**changed: Any) -> dict[str, Any]:
    moment = int(NOW.timestamp())
    made = {"iss": ISSUER, "aud": CLIENT, "sub": "ada", "nonce": "n", "iat": moment}
    made |= {"exp": moment + 300, **changed}
    return {name: value for name, value in made.items() if value is not None}


def verify(token: str, keys: dict[str, Any] = JWKS) -> dict[str, Any]:
    return verify_id_token(token, keys, issuer=ISSUER, client_id=CLIENT, nonce="n", now=NOW)


def signed(content: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one", **header}, content, key)


def urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_token_for_us_now_is_taken() -> None:
    assert verify(signed(claims()))["sub"] == "ada"
    assert verify(signed(claims(aud=[CLIENT, "other"], azp=CLIENT)))["sub"] == "ada"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example.org"},
        {"iss": ISSUER + "/"},
        {"aud": "other"},
        {"aud": None},
        {"aud": [CLIENT, "other"]},
        {"azp": "other"},
        {"nonce": "m"},
        {"nonce": None},
        {"exp": int(NOW.timestamp()) - 61},
        {"exp": None},
        {"exp": True},
        {"iat": int(NOW.timestamp()) + 120},
        {"iat": int(NOW.timestamp()) - 3_600},
        {"iat": "now"},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": 7},
    ],
)
def test_a_token_that_proves_something_else_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        verify(signed(claims(**changed)))


def test_a_token_of_another_key_or_none_is_refused() -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    public = KEY.as_pem(private=False)
    header, payload, signature = signed(claims()).split(".")
    # The public key taken as a shared secret: what a confused verifier would accept.
    start = urlsafe(HS256) + "." + payload
    confused = f"{start}.{urlsafe(hmac.digest(public, start.encode(), 'sha256'))}"
    none = f"eyJhbGciOiJub25lIn0.{payload}."
    bent = f"{header}.{payload}.{'A' * len(signature)}"
    for token in (signed(claims(), stranger), confused, none, bent, "", "a.b.c", "x" * 40_000):
        with pytest.raises(TokenError):
            verify(token)


def test_groups_are_strings_or_nothing() -> None:
    assert groups_of({"groups": ["a", 1, "b"]}, "groups") == {"a", "b"}
    assert groups_of({"groups": "a"}, "groups") == {"a"}
    assert groups_of({"groups": {"a": 1}}, "groups") == frozenset()
    assert groups_of({}, "groups") == frozenset()


def test_a_challenge_is_not_its_verifier() -> None:
    one, other = new_pkce(), new_pkce()
    assert len(one.verifier) >= 43
    assert one.challenge != other.challenge
    assert one.verifier not in one.challenge


def test_providers_come_from_the_environment_too() -> None:
    text = '[{"name": "x", "issuer": "https://id.example.org", "client_id": "writ"}]'
    settings = load_settings(environ={"WRIT_OIDC": text})
    assert settings.oidc[0].issuer == "https://id.example.org"
