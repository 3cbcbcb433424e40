"""SPEC.md and the code name the same messages, fields and codes; its examples are true."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

import protocol
from protocol.canonical import canonical_json
from protocol.envelope import parse_document, seal_control, seal_document
from protocol.errors import Error, subclasses
from protocol.join_tokens import JoinToken, encode_join_token, join_key, join_proof
from protocol.key_rotation import rotation_payload
from protocol.keys import SigningKey, fingerprint
from protocol.limits import CloseCode
from protocol.messages import MESSAGES, Heartbeat, Intent, dump_payload

SPEC = (Path(protocol.__file__).parent / "SPEC.md").read_text(encoding="utf-8")
ROOT, HUB, AGENT, NEXT = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2, 3, 5))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = "019b7959-a200-7000-8000-00000000000{}"


def section(heading: str) -> str:
    """The text from one heading to the next of the same or a higher level."""
    level = heading.split(" ", 1)[0]
    start = SPEC.index(f"\n{heading}\n") + len(heading) + 2
    end = re.compile(rf"^#{{2,{len(level)}}} ", re.MULTILINE).search(SPEC, start)
    return SPEC[start : end.start() if end else len(SPEC)]


def first_cells(text: str) -> set[str]:
    return set(re.findall(r"^\| `?([a-z0-9_]+)`? \|", text, re.MULTILINE)) - {"code"}


MESSAGE_HEADING = re.compile(r"^#### `([a-z_]+)` \((.*)\)\n((?:\|.*\n)+)", re.MULTILINE)
TABLES = {name: (sides, table) for name, sides, table in MESSAGE_HEADING.findall(SPEC)}


def wire_fields(name: str) -> dict[str, FieldInfo]:
    return {info.alias or field: info for field, info in MESSAGES[name].model.model_fields.items()}


def test_every_message_type_has_a_table_and_every_table_a_type() -> None:
    assert set(TABLES) == set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_table_names_the_fields_of_its_model_in_order(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)`(\??) \|", TABLES[name][1], re.MULTILINE)
    fields = wire_fields(name)
    # `result` puts its optional fields first, the model's order is free; names and marks count.
    assert {field for field, _ in rows} == set(fields)
    for field, mark in rows:
        assert (mark == "?") == (not fields[field].is_required()), field


@pytest.mark.parametrize("name", MESSAGES)
def test_a_heading_says_who_sends_it_and_stands_in_its_section(name: str) -> None:
    kind = MESSAGES[name]
    sides = TABLES[name][0]
    if kind.kind == "control":
        both = kind.from_hub and kind.from_agent
        assert sides == ("both" if both else "hub" if kind.from_hub else "agent")
    else:
        assert sides.startswith("hub → agent" if kind.from_hub else "agent → hub")
    place = section("### Control frames" if kind.kind == "control" else "## 6. Documents")
    assert f"#### `{name}` (" in place


def nested_fields(annotation: Any) -> set[str]:
    """Wire names of all fields of the models inside a field."""
    found: set[str] = set()
    for part in getattr(annotation, "__args__", ()):
        found |= nested_fields(part)
    for field, info in getattr(annotation, "model_fields", {}).items():
        found |= {info.alias or field} | nested_fields(info.annotation)
    return found


@pytest.mark.parametrize("name", MESSAGES)
def test_the_fields_inside_fields_are_named_too(name: str) -> None:
    place = section("### Control frames" if MESSAGES[name].kind == "control" else "## 6. Documents")
    for info in wire_fields(name).values():
        for field in nested_fields(info.annotation):
            assert f"`{field}`" in place, field


def test_every_error_code_is_listed_and_every_listed_code_exists() -> None:
    codes = {cls.code for cls in subclasses(Error) if cls.__module__ == "protocol.errors"}
    on_the_wire = first_cells(section("### Error codes on the wire"))
    inside = first_cells(section("### Codes that stay inside"))
    assert on_the_wire | inside == codes
    assert not on_the_wire & inside


def test_every_close_code_is_listed_and_every_listed_one_exists() -> None:
    codes = {str(value) for name, value in vars(CloseCode).items() if name.isupper()}
    assert first_cells(section("### Close codes")) == codes


EXAMPLES = dict(re.findall(r"^```text ([a-z-]+)\n(.*?)\n```$", SPEC, re.MULTILINE | re.DOTALL))


def test_the_worked_examples_are_what_the_code_makes() -> None:
    intent = seal_document(
        type="intent",
        id=ID.format(1),
        timestamp=NOON,
        expires=NOON + timedelta(hours=1),
        audience=AGENT.public_key.did,
        payload=dump_payload(
            Intent(
                action="files.read",
                params={"path": "notes/Übersicht.md"},
                realm="default",
                timeout_seconds=60,
            )
        ),
        signer=ROOT,
    )
    heartbeat = seal_control(
        type="heartbeat",
        id=ID.format(3),
        timestamp=NOON,
        audience=HUB.public_key.did,
        session=ID.format(2),
        sequence=2,
        payload=dump_payload(
            Heartbeat(
                uptime_seconds=30, load=0.25, memory_bytes=41943040, running=(), token_usage={}
            )
        ),
        signer=AGENT,
    )
    token = JoinToken("wss://hub.example/ws/agent", ROOT.public_key, ID.format(4), bytes([4]) * 32)
    key = join_key(token.secret)
    rotation = rotation_payload(AGENT.public_key, NEXT)
    assert {
        "root": ROOT.public_key.did,
        "hub": HUB.public_key.did,
        "agent": AGENT.public_key.did,
        "fingerprint": fingerprint(ROOT.public_key, AGENT.public_key),
        "intent-signed-bytes": intent.signed_bytes.replace(b"\0", rb"\0").decode(),
        "intent": intent.wire.decode(),
        "intent-digest": intent.digest,
        "heartbeat": heartbeat.wire.decode(),
        "join-token": encode_join_token(token),
        "join-key": key.hex(),
        "join-proof": join_proof(key, {"name": "worker-1", "join": {"tokenId": token.id}}),
        "key-rotation": canonical_json(dump_payload(rotation)).decode(),
    } == EXAMPLES


def test_the_example_is_read_back_and_its_signature_holds() -> None:
    document = parse_document(EXAMPLES["intent"])
    document.public_key.verify(document.signature, document.signed_bytes)
    assert document.digest == EXAMPLES["intent-digest"]
