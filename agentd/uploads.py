"""Outputs too big for a result: ask the hub where to put them, put them there (SPEC section 4).

One upload at a time: grants come in the order of the requests. The data is held in memory by the
order that made it, so a crash before its result repeats or interrupts the order like any other.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

from agentd.errors import UploadError
from agentd.log import log
from agentd.outlet import MAY_PASS, Outlet
from agentd.settings import is_loopback
from protocol.messages import UploadGrant, UploadRequest

_ANSWER_SECONDS: Final = 30.0
_ONLINE_POLL_SECONDS: Final = 0.5
_FORBIDDEN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_AGAIN_SECONDS: Final = 1.0
_BUSY: Final = frozenset({408, 425, 429})
"""HTTP statuses below 500 that say nothing of the upload itself."""


class _PassingError(UploadError):
    """An upload that failed by what may be over the next time."""


class Uploads:
    """The way of big outputs to the hub's file store."""

    def __init__(
        self, outlet: Outlet, *, hub_url: str, insecure: bool, upload_seconds: float
    ) -> None:
        self._outlet = outlet
        self.dial(hub_url)
        self._insecure = insecure
        self._seconds = upload_seconds
        self._turn = asyncio.Lock()
        self._waiting: tuple[str, asyncio.Future[UploadGrant]] | None = None
        self._request_id: str | None = None

    def dial(self, hub_url: str) -> None:
        """Take addresses without a host to be at this hub process."""
        self._base = hub_url.replace("ws", "http", 1)

    async def send(self, intent_id: str, data: bytes) -> str:
        """Upload `data` and return its SHA-256 in hex.

        Raises:
            UploadError: no grant, or the store did not take it, within the time for uploads.
        """
        digest = hashlib.sha256(data).hexdigest()
        request = UploadRequest(intent_id=intent_id, bytes=len(data), sha256=digest)
        why = "no upload in time"
        try:
            async with asyncio.timeout(self._seconds), self._turn:
                while True:
                    try:
                        await self._try(request, data)
                        return digest
                    except _PassingError as exc:
                        # The work is done and may not be doable again: there is time to wait.
                        why = exc.message
                        log("warning", "upload_postponed", intent=intent_id, why=why)
                        await asyncio.sleep(_AGAIN_SECONDS)
        except TimeoutError:
            raise UploadError(f"the output is too big for a result; {why}") from None

    async def _try(self, request: UploadRequest, data: bytes) -> None:
        grant = await self._ask(request)
        url = self._check_url(grant.url)
        # The standard client, in a thread and imported now: uploads are rare.
        await asyncio.to_thread(_put, url, grant.headers, data, self._seconds)

    def take_grant(self, grant: UploadGrant) -> None:
        """The hub says where; a grant for another order is ignored."""
        if self._waiting is None or self._waiting[1].done():
            return
        intent_id, future = self._waiting
        if grant.intent_id in (None, intent_id):
            future.set_result(grant)

    def take_error(self, in_reply_to: str, code: str) -> bool:
        """The hub refuses; False when it does not speak of the open request."""
        if self._waiting is None or self._waiting[1].done() or in_reply_to != self._request_id:
            return False
        failure = _PassingError if code in MAY_PASS else UploadError
        self._waiting[1].set_exception(failure(f"too big for a result; the hub says {code}"))
        return True

    async def _ask(self, request: UploadRequest) -> UploadGrant:
        loop = asyncio.get_running_loop()
        while True:
            while (request_id := self._outlet.send(request)) is None:  # noqa: ASYNC110 - bounded
                await asyncio.sleep(_ONLINE_POLL_SECONDS)
            self._request_id = request_id
            future: asyncio.Future[UploadGrant] = loop.create_future()
            self._waiting = (request.intent_id, future)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await future
            except TimeoutError:
                log("warning", "no_upload_grant", intent=request.intent_id)
            finally:
                self._waiting = None

    def _check_url(self, url: str) -> str:
        full = urljoin(self._base, url)
        parts = urlsplit(full)
        plain_is_fine = self._insecure or is_loopback(parts.hostname or "")
        if parts.scheme != "https" and not (parts.scheme == "http" and plain_is_fine):
            raise UploadError("the hub granted an upload to an address that is not https://")
        return full


def _put(url: str, headers: Mapping[str, str], data: bytes, seconds: float) -> None:
    import http.client

    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=min(seconds, 60.0))
    sent = {name: headers[name] for name in headers if name.lower() not in _FORBIDDEN_HEADERS}
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("PUT", target, body=data, headers=sent)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as exc:
        raise _PassingError(f"the upload failed: {type(exc).__name__}") from exc
    except ValueError as exc:
        raise UploadError(f"the upload failed: {type(exc).__name__}") from exc
    finally:
        connection.close()
    if not 200 <= status < 300:
        failure = _PassingError if status >= 500 or status in _BUSY else UploadError
        raise failure(f"the upload was answered by {status}")
