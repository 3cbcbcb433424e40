"""What must not stand in a log, known by the name of a value and by its shape.

The last net, not the first. Pure. Hub and agent put every log line through it; what it cannot know
(a password in the middle of a sentence) must not get there in the first place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "(hidden)"
_NAMES: Final = re.compile(
    r"secret|password|passphrase|token|api_?key|authorization|cookie|credential|private|"
    r"verifier|ticket|seed$",
    re.IGNORECASE,
)
_HARMLESS: Final = re.compile(r"token_?(id|key|usage)s?$|tokens_?today$", re.IGNORECASE)
_MAX_DEPTH: Final = 6
_MAX_ITEMS: Final = 200
_SHAPES: Final = re.compile(
    r"""
    (?P<pem> -----BEGIN\ [A-Z ]*PRIVATE\ KEY----- .*? (?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z) )
    | \b writs?_[A-Za-z0-9_-]{20,}                            # API keys and sessions
    | \b writ-join:[A-Za-z0-9_-]{20,}                         # join tokens
    | \b whsec_[A-Za-z0-9+/=_-]{20,}                          # secrets of webhooks
    | \b eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*   # JWTs
    | (?P<bearer> \b (?:bearer|basic)\ + ) [A-Za-z0-9._~+/=-]{8,}
    | (?P<upload> /uploads/ ) [0-9a-f]{40,}                   # upload tickets
    | (?P<link> /invitation[s]? [^\s\#]{0,100} \# | /invite [^\s\#]{0,100} \# ) [A-Za-z0-9_-]{20,}
    | (?P<user> :// [^\s/:@]{0,100} : ) [^\s/@]{1,500} (?= @ )   # passwords in URLs
    | (?P<signed> [?&;] (?:X-Amz-Signature|X-Amz-Security-Token|X-Amz-Credential|sig|code|state) = )
      [^&\s"']{8,}
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is not for a log, whatever it is."""
    return _NAMES.search(name) is not None and _HARMLESS.search(name) is None


def redact_text(text: str) -> str:
    """Return `text` without what has the shape of a secret of ours, or of those we are lent."""
    return _SHAPES.sub(_keep_prefix, text)


def redact(value: object, *, depth: int = 0) -> object:
    """Return a value fit for a log: the same shape, secrets hidden by name and by shape.

    What is neither text, number, list nor mapping becomes its text; what is nested too deeply or
    too long is cut.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if depth >= _MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {
            str(name): HIDDEN if is_secret_name(str(name)) else redact(one, depth=depth + 1)
            for name, one in list(value.items())[:_MAX_ITEMS]
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(one, depth=depth + 1) for one in list(value)[:_MAX_ITEMS]]
    return redact_text(str(value))


def _keep_prefix(found: re.Match[str]) -> str:
    kept = next((text for text in found.groupdict().values() if text), "")
    return HIDDEN if found.group("pem") else kept + HIDDEN
