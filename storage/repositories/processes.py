"""Which processes of the hub live, and which one holds a lease; by the database's own clock.

The clocks of the processes need not agree: Postgres tells the time for all of them. SQLite has one
process, whose clock it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, delete, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite

from storage.errors import LeaseLostError
from storage.mapping import Mapping
from storage.records import HubProcessRecord, LeaseRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME, decode_time
from storage.tables.processes import hub_processes, leases
from storage.transaction import Prepared, Transaction

_P = hub_processes.c
_L = leases.c
_DATABASE_TIME = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
_HOLD = Prepared(
    select(_L.fence)
    .where(
        _L.name == bindparam("lease"),
        _L.holder == bindparam("by"),
        _L.fence == bindparam("tenure"),
    )
    .with_for_update(read=True)
)


class HubProcesses(Repository[HubProcessRecord]):
    """Processes by id."""

    mapping: Mapping[HubProcessRecord] = Mapping(hub_processes, HubProcessRecord)
    noun = "hub process"

    def beat(self, id: str, version: str) -> None:
        """Say that a process lives."""
        now = database_time(self._tx)
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        moment = TIME.encode(now)
        self._tx.core(
            make(hub_processes)
            .values(id=id, version=version, started_at=moment, seen_at=moment)
            .on_conflict_do_update(index_elements=["id"], set_={"seen_at": moment})
        )

    def living(self, within: timedelta) -> Sequence[HubProcessRecord]:
        """Return those that said so within a time, oldest first."""
        since = TIME.encode(database_time(self._tx) - within)
        return self._all(_P.seen_at >= since, order=_P.id)

    def lives(self, id: str, within: timedelta) -> bool:
        """Whether a process said so within a time."""
        since = TIME.encode(database_time(self._tx) - within)
        return self._one(_P.id == id, _P.seen_at >= since) is not None

    def leave(self, id: str) -> None:
        """Forget a process that ends."""
        self._tx.core(delete(hub_processes).where(_P.id == id))

    def forget(self, silent_for: timedelta) -> int:
        """Forget processes that said nothing for a time; return how many."""
        before = TIME.encode(database_time(self._tx) - silent_for)
        return self._tx.core(delete(hub_processes).where(_P.seen_at < before)).rowcount


class Leases(Repository[LeaseRecord]):
    """Leases by name."""

    mapping: Mapping[LeaseRecord] = Mapping(leases, LeaseRecord)
    noun = "lease"

    def take(self, name: str, holder: str, lifetime: timedelta) -> int | None:
        """Return the fence of a lease that `holder` has from now on; None when another has it."""
        now = database_time(self._tx)
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        statement = make(leases).values(
            name=name, holder=holder, fence=1, expires_at=TIME.encode(now + lifetime)
        )
        new = statement.excluded
        fence = self._tx.core(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_={
                    "holder": new.holder,
                    "expires_at": new.expires_at,
                    "fence": case((_L.holder == new.holder, _L.fence), else_=_L.fence + 1),
                },
                where=or_(_L.holder == new.holder, _L.expires_at <= TIME.encode(now)),
            ).returning(_L.fence)
        ).scalar()
        return None if fence is None else int(fence)

    def is_free_for(self, name: str, holder: str) -> bool:
        """Whether `take` would succeed; asked first, for it waits for whoever uses the lease."""
        found = self._find(name=name)
        return (
            found is None or found.holder == holder or found.expires_at <= database_time(self._tx)
        )

    def check(self, name: str, holder: str, fence: int) -> None:
        """Return when this tenure still lasts, and have it last until this transaction ends.

        Raises:
            LeaseLostError: another has taken the lease.
        """
        if self._tx.row(_HOLD, lease=name, by=holder, tenure=fence) is None:
            raise LeaseLostError(f"another process has the lease {name}")

    def release(self, name: str, holder: str) -> None:
        """Let another take the lease at once; the fence stays."""
        statement = leases.update().where(_L.name == name, _L.holder == holder)
        self._tx.core(statement.values(expires_at=0))


def database_time(transaction: Transaction) -> datetime:
    """Return the time that every process on this database agrees on."""
    if transaction.is_sqlite:
        return transaction.now
    return decode_time(int(transaction.core(_DATABASE_TIME).scalar_one()))
