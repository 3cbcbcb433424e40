"""The one schema: import this package and `metadata` knows every table."""

from storage.tables import (
    audit,
    delivery,
    fleet,
    intents,
    people,
    permits,
    processes,
    secrets,
    sign_in,
    telling,
)
from storage.tables.columns import metadata

__all__ = [
    "audit",
    "delivery",
    "fleet",
    "intents",
    "metadata",
    "people",
    "permits",
    "processes",
    "secrets",
    "sign_in",
    "telling",
]
