"""Sign-ins that have begun, identities at OpenID providers, and attempts counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from storage.mapping import Mapping
from storage.records import CeremonyRecord, IdentityRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME, decode_time
from storage.tables.sign_in import ceremonies, identities, rate_windows

_C = ceremonies.c
_I = identities.c
_R = rate_windows.c


class Ceremonies(Repository[CeremonyRecord]):
    """Half-done sign-ins, each ended at most once."""

    mapping: Mapping[CeremonyRecord] = Mapping(ceremonies, CeremonyRecord)
    noun = "ceremony"

    def add(self, record: CeremonyRecord) -> None:
        """Keep what was begun."""
        self._insert(record)

    def take(self, hash: str, kind: str) -> CeremonyRecord | None:
        """Return and remove what was begun and has not expired, or None; nobody gets it twice."""
        row = self._tx.core(
            delete(ceremonies)
            .where(_C.hash == hash, _C.kind == kind, _C.expires_at > TIME.encode(self._tx.now))
            .returning(*self.mapping.columns)
        ).first()
        return None if row is None else self.mapping.record(row)

    def count(self) -> int:
        """Return how many there are."""
        return int(self._tx.core(select(func.count()).select_from(ceremonies)).scalar_one())

    def forget(self, before: datetime) -> int:
        """Remove those that expired before a time; return how many."""
        gone = delete(ceremonies).where(_C.expires_at < TIME.encode(before))
        return self._tx.core(gone).rowcount


class Identities(Repository[IdentityRecord]):
    """Users by issuer and subject."""

    mapping: Mapping[IdentityRecord] = Mapping(identities, IdentityRecord)
    noun = "identity"

    def add(self, record: IdentityRecord) -> None:
        """Join an identity to a user; a taken one is a `ConflictError` of the unit."""
        self._insert(record)

    def get(self, issuer: str, subject: str) -> IdentityRecord | None:
        """Return the identity, or None."""
        return self._find(issuer=issuer, subject=subject)

    def for_user(self, user_id: str) -> Sequence[IdentityRecord]:
        """Return the identities of a user."""
        return self._all(_I.user_id == user_id, order=_I.issuer)


class RateWindows(Repository[IdentityRecord]):
    """Counters of fixed windows, shared by every hub on this database."""

    mapping = Identities.mapping
    noun = "rate window"

    def hit(self, key: str, window: timedelta, now: datetime) -> int:
        """Count one attempt and return how many there were in the present window."""
        starts_at = _start_of(window, now)
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        statement = (
            make(rate_windows)
            .values(key=key, starts_at=starts_at, hits=1)
            .on_conflict_do_update(
                index_elements=["key", "starts_at"], set_={"hits": rate_windows.c.hits + 1}
            )
            .returning(rate_windows.c.hits)
        )
        return int(self._tx.core(statement).scalar_one())

    def hits(self, key: str, window: timedelta, now: datetime) -> int:
        """Return how many attempts there were in the present window, without counting one."""
        where = (_R.key == key, _R.starts_at == _start_of(window, now))
        return int(self._tx.core(select(_R.hits).where(*where)).scalar() or 0)

    def ends_at(self, window: timedelta, now: datetime) -> datetime:
        """Return when the present window ends."""
        return decode_time(_start_of(window, now)) + window

    def forget(self, before: datetime) -> int:
        """Remove windows that began before a time; return how many."""
        gone = delete(rate_windows).where(_R.starts_at < TIME.encode(before))
        return self._tx.core(gone).rowcount


def _start_of(window: timedelta, now: datetime) -> int:
    milliseconds = window // timedelta(milliseconds=1)
    return int(TIME.encode(now)) // milliseconds * milliseconds
