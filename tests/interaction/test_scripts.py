"""What scripts rely on, run as scripts run it: printed lines and exit codes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.interaction.fixtures import Fleet


def test_hub_init_and_run_print_what_scripts_read(fleet: Fleet) -> None:
    made = fleet.system.hub.made
    assert set(made) == {
        "rootDid",
        "hubDid",
        "rootKeyFile",
        "operatorDid",
        "operatorKeyFile",
        "dataDir",
        "apiKey",
    }
    for name in ("rootKeyFile", "operatorKeyFile"):
        mode = stat.S_IMODE(os.stat(made[name]).st_mode)
        assert mode == 0o600, name
    process = fleet.system.hub.process
    assert process is not None
    assert process.lines == [{"ready": True, "url": fleet.system.hub.url}]
    assert Path(made["dataDir"]) == fleet.system.hub.folder


def test_agent_run_prints_identity_first_and_then_states(fleet: Fleet) -> None:
    process = fleet.worker.process
    assert process is not None
    first, *states = process.lines
    assert set(first) == {"agentDid", "fingerprint"}
    assert [one["state"] for one in states[:3]] == ["connecting", "pending", "online"]


def test_the_well_known_file_names_who_is_who(fleet: Fleet) -> None:
    shown = fleet.system.rest.get("/.well-known/writ.json")
    assert (shown["root"], shown["hub"]) == (fleet.system.hub.root, fleet.system.hub.did)
    assert shown["log"].startswith("did:key:z6Mk")
    assert shown["versions"] == ["v1"]


def test_exit_codes_say_how_it_ended(fleet: Fleet) -> None:
    system = fleet.system
    assert system.writ("run", "worker", "echo", "-p", "n=1")["state"] == "succeeded"
    system.writ("run", "worker", "files.read", "-p", "path=missing", expect=1)
    system.writ("run", "worker", "echo", "--no-such-option", expect=2)
    system.writ("run", "nobody-of-this-name", "echo", expect=3)
    system.writ("run", "worker", "files.read", "-p", "path=secrets/a", expect=4)
    done = system.run(fleet.worker, "echo")
    system.writ("intents", "cancel", done["id"], expect=5)
    sleep = ("-p", 'argv=["sleep","30"]')
    system.writ("run", "worker", "shell.exec", *sleep, "--timeout", "1", expect=6)
    system.writ("whoami", expect=7, WRIT_URL="http://127.0.0.1:1")
