"""Tokens for other services: asked of the hub over the live connection (SPEC section 4).

Nothing is kept: a token lives a minute, and whoever needs another one asks again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from agentd.errors import ExecutorError
from agentd.executors.service_tokens import ServiceTokens
from agentd.outlet import MAY_PASS, Outlet
from protocol.messages import TokenGrant, TokenRequest

MAX_WAITING: Final = 256
_ANSWER_SECONDS: Final = 15.0
_ONLINE_POLL_SECONDS: Final = 0.2
_AGAIN_SECONDS: Final = 0.5


@dataclass(slots=True)
class _Wish:
    """A request that waits for its answer; `frame` is the id of the frame that asked last."""

    request: TokenRequest
    answer: asyncio.Future[str | None] = field(repr=False)
    frame: str | None = None


class Tokens:
    """The way to the hub's tokens."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._waiting: list[_Wish] = []

    def work_for(self, intent_id: str) -> ServiceTokens:
        """Return what the executor of one order sees."""
        return _TokensOfOrder(self, intent_id)

    async def fetch(self, intent_id: str, audience: str) -> str:
        """Return a token; see `ServiceTokens.fetch`."""
        try:
            request = TokenRequest(intent_id=intent_id, audience=audience)
        except ValidationError:
            raise ExecutorError("no_token", "that is no name of a service") from None
        if len(self._waiting) >= MAX_WAITING:
            raise ExecutorError("no_token", "too many tokens are asked for at once")
        wish = _Wish(request, asyncio.get_running_loop().create_future())
        self._waiting.append(wish)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                while (token := await self._ask(wish)) is None:
                    wish.answer = asyncio.get_running_loop().create_future()
                    await asyncio.sleep(_AGAIN_SECONDS)
                return token
        except TimeoutError:
            raise ExecutorError("no_token", "the hub did not answer in time") from None
        finally:
            self._waiting.remove(wish)

    async def _ask(self, wish: _Wish) -> str | None:
        """Return the token, or None when the hub could not answer just then."""
        while (frame := self._outlet.send(wish.request)) is None:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(_ONLINE_POLL_SECONDS)
        wish.frame = frame
        return await wish.answer

    def take_grant(self, grant: TokenGrant) -> None:
        """The hub grants a token: to every request for it that waits; else it is ignored."""
        for wish in self._waiting:
            asked = (wish.request.intent_id, wish.request.audience)
            if asked == (grant.intent_id, grant.audience) and not wish.answer.done():
                wish.answer.set_result(grant.token)

    def take_error(self, in_reply_to: str, code: str) -> bool:
        """The hub refuses; False when it does not speak of a request that waits."""
        for wish in self._waiting:
            if wish.frame == in_reply_to and not wish.answer.done():
                if code in MAY_PASS:
                    wish.answer.set_result(None)
                else:
                    wish.answer.set_exception(ExecutorError("no_token", f"the hub says {code}"))
                return True
        return False


class _TokensOfOrder:
    """The tokens of one order."""

    def __init__(self, tokens: Tokens, intent_id: str) -> None:
        self._tokens = tokens
        self._intent_id = intent_id

    async def fetch(self, audience: str) -> str:
        """See `ServiceTokens.fetch`."""
        return await self._tokens.fetch(self._intent_id, audience)
