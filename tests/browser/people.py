"""How tests sign in: by the API where signing in is not what is tested."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page

from tests.interaction.system import OWNER_PASSWORD

__all__ = ["OWNER_PASSWORD", "add_authenticator", "enter", "sign_in"]

_FRESH_SECONDS = 300.0  # half of what the hub takes for lately
_sessions: dict[tuple[str, str], tuple[float, list[Any]]] = {}


def enter(page: Page, origin: str, name: str = "admin") -> None:
    """Give the page's browser a session of a person, an earlier test's where it lives and is fresh.

    A hub counts sign-ins; tests of what comes after them would soon be told to wait.
    """
    known = _sessions.get((origin, name))
    if known is not None and time.monotonic() - known[0] < _FRESH_SECONDS:
        page.context.add_cookies(known[1])
        if page.request.get("/api/v1/me").ok:
            return
        page.context.clear_cookies()
    sign_in(page, name)
    _sessions[origin, name] = time.monotonic(), page.context.cookies()


def sign_in(page: Page, name: str = "admin", password: str = OWNER_PASSWORD) -> None:
    """Give the page's browser a fresh session of a person."""
    body = {"name": name, "password": password}
    answer = page.request.post("/api/v1/login", data=body)
    assert answer.ok, answer.text()


def add_authenticator(page: Page) -> None:
    """Plug in an authenticator that keeps passkeys and has just recognised its person."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
