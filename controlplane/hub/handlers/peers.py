"""`peer_intent`: an order from one agent to another, carried unchanged and judged by its receiver.

The hub checks what it checks of any signed order, and that both agents are of the order's realm.
"""

from __future__ import annotations

from controlplane.access.authorize import Actor
from controlplane.context import OutboxKind
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from controlplane.intents.signed import submit_signed
from controlplane.intents.state import is_terminal
from protocol.canonical import canonical_json
from protocol.envelope import Envelope, envelope_from_value, parse_document
from protocol.errors import BadChainError, WrongAudienceError, WrongKeyError, WrongRealmError
from protocol.messages.peers import PeerIntent, PeerResult
from protocol.messages.session import ErrorMessage
from storage.records import AgentRecord, IntentRecord
from storage.unit_of_work import UnitOfWork

MAX_HANDED_ON = 8
"""Agents in a row, each ordering for the order of the one before."""
PEER_ROLE = "operator"
"""What an agent may do to the agents of its own realms, as far as the hub is asked."""


async def peer_intent(
    live: Live, connection: Connection, _envelope: Envelope, payload: PeerIntent
) -> None:
    """Put the order on disk for its receiver, its delegations before it; once.

    The same order again, when it has ended meanwhile, has its result sent again: that is how an
    agent that lost a `peer_result` gets it.

    Raises:
        WrongKeyError: signed by another than the calling agent.
        WrongAudienceError: no such agent, or the caller itself.
        WrongRealmError: the order's realm is not one of both agents.
        BadChainError: it would go round in a circle.
        Error: it is no intent, or no valid one.
    """
    intent = envelope_from_value(payload.intent)
    did = connection.agent_did
    if intent.sender_did != did:
        raise WrongKeyError("a peer's order is signed by the agent that sends it")
    caller = await live.hub.agents.find(did)
    peer = await live.hub.agents.find(intent.audience)
    if caller is None or peer is None or peer.did == did:
        raise WrongAudienceError("no such peer")
    realm = intent.payload.get("realm")
    if realm not in caller.realms or realm not in peer.realms:
        raise WrongRealmError("both agents must be of the order's realm")
    await live.hub.database.read(lambda uow: check_no_circle(uow, intent))
    batch = await submit_signed(
        live.hub,
        _actor(caller),
        intent.wire.decode(),
        [canonical_json(document).decode() for document in payload.delegations],
    )
    ended = batch.intents[0]
    result_id = ended.result_document_id
    if result_id is None:
        if is_terminal(ended.state):
            connection.send(_end_without_result(ended))
        return
    document = await live.hub.database.read(lambda uow: uow.documents.get(result_id, peer.did))
    if document is not None:
        connection.send(peer_result(document.wire))


def check_no_circle(uow: UnitOfWork, intent: Envelope) -> None:
    """Return when a peer's order does not come back to an agent that it was made for.

    An agent names the order it works on as `batchId` of what it orders from others; so the orders
    lead back to the first one, which no agent gave.

    Raises:
        BadChainError: it goes round in a circle, or was handed on too often.
    """
    signer, cause = intent.sender_did, intent.payload.get("batchId")
    for _ in range(MAX_HANDED_ON):
        record = uow.intents.get(cause) if isinstance(cause, str) else None
        if record is None or record.agent_did != signer:
            return
        if record.signer == intent.audience:
            raise BadChainError("the order goes round in a circle")
        signer, cause = record.signer, record.batch_id
    raise BadChainError(f"an order is handed on at most {MAX_HANDED_ON} times")


def peer_result(wire: bytes) -> PeerResult:
    """Return the frame that carries a peer's result, unchanged, to who ordered."""
    return PeerResult(result=parse_document(wire).as_value())


def queue_peer_result(uow: UnitOfWork, record: IntentRecord, result: Envelope) -> bool:
    """Queue a result for the agent that ordered it; False when no agent did."""
    if uow.agents.get(record.signer) is None:
        return False
    uow.outbox.add(record.signer, OutboxKind.PEER_RESULT, result.id, signer=result.sender_did)
    return True


def _end_without_result(ended: IntentRecord) -> ErrorMessage:
    """Say why no result will come: turned down, taken back or too late."""
    error = (ended.result or {}).get("error") or {}
    return ErrorMessage(
        code=error.get("code") or ended.state.value,
        message=error.get("message") or f"the order is {ended.state.value}",
        in_reply_to=ended.id,
    )


def _actor(caller: AgentRecord) -> Actor:
    return Actor(
        kind="agent",
        id=caller.did,
        name=caller.name,
        realm_roles={realm: frozenset({PEER_ROLE}) for realm in caller.realms},
    )
