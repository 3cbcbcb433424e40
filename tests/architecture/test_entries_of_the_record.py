"""Every entry of the record says whose realm it is, or is one of those of the hub alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import controlplane

ROOM = Path(controlplane.__file__).parent
OF_THE_HUB = {
    "api_key.created",  # the first one, made on the hub's own machine
    "audit.erased",
    "audit.fork_reported",  # the whole record is in question
    "device_login.approved",
    "device_login.denied",
    "delegation.issued",  # by the root itself, to the hub, its log and the first operator
    "hub.initialised",
    "hub.keys_changed",
    "key.added",
    "key.revoked",
    "passkey.added",
    "passkey.removed",
    "revocations.signed",
    "secrets.data_keys_replaced",
    "secrets.wrapping_key_replaced",
    "session.ended",
    "session.started",
    "settings.storage_changed",
    "sign_in_link.created",  # on the hub's own machine
    "token_key.added",
    "token_key.removed",
    "user.added",
    "user.changed",
    "user.password_set",
    "user.removed",
}
PERSONAL = {"address", "description", "email", "label", "labels", "name", "reason"}


def entries() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(ROOM.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            is_append = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                "audit.append"
            )
            if is_append:
                assert isinstance(node, ast.Call)
                yield f"{path.relative_to(ROOM)}:{node.lineno}", node


def test_an_entry_names_its_realms_or_is_of_the_hub() -> None:
    silent = []
    for where, call in entries():
        kind = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
        if "device_login" in ast.unparse(call.args[0]):
            kind = "device_login.approved"
        names = {keyword.arg for keyword in call.keywords}
        if "realms" not in names and kind not in OF_THE_HUB:
            silent.append(f"{where}: {ast.unparse(call.args[0])}")
    assert silent == []


def test_what_a_person_may_want_forgotten_is_not_in_the_leaf_itself() -> None:
    told = []
    for where, call in entries():
        for node in ast.walk(call.args[3]):
            keys = node.keys if isinstance(node, ast.Dict) else ()
            found = {key.value for key in keys if isinstance(key, ast.Constant)} & PERSONAL
            told += [f"{where}: {name}" for name in sorted(found)]
    assert told == []
