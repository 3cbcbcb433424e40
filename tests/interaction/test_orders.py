"""SPEC sections 6 to 8 on a whole system: orders, their ends, and who says so."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from protocol.envelope import parse_document
from protocol.timestamps import format_timestamp
from tests.interaction.fixtures import Fleet


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"a page"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def page_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}/page"
    server.shutdown()
    server.server_close()
    thread.join()


def output(fleet: Fleet, action: str, **params: Any) -> Any:
    ended = fleet.system.run(fleet.worker, action, **params)
    assert ended["state"] == "succeeded", ended["result"]
    return ended["result"]["output"]


def test_every_built_in_action_works(fleet: Fleet, page_url: str) -> None:
    content = "one\ntwo is here\nthree\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert output(fleet, "echo", deep={"list": [1, None, "ü"]}) == {
        "deep": {"list": [1, None, "ü"]}
    }
    written = output(fleet, "files.write", path="new/folder/a.txt", content=content)
    assert written == {"bytes": len(content), "sha256": digest}
    read = output(fleet, "files.read", path="new/folder/a.txt")
    assert read == {
        "content": content,
        "encoding": "utf-8",
        "bytes": len(content),
        "sha256": digest,
    }
    raw = base64.b64encode(bytes(range(256))).decode()
    output(fleet, "files.write", path="new/b.bin", content=raw, encoding="base64")
    assert output(fleet, "files.read", path="new/b.bin")["content"] == raw
    appended = output(fleet, "files.write", path="new/folder/a.txt", content="four\n", append=True)
    assert appended["bytes"] == len(content) + 5
    listed = output(fleet, "files.list", path="new", recursive=True)
    assert {"path": "new/folder/a.txt", "kind": "file", "bytes": len(content) + 5} in (
        listed["entries"]
    )
    found = output(fleet, "files.search", path="new", pattern="two")
    assert found["matches"] == [{"path": "new/folder/a.txt", "line": 2, "text": "two is here"}]
    page = output(fleet, "http.get", url=page_url)
    assert (page["status"], page["body"], page["encoding"]) == (200, "a page", "utf-8")
    shell = output(fleet, "shell.exec", argv=["sh", "-c", "cat; exit 3"], stdin="in")
    assert shell == {"exitCode": 3, "stdout": "in", "stderr": "", "truncated": False}


def test_what_leads_out_of_the_workspace_has_failed_with_its_code(fleet: Fleet) -> None:
    ended = fleet.system.run(fleet.worker, "files.read", path="../../etc/passwd")
    assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "outside_workspace")


def test_a_denied_order_is_refused_by_the_agent_and_names_the_rule(fleet: Fleet) -> None:
    ended = fleet.system.run(fleet.worker, "files.write", path="secrets/key", content="x")
    result = parse_document(ended["documents"]["result"])
    assert ended["state"] == "refused"
    assert ended["result"]["error"]["code"] == "policy_denied"
    assert ended["result"]["decision"]["rule"] == "no-secrets"
    # The agent itself said so: its own signature is on the refusal.
    assert result.sender_did == fleet.worker.did
    assert result.payload["decision"] == ended["result"]["decision"]
    assert not (fleet.worker.workspace / "secrets").exists()


def test_what_no_rule_allows_is_refused(fleet: Fleet) -> None:
    ended = fleet.system.run(fleet.helper, "shell.exec", argv=["echo", "hi"])
    assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "policy_denied")
    assert ended["result"]["decision"]["rule"] is None


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("files.read", {}, "bad_params"),
        ("files.read", {"path": 7}, "bad_params"),
        ("files.read", {"path": "a", "what": 1}, "bad_params"),
        ("shell.exec", {"argv": []}, "bad_params"),
        ("no.such_action", {}, "unknown_action"),
    ],
)
def test_wrong_params_and_unknown_actions_are_refused_by_the_agent(
    fleet: Fleet, action: str, params: dict[str, Any], code: str
) -> None:
    system = fleet.system
    ended = system.end(system.order_with(fleet.worker, action, params))
    assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", code)


def test_an_order_in_a_realm_of_no_policy_is_wrong_realm(fleet: Fleet) -> None:
    system = fleet.system
    system.rest.send("POST", "/realms", {"id": "elsewhere"})
    ended = system.end(system.order_with(fleet.worker, "echo", {}, realm="elsewhere"))
    assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "wrong_realm")


def test_an_order_that_takes_too_long_is_timed_out_and_its_process_is_gone(fleet: Fleet) -> None:
    system = fleet.system
    argv = ["sh", "-c", "echo $$ > sleeper; exec sleep 600"]
    intent = system.order_with(fleet.worker, "shell.exec", {"argv": argv}, timeoutSeconds=1)
    ended = system.end(intent)
    assert ended["state"] == "timed_out"
    [pid] = fleet.worker.lines("sleeper")
    with pytest.raises(ProcessLookupError):
        _signal_nothing(int(pid))


def test_a_running_order_is_cancelled_when_the_agent_confirms(fleet: Fleet) -> None:
    system = fleet.system
    intent = system.order(fleet.worker, "shell.exec", argv=["sleep", "600"])
    system.reaches(intent, "running")
    asked = system.rest.post(f"/intents/{intent}/cancel", {"reason": "changed my mind"})
    assert asked["cancelRequested"]
    ended = system.end(intent)
    assert ended["state"] == "cancelled"
    assert parse_document(ended["documents"]["result"]).sender_did == fleet.worker.did
    again = system.rest.send("POST", f"/intents/{intent}/cancel", {})
    assert again.status == 409


def test_an_order_not_before_its_time_is_held_until_then(fleet: Fleet) -> None:
    system = fleet.system
    due = datetime.now(UTC) + timedelta(seconds=2)
    intent = system.order_with(fleet.worker, "echo", {}, notBefore=format_timestamp(due))
    ended = system.end(intent)
    assert ended["state"] == "succeeded"
    result = parse_document(ended["documents"]["result"]).payload
    assert str(result["startedAt"]) >= format_timestamp(due)


def test_an_order_that_waits_past_its_time_is_refused_as_expired(fleet: Fleet) -> None:
    system = fleet.system
    rules = [{"id": "r", "effect": "allow", "actions": ["shell.exec", "echo"]}]
    with system.agent("one-at-a-time", policy={"rules": rules, "limits": {"concurrent": 1}}) as one:
        first = system.order(one, "shell.exec", argv=["sleep", "3"])
        system.reaches(first, "running")
        late = system.order_with(one, "echo", {}, expiresInSeconds=1)
        patient = system.order(one, "echo", n=2)
        ended = system.end(late)
        assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "expired")
        assert system.end(first)["state"] == "succeeded"
        assert system.end(patient)["state"] == "succeeded"


def test_progress_is_seen_while_it_runs_and_counted_in_the_result(fleet: Fleet) -> None:
    system = fleet.system
    intent = system.order(fleet.worker, "shell.exec", argv=["sleep", "1.5"])
    running = system.reaches(intent, "running")
    assert running["startedAt"] is not None
    ended = system.end(intent)
    assert parse_document(ended["documents"]["result"]).payload["progressCount"] >= 1


def test_over_the_rate_of_the_policy_is_refused_and_a_restart_forgets_nothing(
    fleet: Fleet,
) -> None:
    system = fleet.system
    rules = [{"id": "r", "effect": "allow", "actions": ["echo"]}]
    policy = {"rules": rules, "limits": {"ordersPerHour": 2}}
    with system.agent("limited", policy=policy) as agent:
        assert system.run(agent, "echo")["state"] == "succeeded"
        assert system.run(agent, "echo")["state"] == "succeeded"
        agent.kill()
        agent.start()
        ended = system.run(agent, "echo")
        assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "rate_limited")


def test_the_same_idempotency_key_makes_one_order(fleet: Fleet) -> None:
    system = fleet.system
    body = {
        "target": {"agent": fleet.worker.did},
        "action": "files.write",
        "params": {"path": "once", "content": "x\n", "append": True},
    }
    key = {"Idempotency-Key": "once-and-only-once"}
    first = system.rest.send("POST", "/intents", body, headers=key)
    second = system.rest.send("POST", "/intents", body, headers=key)
    assert (first.status, second.status) == (202, 202)
    assert first.value == second.value
    other = {**body, "action": "echo", "params": {}}
    assert system.rest.send("POST", "/intents", other, headers=key).status == 422
    system.end(first.value["intents"][0]["id"])
    assert fleet.worker.lines("once") == ["x"]


def test_params_outside_the_json_profile_or_too_deep_are_refused_at_submission(
    fleet: Fleet,
) -> None:
    deep: Any = 1
    for _ in range(24):
        deep = [deep]
    for params in ({"n": 2**60}, {"text": "\ud800"}, {"text": "\x00"}, {"deep": deep}):
        answer = fleet.system.submit(fleet.worker, "echo", params)
        assert answer.status in (400, 422), (params, answer)


def test_who_may_not_see_an_agent_gets_404_and_who_may_not_order_403(fleet: Fleet) -> None:
    system = fleet.system
    system.rest.send("POST", "/realms", {"id": "far"})
    body = {"target": {"agent": fleet.worker.did}, "action": "echo", "params": {}}
    outsider = system.machine("operator", realm="far")
    assert outsider.send("POST", "/intents", body).status == 404
    member = system.machine("member")
    assert member.send("POST", "/intents", body).status == 403


def _signal_nothing(pid: int) -> None:
    import os

    os.kill(pid, 0)
