"""Whether a `register` proves possession of a join token that may still be used (section 5).

Reads inside the caller's unit of work and changes nothing; every failure is the same to a stranger.
"""

from __future__ import annotations

import fnmatch
from datetime import datetime
from typing import Any

from controlplane.fleet.join_tokens import secret_place
from controlplane.secret_keeper import SecretKeeper
from protocol.errors import AuthFailedError
from protocol.join_tokens import verify_join_proof
from protocol.messages.enrolment import Register
from storage.records import JoinTokenRecord
from storage.unit_of_work import UnitOfWork


def verify_join(
    uow: UnitOfWork,
    secrets: SecretKeeper,
    payload: Register,
    wire_payload: dict[str, Any],
    now: datetime,
) -> JoinTokenRecord:
    """Return the token that `payload` proves: unused, in time, and meant for such a name.

    Args:
        uow: the unit of work.
        secrets: opens the token's sealed key.
        payload: a `register` that names a token.
        wire_payload: the same payload as it came off the wire.
        now: the hub's clock.

    Raises:
        AuthFailedError: any other case, without saying which.
    """
    token = uow.join_tokens.get(payload.join.token_id) if payload.join is not None else None
    if token is None:
        raise AuthFailedError("no such join token")
    key = secrets.open_in(uow, token.sealed_secret, place=secret_place(token.id))
    verify_join_proof(key, wire_payload)
    usable = token.used_at is None and token.revoked_at is None and now < token.expires_at
    if not usable or not fnmatch.fnmatchcase(payload.name, token.name_pattern):
        raise AuthFailedError("a join token that is used up, over, or for another name")
    return token
