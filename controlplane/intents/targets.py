"""Whom an order is for: one agent, all with a capability, or all that a selector means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.access.authorize import Actor, authorize_one, realms_with
from controlplane.context import Hub
from controlplane.errors import (
    AccessDeniedError,
    HiddenError,
    InvalidFieldError,
    StateConflictError,
)
from storage.records import AgentRecord

DEFAULT_REALM = "default"


@dataclass(frozen=True, slots=True)
class Target:
    """Exactly one of `agent`, `capability` and `selector` is set.

    `limit` is the most agents; `batch` how many at a time (`10` or `10%`); `stop_after` the
    failures after which the rest is cancelled.
    """

    agent: str | None = None
    capability: str | None = None
    selector: str | None = None
    limit: int | None = None
    batch: str | None = None
    stop_after: int | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """An agent and the realm in which it is ordered."""

    agent: AgentRecord
    realm: str


def parse_selector(text: str) -> tuple[dict[str, str], str | None]:
    """Return the labels and the realm that `label=value,realm=R` names.

    Raises:
        InvalidFieldError: not of that form, a name twice, or nothing selected.
    """
    labels: dict[str, str] = {}
    realm: str | None = None
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or not name or not value or name in labels:
            raise InvalidFieldError("label=value,realm=R", pointer="/target/selector")
        if name == "realm":
            if realm is not None:
                raise InvalidFieldError("one realm", pointer="/target/selector")
            realm = value
        else:
            labels[name] = value
    return labels, realm


async def resolve_target(
    hub: Hub, actor: Actor, target: Target, realm: str | None
) -> Sequence[Recipient]:
    """Return who gets the order, each with its realm; agents may be offline.

    Raises:
        HiddenError: no such agent, or none the caller may see.
        AccessDeniedError: they may see it, but not order it.
        StateConflictError: the one agent is revoked.
        InvalidFieldError: an unreadable selector, too many agents, or a realm that must be named.
    """
    if target.agent is not None:
        agent = await hub.agents.find(target.agent)
        if agent is None:
            raise HiddenError("no such agent")
        authorize_one(actor, needed_to_order(actor), agent.realms, see="agents.read")
        if agent.state == "revoked":
            raise StateConflictError("this agent is revoked")
        recipient = Recipient(agent, realm or choose_realm(agent, None))
        check_realm(actor, recipient.realm)
        return [recipient]
    labels: dict[str, str] = {}
    if target.selector is not None:
        labels, selected_realm = parse_selector(target.selector)
        if realm is not None and selected_realm not in (None, realm):
            raise InvalidFieldError("another realm than the selector's", pointer="/realm")
        realm = realm or selected_realm
    if realm is not None:
        check_realm(actor, realm)
    most = hub.settings.max_targets
    found = await hub.database.read(
        lambda uow: uow.agents.matching(
            capability=target.capability, labels=labels, realm=realm, limit=most + 1
        )
    )
    if len(found) > most:
        raise InvalidFieldError(f"more than {most} agents match", pointer="/target")
    allowed = realms_with(actor, needed_to_order(actor))
    recipients = []
    for agent in found:
        reachable = [one for one in agent.realms if allowed is None or one in allowed]
        if reachable:
            recipients.append(Recipient(agent, realm or choose_realm(agent, reachable)))
    return recipients[: target.limit] if target.limit is not None else recipients


def needed_to_order(actor: Actor) -> str:
    """Return the permission an order takes: a machine holds no grants, so its role must be one."""
    return "intents.submit" if actor.kind == "user" else "intents.submit.any"


def check_realm(actor: Actor, realm: str) -> None:
    """Return when `actor` may order work in `realm`; `AccessDeniedError` otherwise."""
    needed = needed_to_order(actor)
    allowed = realms_with(actor, needed)
    if allowed is not None and realm not in allowed:
        raise AccessDeniedError(f"needs {needed} in realm {realm}")


def choose_realm(agent: AgentRecord, among: Sequence[str] | None) -> str:
    """Return the realm to order `agent` in when none was named.

    Raises:
        InvalidFieldError: it is in several, and none of them is `default`.
    """
    realms = agent.realms if among is None else among
    if len(realms) == 1:
        return realms[0]
    if DEFAULT_REALM in realms or not realms:
        return DEFAULT_REALM
    raise InvalidFieldError(f"{agent.name} is in several realms: name one", pointer="/realm")
