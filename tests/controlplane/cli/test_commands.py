"""The real `writ` against a real hub process and a real agent: every group, every exit code."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interaction.people import new_approver
from tests.interaction.processes import CHECKOUT, environment
from tests.interaction.system import Agent, System

WRIT = (sys.executable, "-m", "controlplane.cli.main")
POLICY = {
    "rules": [
        {"id": "asks", "effect": "allow", "actions": ["http.get"],
         "approval": {"people": 1, "from": ["*"], "withinSeconds": 600}},
        {"id": "plain", "effect": "allow", "actions": ["echo", "files.*", "shell.exec"],
         "when": "!('write' in params) || params.write != 'no'"},
    ]
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Desk:
    """A shell on a machine with a hub and one agent."""

    system: System
    agent: Agent
    env: Mapping[str, str]
    folder: Path

    def writ(self, *words: str, stdin: bytes | None = None, **env: str) -> Said:
        """Run `writ` to its end."""
        done = subprocess.run(
            [*WRIT, *words],
            check=False,
            env={**self.env, **env},
            cwd=CHECKOUT,
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=60,
        )
        return Said(done.returncode, done.stdout, done.stderr.decode())

    def json(self, *words: str, expect: int = 0, **env: str) -> Any:
        """Run `writ --json`; it must end as expected and print one JSON value."""
        said = self.writ("--json", *words, **env)
        assert said.code == expect, (words, said)
        return said.json if said.out else None


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One hub and one agent for all tests here; none of them changes what another needs."""
    folder = tmp_path_factory.mktemp("desk")
    folder.chmod(0o700)
    with System(folder) as system:
        system.hub.start()
        agent = system.agent("worker", policy=POLICY)
        env = environment(
            WRIT_URL=system.hub.url,
            WRIT_API_KEY=system.hub.made["apiKey"],
            WRIT_CONFIG_DIR=str(folder / "config"),
        )
        yield Desk(system, agent, env, folder)


def assert_one_line(said: Said, code: int) -> None:
    """It failed with this exit code, said why in one line on stderr, and printed no data."""
    assert said.code == code, said
    assert said.out == b"", said
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert re.fullmatch(r"writ: .+ \[[a-z0-9_]+\]", said.err.strip()), said.err


# --- exit codes -------------------------------------------------------------------------------


def test_0_the_order_succeeded(desk: Desk) -> None:
    done = desk.json("run", "worker", "echo", "-p", "a=1", "-p", "b=two")
    assert (done["state"], done["result"]["output"]) == ("succeeded", {"a": 1, "b": "two"})


def test_1_the_order_failed(desk: Desk) -> None:
    done = desk.json("run", "worker", "files.read", "-p", "path=nothing", expect=1)
    assert done["state"] == "failed"


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-command",),
        ("run",),
        ("run", "worker", "Not.An.Action"),
        ("run", "worker", "echo", "-p", "no-equals"),
        ("run", "worker", "echo", "--limit", "5"),
        ("-o", "xml", "agents", "list"),
        ("agents", "list", "--limit", "0"),
        ("files", "put", "no-such-file"),
        ("--profile", "none", "whoami"),
    ],
    ids=" ".join,
)
def test_2_the_command_makes_no_sense(desk: Desk, words: tuple[str, ...]) -> None:
    assert_one_line(desk.writ(*words), 2)


@pytest.mark.parametrize(
    "words",
    [
        ("agents", "show", "nobody"),
        ("run", "nobody", "echo"),
        ("intents", "show", "nothing"),
        ("intents", "show", "../../me"),
        ("files", "get", "nothing"),
        ("policies", "show", "nothing"),
        ("approvals", "show", "nothing"),
        ("registrations", "reject", "nothing", "--reason", "x"),
        ("join-tokens", "revoke", "nothing"),
        ("logout", "--name", "none"),
    ],
    ids=" ".join,
)
def test_3_there_is_no_such_thing(desk: Desk, words: tuple[str, ...]) -> None:
    assert_one_line(desk.writ(*words), 3)


def test_4_the_policy_refuses(desk: Desk) -> None:
    done = desk.json("run", "worker", "echo", "-p", "write=no", expect=4)
    assert (done["state"], done["result"]["error"]["code"]) == ("refused", "policy_denied")


