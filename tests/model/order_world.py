"""One order between a hub, a wire and an agent, small enough to try everything that can happen.

The world of SPEC sections 7 and 8: what is on each disk, what is in each memory, what is on the
wire. Both sides may die at any moment, the wire may break with anything on it, time may run out,
the order may be cancelled, its signer revoked. The hub's moves are checked against the product's
own `protocol.lifecycle` table. `Rules` are the decisions the product makes; a test turns each off
and sees the model find out, so that the model itself is known to be able to fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from protocol.lifecycle import TERMINAL, decide_transition
from protocol.messages.intents import IntentState
from tests.model.explore import Step

_S = IntentState
WIRE: Final = 2
"""Frames under way in one direction."""

# What an agent's disk says of the order.
NONE, WAITING, ACCEPTED, STARTED, FINISHED = "none", "waiting", "accepted", "started", "finished"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the product does; every one of them is needed."""

    start_on_disk_first: bool = True
    """The start is on disk before the work begins (unless it may run twice)."""
    ack_after_disk: bool = True
    """The agent acks what is on its disk, not what it has read."""
    first_end_wins: bool = True
    """The hub takes one result and no second."""
    dispatched_before_sent: bool = True
    """An order is `dispatched` on the hub's disk before its first byte leaves."""
    holds_are_listed: bool = True
    """An agent that comes back says which orders it holds."""
    results_are_resent: bool = True
    """A result is sent again until the hub has acked it."""
    judged_at_start: bool = True
    """Authority is judged again when the work starts, not only when the order came."""
    approval_on_disk: bool = True
    """Work that asks for people starts only with their answer."""
    settled_before_holds: bool = True
    """What is on its way to disk is there before the agent says what it holds."""
    interrupted_is_told: bool = True
    """What was running when the agent died is ended by a result, not run again."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Which order is looked at, and what may go wrong how often."""

    idempotent: bool = False
    needs_approval: bool = False
    may_cancel: bool = False
    may_revoke: bool = False
    may_expire: bool = True
    agent_deaths: int = 1
    hub_deaths: int = 1
    cuts: int = 1


class World(NamedTuple):
    """Everything, as plain values; a `cut` and a death empty the wire and the memories."""

    hub: IntentState = _S.QUEUED
    owed: bool = True  # the outbox row
    cancel_owed: bool = False
    revocation_owed: bool = False
    online: bool = False
    silent: bool = False  # sent on this connection and not answered yet
    late: bool = False  # the order's `expires` has come
    week_over: bool = False
    agent: str = NONE
    result: str | None = None
    told: bool = False  # the result has been sent once, on some connection
    acked: bool = False
    approved: bool = False
    cancelled: bool = False
    revoked: bool = False  # the agent has seen it
    storing: bool = False
    running: bool = False
    down: tuple[str, ...] = ()
    up: tuple[str, ...] = ()
    # What an onlooker counts.
    starts: int = 0
    ends: int = 0
    lawless: str | None = None
    unconfirmed: bool = False
    asked_cancel: bool = False
    asked_revoke: bool = False
    agent_deaths: int = 0
    hub_deaths: int = 0
    cuts: int = 0


def successors(kind: Kind, rules: Rules, w: World) -> Iterator[Step[World]]:
    """Yield everything that can happen to `w`."""
    yield from _hub_steps(kind, rules, w)
    yield from _agent_steps(kind, rules, w)
    yield from _outside(kind, rules, w)


def judge(kind: Kind, w: World) -> str | None:
    """Return the promise that `w` breaks, or None."""
    if w.lawless is not None:
        return w.lawless
    if w.starts > 1 and not kind.idempotent:
        return "started twice"
    if w.ends > 1:
        return "ended twice"
    if w.hub is _S.SUCCEEDED and w.starts == 0:
        return "succeeded without having been done"
    if w.hub is _S.EXPIRED and w.starts and not w.unconfirmed:
        return "expired, although it was started"
    return None


def is_goal(w: World) -> bool:
    """Whether the order has its end at the hub, and the agent nothing left to tell."""
    told = w.result is None or w.acked or w.unconfirmed
    return w.hub in TERMINAL and not w.running and told


# --- the hub -------------------------------------------------------------------------------


def _move(w: World, new: IntentState, **also: object) -> World:
    """Return `w` with the hub's order moved, as its compare-and-set would."""
    if not decide_transition(w.hub, new):
        return w._replace(lawless=f"the hub moved {w.hub.value} to {new.value}")
    ends = w.ends + (new in TERMINAL)
    owed = w.owed and new in (_S.QUEUED, _S.DISPATCHED)
    return w._replace(hub=new, ends=ends, **{"owed": owed, **also})  # type: ignore[arg-type]


