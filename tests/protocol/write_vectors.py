"""Write `protocol/vectors/*.json` anew: `python -m tests.protocol.write_vectors`.

The files are for other implementations, so each case says what goes in and what must come out,
in hex or as text. Everything is derived from fixed seeds: the same code writes the same bytes.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from protocol.audit_tree import (
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_hash,
)
from protocol.canonical import canonical_json
from protocol.checkpoint import seal_checkpoint
from protocol.envelope import Envelope
from protocol.keys import SigningKey, fingerprint
from tests.protocol.material import (
    AGENT,
    HEARTBEAT,
    HUB,
    NOW,
    OTHER,
    ROOT,
    SESSION,
    a_control_frame,
    a_document,
    an_id,
)
from tests.protocol.vectors_chains import chain_vectors
from tests.protocol.vectors_envelopes import bad_envelopes, good_envelopes
from tests.protocol.vectors_handshakes import handshake_vectors
from tests.protocol.vectors_tokens import token_handshakes, token_vectors

FOLDER = Path(__file__).resolve().parents[2] / "protocol" / "vectors"
SEEDS = [bytes(32), ROOT.seed, HUB.seed, AGENT.seed, OTHER.seed]


def key_vectors() -> dict[str, Any]:
    keys = [SigningKey.from_seed(seed) for seed in SEEDS]
    return {
        "keys": [
            {
                "seedHex": key.seed.hex(),
                "publicKeyHex": key.public_key.raw.hex(),
                "multikey": key.public_key.multikey,
                "did": key.public_key.did,
            }
            for key in keys
        ],
        "fingerprints": [
            {
                "root": root.public_key.multikey,
                "agent": agent.public_key.multikey,
                "fingerprint": fingerprint(root.public_key, agent.public_key),
            }
            for root, agent in ((ROOT, AGENT), (AGENT, ROOT), (ROOT, OTHER))
        ],
    }


def json_vectors() -> list[dict[str, Any]]:
    deepest = "[" * 32 + "]" * 32
    inside = {
        "numbers at the edge": "[9007199254740991,-9007199254740991,9007199254740991.0]",
        "exponents": "[1e2,1E-7,0.1,-0,-0.0,1e-400]",
        "escapes": r'{"\u0061":"\ud83d\ude00\/\b\f\n\r\t\"\\\u007f"}',
        "white space": ' \t\r\n{"b" : [ ] ,"a":{ } } ',
        "keys by UTF-16 units": r'{"\ue000":1,"\ud83d\ude00":2,"\u00e9":3,"e":4,"":5}',
        "depth 32": deepest,
        "10,000 values": "[" + ",".join(["0"] * 9_999) + "]",
    }
    outside = {
        "duplicate key": '{"a":1,"a":1}',
        "duplicate key, spelt differently, deep": r'[{"x":{"a":1,"\u0061":2}}]',
        "NaN": "[NaN]",
        "infinity": "-Infinity",
        "integer beyond 2^53-1": "9007199254740992",
        "integral float beyond 2^53-1": "9007199254740992.0",
        "overflow": "1e400",
        "lone surrogate": r'"\ud800"',
        "surrogates in the wrong order": r'"\udc00\ud800"',
        "escaped U+0000": r'"\u0000"',
        "U+0000 in a key": r'{"\u0000":1}',
        "raw control character": '"a\nb"',
        "byte order mark": "\ufeff{}",
        "text after the value": "{} {}",
        "trailing comma": "[1,]",
        "leading zero": "01",
        "empty": "",
        "depth 33": f"[{deepest}]",
        "10,001 values": "[" + ",".join(["0"] * 10_000) + "]",
    }
    cases: list[dict[str, Any]] = []
    for name, text in inside.items():
        form = canonical_json(json.loads(text)).decode()
        cases.append({"name": name, "text": text, "canonical": form})
    cases += [{"name": name, "text": text, "code": "bad_json"} for name, text in outside.items()]
    cases += [
        {"name": name, "hex": data, "code": "bad_json"}
        for name, data in (
            ("no UTF-8", "22ff22"),
            ("encoded surrogate", "22eda08022"),
            ("overlong zero", "22c08022"),
        )
    ]
    return cases


def envelope_vectors() -> dict[str, Any]:
    document, frame = a_document(), a_control_frame()
    respelt = json.dumps(json.loads(document.wire), indent=1)
    flipped = bytearray(document.wire)
    flipped[document.wire.index(b"files.read")] ^= 1
    value = json.loads(document.wire)

    def changed(**fields: Any) -> str:
        return json.dumps({**value, **fields})

    stranger = a_document(audience=OTHER.public_key.did)
    late = a_document(timestamp=NOW - timedelta(hours=2), expires=NOW)
    early = a_document(timestamp=NOW + timedelta(seconds=61))
    good = [("document", document, document.wire.decode()), ("spelt otherwise", document, respelt)]
    good.append(("control frame", frame, frame.wire.decode()))
    control = {"session": SESSION, "nextSequence": 2, "peer": AGENT.public_key.multikey}
    bad_frames: list[tuple[str, Envelope, str]] = [
        ("another key", a_control_frame(signer=OTHER), "wrong_key"),
        ("sequence used", a_control_frame(sequence=1), "replay"),
        ("sequence with a gap", a_control_frame(sequence=3), "bad_sequence"),
        ("another session", a_control_frame(session=an_id(5)), "wrong_session"),
        ("too old", a_control_frame(timestamp=NOW - timedelta(milliseconds=60_001)), "stale"),
        ("too new", a_control_frame(timestamp=NOW + timedelta(milliseconds=60_001)), "future"),
        ("bad field", a_control_frame({**HEARTBEAT, "load": "high"}), "bad_payload"),
    ]
    bad_texts = [
        ("no expires", json.dumps({k: v for k, v in value.items() if k != "expires"})),
        ("a field too many", changed(extra=1)),
        ("fields of both kinds", changed(session=SESSION, sequence=1)),
        ("timestamp without milliseconds", changed(timestamp="2026-03-01T12:00:00Z")),
        ("id in capitals", changed(id=an_id().upper())),
        ("signature without padding", changed(signature=value["signature"].rstrip("="))),
        ("DID for a key", changed(publicKey=HUB.public_key.did)),
    ]
    bad_documents = [
        ("one bit changed", bytes(flipped).decode(), "bad_signature"),
        ("for somebody else", stranger.wire.decode(), "wrong_audience"),
        ("expired", late.wire.decode(), "expired"),
        ("not valid yet", early.wire.decode(), "future"),
        ("unknown type", a_document(type="no_such_type").wire.decode(), "unknown_type"),
        ("unknown payload field", a_document({**value["payload"], "x": 1}).wire.decode(), ""),
    ]
    cases = [
        {
            "name": name,
            "text": text,
            "code": None,
            "signedBytesHex": envelope.signed_bytes.hex(),
            "digest": envelope.digest,
        }
        for name, envelope, text in good
    ]
    cases += good_envelopes()
    cases += [{"name": name, "text": text, "code": "bad_envelope"} for name, text in bad_texts]
    cases += [
        {"name": name, "text": text, "code": code or "bad_payload"}
        for name, text, code in bad_documents
    ]
    cases += [
        {"name": name, "text": envelope.wire.decode(), "code": code}
        for name, envelope, code in bad_frames
    ]
    cases += bad_envelopes()
    return {
        "now": value["timestamp"],
        "agent": AGENT.public_key.did,
        "hub": HUB.public_key.did,
        "control": control,
        "cases": cases,
    }


def audit_vectors() -> dict[str, Any]:
    leaves = [f"leaf {number}".encode() for number in range(11)]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    tree = Tree()
    for item in hashes:
        tree.append(item)
    return {
        "leavesHex": [leaf.hex() for leaf in leaves],
        "rootsHex": [root_hash(hashes, size).hex() for size in range(len(hashes) + 1)],
        "inclusion": [
            {
                "index": index,
                "size": size,
                "proofHex": [item.hex() for item in inclusion_proof(hashes, index, size)],
            }
            for index, size in ((0, 1), (0, 11), (6, 7), (10, 11), (5, 8))
        ],
        "consistency": [
            {
                "from": old,
                "to": new,
                "proofHex": [item.hex() for item in consistency_proof(hashes, old, new)],
            }
            for old, new in ((0, 11), (1, 11), (4, 11), (6, 8), (7, 11), (11, 11))
        ],
        "checkpoint": {
            "logKey": ROOT.public_key.multikey,
            "text": seal_checkpoint("hub.example/log", tree.size, tree.root(), ROOT),
        },
    }


def vectors() -> dict[str, str]:
    """Return the text of every vector file by its name."""
    handshakes = handshake_vectors()
    handshakes["cases"] += token_handshakes()
    files = {
        "keys.json": key_vectors(),
        "json_profile.json": json_vectors(),
        "envelopes.json": envelope_vectors(),
        "chains.json": chain_vectors(),
        "handshakes.json": handshakes,
        "tokens.json": token_vectors(),
        "audit.json": audit_vectors(),
    }
    return {name: json.dumps(value, indent=1) + "\n" for name, value in files.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, text in vectors().items():
        (FOLDER / file_name).write_text(text, "utf-8")
