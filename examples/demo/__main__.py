"""The demo, act by act. `ONCE=1` ends after the last act; else it stays up until Ctrl-C."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from examples.demo.stage import DemoError, Process, Stage

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY: dict[str, Any] = {
    "rules": [
        {
            "id": "no-secrets",
            "effect": "deny",
            "actions": ["files.*"],
            "when": 'params.path.startsWith("secrets")',
        },
        {"id": "files", "effect": "allow", "actions": ["files.*", "echo"]},
        {
            "id": "naps",
            "effect": "allow",
            "actions": ["shell.exec"],
            "when": 'params.argv[0] == "sleep"',
        },
        {
            "id": "shell-asks",
            "effect": "allow",
            "actions": ["shell.exec"],
            "approval": {"people": 1, "from": ["*"], "withinSeconds": 600},
        },
    ],
    "limits": {"ordersPerHour": 1000, "concurrent": 8},
}


class Tally:
    """Counts every order of the demo; the last line is this, and nothing else is claimed."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.approved = 0
        self.audit_verified = False

    def add(self, *intents: dict[str, Any]) -> None:
        """Remember orders that the hub accepted."""
        self.ids.update(one["id"] for one in intents)

    def count(self, stage: Stage) -> dict[str, int]:
        """Ask the hub for every order again and count how each ended."""
        listed = stage.writ("intents", "list", "--limit", "10000")["items"]
        found = {one["id"]: one["state"] for one in listed}
        states = [found.get(one, "lost") for one in sorted(self.ids)]
        done = {"succeeded", "failed", "refused", "cancelled", "timed_out", "interrupted"}
        return {
            "intents": len(states),
            "succeeded": states.count("succeeded"),
            "refused": states.count("refused"),
            "interrupted": states.count("interrupted"),
            "approved": self.approved,
            "lost": sum(state not in done for state in states),
        }


def say(text: str) -> None:
    """Tell the story on stderr, so that stdout stays data."""
    print(text, file=sys.stderr, flush=True)


def act(title: str) -> None:
    """Announce an act."""
    say(f"\n\033[1m{title}\033[0m" if sys.stderr.isatty() else f"\n== {title}")


def check(condition: bool, text: str) -> None:
    """Say what was shown, or stop the demo."""
    if not condition:
        raise DemoError(f"not shown: {text}")
    say(f"   ok  {text}")