def test_4_the_caller_may_not(desk: Desk) -> None:
    member = desk.system.owner.post(
        "/api-keys", {"name": "member", "roles": ["member"], "machine": True}
    )["key"]
    said = desk.writ("run", "worker", "echo", WRIT_API_KEY=member)
    assert_one_line(said, 4)
    assert "[forbidden]" in said.err
    assert_one_line(desk.writ("whoami", WRIT_API_KEY="writ_wrong"), 4)


def test_4_a_wrong_key_and_a_missing_one_are_told_apart(desk: Desk) -> None:
    wrong = desk.writ("agents", "list", WRIT_API_KEY="writ_wrong")
    assert wrong.code == 4
    assert "does not take this key" in wrong.err
    missing = desk.writ("whoami", WRIT_API_KEY="")
    assert missing.code == 4
    assert "WRIT_API_KEY" in missing.err


def test_5_the_state_does_not_allow_it(desk: Desk) -> None:
    done = desk.json("run", "worker", "echo")
    assert_one_line(desk.writ("intents", "cancel", done["id"]), 5)
    key = desk.folder / "taken.pem"
    assert desk.json("keys", "new", str(key))["did"].startswith("did:key:z6Mk")
    assert_one_line(desk.writ("keys", "new", str(key)), 5)


def test_6_the_work_took_too_long(desk: Desk) -> None:
    argv = json.dumps(["sleep", "30"])
    words = ("run", "worker", "shell.exec", "-p", f"argv={argv}", "--timeout", "1")
    assert desk.json(*words, expect=6)["state"] == "timed_out"


def test_6_the_wait_was_too_short(desk: Desk) -> None:
    waits = ("run", "worker", "http.get", "-p", "url=http://127.0.0.1:1/", "--wait-seconds", "1")
    assert_one_line(desk.writ(*waits), 6)


def test_7_no_hub_answers(desk: Desk) -> None:
    for words in (("whoami",), ("agents", "list"), ("run", "worker", "echo"), ("audit", "list")):
        assert_one_line(desk.writ("--url", "http://127.0.0.1:1", *words), 7)


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["nonsense", "http://", "ftp://x", "http://[::1", "http://h:99999", "http://a b", "\n"]
)
def test_an_address_that_is_none_is_said_to_be_none(desk: Desk, url: str) -> None:
    assert_one_line(desk.writ("--url", url, "whoami"), 2)


@pytest.mark.parametrize("key", ["a b", "a\nb", "k\u00e9y"])
def test_a_key_that_no_header_can_carry_is_not_sent(desk: Desk, key: str) -> None:
    assert_one_line(desk.writ("whoami", WRIT_API_KEY=key), 2)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"profiles": 5}', b'{"profiles": [{"name": "default"}]}',
             b'{"profiles": [{"name": "default", "url": 5}]}', b"\xff\xfe"]
)  # fmt: skip
def test_a_damaged_profile_file_is_told(desk: Desk, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "profiles.json").write_bytes(data)
    (tmp_path / "profiles.json").chmod(0o600)
    for words in (("profiles",), ("whoami",)):
        said = desk.writ(*words, WRIT_CONFIG_DIR=str(tmp_path))
        assert_one_line(said, 1)
        assert "damaged" in said.err


