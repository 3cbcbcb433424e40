"""`/intents`: give orders, follow them, take them back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Self

import orjson
from pydantic import Field, model_validator

from controlplane.api.audit import InclusionView
from controlplane.api.idempotency import keep_answer, take_claim
from controlplane.api.operation import Body, Call, Query, Reply, Stream, operation
from controlplane.api.sse import check_room, event_stream, format_event
from controlplane.api.views import (
    BatchView,
    IntentView,
    PageQuery,
    batch_view,
    intent_view,
    output_view,
    page_view,
)
from controlplane.audit.service import prove_inclusion
from controlplane.errors import InvalidFieldError
from controlplane.events import Subscription
from controlplane.files.service import outputs_of
from controlplane.intents.cancellation import cancel_intent
from controlplane.intents.queries import (
    check_visible,
    list_intents,
    load_intent,
    parse_state,
    wait_for_end,
    watch_ends,
)
from controlplane.intents.signed import MAX_DELEGATIONS, submit_signed
from controlplane.intents.state import is_terminal
from controlplane.intents.submission import (
    Batch,
    Order,
    PreparedBatch,
    committed,
    prepare_orders,
    write_orders,
)
from controlplane.intents.targets import Target
from protocol.ids import ACTION_PATTERN
from protocol.messages.intents import MAX_TIMEOUT_SECONDS
from protocol.timestamps import Timestamp
from storage.records import IntentRecord
from storage.unit_of_work import UnitOfWork

_SUBMIT_ERRORS = ("not_found", "conflict", "person_not_granted")
_DOCUMENT_ERRORS = (
    "bad_json",
    "bad_envelope",
    "frame_too_large",
    "bad_signature",
    "forbidden_type",
    "unknown_type",
    "bad_payload",
    "future",
    "expired",
    "id_reuse",
)


class TargetBody(Body):
    """One of `agent` (DID or name), `capability` and `selector` (`label=value,realm=R`)."""

    agent: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    capability: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    selector: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100_000)] | None = None
    batch: Annotated[str, Field(max_length=10, pattern="^[0-9]{1,8}%?$")] | None = None
    stop_after: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(one is not None for one in (self.agent, self.capability, self.selector)) != 1:
            raise ValueError("exactly one of agent, capability and selector")
        staged = (self.limit, self.batch, self.stop_after)
        if self.agent is not None and any(one is not None for one in staged):
            raise ValueError("limit, batch and stopAfter go with many agents, not one")
        return self


class SubmitBody(Body):
    """An order. Times in seconds; `notBefore` in the form of every timestamp."""

    target: TargetBody
    action: Annotated[str, Field(max_length=200, pattern=ACTION_PATTERN)]
    params: dict[str, Any] = Field(default_factory=dict)
    realm: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_SECONDS)] | None = None
    expires_in_seconds: Annotated[int, Field(ge=1)] | None = None
    on_behalf_of: Annotated[str, Field(pattern="^user:[0-9a-f-]{36}$")] | None = None
    not_before: Timestamp | None = None
    traceparent: (
        Annotated[str, Field(pattern="^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")] | None
    ) = None

    def order(self) -> Order:
        """Return the service's form of it."""
        target = self.target
        moment: datetime | None = self.not_before
        return Order(
            target=Target(
                agent=target.agent,
                capability=target.capability,
                selector=target.selector,
                limit=target.limit,
                batch=target.batch,
                stop_after=target.stop_after,
            ),
            action=self.action,
            params=self.params,
            realm=self.realm,
            timeout_seconds=self.timeout_seconds,
            expires_in_seconds=self.expires_in_seconds,
            on_behalf_of=self.on_behalf_of,
            not_before=moment,
            traceparent=self.traceparent,
        )


class SubmitManyBody(Body):
    """Orders that are taken in together, or not at all."""

    intents: Annotated[list[SubmitBody], Field(min_length=1)]


class SignedBody(Body):
    """A signed `intent`, and delegations of its proof that the hub may not hold; JSON text."""

    document: Annotated[str, Field(max_length=2 * 1024 * 1024)]
    delegations: Annotated[list[str], Field(max_length=MAX_DELEGATIONS)] = Field(
        default_factory=list
    )


class CancelBody(Body):
    """Why the order is taken back; told to the agent."""

    reason: Annotated[str, Field(max_length=1_000)] = ""


