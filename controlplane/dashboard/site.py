"""The built pages, as answers: one page for every address of the dashboard, and its files.

Owns what browsers are told about them: how long to keep a file, and what a page may do (its
Content-Security-Policy). Knows no operations and no permissions: everything here is public.
"""

from __future__ import annotations

import base64
import hashlib
import html
import mimetypes
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controlplane.access.session_tokens import SESSION_COOKIE
from controlplane.api.operation import Reply
from controlplane.dashboard.build import DIST

_HASHED: Final = "assets/"
"""Below it, a file's name holds its content's hash: it never changes."""
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_BASE: Final = '<base href="/" />'
_NONCE: Final = "%NONCE%"
_SESSION: Final = "%SESSION%"
_HTML: Final = "text/html; charset=utf-8"
_TYPES: Final = {".js": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml"}
_ABSENT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Writ</title>
<h1>This hub works; its dashboard is not built</h1>
<p>In a checkout <code>make hub</code> and <code>make demo</code> build it, when the npm registry
can be reached; <code>python -m controlplane.dashboard.build</code> says why when it cannot. An
installed release has it inside. No restart is needed.</p>
<p>Meanwhile: <a href="docs">the API</a>, and the command <code>writ</code>.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Page:
    """`index.html`, read once: its text around what differs, and what its scripts hash to."""

    text: str
    scripts: str


class Dashboard:
    """The pages in a folder; looked for again while they are not there."""

    def __init__(self, folder: Path = DIST) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self._page: _Page | None = None

    def reply(self, path: str, headers: Mapping[str, str], prefix: str = "") -> Reply | None:
        """Return the answer to a GET of `path`; None when it is neither a file nor a page's.

        Any address that a browser navigates to is a page's: which there are, the page itself knows.

        Args:
            path: of the request, below the prefix.
            headers: of the request.
            prefix: where the hub lies on its host, such as `/writ`, for links.
        """
        page = self._load()
        name = path.removeprefix("/")
        if name in self._files:
            return self._file(name, headers)
        if name.startswith(_HASHED) or "text/html" not in headers.get("accept", ""):
            return None
        if page is None:
            return Reply(_absent(prefix), 503, _page_headers("'none'", "'none'"), _HTML)
        nonce = secrets.token_urlsafe(18)
        base = f'<base href="{html.escape(prefix)}/" />'
        # Whether it is worth asking who is signed in; the answer is the API's alone.
        session = "maybe" if SESSION_COOKIE in headers.get("cookie", "") else "none"
        text = page.text.replace(_BASE, base, 1).replace(_NONCE, nonce).replace(_SESSION, session)
        headers_ = _page_headers(f"'self' {page.scripts}", f"'self' 'nonce-{nonce}'")
        return Reply(text.encode(), 200, headers_, _HTML)

    def _load(self) -> _Page | None:
        if self._page is None and (self._folder / "index.html").is_file():
            text = (self._folder / "index.html").read_text("utf-8")
            self._files = {
                one.relative_to(self._folder).as_posix(): one
                for one in self._folder.rglob("*")
                if one.is_file()
                and one.suffix not in (".br", ".gz", ".html")
                and not one.name.startswith(".")
            }
            self._page = _Page(text, " ".join(map(_hash_source, _INLINE.findall(text))))
        return self._page

    def _file(self, name: str, headers: Mapping[str, str]) -> Reply | None:
        path = self._files[name]
        accepted = {part.partition(";")[0].strip() for part in _list(headers, "accept-encoding")}
        told = {"vary": "accept-encoding"}
        for encoding, suffix in _ENCODINGS:
            packed = path.with_name(path.name + suffix)
            if encoding in accepted and packed.is_file():
                path, told["content-encoding"] = packed, encoding
                break
        try:
            data = path.read_bytes()
        except OSError:
            # Built anew under a running hub: the next request looks again.
            self._page, self._files = None, {}
            return None
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        told |= {
            "cache-control": _FOREVER if name.startswith(_HASHED) else _ASK_AGAIN,
            "etag": tag,
        }
        if tag in _list(headers, "if-none-match"):
            return Reply(b"", 304, told, _media_type(name))
        return Reply(data, 200, told, _media_type(name))


def _page_headers(scripts: str, styles: str) -> dict[str, str]:
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; "
        "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; "
        "manifest-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    )
    return {"content-security-policy": policy, "cache-control": "no-store"}


def _absent(prefix: str) -> bytes:
    return _ABSENT.replace('href="docs"', f'href="{html.escape(prefix)}/docs"').encode()


def _hash_source(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _list(headers: Mapping[str, str], name: str) -> list[str]:
    return [part.strip() for part in headers.get(name, "").split(",")]


def _media_type(name: str) -> str:
    suffix = Path(name).suffix
    found = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found
