"""The short form of `python -m tests.protocol.fuzz_envelope`."""

from __future__ import annotations

import random

from tests.protocol.fuzz_envelope import fuzz


def test_five_seconds_of_mutants_end_in_coded_errors() -> None:
    report = fuzz(5, random.SystemRandom().getrandbits(32))
    assert report.findings == [], f"seed {report.seed}"
    # The run reached every row that a mutant can reach, not only the parser.
    reached = {outcome.partition("/")[2] for outcome in report.outcomes}
    assert {"bad_json", "bad_envelope", "bad_signature", "bad_payload", "ok"} <= reached
