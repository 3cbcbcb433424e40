"""`/overview`: the fleet in numbers."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from pydantic import Field

from controlplane.api.operation import Call, Query, View, operation
from controlplane.api.views import time_view
from protocol.lifecycle import TERMINAL

_OPEN = "open"


class StretchView(View):
    """The orders given from a time on, by how they ended; `open` have not."""

    starts_at: str
    states: dict[str, int]


class OrdersView(View):
    """Orders: how many are open now; those given lately, oldest first, without empty stretches."""

    open: int
    since: str
    stretch_seconds: int
    stretches: list[StretchView]


class OverviewView(View):
    """Counts of what you may see; null for what you may see nowhere."""

    agents: dict[str, int]
    orders: OrdersView
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
    by_stretch: dict[str | None, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for starts_at, state, count in made.intents:
        ended = state if state in {str(one) for one in TERMINAL} else _OPEN
        by_stretch[time_view(starts_at)][ended] += count
    return {
        "agents": dict(made.agents),
        "orders": {
            "open": made.open_intents,
            "since": time_view(made.since),
            "stretchSeconds": int(made.stretch.total_seconds()),
            "stretches": [
                {"startsAt": starts_at, "states": dict(states)}
                for starts_at, states in by_stretch.items()
            ],
        },
        "approvals": made.approvals,
        "registrations": made.registrations,
    }


OPERATIONS = [overview]
