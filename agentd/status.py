"""What `writ agent status` shows: read from disk, and from the running agent where one runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from agentd.errors import StateError
from agentd.identity import load_identity
from agentd.main import key_passphrase, read_health_port, read_running_pid
from agentd.settings import AgentSettings
from agentd.state.database import FILE_NAME
from agentd.state.documents import load_delegations, load_standing
from agentd.state.facts import AGENT_NAME, HUB, LOG_FORK, get_fact
from agentd.state.orders import count_orders, open_results
from protocol.envelope import parse_document


def describe_agent(settings: AgentSettings) -> dict[str, Any]:
    """Return identity, what is in force, and what is open.

    Raises:
        IdentityError: no key, or one that must not be trusted as it lies.
        StateError: the state cannot be read.
    """
    identity = load_identity(settings.data_dir, make_key=False, passphrase=key_passphrase(settings))
    pid = read_running_pid(settings.data_dir)
    shown: dict[str, Any] = {
        "agentDid": identity.did,
        "fingerprint": identity.fingerprint,
        "root": None if identity.root is None else identity.root.did,
        "dataDir": str(settings.data_dir),
        "running": pid is not None,
        "pid": pid,
        "online": None,
        "rotating": identity.next_key is not None,
    }
    path = settings.data_dir / FILE_NAME
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as reader:
            shown |= _describe_state(reader)
    except sqlite3.Error as exc:
        raise StateError(f"cannot read {path}: {exc}") from exc
    port = read_health_port(settings.data_dir) if pid is not None else None
    if port is not None:
        shown["online"] = _ask_health(port).get("online")
    return shown


def _describe_state(reader: sqlite3.Connection) -> dict[str, Any]:
    standing = load_standing(reader)
    quarantine = standing.get("quarantine")
    active = quarantine is not None and parse_document(quarantine.wire).payload.get("active")
    return {
        "name": get_fact(reader, AGENT_NAME),
        "hub": (get_fact(reader, HUB) or "").partition(" ")[0] or None,
        "policyVersion": standing["policy_update"].number if "policy_update" in standing else None,
        "revocationEpoch": standing["revocations"].number if "revocations" in standing else None,
        "quarantined": bool(active) or get_fact(reader, LOG_FORK) is not None,
        "logFork": get_fact(reader, LOG_FORK),
        "delegations": len(load_delegations(reader)),
        "orders": count_orders(reader),
        "resultsWaiting": len(open_results(reader)),
    }


def _ask_health(port: int) -> dict[str, Any]:
    import http.client
    import json

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        value = json.loads(connection.getresponse().read(65_536))
        return value if isinstance(value, dict) else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
