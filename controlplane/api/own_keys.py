"""`/me/keys`: the keys that a person signs with themselves."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.shapes import Capability
from controlplane.api.views import time_view
from controlplane.people.own_keys import OwnKey, add_key, begin_key, list_keys, revoke_key


class BegunKeyView(View):
    """What the key signs over (32 bytes, base64), and the id to bring back with the proof."""

    ceremony: str
    challenge: str


class LentView(View):
    """A chain of delegations that ends at a key.

    `proof` are their ids, from the root. `throughHub`: the chain passes through the hub's key, so
    it counts nowhere that asks for an operator's signature.
    """

    proof: list[str]
    capabilities: list[Capability]
    through_hub: bool
    expires_at: str


class OwnKeyView(View):
    """One of your keys, and what it may do."""

    id: str
    name: str
    did: str
    created_at: str
    revoked_at: str | None
    lent: list[LentView]


class AddKeyBody(Body):
    """A public key (Multikey) and its signature (base64) over what `begin` gave.

    Signed are `writ.v1/person-key`, a zero byte, the challenge's bytes, the key's 32 bytes and
    your `user:<uuid>`.
    """

    ceremony: Annotated[str, Field(min_length=1, max_length=100)]
    public_key: Annotated[str, Field(min_length=1, max_length=100)]
    proof: Annotated[str, Field(min_length=1, max_length=100)]
    name: Annotated[str, Field(min_length=1, max_length=100)]


@operation(
    "POST",
    "/api/v1/me/keys/begin",
    permission="me.write",
    result=BegunKeyView,
    errors=("conflict",),
    step_up=True,
)
async def begin(call: Call) -> Any:
    """Begin to enrol a key of your own."""
    begun = await begin_key(call.hub, call.actor)
    return {"ceremony": begun.ceremony, "challenge": begun.challenge}


@operation(
    "POST",
    "/api/v1/me/keys",
    permission="me.write",
    body=AddKeyBody,
    result=OwnKeyView,
    status=201,
    errors=("conflict",),
    step_up=True,
    idempotency="none",
)
async def add(call: Call) -> Any:
    """Enrol a key that you prove to have; it may then do what your roles allow."""
    body = call.body
    added = await add_key(
        call.hub,
        call.actor,
        ceremony=body.ceremony,
        public_key=body.public_key,
        proof=body.proof,
        name=body.name,
    )
    return _view(added)


@operation("GET", "/api/v1/me/keys", permission="me.read", result=list[OwnKeyView])
async def list_(call: Call) -> Any:
    """Your keys, those that ended too."""
    held = await list_keys(call.hub, call.actor)
    return {"items": [_view(one) for one in held], "nextCursor": None}


@operation("DELETE", "/api/v1/me/keys/{id}", permission="me.write", status=204, step_up=True)
async def revoke(call: Call) -> Any:
    """End one of your keys, at every agent."""
    await revoke_key(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


def _view(key: OwnKey) -> dict[str, Any]:
    record = key.record
    return {
        "id": record.id,
        "name": record.name,
        "did": record.did,
        "createdAt": time_view(record.created_at),
        "revokedAt": time_view(record.revoked_at),
        "lent": [
            {
                "proof": list(one.proof),
                "capabilities": list(one.capabilities),
                "throughHub": one.through_hub,
                "expiresAt": time_view(one.expires_at),
            }
            for one in key.lent
        ],
    }


OPERATIONS = [begin, add, list_, revoke]
