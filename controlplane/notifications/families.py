"""What people can be told of, who may be, and how it reads. Pure data and text.

A family is what a person chooses about. Its permission is asked three times: when a fact is told,
when it is mailed, and whenever the list is looked at. Texts name ids, agents and actions, never
params, outputs or reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

Mail = Literal["off", "immediate", "digest"]
MAX_TITLE_CHARS: Final = 200


class Family(NamedTuple):
    """One row of what can be chosen: what it is about, who may know of it, how it is mailed."""

    does: str
    permission: str
    mail: Mail


FAMILIES: Final[Mapping[str, Family]] = {
    "approvals": Family("a call waits for you, or did in vain", "approvals.decide", "immediate"),
    "registrations": Family("an agent asks to join", "enrolment.manage", "immediate"),
    "agents": Family("an agent was stopped, or its key is used twice", "agents.read", "immediate"),
    "webhooks": Family("a webhook was disabled", "webhooks.write", "immediate"),
    "record": Family("the record has a fork", "audit.read", "immediate"),
    "orders": Family("an order you gave has failed", "intents.read", "digest"),
}
"""Name to what it is; in the order people are shown them."""

KINDS: Final[Mapping[str, str]] = {
    "approval.requested": "approvals",
    "approval.expired": "approvals",
    "registration.requested": "registrations",
    "agent.quarantined": "agents",
    "key_conflict": "agents",
    "webhook.disabled": "webhooks",
    "audit.fork_reported": "record",
    "intent.finished": "orders",
}
"""Kind of leaf to the family it is told in."""

FAILED: Final = frozenset({"failed", "refused", "timed_out", "interrupted", "expired"})
"""States of an order that has ended otherwise than its giver wanted; cancelling was wanted."""

_TITLES: Final[Mapping[str, str]] = {
    "approval.requested": "{tool} on {agentName} waits for your decision",
    "approval.expired": "nobody decided in time about {tool} on {agentName}",
    "registration.requested": "{name} asks to join",
    "agent.quarantined": "{agentName} was stopped",
    "key_conflict": "the key of {agentName} is used by two connections",
    "webhook.disabled": "the webhook to {host} was disabled: {reason}",
    "audit.fork_reported": "the record has a fork: {why}",
    "intent.finished": "{action} on {agentName} ended as {state}",
}


def title_of(kind: str, data: Mapping[str, Any]) -> str:
    """Return one line that says what happened, fit for a subject: no line breaks, bounded."""
    text = _TITLES[kind].format_map(_Shown(data))
    # Names are an agent's own words: they must steer neither a terminal nor a mail.
    return "".join(one if one.isprintable() else "?" for one in text)[:MAX_TITLE_CHARS]


class _Shown(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


class Choice(NamedTuple):
    """What a person wants of one family."""

    in_app: bool
    mail: Mail


def choice_of(family: str, chosen: Mapping[str, Any]) -> Choice:
    """Return what somebody wants of a family: what they chose, else its default."""
    own = chosen.get(family)
    own = own if isinstance(own, dict) else {}
    mail = own.get("email")
    default = FAMILIES[family].mail
    return Choice(
        in_app=bool(own.get("inApp", True)),
        mail=mail if mail in ("off", "immediate", "digest") else default,
    )
