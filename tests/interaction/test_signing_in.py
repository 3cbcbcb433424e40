"""People with the command line: signing in, letting a machine in, inviting, roles, keys."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.interaction.processes import environment
from tests.interaction.rest import Rest

PASSWORD = "correct horse battery"


def signed_in(system: Any) -> None:
    """The first owner, signed in to the profile of the system's configuration folder."""
    system.writ("users", "password", "--new", PASSWORD)
    system.writ("login", "--user", "admin", "--password", PASSWORD)


def test_the_first_owner_sets_up_invites_and_gives_roles(make_system: Any) -> None:
    system = make_system()
    signed_in(system)
    nobody = {"WRIT_API_KEY": ""}
    assert system.writ("whoami", **nobody)["name"] == "admin"
    system.writ("realms", "create", "lab", "--description", "tests", **nobody)
    invited = system.writ("invitations", "create", "operator", "--realm", "lab", **nobody)
    token = invited["link"].partition("#")[2]
    came = Rest(system.hub.url).post(
        "/invitations/accept",
        {"token": token, "name": "ada", "password": PASSWORD, "bearer": True},
    )
    assert came["user"]["name"] == "ada"
    (member,) = system.writ("members", "list", "lab", **nobody)["items"]
    assert (member["name"], member["role"]) == ("ada", "operator")
    changed = system.writ("members", "set", "lab", "ada", "manager", **nobody)
    assert changed["role"] == "manager"
    names = [one["name"] for one in system.writ("users", "list", **nobody)["items"]]
    assert names == ["ada", "admin"]
    made = system.writ("api-keys", "create", "ci", "--scope", "agents", **nobody)
    assert system.writ("agents", "list", WRIT_API_KEY=made["key"])["items"] == []
    system.writ("api-keys", "create", "child", WRIT_API_KEY=made["key"], expect=4)
    system.writ("api-keys", "revoke", made["id"], **nobody)
    system.writ("agents", "list", WRIT_API_KEY=made["key"], expect=4)
    system.writ("members", "remove", "lab", "ada", **nobody)
    system.writ("users", "set", "ada", "--disable", **nobody)
    assert Rest(system.hub.url, came["token"]).send("GET", "/me").status == 401


def test_a_machine_is_let_in_from_another(make_system: Any, tmp_path: Path) -> None:
    system = make_system()
    signed_in(system)
    env = environment(WRIT_URL=system.hub.url, WRIT_CONFIG_DIR=str(tmp_path / "other"))
    command = [sys.executable, "-m", "controlplane.cli.main", "--json", "login", "--device"]
    waiting = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert waiting.stderr is not None
        said = waiting.stderr.readline() + waiting.stderr.readline()
        code = re.search(r"enter ([A-Z]{4}-[A-Z]{4})", said)
        assert code is not None, said
        system.writ_said("login", "--let-in", code[1], WRIT_API_KEY="")
        out, _ = waiting.communicate(timeout=30)
    finally:
        waiting.kill()
        waiting.wait()
    assert waiting.returncode == 0
    assert json.loads(out)["me"]["name"] == "admin"
    profile = json.loads((tmp_path / "other" / "profiles.json").read_text())["profiles"][0]
    assert profile["api_key"].startswith("writs_")