class WaitQuery(Query):
    """How long to wait for the end, at most `max_wait_seconds` of the hub."""

    wait: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0


class IntentListQuery(PageQuery):
    """Which orders; `state` may be given several times, for any of them."""

    agent: str | None = None
    state: Annotated[list[str], Field(max_length=16)] = Field(default_factory=list)
    realm: str | None = None
    action: str | None = None
    batch_id: str | None = None
    submitted_by: str | None = None


@operation(
    "POST",
    "/api/v1/intents",
    permission="intents.submit",
    body=SubmitBody,
    query=WaitQuery,
    result=BatchView,
    status=202,
    errors=_SUBMIT_ERRORS,
    idempotency="own",
)
async def submit(call: Call) -> Any:
    """Order work; ?wait=seconds waits for the results."""
    return await _submit(call, [call.body.order()])


@operation(
    "POST",
    "/api/v1/intents/batch",
    permission="intents.submit",
    body=SubmitManyBody,
    query=WaitQuery,
    result=BatchView,
    status=202,
    errors=_SUBMIT_ERRORS,
    idempotency="own",
)
async def submit_many(call: Call) -> Any:
    """Order many things in one request, all or none; for clients with many orders."""
    orders = [one.order() for one in call.body.intents]
    most = call.hub.settings.max_batch_intents
    if len(orders) > most:
        raise InvalidFieldError(f"at most {most} orders", pointer="/intents")
    for index, order in enumerate(orders):
        if order.target.batch is not None or order.target.stop_after is not None:
            raise InvalidFieldError(
                "staged orders go one by one", pointer=f"/intents/{index}/target"
            )
    return await _submit(call, orders)


async def _submit(call: Call, orders: list[Order]) -> Any:
    hub, actor, claim = call.hub, call.actor, call.claim
    prepared = await prepare_orders(hub, actor, orders)
    ids = [one.record.id for one in prepared.orders]

    def unit(uow: UnitOfWork) -> Reply | PreparedBatch:
        if claim is not None:
            earlier = take_claim(uow, claim, prepared.now)
            if earlier is not None:
                return earlier
        batch = write_orders(uow, actor, prepared)
        if claim is not None:
            answer = orjson.dumps(batch_view(batch.id, [one.record for one in batch.orders]))
            keep_answer(uow, claim, 202, answer)
        return batch

    # Watched before it is written: an end cannot come unseen between the two.
    with watch_ends(hub, ids if call.query.wait > 0 else ()) as ends:
        began = time.perf_counter()
        written = await hub.database.write(unit)
        hub.metrics.commit_seconds.observe(time.perf_counter() - began)
        if isinstance(written, Reply):
            return written
        return await _batch_reply(call, committed(hub, written), ends)


async def _batch_reply(call: Call, batch: Batch, ends: Subscription) -> Any:
    seconds = min(call.query.wait, call.hub.settings.max_wait_seconds)
    if seconds <= 0 or not batch.intents:
        return batch_view(batch.id, batch.intents, with_results=call.query.wait > 0)
    records = await wait_for_end(call.hub, batch.intents, ends, seconds)
    return batch_view(batch.id, records, with_results=True)


@operation(
    "POST",
    "/api/v1/intents/signed",
    permission="intents.submit",
    body=SignedBody,
    query=WaitQuery,
    result=BatchView,
    status=202,
    errors=(*_DOCUMENT_ERRORS, "not_found", "conflict"),
)
async def submit_document(call: Call) -> Any:
    """Hand in an order that was signed elsewhere."""
    batch = await submit_signed(call.hub, call.actor, call.body.document, call.body.delegations)
    with watch_ends(call.hub, [one.id for one in batch.intents]) as ends:
        return await _batch_reply(call, batch, ends)


@operation(
    "GET",
    "/api/v1/intents",
    permission="intents.read",
    query=IntentListQuery,
    result=list[IntentView],
)
async def list_(call: Call) -> Any:
    """List orders, newest first."""
    query = call.query
    filters: dict[str, Any] = {
        "realm": query.realm,
        "action": query.action,
        "batch_id": query.batch_id,
        "submitted_by": query.submitted_by,
    }
    if query.state:
        try:
            filters["state"] = [parse_state(one) for one in query.state]
        except ValueError as exc:
            raise InvalidFieldError("no such state", pointer="?state") from exc
    if query.agent is not None:
        agent = await call.hub.agents.find(query.agent)
        filters["agent_did"] = query.agent if agent is None else agent.did
    page = await list_intents(
        call.hub, call.actor, limit=query.limit, cursor=query.cursor, **filters
    )
    return page_view(page, intent_view)


