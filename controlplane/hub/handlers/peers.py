"""`peer_intent`: an order from one agent to another, carried unchanged and judged by its receiver.

The hub checks what it checks of any signed order, and that both agents are of the order's realm.
"""

from __future__ import annotations

from controlplane.access.authorize import Actor
from controlplane.context import OutboxKind
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from controlplane.intents.signed import submit_signed
from protocol.canonical import canonical_json
from protocol.envelope import Envelope, envelope_from_value, parse_document
from protocol.errors import WrongAudienceError, WrongKeyError, WrongRealmError
from protocol.messages.peers import PeerIntent, PeerResult
from storage.records import AgentRecord, IntentRecord
from storage.unit_of_work import UnitOfWork

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
    batch = await submit_signed(
        live.hub,
        _actor(caller),
        intent.wire.decode(),
        [canonical_json(document).decode() for document in payload.delegations],
    )
    result_id = batch.intents[0].result_document_id
    if result_id is None:
        return
    document = await live.hub.database.read(lambda uow: uow.documents.get(result_id, peer.did))
    if document is not None:
        connection.send(peer_result(document.wire))


def peer_result(wire: bytes) -> PeerResult:
    """Return the frame that carries a peer's result, unchanged, to who ordered."""
    return PeerResult(result=parse_document(wire).as_value())


def queue_peer_result(uow: UnitOfWork, record: IntentRecord, result: Envelope) -> bool:
    """Queue a result for the agent that ordered it; False when no agent did."""
    if uow.agents.get(record.signer) is None:
        return False
    uow.outbox.add(record.signer, OutboxKind.PEER_RESULT, result.id, signer=result.sender_did)
    return True


def _actor(caller: AgentRecord) -> Actor:
    return Actor(
        kind="agent",
        id=caller.did,
        name=caller.name,
        realm_roles={realm: frozenset({PEER_ROLE}) for realm in caller.realms},
    )
