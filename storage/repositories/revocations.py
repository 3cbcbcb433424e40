"""Lists of revoked keys and delegations; the highest epoch is in force."""

from __future__ import annotations

from sqlalchemy import literal_column, select

from storage.errors import ConflictError
from storage.mapping import Mapping
from storage.records import RevocationsRecord
from storage.repositories.base import Repository
from storage.tables.permits import revocations
from storage.transaction import Prepared

_T = revocations.c
_MAPPING: Mapping[RevocationsRecord] = Mapping(revocations, RevocationsRecord)
_LATEST = Prepared(select(*_MAPPING.columns).order_by(_T.epoch.desc()).limit(literal_column("1")))


class Revocations(Repository[RevocationsRecord]):
    """Revocation lists by epoch."""

    mapping = _MAPPING
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
        self._tx.flush()
        row = self._tx.row(_LATEST)
        return None if row is None else _MAPPING.record(row)

    def get(self, epoch: int) -> RevocationsRecord | None:
        """Return the list of an epoch, or None."""
        return self._find(epoch=epoch)

    def epoch(self) -> int:
        """Return the epoch in force, 0 when there is none."""
        newest = self._tx.core(select(_T.epoch).order_by(_T.epoch.desc()).limit(1)).scalar()
        return 0 if newest is None else int(newest)
