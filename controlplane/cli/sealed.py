"""Sealed orders from the command line: a box the hub carries and cannot open, both ways."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from controlplane.cli.failures import CliError
from controlplane.key_files import load_sealing_key
from protocol.errors import Error
from protocol.keys import PublicKey
from protocol.sealing import (
    SEED_BYTES,
    EncryptionKey,
    open_output,
    seal_params,
    verify_encryption_key,
)


def load_operator_sealing_key(path: str | None, *, create: bool = True) -> EncryptionKey:
    """Return the key that answers are sealed to; it lies beside the signing key in `path`."""
    chosen = path or os.environ.get("WRIT_OPERATOR_KEY") or ""
    return load_sealing_key(Path(chosen), create=create)


def seal_for(
    agent: dict[str, Any], named: str, payload: dict[str, Any], key: EncryptionKey, **binding: str
) -> dict[str, Any]:
    """Return an intent's payload with its params sealed to the agent.

    Args:
        agent: as the hub shows it.
        named: how the operator named it; must be its DID, for a name is the hub's word.
        payload: of the intent, params in the clear.
        key: the operator's; the output comes back to it.
        binding: `intent_id` and `signer` of the intent.

    Raises:
        CliError: the agent was named, or announces no encryption key of its own.
    """
    if named != agent["did"]:
        raise CliError(
            f"--seal takes the agent's DID, which no hub can swap: {agent['did']}", exit_code=2
        )
    announced = (agent.get("host") or {}).get("encryption")
    try:
        agent_key = verify_encryption_key(announced, PublicKey.parse_did(named))
    except Error as exc:
        raise CliError(
            f"this agent announces no encryption key of its own: {exc.message}", code=exc.code
        ) from exc
    sealed = seal_params(
        payload["params"],
        action=payload["action"],
        audience=named,
        agent_key=agent_key,
        reply_key=key.public,
        ephemeral_seed=secrets.token_bytes(SEED_BYTES),
        **binding,
    )
    return {**payload, "params": {}, "sealed": sealed}


def unseal(intent: dict[str, Any], key: EncryptionKey) -> dict[str, Any]:
    """Return an intent with the output, or the message of its error, in the clear.

    An output that was never sealed (`cancelled`, say) is left as it is.

    Raises:
        CliError: sealed to another key, or for another order.
    """
    result = intent.get("result") or {}
    output = result.get("output")
    if not isinstance(output, dict) or set(output) != {"sealed"}:
        return intent
    try:
        content = open_output(output, intent_id=intent["id"], key=key)
    except Error as exc:
        raise CliError(f"cannot unseal: {exc.message}", code="cannot_unseal") from exc
    opened = {**result, "output": content.get("output")}
    if "message" in content and result.get("error"):
        opened["error"] = {**result["error"], "message": content["message"]}
    return {**intent, "result": opened}
