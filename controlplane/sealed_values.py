"""Every sealed value of the hub, and how each is sealed anew under the present data key.

The one place that knows where sealed values lie. In bounded batches, each compared before it is
set, so that a running hub, another run and a kill at any moment leave every value readable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from controlplane import faults
from controlplane.errors import SecretError
from controlplane.file_places import reseal_place
from controlplane.file_stores import SETTING as STORAGE_SETTING
from controlplane.fleet.join_tokens import secret_place
from controlplane.secret_keeper import BATCH, SecretKeeper, data_key_id
from controlplane.token_keys import token_key_place
from controlplane.webhooks.addresses import address_place
from controlplane.webhooks.signing import secret_place as webhook_secret_place
from storage.errors import ConflictError
from storage.records import SealedRow

if TYPE_CHECKING:
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

PLACES: Final[Mapping[str, Callable[[str], str]]] = {
    "join_tokens": secret_place,
    # A secret that becomes the previous one stays sealed as it was, so both have one place.
    "webhooks": webhook_secret_place,
    "webhooks_previous": webhook_secret_place,
    "webhooks_address": address_place,
    "token_keys": token_key_place,
}
"""Kind of `storage.repositories.sealed_rows` to the place its values are bound to."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """What one pass has done. `unreadable` values are left as they are, under their keys."""

    changed: int
    unreadable: int
    keys_in_use: frozenset[str | None]


async def reseal(
    database: Database, secrets: SecretKeeper, *, report: Callable[[int], None] = lambda _: None
) -> Resealed:
    """Seal anew, with the present keys, whatever is sealed with another one or in the first form.

    Args:
        database: where they lie.
        secrets: knows the old keys and the present ones.
        report: told the number of values changed so far, after every batch.

    Returns:
        What was done; `keys_in_use` holds the data keys that some value names afterwards, None
        for the first form.
    """
    changed, unreadable = 0, 0
    in_use: set[str | None] = set()
    for kind in PLACES:
        after = ""
        while rows := await database.read(
            lambda uow, kind=kind, after=after: uow.sealed_rows.list(  # type: ignore[misc]
                kind, after=after, limit=BATCH
            )
        ):
            after = rows[-1].key
            renewed = []
            for row in rows:
                try:
                    renewed.append((row, _renew(secrets, row)))
                except SecretError:
                    unreadable += 1
                    log.warning("sealed_value_unreadable", kind=kind, key=row.key)
                    in_use.add(data_key_id(row.sealed))
            in_use |= {data_key_id(sealed) for _, sealed in renewed}
            due = [(row, sealed) for row, sealed in renewed if sealed != row.sealed]
            if due:
                changed += await database.write(
                    lambda uow, due=due: sum(uow.sealed_rows.replace(*one) for one in due)  # type: ignore[misc]
                )
                report(changed)
                faults.reach("secrets_batch_resealed")
    moved, used = await _reseal_storage(database, secrets)
    return Resealed(changed + moved, unreadable, frozenset(in_use | used))


def _renew(secrets: SecretKeeper, row: SealedRow) -> bytes:
    if secrets.is_current(row.sealed, row.realm):
        return row.sealed
    place = PLACES[row.kind](row.key)
    return secrets.seal(secrets.open(row.sealed, place=place), place=place, realm=row.realm)


async def _reseal_storage(
    database: Database, secrets: SecretKeeper
) -> tuple[int, frozenset[str | None]]:
    """Do the same to the credentials of file stores, which lie inside one setting."""

    def unit(uow: UnitOfWork) -> tuple[int, frozenset[str | None]]:
        found = uow.settings.get(STORAGE_SETTING)
        if found is None:
            return 0, frozenset()
        used: set[str | None] = set()

        def renewed(place: Mapping[str, Any]) -> dict[str, Any]:
            made, key_ids = reseal_place(secrets, place)
            used.update(key_ids)
            return made

        value = {
            "present": renewed(found.value["present"]),
            "earlier": [renewed(one) for one in found.value["earlier"]],
        }
        if value == found.value:
            return 0, frozenset(used)
        uow.settings.put(
            STORAGE_SETTING,
            value,
            at=found.updated_at,
            by=found.updated_by,
            revision=found.revision,
        )
        return 1, frozenset(used)

    try:
        return await database.write(unit)
    except ConflictError:
        # Somebody chose another store in this moment, and sealed it with a key in force.
        return await database.write(unit)
