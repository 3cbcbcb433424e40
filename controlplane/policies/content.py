"""What people write in a policy: rules and limits, before they belong to an agent.

Pure: knows the forms of SPEC section 6 and conditions, nothing of databases and keys, so that the
command line can use it without a hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controlplane.errors import InvalidFieldError
from protocol.conditions import compile_condition
from protocol.errors import BadPayloadError, ConditionError
from protocol.messages.policies import PolicyUpdate
from protocol.messages.registry import parse_payload

_CHECKED_ID: Final = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class PolicyContent:
    """Rules and limits in their wire form (SPEC section 6)."""

    rules: Sequence[dict[str, Any]]
    limits: dict[str, Any] = field(default_factory=dict)


def allow_content(actions: Sequence[str]) -> PolicyContent:
    """Return the policy with one rule that allows `actions`; none at all allows nothing."""
    if not actions:
        return PolicyContent(rules=[])
    return PolicyContent(rules=[{"id": "allow", "effect": "allow", "actions": list(actions)}])


def content_payload(content: PolicyContent, realms: Sequence[str]) -> dict[str, Any]:
    """Return the payload that `content` would become, with a placeholder for id and version."""
    return {
        "policyId": _CHECKED_ID,
        "version": 1,
        "realms": list(realms),
        "default": "deny",
        "rules": list(content.rules),
        "limits": content.limits,
    }


def read_content(content: PolicyContent, realms: Sequence[str]) -> PolicyUpdate:
    """Return `content` as an agent would read it, conditions unread; id and version mean nothing.

    Raises:
        BadPayloadError: no agent would read it.
    """
    update = parse_payload("policy_update", content_payload(content, realms))
    assert isinstance(update, PolicyUpdate)
    return update


def check_content(
    content: PolicyContent, realms: Sequence[str], *, pointer: str = ""
) -> PolicyUpdate:
    """Return `content` as an agent would read it, every condition of it readable.

    Raises:
        InvalidFieldError: a rule or limit that does not fit, or a condition that cannot be read.
    """
    try:
        update = read_content(content, realms)
    except BadPayloadError as exc:
        raise InvalidFieldError(exc.message, pointer=pointer or "/rules") from exc
    for index, rule in enumerate(update.rules):
        if rule.when is not None:
            try:
                compile_condition(rule.when)
            except ConditionError as exc:
                where = f"{pointer}/rules/{index}/when"
                raise InvalidFieldError(exc.message, pointer=where) from exc
    return update
