"""One line of log per event, on stderr: text for people, JSON for machines. Never a secret.

Callers pass facts as keyword arguments (ids, codes, counts), never payloads, keys or tokens.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Final

from protocol.redaction import HIDDEN, is_secret_name, redact_text

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_MAX_VALUE_CHARS: Final = 500
_threshold = 20
_as_json = False


def configure_log(*, level: str, form: str) -> None:
    """Set the lowest level written (`debug` to `error`) and the form (`json` or `text`)."""
    global _threshold, _as_json
    _threshold = _LEVELS[level]
    _as_json = form == "json"


def _shown(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    # Cut twice: a long text must not cost time, and a cut must not leave half a secret unknown.
    return redact_text(str(value)[: 4 * _MAX_VALUE_CHARS])[:_MAX_VALUE_CHARS]


def log(level: str, event: str, **facts: object) -> None:
    """Write one event. Line breaks in facts are escaped: a peer cannot forge a line."""
    if _LEVELS[level] < _threshold:
        return
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    shown = {
        name: HIDDEN if is_secret_name(name) else _shown(value) for name, value in facts.items()
    }
    if _as_json:
        line = json.dumps({"time": moment, "level": level, "event": event, **shown})
    else:
        pairs = "".join(f" {name}={json.dumps(value)}" for name, value in shown.items())
        line = f"{moment} {level:<7} {event}{pairs}"
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody reads the log any more; the agent goes on