def test_a_profile_file_that_others_can_read_is_not_used(desk: Desk, tmp_path: Path) -> None:
    said = desk.writ("login", WRIT_CONFIG_DIR=str(tmp_path))
    assert said.code == 0, said
    assert (tmp_path / "profiles.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "profiles.json").chmod(0o644)
    said = desk.writ("profiles", WRIT_CONFIG_DIR=str(tmp_path))
    assert_one_line(said, 1)
    assert "chmod 600" in said.err


def test_a_key_file_that_others_can_read_signs_nothing(desk: Desk) -> None:
    key = desk.folder / "wide.pem"
    assert desk.writ("keys", "new", str(key)).code == 0
    key.chmod(0o644)
    for words in (("keys", "show", str(key)), ("run", "worker", "echo", "--sign", str(key))):
        said = desk.writ(*words)
        assert_one_line(said, 4)
        assert "0644" in said.err
    key.chmod(0o600)
    key.write_text("no key\n")
    assert_one_line(desk.writ("keys", "show", str(key)), 4)


@pytest.mark.parametrize("data", [b'{"a":', b"\xff", b"[1]", b"- a: {", b"", b"{" * 1_000])
def test_files_that_cannot_be_read_are_told(desk: Desk, data: bytes) -> None:
    path = desk.folder / "bad"
    path.write_bytes(data)
    assert_one_line(desk.writ("run", "worker", "echo", "--params", str(path)), 2)
    assert_one_line(desk.writ("policies", "apply", str(path), "--agent", "worker"), 2)
    root = desk.system.hub.root
    verified = desk.writ("verify", str(path), "--root", root)
    assert verified.code in (1, 2)
    assert len(verified.err.strip().splitlines()) == 1
    assert "Traceback" not in verified.err


def test_an_error_for_programs_is_one_json_object_on_stderr(desk: Desk) -> None:
    for words, code, named in (
        (("agents", "show", "nobody"), 3, "not_found"),
        (("run",), 2, "usage"),
        (("--url", "http://127.0.0.1:1", "whoami"), 7, "unreachable"),
    ):
        said = desk.writ("--json", *words)
        assert (said.code, said.out) == (code, b"")
        assert json.loads(said.err)["error"]["code"] == named


# --- every group ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("agents", "list"),
        ("registrations", "list", "--state", "all"),
        ("join-tokens", "list"),
        ("intents", "list"),
        ("intents", "list", "--state", "failed", "--state", "expired"),
        ("approvals", "list", "--state", "all"),
        ("policies", "list"),
        ("delegations", "list"),
        ("files", "list"),
        ("audit", "list"),
        ("profiles",),
    ],
    ids=" ".join,
)
def test_every_listing_is_a_page_for_programs_and_a_table_for_people(
    desk: Desk, words: tuple[str, ...]
) -> None:
    page = desk.json(*words)
    assert set(page) == {"items", "nextCursor"}
    yaml = desk.writ("-o", "yaml", *words)
    assert yaml.code == 0
    assert yaml.out.startswith(b"items:")
    table = desk.writ(*words)
    assert table.code == 0
    lines = table.out.decode().splitlines()
    assert len(lines) == (len(page["items"]) + 1 if page["items"] else 0)


def test_login_keeps_a_profile_that_stands_for_address_and_key(desk: Desk, tmp_path: Path) -> None:
    config = {"WRIT_CONFIG_DIR": str(tmp_path)}
    made = desk.json("login", "--name", "home", **config)
    assert (made["profile"], made["me"]["name"]) == ("home", "admin")
    bare = {**config, "WRIT_URL": "", "WRIT_API_KEY": ""}
    assert desk.json("--profile", "home", "whoami", **bare)["name"] == "admin"
    (listed,) = desk.json("profiles", **config)["items"]
    assert listed["hasKey"] is True
    assert desk.env["WRIT_API_KEY"] not in json.dumps(listed)
    assert desk.writ("logout", "--name", "home", **config).code == 0
    assert_one_line(desk.writ("--profile", "home", "whoami", **bare), 4)


def test_a_key_is_only_sent_to_the_hub_it_was_made_for(desk: Desk, tmp_path: Path) -> None:
    desk.json("login", WRIT_CONFIG_DIR=str(tmp_path))
    elsewhere = desk.system.hub.url.replace("127.0.0.1", "localhost")
    said = desk.writ("whoami", WRIT_CONFIG_DIR=str(tmp_path), WRIT_API_KEY="", WRIT_URL=elsewhere)
    assert_one_line(said, 4)


def test_agents_are_shown_and_labelled(desk: Desk) -> None:
    assert desk.json("agents", "show", "worker")["did"] == desk.agent.did
    assert desk.json("agents", "label", "worker", "site=berlin")["labels"]["site"] == "berlin"
    found = desk.json("agents", "list", "--label", "site=berlin")["items"]
    assert [one["name"] for one in found] == ["worker"]
    assert "site" not in desk.json("agents", "label", "worker", "site=")["labels"]


def test_the_agents_own_commands_read_its_folder(desk: Desk) -> None:
    folder = ("--data-dir", str(desk.agent.folder))
    shown = desk.json("agent", "fingerprint", *folder)
    assert shown == {"agentDid": desk.agent.did, "fingerprint": desk.agent.fingerprint}
    assert desk.json("agent", "status", *folder)["agentDid"] == desk.agent.did
    assert_one_line(desk.writ("agent", "status", "--data-dir", str(desk.folder / "none")), 1)


def test_a_join_token_is_made_listed_and_revoked(desk: Desk) -> None:
    made = desk.json("join-tokens", "create", "--name", "press-*", "--allow", "echo")
    assert made["token"].startswith("writ-join:")
    assert desk.writ("join-tokens", "revoke", made["id"]).code == 0
    listed = {one["id"]: one for one in desk.json("join-tokens", "list")["items"]}
    assert listed[made["id"]]["revokedAt"] is not None


