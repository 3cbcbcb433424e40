"""Lists of revoked keys and delegations; the highest epoch is in force."""

from __future__ import annotations

from sqlalchemy import select

from storage.errors import ConflictError
from storage.mapping import Mapping
from storage.records import RevocationsRecord
from storage.repositories.base import Repository
from storage.tables.permits import revocations

_T = revocations.c


class Revocations(Repository[RevocationsRecord]):
    """Revocation lists by epoch."""

    mapping: Mapping[RevocationsRecord] = Mapping(revocations, RevocationsRecord)
    noun = "revocation list"

    def add(self, record: RevocationsRecord) -> None:
        """Put a list in force.

        Raises:
            ConflictError: its epoch is not higher than the one in force.
        """
        latest = self.latest()
        if latest is not None and record.epoch <= latest.epoch:
            raise ConflictError(f"epoch {latest.epoch} is in force")
        self._insert(record)

    def latest(self) -> RevocationsRecord | None:
        """Return the list in force, or None."""
        found = self._all(order=_T.epoch.desc(), limit=1)
        return found[0] if found else None

    def get(self, epoch: int) -> RevocationsRecord | None:
        """Return the list of an epoch, or None."""
        return self._one(_T.epoch == epoch)

    def epoch(self) -> int:
        """Return the epoch in force, 0 when there is none."""
        newest = self._tx.core(select(_T.epoch).order_by(_T.epoch.desc()).limit(1)).scalar()
        return 0 if newest is None else int(newest)
