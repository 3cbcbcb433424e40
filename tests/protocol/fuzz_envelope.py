"""Mutate envelopes for a while: every input ends in a value or in a coded error, and in time.

    python -m tests.protocol.fuzz_envelope --seconds 180 [--seed N]

Prints the seed first, so a finding can be repeated, and the input of a finding as hex. Exits 1
when an input raised anything else, took too long, or verified without being what was signed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from protocol.canonical import canonical_json
from protocol.checkpoint import parse_checkpoint, seal_checkpoint
from protocol.envelope import Envelope, parse_envelope
from protocol.errors import Error
from protocol.messages.registry import MESSAGES, parse_payload
from protocol.verification import Side, verify_control, verify_document, verify_document_offline
from tests.protocol.material import (
    AGENT,
    CANCEL,
    HEARTBEAT,
    HUB,
    INTENT,
    NOW,
    ROOT,
    SESSION,
    a_control_frame,
    a_document,
)

MOST_SECONDS_PER_INPUT = 2.0

FRAGMENTS = [
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"\\u0000", b"\0"),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e400", b"-0", b"0.1", b"9007199254740992"),
    *(b'"id":1,', b'"payload":{},', b'"expires":', b'"session":', b'"sequence":1,', b'"*"'),
    *(b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b" " * 50, b"[" * 40, b"0," * 50, b"1" * 400),
    *(b"z6Mk", b"did:key:", b"did:", b"==", b"2026-03-01T12:00:00.123Z", b"+00:00"),
]
WORDS: list[Any] = [
    *(None, True, 0, -1, 1.5, 2**53, 2**53 - 1, "", "*", "x" * 300, "\ud800", [], {}, [[]]),
    *({"": {}}, [None] * 50, "2026-03-01T12:00:00.123Z", SESSION, ROOT.public_key.did, "default"),
]


class SeenNothing:
    """A replay memory of a receiver that starts fresh."""

    def seen_digest(self, public_key: str, id: str) -> str | None:
        return None


@dataclass
class Report:
    """What came of a run."""

    seed: int
    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


def corpus() -> list[Envelope]:
    return [
        a_document(),
        a_document(CANCEL, type="intent_cancel", number=2),
        a_document({"epoch": 1, "keys": [], "delegations": []}, type="revocations", audience="*"),
        a_document({"x": [1, {"y": 0.5}]}, type="no_such_type"),
        a_control_frame(),
        a_control_frame({"code": "stale", "message": "no"}, type="error", audience="*"),
        a_control_frame({**HEARTBEAT, "load": 1e-7, "running": [SESSION]}),
    ]


def mutate_bytes(data: bytes, source: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 4, 16))):
        at, end = sorted(source.randrange(len(mutant) + 1) for _ in range(2))
        match source.randrange(6):
            case 0:
                mutant[at : at + 1] = source.randbytes(1)
            case 1:
                mutant[at:at] = source.choice(FRAGMENTS)
            case 2:
                del mutant[at : min(end, at + 40)]
            case 3:
                mutant[at:at] = mutant[at:end][:200] * source.choice((1, 2, 50))
            case 4:
                mutant[at:end] = source.choice(FRAGMENTS)
            case _ if at < len(mutant):
                mutant[at] ^= 1 << source.randrange(8)
    return bytes(mutant)


def mutate_value(value: Any, source: random.Random) -> Any:
    """Return `value` with one part, somewhere inside it, replaced, added or left out."""
    if isinstance(value, dict) and value and source.random() < 0.85:
        name = source.choice(list(value))
        changed = dict(value)
        match source.randrange(5):
            case 0:
                del changed[name]
            case 1:
                changed[source.choice([*value, "extra", "", "é", "\U0001f600"])] = value[name]
            case _:
                changed[name] = mutate_value(value[name], source)
        return changed
    if isinstance(value, list) and value and source.random() < 0.85:
        at = source.randrange(len(value))
        return [*value[:at], mutate_value(value[at], source), *value[at + 1 :]]
    return source.choice(WORDS)


def judge(data: bytes, honest: set[bytes]) -> str:
    """Return the code that `data` ends in, or `ok`; let anything that is no coded error out."""
    try:
        envelope = parse_envelope(data)
        parsed = parse_envelope(canonical_json(envelope.as_value()))
        if parsed.signed_bytes != envelope.signed_bytes:
            raise AssertionError("the canonical form is no fixed point")
        if envelope.is_document:
            verify_document_offline(envelope, at=None)
            verify_document(
                envelope,
                audience=AGENT.public_key.did,
                now=NOW + timedelta(seconds=1),
                replay=SeenNothing(),
                sender=Side.HUB,
            )
        else:
            verify_control(
                envelope,
                peer=AGENT.public_key,
                audience=HUB.public_key.did,
                now=NOW,
                clock_skew_seconds=60,
                session=SESSION,
                next_sequence=2,
                sender=Side.AGENT,
            )
    except Error as exc:
        return exc.code
    if envelope.signed_bytes not in honest:
        raise AssertionError("verified without being signed")
    return "ok"


def judge_signed(value: Any, source: random.Random) -> str:
    """Sign what a broken peer would: any payload under any type, then read it back."""
    name = source.choice(list(MESSAGES))
    try:
        if MESSAGES[name].kind == "document":
            envelope = a_document(value, type=name)
        else:
            envelope = a_control_frame(value, type=name)
        return judge(envelope.wire, {envelope.signed_bytes})
    except Error as exc:
        return exc.code


def judge_payload(value: Any, source: random.Random) -> str:
    try:
        parse_payload(source.choice(list(MESSAGES)), value)
    except Error as exc:
        return exc.code
    return "ok"


def judge_checkpoint(data: bytes) -> str:
    try:
        parse_checkpoint(data.decode("utf-8", "surrogateescape"))
    except Error as exc:
        return exc.code
    return "ok"


def fuzz(seconds: float, seed: int) -> Report:
    """Run for about `seconds` and return what came of it; the first ten findings in full."""
    source = random.Random(seed)
    seeds = corpus()
    honest = {envelope.signed_bytes for envelope in seeds}
    checkpoint = seal_checkpoint("hub.example/log", 7, bytes(32), ROOT).encode()
    pool = [envelope.wire for envelope in seeds]
    report = Report(seed)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and len(report.findings) < 10:
        match source.randrange(8):
            case 0:
                value = mutate_value(json.loads(source.choice(pool[: len(seeds)])), source)
                data = json.dumps(value).encode()
                kind = "value"
            case 1:
                payload = source.choice((INTENT, CANCEL, HEARTBEAT))
                value = mutate_value(payload, source)
                data = repr(value).encode("utf-8", "surrogatepass")
                kind = "payload" if source.random() < 0.5 else "signed"
                if not isinstance(value, dict):
                    continue
            case 2:
                data, kind = mutate_bytes(checkpoint, source), "checkpoint"
            case _:
                data, kind = mutate_bytes(source.choice(pool), source), "bytes"
        report.inputs += 1
        started = time.thread_time()
        try:
            if kind == "payload":
                outcome = judge_payload(value, source)
            elif kind == "signed":
                outcome = judge_signed(value, source)
            elif kind == "checkpoint":
                outcome = judge_checkpoint(data)
            else:
                outcome = judge(data, honest)
        except Exception as exc:
            report.findings.append(f"{kind} {type(exc).__name__}: {exc}: {data.hex()}")
            continue
        if time.thread_time() - started > MOST_SECONDS_PER_INPUT:
            report.findings.append(f"{kind} too slow: {data.hex()}")
        name = f"{kind}/{outcome}"
        if name not in report.outcomes and kind in {"bytes", "value"}:
            # An outcome not seen before makes its input worth mutating further.
            pool.append(data[:100_000])
        report.outcomes[name] += 1
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed}", flush=True)
    report = fuzz(arguments.seconds, seed)
    for name, count in sorted(report.outcomes.items()):
        print(f"{count:>9}  {name}")
    for finding in report.findings:
        print(f"FINDING {finding}")
    print(f"{report.inputs} inputs, {len(report.findings)} findings, seed {seed}")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
