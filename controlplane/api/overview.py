"""`/overview`: the fleet in numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any

from pydantic import Field

from controlplane.api.operation import Call, Query, View, operation
from controlplane.api.views import time_view
from controlplane.spending import read_nearest_limit
from protocol.lifecycle import TERMINAL
from storage.repositories.tallies import IntentTally

_OPEN = "open"
_ENDS = frozenset(str(one) for one in TERMINAL)


class StretchView(View):
    """The orders given from a time on, by how they ended; `open` have not.

    What they have used is their agents' own figure: tokens, and cents of their agents' money.
    """

    starts_at: str
    states: dict[str, int]
    tokens: int
    cents: float


class OrdersView(View):
    """Orders: how many are open now; those given lately, oldest first, without empty stretches."""

    open: int
    since: str
    stretch_seconds: int
    stretches: list[StretchView]


class NearLimitView(View):
    """An agent that is online and has used most of a limit of its policy, by its own count."""

    agent: str
    name: str
    limit: str
    used: float
    most: float


class NearLimitsView(View):
    """How many agents have used 80 % of a limit or more; the nearest of them, at most five."""

    agents: int
    nearest: list[NearLimitView]


class OverviewView(View):
    """Counts of what you may see; null for what you may see nowhere."""

    agents: dict[str, int]
    orders: OrdersView
    near_limits: NearLimitsView
    approvals: int | None
    registrations: int | None


class OverviewQuery(Query):
    """How far back to count orders."""

    hours: Annotated[int, Field(ge=1, le=168)] = 24


@operation(
    "GET",
    "/api/v1/overview",
    permission="agents.read",
    query=OverviewQuery,
    result=OverviewView,
)
async def overview(call: Call) -> Any:
    """The fleet in numbers, at most two seconds old."""
    made = await call.hub.overviews.look(call.hub.database, call.actor, call.query.hours)
    return {
        "agents": dict(made.agents),
        "orders": {
            "open": made.open_intents,
            "since": time_view(made.since),
            "stretchSeconds": int(made.stretch.total_seconds()),
            "stretches": [
                _stretch(starts_at, list(tallies))
                for starts_at, tallies in groupby(made.intents, key=attrgetter("starts_at"))
            ],
        },
        "nearLimits": {
            "agents": made.near_limits,
            "nearest": [
                {"agent": one.did, "name": one.name, **asdict(nearest)}
                for one in made.nearest_limits
                if (nearest := read_nearest_limit(one.heartbeat)) is not None
            ],
        },
        "approvals": made.approvals,
        "registrations": made.registrations,
    }


def _stretch(starts_at: datetime, tallies: Sequence[IntentTally]) -> dict[str, Any]:
    states: dict[str, int] = defaultdict(int)
    for one in tallies:
        states[one.state if one.state in _ENDS else _OPEN] += one.orders
    return {
        "startsAt": time_view(starts_at),
        "states": states,
        "tokens": sum(one.tokens for one in tallies),
        "cents": sum(one.millicents for one in tallies) / 1_000,
    }


OPERATIONS = [overview]
