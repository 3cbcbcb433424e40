"""The keys that wrap data keys, as they lie in a file outside the database.

The file holds 32 raw bytes, as a new hub writes it, or lines of base64, the present key first and
those behind it still opening what they have wrapped; `#` begins a comment. A key is known by an id
that is made of it, so that no second file has to be kept in step.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controlplane.key_files import load_guarded_bytes
from controlplane.secrets import SecretBox
from protocol.errors import KeyFileError

KEY_BYTES: Final = 32
MAX_KEYS: Final = 8
_ID_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class WrappingKeys:
    """The keys of one file by id, the present one first. `repr` shows ids only."""

    boxes: dict[str, SecretBox]

    @property
    def present(self) -> str:
        """The id of the key that stands first."""
        return next(iter(self.boxes))


def wrapping_key_id(key: bytes) -> str:
    """Return the id of a key; it tells nothing of the key."""
    return hashlib.sha256(b"writ.v1/wrapping-key\x00" + key).hexdigest()[:_ID_CHARS]


def load_wrapping_keys(path: Path) -> WrappingKeys:
    """Return the keys in `path`.

    Raises:
        KeyFileError: missing, readable by others, or no such keys.
    """
    return WrappingKeys({wrapping_key_id(key): SecretBox(key) for key in load_raw_keys(path)})


def load_raw_keys(path: Path) -> list[bytes]:
    """Return the keys themselves, the present one first; see `load_wrapping_keys`."""
    data = load_guarded_bytes(path)
    if len(data) == KEY_BYTES:
        return [data]
    keys = []
    for line in data.splitlines():
        text = line.partition(b"#")[0].strip()
        if text:
            try:
                keys.append(base64.b64decode(text, validate=True))
            except binascii.Error as exc:
                raise KeyFileError(f"{path.name} holds a line that is not base64") from exc
    if not 0 < len(keys) <= MAX_KEYS or any(len(key) != KEY_BYTES for key in keys):
        raise KeyFileError(f"{path.name} does not hold 1 to {MAX_KEYS} keys of {KEY_BYTES} bytes")
    return keys


def format_wrapping_keys(keys: list[bytes]) -> bytes:
    """Return the content of a file of these keys, the present one first."""
    lines = [base64.b64encode(key).decode() + f"  # {wrapping_key_id(key)}" for key in keys]
    return ("\n".join(lines) + "\n").encode()
