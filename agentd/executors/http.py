"""The action `http.get`: its params, its rules and its redirects; `http_exchange` does one hop.

No host unless the policy rule lists it in `domains`; of a listed host only public addresses, and
the address that was checked is the one connected to. Every redirect is a new order to itself.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Final, Self
from urllib.parse import urljoin

from pydantic import AfterValidator, BaseModel, Field, JsonValue, field_validator, model_validator

from agentd.errors import ExecutorError
from agentd.executors.addresses import matches_host
from agentd.executors.base import Params, Work, check_output
from agentd.executors.blocking import NETWORK, Halt
from agentd.executors.files import encode_content
from agentd.executors.settings import DEFAULT_HTTP_BODY_BYTES
from protocol.addresses import Network, parse_networks
from protocol.http_target import MAX_URL_CHARS, Target, parse_target
from protocol.messages.tokens import Audience

MAX_HEADERS: Final = 50
MAX_HEADER_CHARS: Final = 8_000
MAX_REDIRECTS: Final = 5
MAX_SECONDS: Final = 60.0
USER_AGENT: Final = "writ-agent"

# What the connection itself sets, or what would speak to a proxy or change the framing.
_REFUSED_HEADERS: Final = frozenset(
    [
        "accept-encoding",
        "connection",
        "content-length",
        "content-encoding",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
# Anything else may be a credential under a name of its own, so it stays with its first origin.
_SAFE_ABROAD: Final = frozenset({"accept", "accept-language", "user-agent"})
_HIDDEN_HEADERS: Final = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "set-cookie",
        "set-cookie2",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    ]
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def _check_url(url: str) -> str:
    parse_target(url)
    return url


class GetParams(Params):
    """Params of `http.get`.

    `tokenFor` names the service at `url` that is to be shown who this agent is and for whom it
    works: a URL of the same origin. It gets a token of a minute as `Authorization: Bearer`.
    """

    url: Annotated[str, Field(max_length=MAX_URL_CHARS), AfterValidator(_check_url)]
    headers: Annotated[dict[str, str], Field(max_length=MAX_HEADERS)] = {}
    token_for: Audience | None = None

    @model_validator(mode="after")
    def _token_stays_home(self) -> Self:
        # Whoever writes the order must not have a token for one service sent to another.
        if self.token_for is not None:
            if parse_target(self.token_for).origin != parse_target(self.url).origin:
                raise ValueError("a token goes to its own service: a URL of the same origin")
            if any(name.lower() == "authorization" for name in self.headers):
                raise ValueError("with tokenFor, authorization is not for an order to set")
        return self

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if _TOKEN.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
                raise ValueError("a header has a token for a name and printable ASCII for a value")
            if name.lower() in _REFUSED_HEADERS:
                raise ValueError(f"the header {name.lower()} is not for an order to set")
        if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADER_CHARS:
            raise ValueError(f"headers have at most {MAX_HEADER_CHARS} characters")
        if len({name.lower() for name in headers}) != len(headers):
            raise ValueError("a header comes once")
        return headers


class HttpGet:
    """`http.get`: the output is `{status, headers, body, encoding}`.

    Headers have lowercase names, those of the connection and cookies left out. Any status is an
    answer, so the order has then succeeded.

    Args:
        allow_private: networks that may be reached although they are not public.
        max_body_bytes: of the body, unpacked.
    """

    name = "http.get"
    capability = "http"
    description = "Fetch a URL on a host that the policy lists."
    idempotent = True
    params_model: type[BaseModel] = GetParams

    def __init__(
        self,
        *,
        allow_private: tuple[str, ...] = (),
        max_body_bytes: int = DEFAULT_HTTP_BODY_BYTES,
    ) -> None:
        self._allow_private: tuple[Network, ...] = parse_networks(allow_private)
        self._max_body_bytes = max_body_bytes

    async def execute(self, work: Work) -> JsonValue:
        """Fetch, following up to five redirects, each checked like the first.

        Raises:
            ExecutorError: `no_token`, `domain_not_allowed`, `address_not_allowed`,
                `name_not_resolved`, `connection_failed`, `tls_failed`, `bad_response`,
                `bad_redirect`, `too_many_redirects`, `response_too_big`, `http_timed_out`,
                `output_too_big`.
        """
        params = work.params_as(GetParams)
        seconds = work.remaining_seconds(MAX_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                return check_output(await self._follow(params, work), work)
        except TimeoutError:
            raise ExecutorError("http_timed_out", f"no answer in {seconds:g} seconds") from None

    async def _follow(self, params: GetParams, work: Work) -> JsonValue:
        # Brings urllib3 with it, which an agent that never gets such an order need not load.
        from agentd.executors.http_exchange import Exchange

        url = params.url
        headers = {"user-agent": USER_AGENT, "accept": "*/*"}
        headers |= {name.lower(): value for name, value in params.headers.items()}
        target = parse_target(url)
        check_domain(target, work.domains)
        if params.token_for is not None:
            headers["authorization"] = f"Bearer {await work.tokens.fetch(params.token_for)}"
        for _ in range(MAX_REDIRECTS + 1):
            check_domain(target, work.domains)
            halt = Halt()
            exchange = Exchange(
                target,
                headers,
                allow_private=self._allow_private,
                max_body_bytes=self._max_body_bytes,
                timeout_seconds=work.remaining_seconds(MAX_SECONDS),
                halt=halt,
            )
            answer = await NETWORK.run(halt, exchange.perform)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None:
                content, encoding = encode_content(answer.body)
                shown: dict[str, JsonValue] = {
                    name: value
                    for name, value in answer.headers.items()
                    if name not in _HIDDEN_HEADERS
                }
                return {
                    "status": answer.status,
                    "headers": shown,
                    "body": content,
                    "encoding": encoding,
                }
            url = urljoin(url, location)
            previous, target = target, _parse_redirect(url)
            if previous.scheme == "https" and target.scheme == "http":
                raise ExecutorError("bad_redirect", "a redirect led from https to http")
            if target.origin != previous.origin:
                headers = {name: headers[name] for name in headers if name in _SAFE_ABROAD}
        raise ExecutorError("too_many_redirects", f"more than {MAX_REDIRECTS} redirects")


def check_domain(target: Target, domains: tuple[str, ...] | None) -> None:
    """Refuse a host that no pattern names; without patterns every host.

    Raises:
        ExecutorError: `domain_not_allowed`.
    """
    if not any(matches_host(pattern, target.host, target.port) for pattern in domains or ()):
        raise ExecutorError(
            "domain_not_allowed", f"the policy rule lists no domain for {target.host[:200]!r}"
        )


def _parse_redirect(url: str) -> Target:
    try:
        return parse_target(url)
    except ValueError as exc:
        raise ExecutorError("bad_redirect", f"redirected to what cannot be used: {exc}") from None