def test_orders_to_many_print_their_batch(desk: Desk) -> None:
    batch = desk.json("run", "@capability:echo", "echo", "-p", "x=1")
    assert [one["state"] for one in batch["intents"]] == ["succeeded"]
    params = desk.folder / "params.yaml"
    params.write_text("a: [1, 2]\n")
    done = desk.json("run", "worker", "echo", "--params", str(params))
    assert done["result"]["output"] == {"a": [1, 2]}


def test_an_order_is_handed_over_watched_and_shown(desk: Desk) -> None:
    handed = desk.json("run", "worker", "echo", "--detach")
    watched = desk.writ("--json", "intents", "watch", handed["id"])
    assert watched.code == 0
    last = json.loads(watched.out.splitlines()[-1])
    assert (last["event"], last["data"]["state"]) in {
        ("intent.finished", "succeeded"),
        ("intent.state", "succeeded"),
    }
    assert desk.json("intents", "show", handed["id"])["state"] == "succeeded"


def test_a_mistyped_action_is_answered_with_the_one_that_was_meant(desk: Desk) -> None:
    said = desk.writ("run", "worker", "eco")
    assert (said.code, said.err.splitlines()[-1]) == (4, "did you mean echo?")
    said = desk.writ("run", "worker", "zzz.qqq")
    assert said.err.splitlines()[-1].startswith("it can do: echo, files.list, files.read")


def test_a_call_that_asks_is_approved_by_a_signing_operator(desk: Desk) -> None:
    asked = desk.json("run", "worker", "http.get", "-p", "url=http://127.0.0.1:1/", "--detach")
    waiting = desk.system.pending_approval(asked["id"])
    assert desk.json("approvals", "show", waiting["id"])["tool"] == "http.get"
    own = desk.system.hub.made["operatorKeyFile"]
    assert_one_line(desk.writ("approvals", "approve", waiting["id"], "--sign", own), 4)
    operator = str(new_approver(desk.system, "ann").key_file)
    desk.json("approvals", "approve", waiting["id"], "--sign", operator)
    assert desk.system.end(asked["id"])["state"] == "failed"  # nothing listens there
    assert_one_line(desk.writ("approvals", "reject", waiting["id"], "--sign", operator), 5)


def test_a_policy_is_shown_as_it_is_in_force(desk: Desk) -> None:
    (policy,) = desk.json("policies", "list", "--agent", "worker")["items"]
    shown = desk.json("policies", "show", policy["id"])
    assert [rule["id"] for rule in shown["rules"]] == ["asks", "plain"]


def test_files_go_up_and_come_back_the_same(desk: Desk) -> None:
    content = os.urandom(3_000_000)
    source, target = desk.folder / "up.bin", desk.folder / "down.bin"
    source.write_bytes(content)
    made = desk.json("files", "put", str(source), "--name", "../odd näme")
    assert made["sha256"] == hashlib.sha256(content).hexdigest()
    assert made["name"] == "../odd näme"
    assert desk.json("files", "get", made["id"], "--to", str(target))["file"] == str(target)
    assert target.read_bytes() == content
    assert_one_line(desk.writ("files", "get", made["id"], "--to", str(target)), 5)
    assert desk.writ("files", "get", made["id"], "--to", str(target), "--force").code == 0
    assert desk.writ("files", "get", made["id"]).out == content
    inside = desk.folder / "inside"
    inside.mkdir()
    assert desk.writ("files", "get", made["id"], "--to", str(inside)).code == 0
    assert [one.name for one in inside.iterdir()] == [made["id"]]
    assert made["id"] in {one["id"] for one in desk.json("files", "list")["items"]}
    assert desk.writ("files", "rm", made["id"]).code == 0
    assert_one_line(desk.writ("files", "get", made["id"], "--to", str(desk.folder / "no")), 3)
    assert not (desk.folder / "no").exists()
    assert_one_line(desk.writ("files", "put", str(source), "--realm", "nowhere"), 2)


