"""Every kind of leaf the record has: its family, and what it says to whoever listens to it.

Pure data. `tests/controlplane/test_webhooks.py` compares it with the leaves that the code appends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """What a kind of leaf belongs to, and what has happened when one is appended."""

    family: str
    does: str


def _family(name: str, **kinds: str) -> dict[str, Kind]:
    return {f"{name}.{kind}": Kind(name, does) for kind, does in kinds.items()}


KINDS: Final[Mapping[str, Kind]] = {
    **_family(
        "intent",
        submitted="an order was taken in",
        dispatched="an order left for its agent",
        accepted="an agent has taken an order on",
        finished="an order has ended; `state` says how",
        cancel_requested="somebody wants an order to be cancelled",
    ),
    **_family(
        "approval",
        requested="a call waits for people",
        decided="somebody has decided about a call",
        expired="nobody has decided about a call in time",
    ),
    **_family(
        "agent",
        enrolled="an agent was let in",
        edited="name, labels or realms of an agent have changed",
        key_rotated="an agent has changed its key",
        quarantined="an agent was stopped",
        released="an agent may work again",
        revoked="an agent was shut out for good",
    ),
    "key_conflict": Kind("agent", "one agent's key was used by two connections at once"),
    **_family(
        "registration",
        requested="an agent asks to join",
        rejected="an agent was turned away",
    ),
    **_family("join_token", created="a join token was made", revoked="a join token was revoked"),
    **_family(
        "document",
        accepted="an agent has put a document in force",
        refused="an agent has refused a document",
    ),
    **_family(
        "policy",
        signed="an agent's policy was signed",
        layer_set="the policy of a realm or of the fleet was set",
        deleted="a policy was deleted",
        unmergeable="policies contradict each other; the agent may do nothing",
    ),
    **_family(
        "delegation",
        issued="somebody was lent a right",
        presented="somebody has shown a delegation of another",
        revoked="a right was taken back",
    ),
    **_family("revocations", signed="a new list of what is revoked was signed"),
    **_family("file", created="a file was put", deleted="a file was removed"),
    **_family(
        "realm",
        created="a realm was made",
        changed="a realm was described anew",
        removed="a realm was removed",
    ),
    **_family("member", set="somebody has a role in a realm", removed="somebody has left a realm"),
    **_family(
        "invitation",
        created="somebody was invited",
        used="somebody has come in by an invitation",
        revoked="an invitation was revoked",
    ),
    **_family(
        "user",
        added="somebody was added",
        changed="roles or state of somebody have changed",
        removed="somebody was removed",
        password_set="somebody has set their password",  # noqa: S106 - says what happened
    ),
    **_family("session", started="somebody has signed in", ended="a session was ended"),
    **_family("sign_in_link", created="a link to sign in was made on the hub's machine"),
    **_family("passkey", added="somebody has added a passkey", removed="a passkey was removed"),
    **_family(
        "device_login",
        approved="somebody has let a machine in",
        denied="somebody has turned a machine away",
    ),
    **_family("key", added="somebody has enrolled a key", revoked="a person's key was revoked"),
    **_family("api_key", created="an API key was made", revoked="an API key was revoked"),
    **_family("token", issued="a token for another service was issued"),
    **_family(
        "token_key",
        added="tokens are signed with a new key",
        removed="tokens of an old key no longer count",
    ),
    **_family(
        "secrets",
        wrapping_key_replaced="the key that wraps data keys was replaced",
        data_keys_replaced="secrets were sealed anew under new data keys",
    ),
    **_family(
        "audit",
        erased="personal values beside the record were erased",
        fork_reported="two signed checkpoints contradict each other: the record has a fork",
    ),
    **_family("settings", storage_changed="another file store is in use"),
    **_family(
        "hub", initialised="the hub was made", keys_changed="keys of the hub or its root changed"
    ),
    **_family(
        "webhook",
        created="a webhook was made",
        changed="a webhook was changed",
        removed="a webhook was removed",
        disabled="the hub has stopped sending to a webhook",
        secret_rotated="a webhook has a new secret",  # noqa: S106 - says what happened
    ),
}
"""Kind to what it is."""

FAMILIES: Final = tuple(dict.fromkeys(one.family for one in KINDS.values()))


def is_pattern(text: str) -> bool:
    """Whether `text` is a kind, `family.*` or `*`."""
    return text in ("*", *KINDS) or (text.endswith(".*") and text[:-2] in FAMILIES)


def kinds_of(patterns: Collection[str]) -> frozenset[str]:
    """Return the kinds that any of `patterns` names; what names none is nothing."""
    return frozenset(
        kind
        for kind, one in KINDS.items()
        if "*" in patterns or kind in patterns or f"{one.family}.*" in patterns
    )
