"""Owns the counting of people's decisions over one call (SPEC section 7, step 7).

A decision is first verified (may this person decide this call?), then counted. Pure: the request
that is open and the decisions that counted come in; approved, denied, lapsed or waiting comes out.
Knows nothing of who is asked, and how.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from protocol.authority import AuthorityView, Grant
from protocol.base64_text import encode_base64
from protocol.canonical import canonical_json
from protocol.delegation import is_hub_key
from protocol.document_authority import require_chain
from protocol.errors import NotAuthorisedError
from protocol.messages.approvals import ToolApprovalResponse
from protocol.messages.policies import ApprovalRule
from protocol.strict_json import JsonValue
from protocol.verification import Verified

APPROVE_ACTION: Final = "writ.approve"
ANYONE: Final = "*"
_USER_PREFIX = "user:"
_DID_PREFIX = "did:"
_MAKER: Final = object()


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """One call that waits for people.

    Attributes:
        request_id: what decisions name.
        call_digest: exactly what they decide over.
        rule: how many people, out of whom.
        realm: of the order.
        ordered_by: the signer's DID and the person on whose behalf; neither may decide.
        expires: when it lapses; never later than the order itself.
    """

    request_id: str
    call_digest: str
    rule: ApprovalRule
    realm: str
    ordered_by: frozenset[str]
    expires: datetime


@dataclass(frozen=True, slots=True)
class CountedApproval:
    """A decision that counts; made by `verify_approval` only.

    Attributes:
        document_id: id of the signed decision.
        request_id: the request it answers.
        person: DID or `user:<uuid>`.
        approved: or denied.
        at: when the agent verified it.
    """

    document_id: str
    request_id: str
    person: str
    approved: bool
    at: datetime
    maker: InitVar[object] = None

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("only verify_approval makes a CountedApproval")


@dataclass(frozen=True, slots=True)
class Approved:
    """Enough people approved; ids of their documents, for the result."""

    approvals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """One person denied, which is final (`approval_denied`)."""

    document_id: str
    person: str


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Not enough people approved in time (`approval_expired`)."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many people are still missing."""

    missing: int


def call_digest(*, intent_id: str, tool: str, arguments: JsonValue) -> str:
    """Return base64 SHA-256 of the canonical form of one call: what people sign.

    Raises:
        BadJsonError: the arguments lie outside what can be canonical.
    """
    call: JsonValue = {"intentId": intent_id, "tool": tool, "arguments": arguments}
    return encode_base64(hashlib.sha256(canonical_json(call)).digest())


def open_approval(
    grant: Grant,
    *,
    request_id: str,
    tool: str,
    arguments: JsonValue,
    now: datetime,
    rule: ApprovalRule | None = None,
) -> ApprovalRequest:
    """Return the request to put before people for one call of a granted order.

    Args:
        grant: the order.
        request_id: fresh.
        tool: the action itself, or a tool used within it.
        arguments: of that call.
        now: aware.
        rule: None: the rule of the grant's own decision.

    Raises:
        ValueError: neither asks for approval.
    """
    rule = rule or grant.decision.approval
    if rule is None:
        raise ValueError("no approval is asked for")
    envelope, order = grant.intent.envelope, grant.intent.payload
    ordered_by = {envelope.sender_did} | ({order.on_behalf_of} if order.on_behalf_of else set())
    return ApprovalRequest(
        request_id=request_id,
        call_digest=call_digest(intent_id=envelope.id, tool=tool, arguments=arguments),
        rule=rule,
        realm=order.realm,
        ordered_by=frozenset(ordered_by),
        expires=min(now + timedelta(seconds=rule.within_seconds), cast(datetime, envelope.expires)),
    )


def verify_approval(
    verified: Verified[ToolApprovalResponse],
    request: ApprovalRequest,
    view: AuthorityView,
    *,
    now: datetime,
) -> CountedApproval:
    """Return the decision as one that counts.

    Raises:
        NotAuthorisedError: for another call, too late, by who ordered it, by somebody the rule
            does not name, or without a chain that holds `writ.approve`. Such a decision counts
            for nothing, a denial too.
    """
    decision = verified.payload
    if decision.request_id != request.request_id or decision.call_digest != request.call_digest:
        raise NotAuthorisedError("a decision over another call")
    if now >= request.expires:
        raise NotAuthorisedError("the request has lapsed")
    if decision.approver in request.ordered_by:
        raise NotAuthorisedError("who ordered it does not decide")
    forbid_hub = bool(request.rule.operator_signed) or view.require_operator_signature
    _check_person(verified, request.rule, view, forbid_hub=forbid_hub)
    require_chain(
        verified.envelope,
        view,
        action=APPROVE_ACTION,
        realms=(request.realm,),
        proof=decision.proof,
        now=now,
        forbid_hub=forbid_hub,
    )
    return CountedApproval(
        verified.envelope.id, request.request_id, decision.approver, decision.approved, now, _MAKER
    )


def decide_approvals(
    request: ApprovalRequest, decisions: Iterable[CountedApproval], *, now: datetime
) -> Approved | Denied | Lapsed | Waiting:
    """Return where the request stands, the first final outcome winning.

    Decisions are taken in the order of their times; one person counts once, and a denial ends it
    even by a person who approved before. Of two at one moment the denial is first.
    """
    approvals: dict[str, str] = {}
    for decision in sorted(decisions, key=lambda counted: (counted.at, counted.approved)):
        if decision.request_id != request.request_id or decision.at >= request.expires:
            continue
        if not decision.approved:
            return Denied(decision.document_id, decision.person)
        approvals.setdefault(decision.person, decision.document_id)
        if len(approvals) >= request.rule.people:
            return Approved(tuple(approvals.values()))
    if now >= request.expires:
        return Lapsed()
    return Waiting(request.rule.people - len(approvals))


def _check_person(
    verified: Verified[ToolApprovalResponse],
    rule: ApprovalRule,
    view: AuthorityView,
    *,
    forbid_hub: bool,
) -> None:
    person, signer = verified.payload.approver, verified.envelope.public_key
    by_hub = is_hub_key(signer, root=view.root, hub=view.hub, held=view.held)
    if person.startswith(_USER_PREFIX):
        roles = [name for name in rule.from_ if name != ANYONE and not name.startswith(_DID_PREFIX)]
        if not roles or forbid_hub or not by_hub:
            raise NotAuthorisedError("only the hub vouches for a role, where roles count")
        return
    if person != signer.did:
        raise NotAuthorisedError("a person with a key signs themself")
    if person not in rule.from_ and (ANYONE not in rule.from_ or by_hub):
        raise NotAuthorisedError("the rule does not name this person")
