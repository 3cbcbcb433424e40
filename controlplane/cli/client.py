"""Speaks the hub's REST API for the command line; knows HTTP, nothing of commands or printing."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from controlplane.cli.failures import TIMED_OUT, USAGE, CliError, ProblemError, UnreachableError

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_SPACE = re.compile(r"[^\x21-\x7e]")
_TIMEOUT = urllib3.Timeout(connect=5, read=60)


class HubClient:
    """One hub, one key. Every method raises `ProblemError` or `UnreachableError`, nothing else."""

    def __init__(self, url: str, *, api_key: str | None) -> None:
        if not _is_address(url):
            raise CliError(f"{url!r} is no address: http://... or https://...", exit_code=USAGE)
        if api_key and (not api_key.isascii() or not api_key.isprintable() or " " in api_key):
            raise CliError("the API key has characters that no key has", exit_code=USAGE)
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "writ"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON that `GET /api/v1{path}` answers; query values of None are left out."""
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        """Return the JSON that a POST answers; carries an `Idempotency-Key` of its own."""
        return self.request("POST", path, body=body if body is not None else {}, query=query)

    def put(self, path: str, body: Any) -> Any:
        """Return the JSON that a PUT answers."""
        return self.request("PUT", path, body=body)

    def patch(self, path: str, body: Any) -> Any:
        """Return the JSON that a PATCH answers."""
        return self.request("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        """Delete what `path` names."""
        self.request("DELETE", path)

    def pages(self, path: str, *, limit: int | None = None, **query: Any) -> dict[str, Any]:
        """Return `{"items", "nextCursor"}` with up to `limit` items gathered over pages."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            left = None if limit is None else limit - len(items)
            size = 100 if left is None else min(100, left)
            page = self.get(path, **{**query, "limit": size, "cursor": cursor})
            items.extend(page["items"])
            cursor = page.get("nextCursor")
            if cursor is None or (limit is not None and len(items) >= limit):
                return {"items": items, "nextCursor": cursor}

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        timeout_seconds: float | None = None,
        stream: Iterable[bytes] | None = None,
    ) -> Any:
        """Send one request and return its JSON, or None for an empty answer.

        Args:
            method: of HTTP.
            path: below `/api/v1`.
            body: a JSON value, or None.
            query: values of None are left out.
            headers: beside those that every request has.
            timeout_seconds: for the answer.
            stream: the body in pieces, instead of `body`; its length stands in `headers`.
        """
        sent = body if stream is None else stream
        answer = self._send(method, path, sent, query, headers, timeout_seconds)
        with self._broken_off():
            data = answer.read(MAX_ANSWER_BYTES)
        answer.release_conn()
        if answer.status >= 400:
            raise self._problem(answer.status, data, path)
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError as exc:
            raise CliError(f"{self.url} does not answer like a hub: no JSON") from exc

    def download(self, path: str, **query: Any) -> Iterator[bytes]:
        """Yield the body of a GET in pieces of up to 64 KiB."""
        answer = self._send("GET", path, None, query, None, None)
        with self._broken_off():
            if answer.status >= 400:
                raise self._problem(answer.status, answer.read(MAX_ANSWER_BYTES), path)
            try:
                yield from answer.stream(65536)
            finally:
                answer.release_conn()

    @contextlib.contextmanager
    def _broken_off(self) -> Iterator[None]:
        try:
            yield
        except urllib3.exceptions.ReadTimeoutError as exc:
            raise CliError(f"{self.url} took too long to answer", exit_code=TIMED_OUT) from exc
        except urllib3.exceptions.HTTPError as exc:
            raise UnreachableError(f"the answer of {self.url} broke off") from exc

    def events(self, path: str, *, read_seconds: float = 60) -> Iterator[tuple[str, Any]]:
        """Open a server-sent stream now; yield (event name, JSON data) until the hub ends it."""
        headers = {"Accept": "text/event-stream"}
        answer = self._send("GET", path, None, None, headers, read_seconds)
        if answer.status >= 400:
            raise self._problem(answer.status, answer.read(MAX_ANSWER_BYTES), path)
        return self._read_events(answer)

    def _read_events(self, answer: urllib3.BaseHTTPResponse) -> Iterator[tuple[str, Any]]:
        try:
            yield from _parse_events(answer)
        except urllib3.exceptions.HTTPError as exc:
            raise UnreachableError(f"the stream from {self.url} broke off") from exc
        finally:
            answer.close()

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        query: dict[str, Any] | None,
        headers: dict[str, str] | None,
        timeout_seconds: float | None,
    ) -> urllib3.BaseHTTPResponse:
        target = self.url + (path if path.startswith("/.") else f"/api/v1{path}")
        chosen = {name: value for name, value in (query or {}).items() if value is not None}
        if chosen:
            target += "?" + urlencode(chosen, doseq=True)
        sent = {**self._headers, **(headers or {})}
        data = json.dumps(body).encode() if isinstance(body, dict | list) else body
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        if method == "POST":
            sent.setdefault("Idempotency-Key", secrets.token_hex(16))
        timeout = _TIMEOUT
        if timeout_seconds is not None:
            timeout = urllib3.Timeout(connect=5, read=timeout_seconds)
        try:
            return self._pool.request(
                method,
                target,
                body=data,
                headers=sent,
                timeout=timeout,
                preload_content=False,
                redirect=False,
            )
        except urllib3.exceptions.ReadTimeoutError as exc:
            raise CliError(f"{self.url} took too long to answer", exit_code=TIMED_OUT) from exc
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            raise UnreachableError(
                f"no hub answers at {self.url}; start one (`writ hub run`) or set WRIT_URL"
            ) from exc

    def _problem(self, status: int, data: bytes, path: str) -> ProblemError:
        problem = _parse_problem(data)
        # Elsewhere it may be about a password.
        about_key = path == "/me" or not path.startswith(("/login", "/me/"))
        if about_key and status == 401 and problem.get("code") == "unauthenticated":
            # The hub tells a missing key and a wrong one in the same words; only we know which.
            if "Authorization" in self._headers:
                told = "the hub does not take this key: it is wrong, revoked or of another hub"
            else:
                told = "no key: set WRIT_API_KEY, or `writ login` once"
            problem = {**problem, "detail": told}
        return ProblemError(status, problem)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not _SPACE.search(url)


def segment(text: str) -> str:
    """Return `text` quoted as one path segment, so that no name can change the route."""
    return quote(text, safe="")


def _parse_problem(data: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(data)
    except ValueError:
        problem = {}
    return problem if isinstance(problem, dict) else {}


def _parse_events(answer: urllib3.BaseHTTPResponse) -> Iterator[tuple[str, Any]]:
    buffer = b""
    for piece in answer.stream(65536):
        buffer += piece
        while b"\n\n" in buffer:
            block, _, buffer = buffer.partition(b"\n\n")
            name, lines = "message", []
            for line in block.decode("utf-8", "replace").split("\n"):
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "event":
                    name = value
                elif field == "data":
                    lines.append(value)
            if lines:
                yield name, json.loads("\n".join(lines))
