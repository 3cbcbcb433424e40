"""A pinned root moves only where it has said so itself, and only with the new root's consent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from protocol.delegation import RevocationView, verify_chain, verify_link
from protocol.envelope import Envelope, seal_document
from protocol.errors import (
    BadChainError,
    BadPayloadError,
    BadSignatureError,
    Error,
    ExpiredError,
    FutureError,
    NoChainError,
    OperatorRequiredError,
    RevokedError,
    UnknownSignerError,
    WrongAudienceError,
)
from protocol.ids import format_uuid7
from protocol.key_rotation import (
    MAX_ROOT_ROTATIONS,
    rotation_message,
    rotation_payload,
    verify_root_rotations,
)
from protocol.keys import PublicKey, SigningKey
from protocol.messages import dump_payload
from protocol.timestamps import format_timestamp

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOTS = [SigningKey.from_seed(bytes([number]) * 32) for number in range(1, 20)]
HUBS = [SigningKey.from_seed(bytes([number]) * 32) for number in range(101, 104)]


def rotation(old: SigningKey, new: SigningKey, **changes: object) -> Envelope:
    fields = {
        "type": "key_rotation",
        "id": format_uuid7(NOW, new.seed[:10]),
        "timestamp": NOW,
        "expires": NOW + timedelta(days=10),
        "audience": "*",
        "payload": dump_payload(rotation_payload(old.public_key, new)),
        "signer": old,
    }
    return seal_document(**{**fields, **changes})  # type: ignore[arg-type]


def row(*keys: SigningKey) -> list[Envelope]:
    return [rotation(old, new) for old, new in pairwise(keys)]


def test_every_earlier_pin_follows_the_whole_row() -> None:
    rotations = row(*ROOTS[:4])
    for pinned in ROOTS[:4]:
        assert verify_root_rotations(pinned.public_key, rotations, now=NOW) == ROOTS[3].public_key


def test_a_pin_that_signed_nothing_stays() -> None:
    stranger = ROOTS[9].public_key
    assert verify_root_rotations(stranger, row(*ROOTS[:4]), now=NOW) == stranger
    assert verify_root_rotations(stranger, [], now=NOW) == stranger


@pytest.mark.parametrize(
    ("rotations", "error"),
    [
        ([rotation(ROOTS[0], ROOTS[1]), rotation(ROOTS[2], ROOTS[3])], BadChainError),
        ([*row(*ROOTS[:3]), rotation(ROOTS[2], ROOTS[0])], BadChainError),
        ([*row(*ROOTS[:3]), rotation(ROOTS[2], ROOTS[1])], BadChainError),
        (row(*ROOTS[: MAX_ROOT_ROTATIONS + 2]), BadChainError),
        ([rotation(ROOTS[0], ROOTS[1], audience=HUBS[0].public_key.did)], WrongAudienceError),
        ([rotation(ROOTS[0], ROOTS[1], expires=NOW)], ExpiredError),
        ([rotation(ROOTS[0], ROOTS[1], timestamp=NOW + timedelta(seconds=61))], FutureError),
        (
            [
                rotation(
                    ROOTS[0],
                    ROOTS[1],
                    payload=dump_payload(rotation_payload(ROOTS[2].public_key, ROOTS[1])),
                )
            ],
            BadSignatureError,
        ),
        ([rotation(ROOTS[0], ROOTS[0])], BadPayloadError),
        (
            [rotation(ROOTS[0], ROOTS[1], type="result", payload={})],
            Error,
        ),
    ],
)
def test_a_row_with_one_flaw_moves_nobody(rotations: list[Envelope], error: type[Error]) -> None:
    with pytest.raises(error):
        verify_root_rotations(ROOTS[0].public_key, rotations, now=NOW)


def test_the_new_root_must_agree_to_exactly_this_change() -> None:
    message = rotation_message(ROOTS[0].public_key, ROOTS[1].public_key)
    assert ROOTS[0].public_key.raw in message
    assert ROOTS[1].public_key.raw in message


def hub_delegation(hub: SigningKey, days: int, *, action: str = "writ.route") -> Envelope:
    return seal_document(
        type="delegation",
        id=format_uuid7(NOW, bytes([days]) * 10),
        timestamp=NOW,
        expires=NOW + timedelta(days=days),
        audience="*",
        payload={
            "subject": hub.public_key.did,
            "capabilities": [{"action": "*"}, {"action": action}],
            "conditions": [],
            "notBefore": format_timestamp(NOW),
            "maxDepth": 3,
            "parent": None,
        },
        signer=ROOTS[0],
    )


def chain_without_proof(
    signer: PublicKey, held: list[Envelope], *, forbid_hub: bool = False, revoked: str = ""
) -> list[str]:
    links = [verify_link(envelope) for envelope in held]
    chain = verify_chain(
        root=ROOTS[0].public_key,
        signer=signer,
        proof=None,
        held={link.id: link for link in links},
        hub=HUBS[0].public_key,
        hub_delegation_id=links[0].id,
        revocations=RevocationView(1, frozenset({revoked}), frozenset()),
        now=NOW + timedelta(seconds=1),
        forbid_hub=forbid_hub,
    )
    return [link.id for link in chain.links]


def test_a_former_hub_needs_no_proof_while_its_delegation_stands() -> None:
    present, first, second = (
        hub_delegation(HUBS[0], 9),
        hub_delegation(HUBS[1], 5),
        hub_delegation(HUBS[1], 7),
    )
    held = [present, first, second]
    former = HUBS[1].public_key
    assert chain_without_proof(former, held) == [second.id]
    assert chain_without_proof(HUBS[0].public_key, held) == [present.id]
    with pytest.raises(OperatorRequiredError):
        chain_without_proof(former, held, forbid_hub=True)
    with pytest.raises(RevokedError):
        chain_without_proof(former, held, revoked=former.did)
    with pytest.raises(UnknownSignerError):
        chain_without_proof(HUBS[2].public_key, held)
    with pytest.raises(NoChainError):
        chain_without_proof(former, [present, hub_delegation(HUBS[1], 5, action="writ.log")])
