"""Makes foreign text harmless on a terminal. Knows nothing of what is printed."""

from __future__ import annotations


def clean(text: str, *, keep: str = "") -> str:
    """Return `text` without control characters: what an agent says must not steer a terminal."""
    return "".join(c if c in keep or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
