"""Common Event Format (ArcSight CEF:0): one entry of the record as a line that a SIEM reads.

Pure: knows the shape of an entry and the escapes of the format, nothing of hubs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from protocol import __version__

_LOUD: Final = {
    "audit.fork_reported": 10,
    "key_conflict": 8,
    "agent.quarantined": 8,
    "agent.revoked": 7,
    "hub.keys_changed": 7,
    "revocations.signed": 6,
    "agent.key_rotated": 6,
    "settings.storage_changed": 6,
    "audit.erased": 6,
    "approval.decided": 5,
    "policy.signed": 5,
    "policy.layer_set": 5,
    "user.removed": 5,
}
"""Kinds that somebody should look at; 0 to 10, everything else is 3."""
_USUAL: Final = 3
_MAX_VALUE_CHARS: Final = 4_000


def cef_line(entry: Mapping[str, Any]) -> str:
    """Return one entry, as `entry_view` makes it, as one line with its newline."""
    kind = entry["kind"]
    head = ("CEF:0", "Writ", "hub", __version__, kind, kind.replace(".", " ").replace("_", " "))
    fields = {
        "rt": str(int(datetime.fromisoformat(entry["at"]).timestamp() * 1000)),
        "externalId": str(entry["index"]),
        "suser": entry["actor"],
        "duser": entry["subject"],
        "outcome": str(entry["data"].get("state", "")),
        "cs1Label": "assurance",
        "cs1": entry["assurance"],
        "cs2Label": "realms",
        "cs2": " ".join(entry["realms"]),
        "cs3Label": "leafHash",
        "cs3": entry["hash"],
        "msg": json.dumps({**entry["data"], **entry["personal"]}, sort_keys=True),
    }
    extension = " ".join(f"{name}={_value(text)}" for name, text in fields.items() if text)
    severity = _LOUD.get(kind, _USUAL)
    return "|".join([*(_header(one) for one in head), str(severity), extension]) + "\n"


def _header(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ")


def _value(text: str) -> str:
    text = text[:_MAX_VALUE_CHARS].replace("\\", "\\\\").replace("=", "\\=")
    return text.replace("\n", "\\n").replace("\r", "\\r")
