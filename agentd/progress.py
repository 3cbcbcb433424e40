"""What of a report of progress reaches the hub: at most what one frame may show. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from protocol.canonical import canonical_json
from protocol.limits import MAX_PROGRESS_BYTES

_MARK: Final = " [cut]"


def cut_progress(data: JsonValue) -> JsonValue:
    """Return `data`, or the beginning of its text with a mark where it is too long for a report.

    Raises:
        BadJsonError: it is no JSON.
    """
    wire = canonical_json(data)
    if len(wire) <= MAX_PROGRESS_BYTES:
        return data
    text = data if isinstance(data, str) else wire.decode()
    # Escaped, one character takes at most six bytes; text seldom needs more than one round.
    keep = MAX_PROGRESS_BYTES
    while len(canonical_json(text[:keep] + _MARK)) > MAX_PROGRESS_BYTES:
        keep = keep * 7 // 8
    return text[:keep] + _MARK