@operation(
    "GET",
    "/api/v1/intents/{id}",
    permission="intents.read",
    query=WaitQuery,
    result=IntentView,
)
async def show(call: Call) -> Any:
    """One order with its signed documents; ?wait=seconds waits for its end."""
    record, documents = await load_intent(call.hub, call.actor, call.path["id"])
    seconds = min(call.query.wait, call.hub.settings.max_wait_seconds)
    if seconds > 0 and not is_terminal(record.state):
        with watch_ends(call.hub, (record.id,)) as ends:
            # Watched first, read second: nothing can happen unseen between the two.
            record, documents = await load_intent(call.hub, call.actor, record.id)
            await wait_for_end(call.hub, [record], ends, seconds)
        record, documents = await load_intent(call.hub, call.actor, record.id)
    view = intent_view(record, documents)
    if record.result is not None and record.result.get("outputFile") is not None:
        view["files"] = [output_view(one) for one in await outputs_of(call.hub, record.id)]
    return view


@operation(
    "GET",
    "/api/v1/intents/{id}/inclusion",
    permission="intents.read",
    result=InclusionView,
)
async def inclusion(call: Call) -> Any:
    """Prove that the record holds the end of this order, or else its beginning."""
    record, _ = await load_intent(call.hub, call.actor, call.path["id"])
    return await prove_inclusion(call.hub, index=None, intent=record.id)


@operation(
    "POST",
    "/api/v1/intents/{id}/cancel",
    permission="intents.cancel",
    body=CancelBody,
    result=IntentView,
    errors=("conflict",),
)
async def cancel(call: Call) -> Any:
    """Take an order back."""
    return intent_view(await cancel_intent(call.hub, call.actor, call.path["id"], call.body.reason))


@operation(
    "GET",
    "/api/v1/intents/{id}/events",
    permission="intents.read",
    errors=("rate_limited",),
    media_type="text/event-stream",
)
async def events(call: Call) -> Any:
    """Follow one order until it ends (server-sent events)."""
    check_room(call.hub)
    intent_id = call.path["id"]
    record = await call.hub.database.read(lambda uow: uow.intents.get(intent_id))
    check_visible(call.actor, record)
    last = call.headers.get("last-event-id")
    return Stream(_follow(call, intent_id, last), "text/event-stream")


async def _follow(call: Call, intent_id: str, last: str | None) -> AsyncIterator[bytes]:
    # Subscribed first, read second: nothing can happen unseen between the two.
    async with call.hub.events.subscribe(subject=intent_id, last_event_id=last) as subscription:

        def unit(uow: UnitOfWork) -> tuple[IntentRecord | None, list[Any]]:
            return uow.intents.get(intent_id), list(uow.intents.progress(intent_id))

        record, progress = await call.hub.database.read(unit)
        assert record is not None
        told = -1
        if last is None:
            yield format_event("intent.state", intent_view(record))
            for one in progress:
                told = max(told, one.index)
                data = {"id": intent_id, "index": one.index, "kind": one.kind, "data": one.data}
                yield format_event("intent.progress", data)
        if is_terminal(record.state):
            if last is not None:
                yield format_event("intent.finished", intent_view(record))
            return
        async for event, piece in event_stream(subscription, lambda: _still_visible(call, record)):
            if event is None:
                # Another hub may have ended it; its events are not ours.
                found = await call.hub.database.read(lambda uow: uow.intents.get(intent_id))
                if found is not None and is_terminal(found.state):
                    yield format_event("intent.finished", intent_view(found))
                    return
            elif event.type == "intent.progress" and event.data["index"] <= told:
                continue
            yield piece
            if event is not None and event.type == "intent.finished":
                return
            await asyncio.sleep(0)


async def _still_visible(call: Call, record: IntentRecord) -> None:
    assert call.authenticate_again is not None
    check_visible(await call.authenticate_again(), record)


OPERATIONS = [submit, submit_many, submit_document, list_, show, inclusion, cancel, events]