def test_the_record_is_exported_and_verified_offline(desk: Desk) -> None:
    done = desk.json("run", "worker", "echo", "-p", "a=1")
    root = desk.system.hub.root
    folder = desk.folder / "record"
    desk.json("audit", "export", str(folder))
    away = {"WRIT_URL": "http://127.0.0.1:1", "WRIT_API_KEY": ""}
    assert desk.json("audit", "verify", str(folder), "--root", root, **away)["ok"] is True
    assert desk.json("audit", "prove", done["id"], "--root", root)["ok"] is True
    proof = desk.folder / "proof"
    desk.json("intents", "show", done["id"], "--documents", str(proof))
    desk.json("verify", str(proof / "bundle.json"), "--root", root, **away)
    changed = (proof / "bundle.json").read_text().replace("echo", "ecno")
    (proof / "bundle.json").write_text(changed)
    said = desk.writ("verify", str(proof / "bundle.json"), "--root", root, **away)
    assert said.code == 1
    lines = (folder / "leaves.jsonl").read_text().splitlines()
    lines[3] = lines[3].replace("1", "2")
    (folder / "leaves.jsonl").write_text("\n".join(lines) + "\n")
    assert desk.writ("audit", "verify", str(folder), "--root", root, **away).code == 1


def test_a_hub_is_examined_backed_up_and_restored(desk: Desk) -> None:
    data = ("--data-dir", str(desk.system.hub.folder))
    report = desk.json("hub", "doctor", *data)
    assert {row["verdict"] for row in report["checks"]} <= {"ok", "unsafe"}
    assert desk.json("hub", "migrate", *data) == {"migrated": True}
    key = desk.json("hub", "new-key", *data)["apiKey"]
    assert desk.json("whoami", WRIT_API_KEY=key)["name"] == "admin"
    archive = desk.folder / "hub.backup"
    assert desk.json("hub", "backup", str(archive), *data)["bytes"] > 0
    assert archive.stat().st_mode & 0o077 == 0
    again = desk.folder / "restored"
    desk.json("hub", "restore", str(archive), "--data-dir", str(again))
    assert desk.json("hub", "doctor", "--data-dir", str(again))["checks"]
    said = desk.writ("hub", "restore", str(archive), "--data-dir", str(again))
    assert said.code != 0
    assert len(said.err.strip().splitlines()) == 1


# --- people -----------------------------------------------------------------------------------


def test_the_shell_completes_commands_and_agents(desk: Desk) -> None:
    script = desk.writ(_WRIT_COMPLETE="bash_source")
    assert script.code == 0
    assert b"complete -o nosort -F _writ_completion writ" in script.out

    def offered(words: str, at: int, **env: str) -> list[str]:
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(at), "_WRIT_COMPLETE": "bash_complete"}
        said = desk.writ(**asked, **env)
        assert said.err == ""
        return [line.split(",")[1] for line in said.out.decode().split("\n") if line]

    assert offered("writ fi", 1) == ["files"]
    assert offered("writ run wor", 2) == ["worker"]
    assert offered("writ agents show ", 3) == ["worker"]
    assert offered("writ run wor", 2, WRIT_URL="http://127.0.0.1:1") == []


def on_terminal(desk: Desk, *words: str, columns: int = 80) -> str:
    """Return what a person sees on a terminal of this width, without colours."""
    child, terminal = pty.fork()
    if child == 0:
        env = {**desk.env, "TERM": "xterm", "COLUMNS": str(columns)}
        os.chdir(CHECKOUT)
        os.execve(WRIT[0], [*WRIT, *words], env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    seen = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.waitpid(child, 0)
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize(
    "noun",
    ["agents", "registrations", "join-tokens", "intents", "policies", "delegations", "audit"],
)
def test_a_listing_fits_80_columns_and_never_cuts_an_id(desk: Desk, noun: str) -> None:
    words = (noun, "list", *(("--state", "all") if noun == "registrations" else ()))
    shown = on_terminal(desk, *words).splitlines()
    assert max(map(len, shown)) <= 80
    listed = desk.json(*words)["items"]
    if "ID" in shown[0].split():
        for one in listed:
            assert any(one["id"] in line for line in shown)
    if noun == "registrations":
        assert any(listed[0]["fingerprint"] in line for line in shown)


def test_a_person_at_a_terminal_sees_an_upload_move_and_a_pipe_does_not(desk: Desk) -> None:
    source = desk.folder / "bar.bin"
    source.write_bytes(bytes(2_000_000))
    assert "100%" in on_terminal(desk, "files", "put", str(source))
    assert "%" not in desk.writ("files", "put", str(source)).err


def test_an_agents_words_cannot_steer_the_terminal(desk: Desk) -> None:
    shown = on_terminal(desk, "run", "worker", "echo", "-p", 'x="\\u001b]0;owned\\u0007"')
    assert "\x1b" not in shown
    assert "\x07" not in shown
