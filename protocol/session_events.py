"""How far a connection has come, and what its ends report to their owners."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from pydantic import BaseModel

from protocol.envelope import Envelope
from protocol.keys import PublicKey
from protocol.messages import Hello, Register


class SessionState(Enum):
    """How far a connection has come; only forward."""

    CONNECTING = "connecting"
    """Nothing said yet (hub), or no `hello` accepted yet (agent)."""
    REGISTERING = "registering"
    """`hello` is out; `register` is due or being decided."""
    PENDING = "pending"
    """The agent has proved its key and waits for an admin."""
    ONLINE = "online"
    """Registered: frames both ways."""
    CLOSED = "closed"
    """This end closes as soon as its queue is sent; nothing more is read."""


@dataclass(frozen=True, slots=True)
class ControlReceived:
    """A control frame that passed rows 1 to 10; `payload` is the model of its type."""

    envelope: Envelope
    payload: BaseModel


@dataclass(frozen=True, slots=True)
class DocumentReceived:
    """A well-formed document; nothing in it is proved yet."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class HelloAccepted:
    """Agent: this is a hub of the root; remember the session, answer with `Register`."""

    root: PublicKey
    hub: PublicKey
    delegation: Envelope
    envelope: Envelope
    payload: Hello


@dataclass(frozen=True, slots=True)
class RegisterReceived:
    """Hub: the peer has proved its key; whether it may come in is the owner's to decide."""

    envelope: Envelope
    payload: Register


@dataclass(frozen=True, slots=True)
class FrameRefused:
    """A frame was answered by an `error`; the connection lives. For the log and the rate."""

    envelope: Envelope
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class PeerFailed:
    """The connection ends for what the peer sent.

    `code` and `detail` are precise and for the log: the peer may have been told less.
    """

    code: str
    close_code: int
    detail: str = ""


Event: TypeAlias = (
    ControlReceived
    | DocumentReceived
    | HelloAccepted
    | RegisterReceived
    | FrameRefused
    | PeerFailed
)
