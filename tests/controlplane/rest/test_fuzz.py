"""The hub keeps to its own description, whoever asks whatever: a short run of `make fuzz-rest`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controlplane.api.routes import OPERATIONS
from tests.controlplane.hubs import serve
from tests.controlplane.rest.fuzz import SETTINGS, fuzz

SECONDS = 30.0
SEED = 20261128
"""Of whoever runs the tests; `make fuzz-rest` draws another each time, and looks for longer."""


@pytest.mark.timeout(400)
# Its strategies draw from `random`; ours are seeded, and the seed is printed.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
async def test_every_answer_is_one_that_was_announced(tmp_path: Path) -> None:
    seed = int(os.environ.get("WRIT_FUZZ_SEED", SEED))
    print(f"WRIT_FUZZ_SEED={seed}")
    async with serve(tmp_path / "hub", **SETTINGS) as served:
        fuzzer = await fuzz(served, seed_=seed, seconds=SECONDS)
    assert fuzzer.found == [], "\n\n".join(fuzzer.found[:5])
    streams = [one for one in OPERATIONS if one.path.endswith("/events")]
    assert len(fuzzer.asked) == len(OPERATIONS) - len(streams)