def _hub_steps(kind: Kind, rules: Rules, w: World) -> Iterator[Step[World]]:
    if w.online and w.owed and not w.silent and len(w.down) < WIRE:
        sent = w._replace(down=(*w.down, "intent"), silent=True)
        if w.hub is _S.QUEUED and rules.dispatched_before_sent:
            sent = _move(sent, _S.DISPATCHED)
        yield Step("hub sends the order", sent)
    if w.online and w.silent and w.owed and not w.down and not w.up:
        yield Step("hub finds the agent silent", w._replace(silent=False))
    for flag, frame in (("cancel_owed", "cancel"), ("revocation_owed", "revocations")):
        # The outbox is read in order: what was owed before goes first. One copy at a time.
        due = w.online and getattr(w, flag) and (not w.owed or w.silent)
        on_the_wire = frame in w.down or f"document_ack {frame}" in w.up
        if due and not on_the_wire and len(w.down) < WIRE:
            yield Step(f"hub sends the {frame}", w._replace(down=(*w.down, frame)))
    if w.late and w.hub is _S.QUEUED:
        yield Step("hub expires a queued order", _move(w, _S.EXPIRED))
    if w.week_over and not w.online and w.hub in (_S.DISPATCHED, _S.ACCEPTED, _S.RUNNING):
        yield Step("hub gives the agent up", _move(w, _S.EXPIRED, unconfirmed=True))
    if w.up:
        yield Step(f"hub takes {w.up[0]}", _hub_takes(rules, w._replace(up=w.up[1:]), w.up[0]))


def _hub_takes(rules: Rules, w: World, frame: str) -> World:
    word, _, value = frame.partition(" ")
    if word == "ack":
        w = w._replace(silent=False, owed=False)
        return _move(w, _S.ACCEPTED) if w.hub in (_S.QUEUED, _S.DISPATCHED) else w
    if word == "error":
        unaccepted = w.hub in (_S.QUEUED, _S.DISPATCHED)
        return _move(w, _S.REFUSED) if unaccepted else w
    if word == "document_ack":
        flag = "cancel_owed" if value == "cancel" else "revocation_owed"
        return w._replace(**{flag: False})  # type: ignore[arg-type]
    # A result: the first ends the order, an equal one is acked again.
    if w.hub in TERMINAL and rules.first_end_wins:
        # An order given up after a week keeps its end: another result is a `conflict`.
        equal = w.hub.value == value
        return w._replace(down=(*w.down, "result_ack")) if equal else w
    w = w._replace(ends=w.ends + 1) if w.hub in TERMINAL else _move(w, IntentState(value))
    return w._replace(down=(*w.down, "result_ack"), silent=False, cancel_owed=False)


# --- the agent -----------------------------------------------------------------------------


def _agent_steps(kind: Kind, rules: Rules, w: World) -> Iterator[Step[World]]:
    if w.down:
        rest = w._replace(down=w.down[1:])
        yield Step(f"agent takes {w.down[0]}", _agent_takes(rules, rest, w.down[0]))
    if w.storing:
        yield Step("the order is on the agent's disk", _store(kind, rules, w))
    if w.agent == WAITING and not w.approved:
        yield Step("a person approves", w._replace(approved=True))
        yield Step("a person denies", _end(w, "refused"))
    may_go = w.agent == ACCEPTED or (
        w.agent == WAITING and (w.approved or not rules.approval_on_disk)
    )
    if may_go and not w.running and w.result is None:
        if (w.revoked and rules.judged_at_start) or w.cancelled:
            yield Step(
                "agent ends it unstarted", _end(w, "cancelled" if w.cancelled else "refused")
            )
        elif kind.idempotent or not rules.start_on_disk_first:
            yield Step("the work starts", _start(_decided(kind, w)))
        else:
            yield Step("the start is on disk", _decided(kind, w)._replace(agent=STARTED))
    if w.agent == STARTED and not w.running and w.result is None:
        yield Step("the work starts", _start(w))
    if w.running:
        ends = ("cancelled",) if w.cancelled else ("succeeded", "failed", "timed_out")
        for end in ends:
            yield Step(f"the work has {end}", _end(w._replace(running=False), end))
    owes = w.online and w.result is not None and not w.acked
    if (
        owes
        and not w.up
        and "result_ack" not in w.down
        and (rules.results_are_resent or not w.told)
    ):
        yield Step("agent sends its result", w._replace(up=(f"result {w.result}",), told=True))


