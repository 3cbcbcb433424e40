"""Where this hub's pages lie for the browser that asks: its origin, and the path before them.

A hub behind a reverse proxy may lie below a path (`https://example.org/writ`). The path of
`public_url` says so; without it the proxy may, by `X-Forwarded-Prefix`. Only links are made from
it, never a decision: origins are compared by `controlplane.access.cross_site`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from controlplane.access.cross_site import own_origin

_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+){1,8}/?")


def configured_prefix(public_url: str) -> str:
    """Return the path of `public_url` without a slash at its end; empty at the root."""
    return urlsplit(public_url).path.rstrip("/")


def own_prefix(public_url: str, headers: Mapping[str, str]) -> str:
    """Return the path this hub lies below, as configured, else as a proxy says; empty at the root.

    What a proxy says is a plain path or nothing: whoever sends it can only misplace their own page.
    """
    if public_url:
        return configured_prefix(public_url)
    said = headers.get("x-forwarded-prefix", "")
    return said.rstrip("/") if len(said) <= 200 and _PREFIX.fullmatch(said) else ""


def own_address(public_url: str, scheme: str, headers: Mapping[str, str]) -> str:
    """Return what the address of each page begins with; no slash at its end."""
    return own_origin(public_url, scheme, headers) + own_prefix(public_url, headers)