def free_port(wanted: int) -> int:
    """Return `wanted` when nobody listens there, else 0 (the system chooses)."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


def start_hub(stage: Stage) -> tuple[dict[str, Any], str]:
    """Make a hub and start it; return what init printed and its address."""
    act("1. A hub, with its own keys")
    data = str(stage.folder / "hub")
    made = stage.writ("hub", "init", "--data-dir", data)
    port = str(free_port(8080))
    hub = stage.start("hub", "hub", "run", "--data-dir", data, "--port", port)
    url = hub.wait_for(ready=True)["url"]
    stage.env |= {"WRIT_URL": url, "WRIT_API_KEY": made["apiKey"]}
    check(stage.writ("whoami") is not None, f"the hub answers at {url}")
    say(f"       root {made['rootDid']}")
    return made, url


def enrol(stage: Stage, root: str, url: str) -> tuple[Process, list[str]]:
    """Bring two agents in: one by token, one by a person who compares fingerprints."""
    act("2. Two agents dial out to it")
    actions = ["files.read", "files.list", "files.search", "echo"]
    allow = [word for one in actions for word in ("--allow", one)]
    token = stage.writ("join-tokens", "create", "--auto-approve", "--name", "reader*", *allow)
    reader = stage.start(
        *("reader", "agent", "run", "--join", token["token"], "--name", "reader"),
        *("--data-dir", str(stage.folder / "reader"), "--workspace", str(CHECKOUT)),
    )
    reader.wait_for(state="online")
    check(True, "reader joined with a token that works once")

    words = [
        *("builder", "agent", "run", "--hub", url.replace("http", "ws", 1), "--root", root),
        *("--name", "builder", "--data-dir", str(stage.folder / "builder")),
        *("--workspace", str(stage.folder / "workspace")),
    ]
    builder = stage.start(*words)
    shown = builder.wait_for(agentDid=...)["fingerprint"]
    builder.wait_for(state="pending")
    waiting = stage.writ("registrations", "list")["items"]
    check(
        len(waiting) == 1 and waiting[0]["fingerprint"] == shown,
        f"builder waits; hub and agent show the same fingerprint {shown}",
    )
    policy = stage.folder / "policy.json"
    policy.write_text(json.dumps(POLICY, indent=2))
    stage.writ("registrations", "approve", waiting[0]["id"], "--policy", str(policy))
    builder.wait_for(state="online")
    check(True, "a person approved it, with a policy that denies by default")
    return builder, words


def real_work(stage: Stage, tally: Tally) -> dict[str, Any]:
    """Order work on files of this checkout and compare every byte with the disk."""
    act("3. Orders on the files of this checkout")
    names = sorted(p.relative_to(CHECKOUT).as_posix() for p in CHECKOUT.glob("protocol/*.py"))
    intents = [stage.writ("run", "reader", "files.read", "-p", f"path={n}") for n in names]
    tally.add(*intents)
    same = [
        i["result"]["output"]["sha256"] == hashlib.sha256((CHECKOUT / n).read_bytes()).hexdigest()
        for i, n in zip(intents, names, strict=True)
    ]
    check(all(same), f"{len(names)} files read by the agent, every digest equals the disk's")
    found = stage.writ(
        *("run", "reader", "files.search", "-p", "path=protocol", "-p", "pattern=Error")
    )
    tally.add(found)
    check(bool(found["result"]["output"]["matches"]), "a search over the protocol's sources")
    batch = stage.writ("run", "@capability:files", "echo", "-p", "hello=fleet")
    tally.add(*batch["intents"])
    check(len(batch["intents"]) == 2, "one order to every agent that can do files: two results")
    return intents[0]


def refusal_and_approval(stage: Stage, tally: Tally, made: dict[str, Any]) -> None:
    """Show the policy refuse one order and hold another for a person's signed decision."""
    act("4. The agent refuses what its policy denies")
    refused = stage.writ(
        *("run", "builder", "files.write", "-p", "path=secrets/key", "-p", "content=x"), expect=4
    )
    tally.add(refused)
    decision = refused["result"]["decision"]["rule"]
    check(refused["state"] == "refused" and decision == "no-secrets", f"refused by rule {decision}")
    told = stage.writ("policies", "explain", refused["id"])
    check(told["rule"] == "no-secrets", "`writ policies explain` names the rule, and why no other")

    act("5. A call that needs a person waits for one")
    asked = stage.writ(*("run", "builder", "shell.exec", "-p", 'argv=["uname","-s"]', "--detach"))
    tally.add(asked)
    request = wait_until(lambda: stage.writ("approvals", "list")["items"], "an approval request")[0]
    check(request["tool"] == "shell.exec", "the agent holds it and asks")
    own = ("approvals", "approve", request["id"], "--sign", made["operatorKeyFile"])
    stage.writ(*own, expect=4)
    check(True, "who gave the order does not approve it, by whatever key of theirs")
    ann = str(stage.folder / "ann.pem")
    did = stage.writ("keys", "new", ann)["did"]
    lend = ("--action", "writ.approve", "--sign", made["rootKeyFile"])
    stage.writ("delegations", "issue", did, *lend)
    stage.writ("approvals", "approve", request["id"], "--sign", ann)
    done = wait_until(
        lambda: finished(stage.writ("intents", "show", asked["id"])), "the approved order's end"
    )
    check(
        done["result"]["output"]["exitCode"] == 0,
        "approved by a second person, Ann, with her own key",
    )
    tally.approved += 1

    signed = stage.writ(
        *("run", "builder", "echo", "-p", "from=operator", "--sign", made["operatorKeyFile"])
    )
    tally.add(signed)
    check(signed["state"] == "succeeded", "an order the hub routed but did not sign")


def strict(stage: Stage, tally: Tally, made: dict[str, Any]) -> None:
    """Show an agent that the hub alone cannot order, whatever the hub signs."""
    act("6. An agent that obeys operators, not the hub")
    token = stage.writ("join-tokens", "create", "--auto-approve", "--name", "vault*")
    vault = stage.start(
        *("vault", "agent", "run", "--join", token["token"], "--name", "vault"),
        *("--data-dir", str(stage.folder / "vault"), "--require-operator-signature"),
    )
    vault.wait_for(state="online")
    policy = stage.folder / "vault.json"
    policy.write_text(json.dumps({"rules": [POLICY["rules"][1]]}))
    key = made["operatorKeyFile"]
    stage.writ("policies", "apply", str(policy), "--agent", "vault", "--sign", key)
    forged = stage.writ("run", "vault", "echo", "-p", "from=hub", expect=4)
    tally.add(forged)
    code = forged["result"]["error"]["code"]
    check(code == "operator_required", f"an order of the hub's own making: refused, {code}")
    signed = stage.writ("run", "vault", "echo", "-p", "from=operator", "--sign", key)
    tally.add(signed)
    check(signed["state"] == "succeeded", "the same order signed by an operator: done")