def _agent_takes(rules: Rules, w: World, frame: str) -> World:
    if frame == "intent":
        if w.agent != NONE:
            again = f"result {w.result}" if w.result is not None else "ack"
            return w._replace(up=(*w.up, again))
        if w.late:
            return w._replace(up=(*w.up, "error expired")) if not w.storing else w
        if not rules.ack_after_disk:
            w = w._replace(up=(*w.up, "ack"))
        return w._replace(storing=True)
    if frame == "result_ack":
        return w._replace(acked=True)
    if frame == "cancel":
        # One that comes before its order is on disk waits for it (the agent's writes are in order).
        known = w.agent != NONE or w.storing
        return w._replace(cancelled=w.cancelled or known, up=(*w.up, "document_ack cancel"))
    return w._replace(revoked=True, up=(*w.up, "document_ack revocations"))


def _store(kind: Kind, rules: Rules, w: World) -> World:
    w = w._replace(storing=False, agent=WAITING if kind.needs_approval else ACCEPTED)
    if w.revoked:
        return _end(w, "refused")
    acked = rules.ack_after_disk and w.online and len(w.up) <= WIRE
    return w._replace(up=(*w.up, "ack")) if acked else w


def _decided(kind: Kind, w: World) -> World:
    """Note what an onlooker sees at the moment the agent decides to begin."""
    if kind.needs_approval and not w.approved:
        return w._replace(lawless="done without its approval")
    if w.revoked:
        return w._replace(lawless="started after the revocation was seen")
    return w


def _start(w: World) -> World:
    return w._replace(running=True, starts=min(w.starts + 1, 2))


def _end(w: World, status: str) -> World:
    return w._replace(agent=FINISHED, result=status, running=False)


# --- what nobody wishes --------------------------------------------------------------------


def _outside(kind: Kind, rules: Rules, w: World) -> Iterator[Step[World]]:
    if not w.online:
        yield Step("the agent connects", _connect(kind, rules, w))
    else:
        if w.cuts < kind.cuts:
            yield Step("the wire breaks", _cut(w)._replace(cuts=w.cuts + 1), fault=True)
        if w.hub_deaths < kind.hub_deaths:
            died = _cut(w)._replace(hub_deaths=w.hub_deaths + 1)
            yield Step("kill -9 of the hub", died, fault=True)
    if w.agent_deaths < kind.agent_deaths:
        yield Step("kill -9 of the agent", _agent_dies(rules, w), fault=True)
    if kind.may_expire and not w.late:
        yield Step("the order's time is up", w._replace(late=True), fault=True)
    if kind.may_expire and w.late and not w.week_over and not w.online:
        yield Step("a week passes", w._replace(week_over=True), fault=True)
    if kind.may_cancel and not w.asked_cancel and w.hub not in TERMINAL:
        asked = w._replace(asked_cancel=True)
        if w.hub is _S.QUEUED:
            yield Step("somebody cancels", _move(asked, _S.CANCELLED), fault=True)
        else:
            yield Step("somebody cancels", asked._replace(cancel_owed=True), fault=True)
    if kind.may_revoke and not w.asked_revoke:
        asked = w._replace(asked_revoke=True, revocation_owed=True)
        yield Step("the signer is revoked", asked, fault=True)


def _cut(w: World) -> World:
    return w._replace(online=False, silent=False, down=(), up=())


def _agent_dies(rules: Rules, w: World) -> World:
    w = _cut(w)._replace(storing=False, running=False, agent_deaths=w.agent_deaths + 1)
    if w.agent == STARTED and w.result is None and rules.interrupted_is_told:
        return _end(w, "interrupted")
    return w


def _connect(kind: Kind, rules: Rules, w: World) -> World:
    """Come online: everything unacknowledged is due again, after the hub has read `holds`."""
    w = w._replace(online=True, week_over=False)
    if w.storing and rules.settled_before_holds:
        w = _store(kind, rules, w)._replace(up=())
    listed = w.agent != NONE and not w.acked and rules.holds_are_listed
    if listed:
        if w.hub in (_S.QUEUED, _S.DISPATCHED):
            w = _move(w, _S.ACCEPTED)
        return w._replace(owed=False)
    if w.late and w.hub in (_S.QUEUED, _S.DISPATCHED):
        w = _move(w, _S.EXPIRED)
    return w
