"""Whether a request that changes something was made by a page of this hub.

Two checks, each enough by itself: the browser's own word on where the request comes from, and a
value that only our pages can know. Bearer credentials need neither: no other site can send them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from controlplane.access.session_tokens import CSRF_HEADER, csrf_token_of
from controlplane.errors import CrossSiteError

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def own_origin(public_url: str, scheme: str, headers: Mapping[str, str]) -> str:
    """Return the origin of our own pages: as configured, else as the request was addressed."""
    if public_url:
        parts = urlsplit(public_url)
        return f"{parts.scheme}://{parts.netloc}".lower()
    return f"{scheme}://{headers.get('host', '')}".lower()


def check_origin(headers: Mapping[str, str], own: str) -> None:
    """Return when the browser does not say that the request comes from elsewhere.

    Raises:
        CrossSiteError: another origin, or a site that is not ours.
    """
    origin = headers.get("origin")
    if origin is not None and origin.lower() != own:
        raise CrossSiteError("this request comes from another site")
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise CrossSiteError("this request comes from another site")


def check_page(headers: Mapping[str, str], own: str, session_token: str) -> None:
    """Return when a change under a cookie was made by a page of ours.

    Raises:
        CrossSiteError: another origin, none said, or the page's value is missing or wrong.
    """
    check_origin(headers, own)
    if "origin" not in headers and headers.get("sec-fetch-site") != "same-origin":
        raise CrossSiteError("a change needs the Origin header")
    given = headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_token_of(session_token).encode()):
        raise CrossSiteError(f"a change needs {CSRF_HEADER}: see GET /api/v1/me")