def crash(stage: Stage, tally: Tally, builder: Process, words: list[str]) -> None:
    """Kill the agent in mid-order; nothing is lost, nothing is done twice."""
    act("7. kill -9 in the middle of an order")
    running = stage.writ("run", "builder", "shell.exec", "-p", 'argv=["sleep","60"]', "--detach")
    tally.add(running)
    wait_until(
        lambda: stage.writ("intents", "show", running["id"])["state"] == "running",
        "a started order",
    )
    builder.kill()
    late = [
        stage.writ(
            *("run", "builder", "files.write", "-p", "path=witness.txt", "--detach"),
            *("-p", f"content=order {n}\n", "-p", "append=true"),
        )
        for n in range(5)
    ]
    tally.add(*late)
    check(True, "killed; five more orders accepted while it was away")
    stage.start(*words).wait_for(state="online")
    ends = [
        wait_until(lambda one=one: finished(stage.writ("intents", "show", one["id"])), "an end")
        for one in [running, *late]
    ]
    check(ends[0]["state"] == "interrupted", "the order it died in says so, and was not done again")
    lines = (stage.folder / "workspace" / "witness.txt").read_text().splitlines()
    check(sorted(lines) == [f"order {n}" for n in range(5)], "the five were done once each")


def prove(stage: Stage, tally: Tally, root: str, intent: dict[str, Any]) -> None:
    """Verify a result and the record offline, and see a changed byte refused."""
    act("8. Proof, without the hub")
    folder = stage.folder / "proof"
    stage.writ("intents", "show", intent["id"], "--documents", str(folder))
    report = stage.writ("verify", str(folder / "bundle.json"), "--root", root)
    kinds = sorted(row["type"] for row in report["documents"])
    check(report["ok"] and "result" in kinds, f"verified with the root's DID alone: {kinds}")
    text = (folder / "bundle.json").read_text()
    (folder / "forged.json").write_text(text.replace("succeeded", "succeedeD"))
    stage.writ("verify", str(folder / "forged.json"), "--root", root, expect=1)
    check(True, "one changed letter is found")
    stage.writ("audit", "export", str(stage.folder / "record"))
    stage.writ("audit", "verify", str(stage.folder / "record"), "--root", root)
    tally.audit_verified = True
    check(True, "the whole record verified offline: every leaf, its tree and its signed checkpoint")


def finished(intent: dict[str, Any]) -> dict[str, Any] | None:
    """Return the intent once it has its result, else None."""
    return intent if intent.get("result") else None


def wait_until(probe: Any, what: str, seconds: float = 60) -> Any:
    """Return the first true answer of `probe`; `DemoError` when there is none in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < deadline:
        answer = probe()
        if answer:
            return answer
        pause.wait(0.1)
    raise DemoError(f"waited {seconds:.0f} s for {what}")


def main() -> int:
    """Run every act; the last line on stdout is the sum."""
    began = time.monotonic()
    folder = CHECKOUT / ".demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    stage, tally = Stage(folder), Tally()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    summary: dict[str, Any] = {"ok": False}
    try:
        made, url = start_hub(stage)
        builder, words = enrol(stage, made["rootDid"], url)
        first = real_work(stage, tally)
        refusal_and_approval(stage, tally, made)
        strict(stage, tally, made)
        crash(stage, tally, builder, words)
        prove(stage, tally, made["rootDid"], first)
        counts = tally.count(stage)
        ok = counts["lost"] == 0 and tally.audit_verified
        summary = {"ok": ok, **counts, "auditVerified": tally.audit_verified}
        if os.environ.get("ONCE") != "1":
            act("It is yours until Ctrl-C")
            shown = url.replace("127.0.0.1", "localhost")
            words = ("hub", "sign-in-link", "--data-dir", str(stage.folder / "hub"))
            say(f"   dashboard {stage.writ(*words)['link']}")
            say("             (signs you in as admin, once, within an hour)")
            say(f"   API docs  {shown}/docs\n   API key   {made['apiKey']}")
            say(f"   try: WRIT_URL={url} WRIT_API_KEY=... writ agents list")
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except DemoError as exc:
        say(f"\ndemo failed: {exc}\nlogs lie in {folder}")
    except KeyboardInterrupt:
        say("")
    finally:
        stage.stop()
        summary["seconds"] = round(time.monotonic() - began, 1)
        print(json.dumps(summary), flush=True)
    return 0 if summary["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
