"""Addresses of webhooks at rest: whole they lie sealed, and in the open only what may be shown.

Whoever has an address may often post there: its path or query is a password of the receiver's. So
the whole is opened to send, and for who may change the webhook anyway; what lies and is shown
otherwise is its origin and its last characters. That form is no URL, so nothing is ever sent to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import structlog

from controlplane.errors import SecretError

if TYPE_CHECKING:
    from controlplane.context import Hub
    from controlplane.secret_keeper import SecretKeeper
    from storage.records import WebhookRecord

log = structlog.get_logger(__name__)

_HIDDEN: Final = " …"
"""Stands for what is left out; the space is in no URL."""
_TAIL_CHARS: Final = 4
_TAIL_OF_CHARS: Final = 16
"""Of what is shorter than this, no end is shown either."""
_WORD_CHARS: Final = 8
_CUT_CHARS: Final = 6
_BATCH: Final = 100


def address_place(webhook_id: str) -> str:
    """Return what a webhook's sealed address is bound to."""
    return f"webhooks/{webhook_id}/address"


def shorten_address(url: str) -> str:
    """Return the origin of `url` and how it ends, to tell it from others."""
    rest = _rest(url)
    if rest in ("", "/"):
        return url
    tail = rest[-_TAIL_CHARS:] if len(rest) >= _TAIL_OF_CHARS else ""
    return f"{url.removesuffix(rest)}/{_HIDDEN}{tail}"


def seal_address(secrets: SecretKeeper, id: str, realm: str | None, url: str) -> dict[str, Any]:
    """Return the fields of a webhook's record that hold its address.

    Raises:
        SecretError: no data key of that realm is known here.
    """
    sealed = secrets.seal(url.encode(), place=address_place(id), realm=realm)
    return {"url": shorten_address(url), "sealed_url": sealed}


def open_address(secrets: SecretKeeper, webhook: WebhookRecord) -> str:
    """Return where a webhook's events go.

    Raises:
        SecretError: its sealed address does not open.
    """
    if webhook.sealed_url is None:
        return webhook.url
    whole = secrets.open(webhook.sealed_url, place=address_place(webhook.id)).decode()
    # A process of the release before may have changed it since: then it lies in the open.
    return whole if shorten_address(whole) == webhook.url else webhook.url


def hide_address(told: str | None, url: str) -> str | None:
    """Return what a receiver has answered without the hidden parts of `url`, which many repeat."""
    if told is None:
        return None
    parts = sorted(set(_hidden_parts(url)), key=len, reverse=True)
    for part in parts:
        told = told.replace(part, "…")
    for part in parts:  # the answer was read as far as its bound: that may be in the middle of one
        for length in range(min(len(part) - 1, len(told)), _CUT_CHARS - 1, -1):
            if told.endswith(part[:length]):
                return told[:-length] + "…"
    return told


async def seal_addresses(hub: Hub) -> None:
    """Seal every address that lies in the open, as the release before kept them."""
    cursor: str | None = None
    while True:
        page = await hub.database.read(
            lambda uow: uow.webhooks.list(limit=_BATCH, cursor=cursor)  # noqa: B023
        )
        for one in page.items:
            if one.sealed_url is None or not _is_short(one.url):
                await _seal(hub, one)
        cursor = page.next_cursor
        if cursor is None:
            return


async def _seal(hub: Hub, webhook: WebhookRecord) -> None:
    if not await hub.secrets.prepare(webhook.realm):
        return  # removed meanwhile, with its realm
    try:
        fields = seal_address(hub.secrets, webhook.id, webhook.realm, webhook.url)
    except SecretError:
        log.warning("webhook_address_not_sealed", webhook=webhook.id)
        return
    await hub.database.write(lambda uow: uow.webhooks.seal(webhook, **fields))


def _rest(url: str) -> str:
    """Return what follows the origin of `url`."""
    parts = urlsplit(url)
    return url[len(parts.scheme) + len("://") + len(parts.netloc) :]


def _is_short(url: str) -> bool:
    return _HIDDEN in url or _rest(url) in ("", "/")


def _hidden_parts(url: str) -> Iterator[str]:
    rest = _rest(url)
    for one in (rest, *re.split(r"[/?&=#]", rest)):
        for form in (one, unquote(one)):
            if len(form) >= _WORD_CHARS:
                yield form
