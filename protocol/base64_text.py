"""Owns base64 on the wire: RFC 4648 with padding, one spelling per byte string."""

from __future__ import annotations

import binascii

from protocol.errors import BadEnvelopeError


def encode_base64(data: bytes) -> str:
    """Return the padded RFC 4648 base64 of `data`, on one line."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: object, *, size_bytes: int | None = None) -> bytes:
    """Return the bytes that `text` spells.

    Args:
        text: canonical base64: padded, no white space, unused bits zero.
        size_bytes: the exact length demanded of the result.

    Raises:
        BadEnvelopeError: no string, another spelling, or another length.
    """
    if not isinstance(text, str):
        raise BadEnvelopeError("base64 is a string")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as exc:
        raise BadEnvelopeError("not base64") from exc
    # The decoder ignores the unused bits of the last character; one spelling has them zero.
    if encode_base64(data) != text:
        raise BadEnvelopeError("base64 in another than its one spelling")
    if size_bytes is not None and len(data) != size_bytes:
        raise BadEnvelopeError(f"base64 of {len(data)} bytes instead of {size_bytes}")
    return data
