"""Talks to one OpenID provider: its description, its keys, and codes for tokens.

Bounded in time and bytes, follows no redirect, and plain http only to loopback.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from controlplane.access.oidc_tokens import TokenError, UnknownKeyError, verify_id_token
from controlplane.errors import ProviderUnreachableError
from controlplane.settings import OidcIssuer

_MAX_ANSWER_BYTES: Final = 512 * 1024
_KEPT_SECONDS: Final = 600.0
_REFETCH_SECONDS: Final = 10.0
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_PLAIN: Final = re.compile(r"[!-\[\]-~]+")
"""What an address is written in: browsers skip tabs, and take a backslash for a slash."""


class OidcProvider:
    """One provider of the settings."""

    def __init__(self, issuer: OidcIssuer) -> None:
        self.issuer = issuer
        self._pool = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=5, read=10), maxsize=4
        )
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    async def metadata(self) -> dict[str, Any]:
        """Return what the provider says of itself, asked again every ten minutes.

        Raises:
            ProviderUnreachableError: it does not answer, or describes another issuer.
        """
        url = self.issuer.issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = await self._get(url, _KEPT_SECONDS)
        if found.get("issuer") != self.issuer.issuer:
            raise ProviderUnreachableError("the provider says it is somebody else")
        return found

    async def sign_in_page(self) -> str:
        """Return where browsers are sent to sign in.

        Raises:
            ProviderUnreachableError: it does not answer, or names nothing to send a browser to.
        """
        page = (await self.metadata()).get("authorization_endpoint")
        return _check_address(page if isinstance(page, str) else "")

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str) -> str:
        """Return the ID token for a code.

        Raises:
            TokenError: the provider refuses the code.
            ProviderUnreachableError: it does not answer.
        """
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        secret = self.issuer.client_secret
        if secret is None:
            fields["client_id"] = self.issuer.client_id
        else:
            name, word = quote(self.issuer.client_id), quote(secret.get_secret_value())
            headers |= urllib3.make_headers(basic_auth=f"{name}:{word}")
        endpoint = str((await self.metadata()).get("token_endpoint"))
        status, answer = await asyncio.to_thread(self._send, "POST", endpoint, headers, fields)
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise TokenError(f"the provider answered {status}")
        return token

    async def verify(self, token: str, *, nonce: str, now: Any) -> dict[str, Any]:
        """Return the claims of an ID token; keys are fetched again once when none fits.

        Raises:
            TokenError: it does not hold.
            ProviderUnreachableError: the keys cannot be had.
        """
        url = str((await self.metadata()).get("jwks_uri"))
        for kept_seconds in (_KEPT_SECONDS, _REFETCH_SECONDS):
            keys = await self._get(url, kept_seconds)
            try:
                return verify_id_token(
                    token,
                    keys,
                    issuer=self.issuer.issuer,
                    client_id=self.issuer.client_id,
                    nonce=nonce,
                    now=now,
                )
            except UnknownKeyError as exc:
                failure = exc
        raise failure

    async def _get(self, url: str, kept_seconds: float) -> dict[str, Any]:
        known = self._known.get(url)
        if known is not None and time.monotonic() - known[0] < kept_seconds:
            return known[1]
        status, found = await asyncio.to_thread(
            self._send, "GET", url, {"Accept": "application/json"}, None
        )
        if status != 200:
            raise ProviderUnreachableError(f"the provider answered {status}")
        self._known[url] = (time.monotonic(), found)
        return found

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], fields: dict[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        _check_address(url)
        try:
            answer = self._pool.request(
                method,
                url,
                body=None if fields is None else urlencode(fields),
                headers=dict(headers),
                redirect=False,
                preload_content=False,
            )
            data = answer.read(_MAX_ANSWER_BYTES + 1)
            answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            raise ProviderUnreachableError("the provider does not answer") from exc
        if len(data) > _MAX_ANSWER_BYTES:
            raise ProviderUnreachableError("the provider says too much")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        return answer.status, value if isinstance(value, dict) else {}


def _check_address(url: str) -> str:
    """Return `url` when it is https, or http to loopback, in characters that mean one thing."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise ProviderUnreachableError("a provider with an address that is none") from None
    if _PLAIN.fullmatch(url) is None or not host:
        raise ProviderUnreachableError("a provider with an address that is none")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ProviderUnreachableError("a provider is reached by https")
    return url
