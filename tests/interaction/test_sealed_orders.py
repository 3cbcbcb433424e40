"""Sealed orders through a whole system: what its hub keeps and logs never holds the plaintext."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.interaction.fixtures import Fleet

CANARY = f"canary-{secrets.token_hex(8)}"


def kept_by_the_hub(fleet: Fleet) -> bytes:
    """Every byte of the hub's folder and log: database, write-ahead log, files."""
    hub = fleet.system.hub
    files = [path for path in hub.folder.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in [*files, hub.log])


def test_params_and_output_pass_a_hub_that_cannot_read_them(fleet: Fleet) -> None:
    system, worker = fleet.system, fleet.worker
    key = system.hub.made["operatorKeyFile"]
    words = ("run", worker.did, "echo", "-p", f"say={CANARY}", "--sign", key, "--seal")
    done = system.writ(*words)
    assert done["state"] == "succeeded"
    assert done["result"]["output"] == {"say": CANARY}

    seen = system.intent(done["id"])
    assert seen["params"] == {}
    assert set(seen["result"]["output"]) == {"sealed"}
    # Opened by the one file beside the operator's key; without it the box stays shut.
    shown = system.writ("intents", "show", done["id"], "--unseal", key)
    assert shown["result"]["output"] == {"say": CANARY}
    assert Path(key).with_suffix(".seal.pem").stat().st_mode & 0o777 == 0o600
    assert "sealed" in str(system.writ("intents", "show", done["id"])["result"]["output"])
    other = str(Path(key).with_name("root.pem"))
    system.writ("intents", "show", done["id"], "--unseal", other, expect=4)
    assert CANARY.encode() not in kept_by_the_hub(fleet)


def test_the_canary_would_be_found_if_it_were_there(fleet: Fleet) -> None:
    """The search itself: the same order unsealed leaves its params in the hub's database."""
    open_canary = f"open-{secrets.token_hex(8)}"
    assert fleet.system.run(fleet.worker, "echo", say=open_canary)["state"] == "succeeded"
    assert open_canary.encode() in kept_by_the_hub(fleet)


def test_a_failed_sealed_order_tells_its_reason_to_its_operator_only(fleet: Fleet) -> None:
    system, worker = fleet.system, fleet.worker
    key = system.hub.made["operatorKeyFile"]
    words = ("run", worker.did, "files.read", "-p", f"path={CANARY}.txt", "--sign", key, "--seal")
    done = system.writ(*words, expect=1)
    assert done["state"] == "failed"
    assert "sealed:" not in done["result"]["error"]["message"]
    assert "sealed:" in system.intent(done["id"])["result"]["error"]["message"]
    assert CANARY.encode() not in kept_by_the_hub(fleet)


def test_sealing_takes_a_did_for_a_name_is_the_hubs_word(fleet: Fleet) -> None:
    key = fleet.system.hub.made["operatorKeyFile"]
    words = ("run", "worker", "echo", "-p", "a=1", "--sign", key, "--seal")
    _, said = fleet.system.writ_said(*words, expect=2)
    assert fleet.worker.did in said
    fleet.system.writ("run", fleet.worker.did, "echo", "--seal", expect=2)
