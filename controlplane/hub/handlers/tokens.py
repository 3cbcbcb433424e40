"""`token_request`: a token with which an agent shows itself to a service, for one order."""

from __future__ import annotations

from controlplane.errors import TooManyAttemptsError
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from controlplane.tokens.service import issue_agent_token
from protocol.envelope import Envelope
from protocol.errors import RateLimitedError
from protocol.messages.tokens import TokenGrant, TokenRequest


async def token_request(
    live: Live, connection: Connection, _envelope: Envelope, payload: TokenRequest
) -> None:
    """Answer with a token about an open order of this agent.

    Raises:
        UnknownIntentError, NotGrantedError, PersonNotGrantedError: see `issue_agent_token`.
        RateLimitedError: too many tokens in five minutes.
        UnavailableError: the database cannot answer now.
    """
    try:
        made = await issue_agent_token(
            live.hub, connection.agent_did, intent_id=payload.intent_id, audience=payload.audience
        )
    except TooManyAttemptsError as exc:
        raise RateLimitedError(exc.message) from exc
    connection.send(
        TokenGrant(
            intent_id=payload.intent_id,
            audience=made.audience,
            token=made.token,
            expires=made.expires_at,
        )
    )
