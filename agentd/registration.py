"""What an agent says of itself when it registers (SPEC sections 4 and 5). Builds; sends nothing."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from agentd.executors.base import Executor
from protocol import __version__
from protocol.join_tokens import JoinToken, join_key, join_proof
from protocol.messages import ActionDeclaration, Holds, Join, Register, dump_payload


def make_registration(
    challenge: str,
    *,
    name: str,
    labels: Mapping[str, str],
    executors: Mapping[str, Executor],
    holds: Holds,
    encryption: Mapping[str, str],
    join: JoinToken | None,
) -> Register:
    """Return the registration that answers a `hello`.

    Args:
        challenge: from the `hello`, echoed.
        name: the name the agent wishes for.
        labels: its labels.
        executors: what it can do, by action.
        holds: what it has on disk.
        encryption: its certified encryption key, from `protocol.sealing`.
        join: proves that the token's secret is known, without sending it; None without a token.
    """
    registration = Register(
        challenge=challenge,
        name=name,
        version=__version__,
        capabilities=tuple(sorted({item.capability for item in executors.values()})),
        actions=tuple(_declare(item) for item in executors.values()),
        labels=dict(labels),
        host={
            "os": platform.system().lower(),
            "arch": platform.machine(),
            "encryption": dict(encryption),
        },
        join=None,
        holds=holds,
    )
    if join is None:
        return registration
    # The proof covers the payload with the token's id and without the proof itself.
    wire = dump_payload(registration) | {"join": {"tokenId": join.id}}
    proof = join_proof(join_key(join.secret), wire)
    return registration.model_copy(update={"join": Join(token_id=join.id, proof=proof)})


def _declare(executor: Executor) -> ActionDeclaration:
    return ActionDeclaration(
        name=executor.name,
        capability=executor.capability,
        description=executor.description,
        params_schema=executor.params_model.model_json_schema(by_alias=True),
        idempotent=executor.idempotent,
    )
