"""How tests sign in: by the API where signing in is not what is tested."""

from __future__ import annotations

from playwright.sync_api import Page

OWNER_PASSWORD = "correct horse battery"


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
