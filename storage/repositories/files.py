"""Which files there are; the file store keeps their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import FileRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.delivery import files

_T = files.c


class Files(Repository[FileRecord]):
    """Files by id; the keys of the file store are unique."""

    mapping: Mapping[FileRecord] = Mapping(files, FileRecord)
    noun = "file"

    def add(self, record: FileRecord) -> None:
        """Keep a new file's row."""
        self._insert(record)

    def get(self, id: str) -> FileRecord | None:
        """Return the file, or None."""
        return self._find(id=id)

    def of_intent(self, intent_id: str) -> Sequence[FileRecord]:
        """Return the files that an intent's result speaks of."""
        return self._all(_T.intent_id == intent_id, order=_T.id)

    def list(
        self,
        *,
        realm: str | None = None,
        realms: Iterable[str] | None = None,
        state: str | None = "ready",
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[FileRecord]:
        """Return a page, newest first; `realms` is what the caller may see (None: all)."""
        equal = {"realm": realm, "state": state}
        where: list[Any] = [_T[name] == value for name, value in equal.items() if value is not None]
        if realms is not None:
            where.append(_T.realm.in_(list(realms)))
        return self._page(where, key=_T.id, limit=limit, cursor=cursor)

    def update(self, id: str, **changes: Any) -> FileRecord:
        """Change fields of a file; `NotFoundError` when there is none."""
        return self._need(self._change([_T.id == id], **changes))

    def delete(self, id: str) -> bool:
        """Forget a file's row; False when unknown."""
        return self._tx.core(delete(files).where(_T.id == id)).rowcount == 1

    def due_expired(self, now: datetime, limit: int = 200) -> Sequence[FileRecord]:
        """Return files whose time is over."""
        return self._all(_T.expires_at <= TIME.encode(now), order=_T.expires_at, limit=limit)
