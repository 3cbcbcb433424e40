"""What a URL that others gave us says, taken apart once and strictly. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

MAX_URL_CHARS: Final = 8_000
PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """One URL taken apart: an ASCII host without brackets, and the text of the request line."""

    scheme: str
    host: str
    port: int
    request_target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials are bound to."""
        return self.scheme, self.host, self.port

    @property
    def host_header(self) -> str:
        """The value of `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """Return the parts of an absolute http or https URL without credentials.

    Raises:
        ValueError: anything else; also characters that have no place in a URL.
    """
    if not url.isprintable() or " " in url or "\\" in url or len(url) > MAX_URL_CHARS:
        raise ValueError("not a URL: a space, backslash or control character, or too long")
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        raise ValueError("a URL begins with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a URL carries no credentials; use a header")
    if not parts.hostname:
        raise ValueError("a URL names a host")
    host = parts.hostname.removesuffix(".")
    if ":" not in host:
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            raise ValueError("no such host name") from None
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        raise ValueError("no such host name")
    path = parts.path or "/"
    target = path + (f"?{parts.query}" if parts.query else "")
    # Only what is not ASCII needs help: percent signs that are there stay as they are.
    target = "".join(c if c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in target)
    port = PORTS[scheme] if parts.port is None else parts.port
    return Target(scheme, host, port, target)
