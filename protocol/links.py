"""Owns single delegations: a link, its signature, and whether it lies inside its parent.

Knows nothing of whole chains, of revocations and of time (`protocol.delegation` does).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from protocol.capabilities import capabilities_attenuate
from protocol.envelope import Envelope
from protocol.errors import BadEnvelopeError, BadPayloadError, NotAttenuatedError
from protocol.messages.delegations import Delegation
from protocol.messages.policies import PolicyLimits
from protocol.messages.registry import parse_payload

_REMEMBERED_SIGNATURES = 8_192
_verified_signatures: dict[tuple[str, bytes], None] = {}


@dataclass(frozen=True, slots=True)
class Link:
    """One delegation with its payload read; `digest` is the name its children use for it."""

    envelope: Envelope
    delegation: Delegation
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", self.envelope.digest)

    @property
    def id(self) -> str:
        """The id that proofs and revocations use."""
        return self.envelope.id

    @property
    def expires(self) -> datetime:
        """End of its lifetime, itself not in it."""
        return cast(datetime, self.envelope.expires)


def verify_link(envelope: Envelope) -> Link:
    """Return the link of a delegation whose signature holds; its lifetime is not judged.

    Raises:
        BadEnvelopeError: not a delegation document.
        BadSignatureError: the signature does not hold.
        BadPayloadError: the payload is no delegation.
    """
    if envelope.type != "delegation" or not envelope.is_document:
        raise BadEnvelopeError("not a delegation")
    _verify_signature(envelope, envelope.digest)
    payload = parse_payload("delegation", envelope.payload)
    if not isinstance(payload, Delegation):
        raise BadPayloadError("not a delegation")
    return Link(envelope, payload)


def verify_link_signature(link: Link) -> None:
    """Return when the signature of the link holds; one that held before is not computed again.

    Raises:
        BadSignatureError: it does not hold.
    """
    _verify_signature(link.envelope, link.digest)


def check_attenuated(child: Link, parent: Link) -> None:
    """Return when `child` grants nothing that `parent` does not.

    Raises:
        NotAttenuatedError: deeper, longer, wider or with more budget.
    """
    inner, outer = child.delegation, parent.delegation
    if inner.max_depth > outer.max_depth - 1:
        raise NotAttenuatedError("a delegation goes deeper than its parent allows")
    if inner.not_before < outer.not_before or child.expires > parent.expires:
        raise NotAttenuatedError("a delegation lives longer than its parent")
    if not capabilities_attenuate(inner.capabilities, outer.capabilities):
        raise NotAttenuatedError("a delegation grants more than its parent")
    if not _budget_attenuates(inner.budget, outer.budget):
        raise NotAttenuatedError("a delegation has more budget than its parent")


def _budget_attenuates(child: PolicyLimits | None, parent: PolicyLimits | None) -> bool:
    """Whether each limit the parent sets is set by the child too, and no higher."""
    for name in PolicyLimits.model_fields if parent is not None else ():
        bound = getattr(parent, name)
        if bound is None:
            continue
        value = getattr(child, name, None)
        if value is None or value > bound:
            return False
    return True


def _verify_signature(envelope: Envelope, digest: str) -> None:
    """Return when the signature holds; one that held before is not computed again."""
    known = (digest, envelope.public_key.raw + envelope.signature)
    if known in _verified_signatures:
        return
    envelope.public_key.verify(envelope.signature, envelope.signed_bytes)
    if len(_verified_signatures) >= _REMEMBERED_SIGNATURES:
        _verified_signatures.pop(next(iter(_verified_signatures)), None)
    _verified_signatures[known] = None
