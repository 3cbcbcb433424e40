"""The text of a session: what a browser keeps as a cookie, or a command line as a bearer token.

Opaque and random; the database knows only its hash. The value that pages send back with each
change (against forged requests) is made from it, so it needs no place of its own.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "writs_"
SESSION_COOKIE: Final = "writ_session"
CSRF_HEADER: Final = "x-csrf-token"
_TOKEN = re.compile(r"writs_[A-Za-z0-9_-]{43}")
_MAX_COOKIE_CHARS: Final = 8_192


def new_session_token() -> str:
    """Return a fresh token of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def is_session_token(text: str) -> bool:
    """Whether `text` has the form of a token; says nothing about whose."""
    return _TOKEN.fullmatch(text) is not None


def secret_hash(secret: str) -> str:
    """Return the hex SHA-256 that stands for a random secret in the database."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_token_of(session_token: str) -> str:
    """Return what a page must send with each change: it cannot be had without the session."""
    digest = hashlib.sha256(b"writ.csrf\x00" + session_token.encode()).digest()
    return encode(digest)


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of base64url without padding; `ValueError` for anything else."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cookie_name(name: str, secure: bool) -> str:
    """Return the cookie's name: with the `__Host-` prefix where the browser will enforce it."""
    return f"__Host-{name}" if secure else name


def cookie_text(name: str, value: str, *, seconds: int, secure: bool) -> str:
    """Return a `Set-Cookie` value that scripts cannot read and other sites cannot send along.

    Zero `seconds` removes it.
    """
    parts = [f"{cookie_name(name, secure)}={value}", "Path=/", f"Max-Age={seconds}"]
    parts += ["HttpOnly", "SameSite=Lax"]
    if secure:
        parts.append("Secure")
    return "; ".join(parts)


def read_cookie(headers: Mapping[str, str], name: str, secure: bool) -> str | None:
    """Return a cookie of the request, or None; given twice, the request has none."""
    text = headers.get("cookie", "")
    if len(text) > _MAX_COOKIE_CHARS:
        return None
    wanted = cookie_name(name, secure)
    found = [
        value.strip()
        for key, _, value in (part.partition("=") for part in text.split(";"))
        if key.strip() == wanted
    ]
    return found[0] if len(found) == 1 else None
