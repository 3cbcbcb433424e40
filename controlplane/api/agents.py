"""`/agents`: the fleet as it is, and what steers it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field

from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.views import AgentView, PageQuery, agent_view, etag_of, page_view
from controlplane.errors import InvalidFieldError, PreconditionError
from controlplane.fleet.agents import (
    edit_agent,
    list_agents,
    load_agent,
    revoke_agent,
)
from controlplane.fleet.quarantine import quarantine_agent, quarantine_many, release_agent
from protocol.messages.fields import Labels
from storage.records import AgentRecord

_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"')


class AgentListQuery(PageQuery):
    """Which agents; `label` is `key=value` or `key`, `q` a part of the name."""

    realm: str | None = None
    capability: str | None = None
    status: Annotated[
        str | None, Field(pattern="^(active|online|offline|quarantined|revoked)$")
    ] = None
    label: str | None = None
    q: str | None = None


class EditAgentBody(Body):
    """What to change; what is left out stays."""

    name: str | None = None
    labels: Labels | None = None
    realms: Annotated[list[str], Field(min_length=1, max_length=64)] | None = None


class ReasonBody(Body):
    """Why; kept in the record."""

    reason: Annotated[str, Field(max_length=1_000)] = ""


class QuarantineManyBody(Body):
    """Which agents to stop: those of a realm, or all; and why."""

    realm: str | None = None
    all: bool = False
    reason: Annotated[str, Field(max_length=1_000)] = ""


class QuarantinedView(View):
    """How many agents were told to stop by this call; those that were stopped before not."""

    stopped: int
    agents: list[str]


class DocumentBody(Body):
    """A signed document as JSON text."""

    document: Annotated[str, Field(max_length=2 * 1024 * 1024)]


@operation(
    "GET",
    "/api/v1/agents",
    permission="agents.read",
    query=AgentListQuery,
    result=list[AgentView],
)
async def list_(call: Call) -> Any:
    """List agents by name."""
    query = call.query
    page = await list_agents(
        call.hub,
        call.actor,
        limit=query.limit,
        cursor=query.cursor,
        realm=query.realm,
        capability=query.capability,
        status=query.status,
        label=query.label,
        q=query.q,
    )
    return page_view(page, agent_view)


@operation(
    "GET",
    "/api/v1/agents/{did}",
    permission="agents.read",
    result=AgentView,
)
async def show(call: Call) -> Any:
    """One agent, by DID or name."""
    return _reply(await load_agent(call.hub, call.actor, call.path["did"]))


@operation(
    "PATCH",
    "/api/v1/agents/{did}",
    permission="agents.edit",
    body=EditAgentBody,
    result=AgentView,
    errors=("precondition_failed",),
)
async def edit(call: Call) -> Any:
    """Change name, labels or realms; with If-Match only over that version."""
    changed = await edit_agent(
        call.hub,
        call.actor,
        call.path["did"],
        name=call.body.name,
        labels=call.body.labels,
        realms=call.body.realms,
        revision=parse_if_match(call.headers.get("if-match")),
    )
    return _reply(changed)


@operation(
    "POST",
    "/api/v1/agents/{did}/revoke",
    permission="agents.revoke",
    body=ReasonBody,
    result=AgentView,
)
async def revoke(call: Call) -> Any:
    """Shut an agent's key out for good."""
    return _reply(await revoke_agent(call.hub, call.actor, call.path["did"], call.body.reason))


@operation(
    "POST",
    "/api/v1/agents/{did}/quarantine",
    permission="agents.quarantine",
    body=ReasonBody,
    result=AgentView,
    errors=("conflict",),
)
async def quarantine(call: Call) -> Any:
    """Have an agent refuse all work; signed by the hub."""
    return _reply(await quarantine_agent(call.hub, call.actor, call.path["did"], call.body.reason))


@operation(
    "POST",
    "/api/v1/agents/quarantine",
    permission="agents.quarantine",
    body=QuarantineManyBody,
    result=QuarantinedView,
)
async def stop_many(call: Call) -> Any:
    """Have every agent of a realm, or of the whole fleet, refuse all work."""
    body = call.body
    if body.all == (body.realm is not None):
        raise InvalidFieldError("say either all or one realm", pointer="/realm")
    stopped = await quarantine_many(call.hub, call.actor, body.realm, body.reason)
    return {"stopped": len(stopped), "agents": stopped}


@operation(
    "POST",
    "/api/v1/agents/{did}/release",
    permission="agents.quarantine",
    body=DocumentBody,
    result=AgentView,
    errors=(
        "conflict",
        "bad_json",
        "bad_envelope",
        "frame_too_large",
        "bad_signature",
        "forbidden_type",
        "bad_payload",
        "expired",
        "future",
        "wrong_audience",
        "id_reuse",
    ),
)
async def release(call: Call) -> Any:
    """Lift a quarantine by a document of an operator or the root."""
    return _reply(await release_agent(call.hub, call.actor, call.path["did"], call.body.document))


def parse_if_match(text: str | None) -> int | None:
    """Return the revision an `If-Match` names; None for `*` and for no header.

    Raises:
        PreconditionError: a tag that was never handed out.
    """
    if text is None or text.strip() == "*":
        return None
    found = _ETAG.fullmatch(text.strip())
    if found is None:
        raise PreconditionError("not an ETag of this hub")
    return int(found.group(1))


def _reply(record: AgentRecord) -> Reply:
    return Reply(agent_view(record), headers={"ETag": etag_of(record.revision)})


OPERATIONS = [list_, show, edit, revoke, quarantine, stop_many, release]
