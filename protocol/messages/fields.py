"""The bases and field types every message is made of: each type is one form with one bound.

Owns the difference between a document (an unknown field, or null for an absent one, is an error:
somebody signed it and will be held to it) and a control frame (unknown fields are ignored, so that
a newer peer can say more). Knows nothing of any single message.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic.alias_generators import to_camel

from protocol.limits import MAX_CONDITION_CHARS, MAX_SAFE_INTEGER

WIRE: Final = object()
"""The validation context of payloads that came off the wire."""


class ControlPayload(BaseModel):
    """The payload of a control frame: unknown fields are ignored, null means absent."""

    model_config = ConfigDict(
        # built when first needed: an agent meets few of these kinds, and starts every time
        defer_build=True,
        frozen=True,
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )


class DocumentPayload(BaseModel):
    """The payload of a document, or a part of one: unknown fields are refused."""

    model_config = ConfigDict(
        # built when first needed: an agent meets few of these kinds, and starts every time
        defer_build=True,
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )


def _refuse_wire_null(value: object, info: ValidationInfo) -> object:
    # Python says None for "absent"; a signed text must say it by leaving the field out, or two
    # readers could disagree about what was signed.
    if value is None and info.context is WIRE:
        raise ValueError("null; leave the field out instead")
    return value


def _is_none(value: object) -> bool:
    return value is None


T = TypeVar("T")

Absent = Annotated[T | None, BeforeValidator(_refuse_wire_null), Field(exclude_if=_is_none)]
"""A document field that may be left out; None in Python, never null on the wire."""
Left = Annotated[T | None, Field(exclude_if=_is_none)]
"""A control field that may be left out; null is taken for absent, and never sent."""
Many = Annotated[tuple[T, ...], Field(strict=False, fail_fast=True)]
"""A JSON array; a tuple in Python, so that a frozen message stays what it was."""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_DID = "did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}"
_NAME = "[a-z0-9][a-z0-9._-]{0,62}"
_ACTION = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*"

Id = Annotated[
    str,
    Field(
        max_length=36,
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    ),
]
"""A UUIDv7 in lowercase."""
Did = Annotated[str, Field(max_length=56, pattern=f"^{_DID}$")]
"""`did:key:` and the Multikey of an Ed25519 key; 56 characters."""
Multikey = Annotated[str, Field(max_length=48, pattern="^z6Mk[1-9A-HJ-NP-Za-km-z]{44}$")]
Party = Annotated[str, Field(max_length=56, pattern=f"^({_DID}|user:{_UUID})$")]
"""A DID, or `user:` and a lowercase UUID for a person without a key."""
Name = Annotated[str, Field(max_length=63, pattern=f"^{_NAME}$")]
"""Agents, realms, capabilities, sandbox levels and roles are spelled alike."""
Approver = Annotated[str, Field(max_length=63, pattern=rf"^({_DID}|{_NAME}|\*)$")]
"""Who may approve: a DID, the name of a role, or `*`."""
Action = Annotated[str, Field(max_length=200, pattern=f"^{_ACTION}$")]
ActionPattern = Annotated[str, Field(max_length=200, pattern=rf"^(\*|{_ACTION}(\.\*)?)$")]
"""An action, `namespace.*`, or `*`."""
RuleId = Annotated[str, Field(max_length=63, pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
HostPattern = Annotated[
    str,
    Field(
        max_length=260,
        pattern=r"^(\*|(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?$",
    ),
]
"""A host name or IPv4 address in lowercase, `*.` before a domain, or `*`; a port may follow."""
Digest = Annotated[str, Field(max_length=44, pattern="^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
"""Canonical base64 of 32 bytes."""
Signature = Annotated[str, Field(max_length=88, pattern="^[A-Za-z0-9+/]{85}[AQgw]==$")]
"""Canonical base64 of 64 bytes."""
Sha256Hex = Annotated[str, Field(max_length=64, pattern="^[0-9a-f]{64}$")]
Code = Annotated[str, Field(max_length=64, pattern="^[a-z][a-z0-9_]*$")]
"""The code of an error."""
LabelKey = Annotated[str, Field(max_length=63, pattern="^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
LabelValue = Annotated[str, Field(max_length=128)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]
Condition = Annotated[str, Field(min_length=1, max_length=MAX_CONDITION_CHARS)]
"""CEL source; whether it compiles is the concern of `protocol.conditions`."""
Reason = Annotated[str, Field(max_length=1_000)]
"""Text for a person, possibly empty."""
Checkpoint = Annotated[str, Field(min_length=1, max_length=4_096)]
"""A C2SP signed note; its form is the concern of `protocol.checkpoint`."""
Url = Annotated[str, Field(min_length=1, max_length=4_096)]
Count = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
Version = Annotated[int, Field(ge=1, le=MAX_SAFE_INTEGER)]
"""A version or epoch of a document; they start at 1, so 0 can say "none"."""
Proof = Annotated[Many[Id], Field(max_length=16)]
"""Delegation ids from the root to the signer; too long a chain is `bad_chain`, not a bad payload,
so the bound here is wider than `MAX_CHAIN_LINKS`."""
JsonObject = dict[str, Any]
"""Any JSON object; the JSON profile has already bounded its depth and number of values."""
Embedded = JsonObject
"""A document inside another message: the envelope itself as a JSON object, not as text. Its form
is checked when it is taken out (`protocol.envelope.envelope_from_value`)."""
