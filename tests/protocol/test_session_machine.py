"""Whatever an attacker on the wire reorders, repeats, changes or makes up, both ends hold.

Only `protocol.errors.Error` ever escapes, sequences are taken one by one, nobody is online
without the handshake, and no key but the two real ones is ever the peer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from protocol.envelope import parse_envelope, seal_control
from protocol.errors import Error
from protocol.messages import (
    MESSAGES,
    Drain,
    Heartbeat,
    Pong,
    RegistrationPending,
    RegistrationRejected,
    dump_payload,
)
from protocol.session import (
    ControlReceived,
    Event,
    HelloAccepted,
    RegisterReceived,
    SessionState,
)
from tests.protocol.session_pair import (
    AGENT,
    HUB,
    ROOT,
    STRANGER,
    Pair,
    hub_delegation,
    register_ack,
    register_payload,
)

ORDER = list(SessionState)
BEAT = Heartbeat(uptime_seconds=1, load=0.5, memory_bytes=1, running=(), token_usage={})


STAGES = st.sampled_from(["started", "registered", "pending", "ack"])

KINDS = st.sampled_from(["heartbeat", "register_ack", "error"]) | st.sampled_from(
    [*(name for name, kind in MESSAGES.items() if kind.kind == "control"), "nonsense"]
)


class TwoEnds(RuleBasedStateMachine):
    """Two real ends and a wire that belongs to somebody hostile."""

    @initialize(stage=STAGES)
    def begin(self, stage: str) -> None:
        """Start a connection and let it come undisturbed as far as `stage`."""
        self.pair = Pair()
        self.sent: dict[str, list[str]] = {"hub": [], "agent": []}
        self.carried = {"hub": 0, "agent": 0}
        self.taken: dict[str, list[int]] = {"hub": [], "agent": []}
        self.furthest = {"hub": 0, "agent": 0}
        self.challenge: str | None = None
        self.acked = self.registered = False
        self.pair.hub.start(now=self.pair.now, id=self.pair.next_id())
        self._collect()
        if stage == "started":
            return
        self.deliver_the_next_frame("agent")
        self.send_something("agent", "register")
        self.deliver_the_next_frame("hub")
        if stage != "registered":
            self.send_something("hub", stage)
            self.deliver_the_next_frame("agent")

    @precondition(lambda self: self.pair.hub.close_code or self.pair.agent.close_code)
    @rule(stage=STAGES)
    def connect_again(self, stage: str) -> None:
        self.begin(stage)

    def _collect(self) -> None:
        self.sent["hub"] += [f.decode() for f in self.pair.hub.data_to_send()]
        self.sent["agent"] += [f.decode() for f in self.pair.agent.data_to_send()]

    def _feed(self, side: str, data: str | bytes) -> None:
        receive = self.pair.to_hub if side == "hub" else self.pair.to_agent
        events: list[Event] = receive(data)
        for event in events:
            if isinstance(event, ControlReceived | RegisterReceived | HelloAccepted):
                assert event.envelope.sequence is not None
                self.taken[side].append(event.envelope.sequence)
                assert event.envelope.public_key == (AGENT if side == "hub" else HUB).public_key
            if isinstance(event, HelloAccepted):
                self.challenge = event.payload.challenge
            if isinstance(event, RegisterReceived):
                self.registered = True
        self._collect()

    def _next_sequence(self, side: str) -> int:
        return self.taken[side][-1] + 1 if self.taken[side] else 1

    @rule(side=st.sampled_from(["hub", "agent"]))
    def deliver_the_next_frame(self, side: str) -> None:
        source = "agent" if side == "hub" else "hub"
        if self.carried[side] < len(self.sent[source]):
            self.carried[side] += 1
            self._feed(side, self.sent[source][self.carried[side] - 1])

    @rule(beats=st.integers(0, 3), documents=st.integers(0, 2))
    def talk_undisturbed(self, beats: int, documents: int) -> None:
        for _ in range(beats):
            self.send_something("agent", "beat")
            self.send_something("hub", "pong")
        for _ in range(documents):
            self.send_a_document("hub")
        for side, source in (("hub", "agent"), ("agent", "hub")):
            while self.carried[side] < len(self.sent[source]):
                self.deliver_the_next_frame(side)

    @rule(
        kind=KINDS,
        ahead=st.sampled_from([0, 0, 0, -1, 1]),
        payload=st.sampled_from([dump_payload(BEAT), {}, {"code": "x", "message": ""}]),
    )
    def let_the_agent_itself_misbehave(self, kind: str, ahead: int, payload: Any) -> None:
        try:
            frame = seal_control(
                type=kind,
                id=self.pair.next_id(),
                timestamp=self.pair.now,
                audience=HUB.public_key.did,
                session=self.pair.session_id,
                sequence=max(1, self._next_sequence("hub") + ahead),
                payload=payload,
                signer=AGENT,
            )
        except Error:
            return  # a document type has no sequence number
        self._feed("hub", frame.wire.decode())

    @rule(side=st.sampled_from(["hub", "agent"]), data=st.data())
    def deliver_any_frame_of_either_side(self, side: str, data: st.DataObject) -> None:
        frames = self.sent["hub"] + self.sent["agent"]
        self._feed(side, frames[data.draw(st.integers(0, len(frames) - 1))])

    @rule(side=st.sampled_from(["hub", "agent"]), data=st.data())
    def deliver_a_changed_frame(self, side: str, data: st.DataObject) -> None:
        frames = self.sent["hub"] + self.sent["agent"]
        frame = frames[data.draw(st.integers(0, len(frames) - 1))]
        at = data.draw(st.integers(0, len(frame) - 1))
        self._feed(side, frame[:at] + data.draw(st.text(max_size=3)) + frame[at + 1 :])

    @rule(side=st.sampled_from(["hub", "agent"]), junk=st.text() | st.binary())
    def deliver_junk(self, side: str, junk: str | bytes) -> None:
        self._feed(side, junk)

    @rule(
        side=st.sampled_from(["hub", "agent"]),
        kind=KINDS,
        ahead=st.sampled_from([0, 0, 0, -1, 1]),
        signer=st.sampled_from([ROOT, STRANGER]),
        payload=st.sampled_from([dump_payload(BEAT) | dump_payload(register_ack()), {}]),
    )
    def deliver_what_a_stranger_signed(
        self, side: str, kind: str, ahead: int, signer: Any, payload: Any
    ) -> None:
        try:
            frame = seal_control(
                type=kind,
                id=self.pair.next_id(),
                timestamp=self.pair.now,
                audience=(HUB if side == "hub" else AGENT).public_key.did,
                session=self.pair.session_id,
                sequence=max(1, self._next_sequence(side) + ahead),
                payload=payload,
                signer=signer,
            )
        except Error:
            return  # outside the JSON profile: it cannot be sealed at all
        self._feed(side, frame.wire.decode())

    @rule(
        side=st.sampled_from(["hub", "agent"]),
        payload=st.sampled_from(
            ["register", "ack", "pending", "rejected", "beat", "pong", "drain"]
        ),
    )
    def send_something(self, side: str, payload: str) -> None:
        end = self.pair.hub if side == "hub" else self.pair.agent
        made: dict[str, Any] = {
            "register": register_payload(self.challenge or "A" * 43 + "="),
            "ack": register_ack(),
            "pending": RegistrationPending(
                registration_id=self.pair.session_id, fingerprint="0123-4567-89AB-CDEF"
            ),
            "rejected": RegistrationRejected(reason=""),
            "beat": BEAT,
            "pong": Pong(time=self.pair.now, checkpoint=None, revocation_epoch=None),
            "drain": Drain(retry_after_seconds=1),
        }
        try:
            end.send(made[payload], now=self.pair.now, id=self.pair.next_id())
        except Error:
            return
        assert payload != "ack" or self.registered
        self.acked = self.acked or payload == "ack"
        self._collect()

    @rule(side=st.sampled_from(["hub", "agent"]))
    def send_a_document(self, side: str) -> None:
        end = self.pair.hub if side == "hub" else self.pair.agent
        try:
            end.send_document(hub_delegation().wire)
        except Error:
            return
        assert self.acked
        self._collect()

    @rule(seconds=st.sampled_from([1, 59, 61]))
    def let_time_pass(self, seconds: int) -> None:
        self.pair.now += timedelta(seconds=seconds)

    @invariant()
    def numbers_are_taken_one_by_one(self) -> None:
        for numbers in self.taken.values():
            assert numbers == sorted(set(numbers))
            assert not numbers or numbers[0] == 1

    @invariant()
    def sent_numbers_have_no_gap(self) -> None:
        for frames in self.sent.values():
            numbers = [parse_envelope(frame).sequence for frame in frames]
            numbers = [number for number in numbers if number is not None]
            assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def nobody_is_online_without_the_handshake(self) -> None:
        pair = self.pair
        if pair.hub.state is SessionState.ONLINE:
            assert self.registered
            assert self.acked
        if pair.agent.state in (SessionState.ONLINE, SessionState.PENDING):
            assert self.challenge is not None
            assert self.registered
        if pair.agent.state is SessionState.ONLINE:
            assert self.acked

    @invariant()
    def only_the_real_keys_are_believed(self) -> None:
        assert self.pair.hub.peer in (None, AGENT.public_key)
        assert self.pair.agent.peer in (None, HUB.public_key)

    @invariant()
    def states_only_go_forward(self) -> None:
        for side, end in (("hub", self.pair.hub), ("agent", self.pair.agent)):
            place = ORDER.index(end.state)
            assert place >= self.furthest[side]
            self.furthest[side] = place
            assert (end.state is SessionState.CLOSED) == (end.close_code is not None)


TestTwoEnds = TwoEnds.TestCase
TestTwoEnds.settings = settings(
    max_examples=120,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
