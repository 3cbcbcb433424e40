"""What every service of the hub is handed: one frozen bundle of the parts of this process.

The live side (`controlplane.hub`) and the event bus are named here by what services ask of them,
so that services and the live side never import each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from controlplane.identity import HubIdentity
from controlplane.membership import Membership
from controlplane.neighbours import Neighbours
from controlplane.overviews import Overviews
from controlplane.readiness import Readiness
from controlplane.settings import HubSettings
from controlplane.slots import Slots

if TYPE_CHECKING:
    from controlplane.access.authenticate import Authenticator
    from controlplane.access.oidc_provider import OidcProvider
    from controlplane.access.passwords import Passwords
    from controlplane.directory import AgentDirectory
    from controlplane.events import EventBus
    from controlplane.file_stores import StorageKeeper
    from controlplane.secret_keeper import SecretKeeper
    from controlplane.telemetry import Metrics
    from controlplane.token_keys import TokenKeys
    from storage.database import Database
    from storage.files.succession import FileStoreSuccession
    from storage.records import Checkpoint, IntentRecord


class Record(Protocol):
    """Signs and proves the record (`controlplane.audit`)."""

    async def sign_newest(self) -> Checkpoint | None:
        """Return a checkpoint over every leaf there is; None over an empty record."""
        ...

    async def prove_inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the audit path of a leaf in the tree of `size` leaves, which is on disk."""
        ...

    async def prove_consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `new` leaves, on disk, begins with that of `old`."""
        ...

    async def subtree_roots(self, spans: Sequence[tuple[int, int]], size: int) -> tuple[bytes, ...]:
        """Return the roots of complete subtrees of 256 leaves or more, of a tree on disk."""
        ...


class Registry(Protocol):
    """The agents that are connected to this hub process right now, and a word to the others'."""

    def get(self, did: str) -> Any | None:
        """Return the live connection of an agent, or None."""
        ...

    def online(self) -> Iterable[str]:
        """Return the DIDs that are online here."""
        ...

    def close_agent(self, did: str, *, code: int, reason: str) -> None:
        """Have the connection of `did` closed soon, registered or pending; nothing when none."""
        ...

    def registration_decided(self, did: str) -> None:
        """Have a pending connection of `did` look its registration up again; nothing when none."""
        ...


class Dispatcher(Protocol):
    """Moves rows of the outbox to live connections."""

    def wake(self, did: str) -> None:
        """Look at the outbox of `did` soon; cheap, never blocks, safe when it is offline."""
        ...

    def takes_now(self, did: str) -> bool:
        """Whether an order for `did` may be put on disk as dispatched, and handed over then."""
        ...

    def hand_over(self, record: IntentRecord, wire: bytes) -> None:
        """Send an order that is on disk as dispatched, with a row in the outbox that says sent."""
        ...


class OutboxKind:
    """What an outbox row's `wire` is, and so how the dispatcher sends it.

    `INTENT` and `DOCUMENT` go out as they are. `DELEGATION` is a delegation document that travels
    inside a `delegation_update` as `added`; `REMOVED_DELEGATION` has its id as `ref_id` and no
    wire. `PEER_RESULT` is a result that travels inside a `peer_result`. A row's `ref_id` is the
    document's id: it is deleted when the agent acks that document, or, for the kinds that nobody
    acks, when it is sent.
    """

    INTENT = "intent"
    DOCUMENT = "document"
    DELEGATION = "delegation"
    REMOVED_DELEGATION = "removed_delegation"
    PEER_RESULT = "peer_result"


@dataclass(frozen=True, slots=True)
class Hub:
    """The parts of one hub process."""

    settings: HubSettings
    identity: HubIdentity
    database: Database
    files: FileStoreSuccession
    registry: Registry
    dispatcher: Dispatcher
    events: EventBus
    metrics: Metrics
    secrets: SecretKeeper
    agents: AgentDirectory
    authenticator: Authenticator
    record: Record
    passwords: Passwords
    providers: Mapping[str, OidcProvider]
    storage: StorageKeeper
    neighbours: Neighbours
    token_keys: TokenKeys
    membership: Membership
    readiness: Readiness = field(default_factory=Readiness)
    uploads: Slots = field(default_factory=Slots)
    overviews: Overviews = field(default_factory=Overviews)

    def as_leader(self) -> Hub | None:
        """Return this hub for what is done once: its writes are fenced; None where others lead."""
        if not self.membership.leads:
            return None
        if self.membership.id is None:
            return self
        return replace(self, database=self.membership.leader_database())
