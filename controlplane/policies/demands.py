"""What two policies demand at once: people, sandbox, hosts, limits, actions.

Pure. Each function returns what satisfies both sides and nothing more, or raises `LayersError`
where no wire form can say it. Knows nothing of rules and their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from controlplane.access.permissions import ROLES
from controlplane.errors import HubError
from protocol.capabilities import covers_pattern
from protocol.messages.policies import ApprovalRule, PolicyLimits

SANDBOX_LEVELS: Final = ("process", "confined", "isolated")
"""From the least to the most strict."""
MAX_ACTIONS: Final = 64
MAX_DOMAINS: Final = 64
_ANYONE: Final = "*"


class LayersError(HubError):
    """Two layers that no single policy of an agent can express together."""

    code = "policies_conflict"


def both_actions(a: Iterable[str], b: Sequence[str]) -> tuple[str, ...]:
    """Return patterns that cover exactly the actions both sides cover; empty: none."""
    found: list[str] = []
    for one in a:
        for other in b:
            if covers_pattern(one, other):
                found.append(other)
            elif covers_pattern(other, one):
                found.append(one)
    unique = list(dict.fromkeys(found))
    kept = [
        name
        for name in unique
        if not any(other != name and covers_pattern(other, name) for other in unique)
    ]
    if len(kept) > MAX_ACTIONS:
        raise LayersError(f"a rule would name {len(kept)} actions, more than {MAX_ACTIONS}")
    return tuple(kept)


def both_approvals(a: ApprovalRule | None, b: ApprovalRule | None) -> ApprovalRule | None:
    """Return a demand that, when met, meets both: the most people, each of whom both accept.

    Raises:
        LayersError: there is nobody whom both accept.
    """
    if a is None or b is None:
        return a if b is None else b
    people = _both_people(a.from_, b.from_)
    if not people:
        raise LayersError(
            f"one asks {', '.join(a.from_)} and the other {', '.join(b.from_)}: "
            "nobody may decide for both"
        )
    return ApprovalRule(
        people=max(a.people, b.people),
        from_=people,
        within_seconds=min(a.within_seconds, b.within_seconds),
        operator_signed=True if a.operator_signed or b.operator_signed else None,
    )


def both_sandboxes(a: str | None, b: str | None) -> str | None:
    """Return the stricter level; a side that names none leaves it to the other.

    Raises:
        LayersError: two levels of which at least one is unknown here.
    """
    if a is None or b is None or a == b:
        return a if b is None else b
    if a not in SANDBOX_LEVELS or b not in SANDBOX_LEVELS:
        raise LayersError(f"sandbox levels {a} and {b} cannot be compared")
    return max(a, b, key=SANDBOX_LEVELS.index)


def both_domains(a: Sequence[str] | None, b: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return patterns of the hosts that both name; a side that names none leaves it to the other.

    Raises:
        LayersError: too many to be written down.
    """
    if a is None or b is None:
        left = a if b is None else b
        return None if left is None else tuple(left)
    found = dict.fromkeys(
        both for one in a for other in b if (both := _both_hosts(one, other)) is not None
    )
    if len(found) > MAX_DOMAINS:
        raise LayersError(f"a rule would name {len(found)} hosts, more than {MAX_DOMAINS}")
    return tuple(found)


def both_limits(a: PolicyLimits, b: PolicyLimits) -> PolicyLimits:
    """Return the lower of each limit; an absent one limits nothing."""

    def lower(one: int | None, other: int | None) -> int | None:
        given = [value for value in (one, other) if value is not None]
        return min(given) if given else None

    return PolicyLimits(
        orders_per_hour=lower(a.orders_per_hour, b.orders_per_hour),
        orders_per_day=lower(a.orders_per_day, b.orders_per_day),
        concurrent=lower(a.concurrent, b.concurrent),
        tokens_per_day=lower(a.tokens_per_day, b.tokens_per_day),
        cents_per_day=lower(a.cents_per_day, b.cents_per_day),
    )


def _both_people(a: Sequence[str], b: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for one in a:
        for other in b:
            if one == other or (one.startswith("did:") and other == _ANYONE):
                found.append(one)
            elif other.startswith("did:") and one == _ANYONE:
                found.append(other)
            # Who holds the wider role counts as the narrower one too (see the approvals service).
            elif _role_covers(one, other):
                found.append(one)
            elif _role_covers(other, one):
                found.append(other)
    return tuple(dict.fromkeys(found))


def _role_covers(wide: str, narrow: str) -> bool:
    return wide in ROLES and narrow in ROLES and ROLES[narrow] <= ROLES[wide]


def _both_hosts(a: str, b: str) -> str | None:
    host_a, port_a = _split_port(a)
    host_b, port_b = _split_port(b)
    if port_a and port_b and int(port_a) != int(port_b):
        return None
    port = port_a or port_b
    if _covers_host(host_a, host_b):
        host = host_b
    elif _covers_host(host_b, host_a):
        host = host_a
    else:
        return None
    return f"{host}:{port}" if port else host


def _split_port(pattern: str) -> tuple[str, str]:
    host, _, port = pattern.partition(":")
    return host.removesuffix("."), port


def _covers_host(wide: str, narrow: str) -> bool:
    if wide in ("*", narrow):
        return True
    if not wide.startswith("*."):
        return False
    # `*.0.0.1` is no pattern for the address 127.0.0.1; a name never ends in a number.
    return narrow.endswith(wide[1:]) and not narrow.rpartition(".")[2].isdigit()
