"""`key_rotation`: an agent that goes by another key from now on (section 5).

The hub's acknowledgement is that it takes the new key in at the next registration; so the
connection, which the old key proved, ends as soon as the change is durable.
"""

from __future__ import annotations

from typing import cast

from controlplane import clock
from controlplane.hub.connection import Connection
from controlplane.hub.handlers.answers import refusing
from controlplane.hub.live import Live
from controlplane.policies.signing import sign_policy, signer_of
from controlplane.stored_documents import document_record
from protocol.envelope import Envelope
from protocol.errors import KeyConflictError, WrongKeyError
from protocol.key_rotation import verify_key_rotation
from protocol.keys import fingerprint
from protocol.messages.enrolment import KeyRotation
from protocol.verification import Side, Verified, verify_document
from storage.unit_of_work import UnitOfWork

NORMAL_CLOSE = 1000


def key_rotation(live: Live, connection: Connection, envelope: Envelope) -> None:
    """Move the agent, its orders and its policy to the new key, then close for it to come back.

    Orders signed for the old key stay signed for it: those not yet accepted are refused by the
    agent, those accepted end by a result that the new key signs.

    Raises:
        VerificationError: rows 5 to 10 do not hold, or the new key has not agreed.
        WrongKeyError: signed by another key than this connection's.
    """
    hub = live.hub
    verified = cast(
        Verified[KeyRotation],
        verify_document(
            envelope,
            audience=hub.identity.addressee(envelope.audience),
            now=clock.now(),
            replay=None,  # a key rotates away once; after that it proves nothing here
            sender=Side.AGENT,
        ),
    )
    did = connection.agent_did
    if envelope.sender_did != did:
        raise WrongKeyError("a key is rotated by its own connection")
    new_key = verify_key_rotation(verified)

    def unit(uow: UnitOfWork) -> None:
        now = clock.now()
        if uow.agents.get(new_key.did) is not None:
            raise KeyConflictError("that key belongs to an agent")
        uow.documents.put_once(document_record(envelope, now))
        uow.agents.rekey(
            did,
            new_key.did,
            public_key=new_key.multikey,
            fingerprint=fingerprint(hub.identity.root, new_key),
        )
        in_force = uow.policies.for_agent(new_key.did)
        policy = uow.policies.get(in_force.policy_id) if in_force is not None else None
        # What an operator has signed stays in force at the agent; the hub does not replace it.
        by_hub = in_force is not None and hub.identity.is_own(signer_of(in_force))
        if policy is not None:
            agents = tuple(new_key.did if one == did else one for one in policy.agents)
            policy = uow.policies.update(policy.id, agents=agents)
            if by_hub:
                sign_policy(uow, hub, new_key.did, policy, actor=did, now=now, or_nothing=True)
        uow.audit.append(
            "agent.key_rotated",
            did,
            new_key.did,
            {"digest": envelope.digest},
            realms=uow.agents.realms_of(new_key.did),
            at=now,
        )

    def done(_nothing: None) -> None:
        hub.agents.forget()
        hub.events.emit(
            "agent.key_rotated",
            realm=connection.realm,
            data={"agent": new_key.did, "before": did, "name": connection.name},
            subject=new_key.did,
        )
        connection.close(NORMAL_CLOSE, "come back with the new key")

    connection.effects.submit(unit, done, refusing(connection, envelope))
