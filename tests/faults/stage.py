"""A hub and an agent that die at named points while work goes on, and the judgement afterwards.

The work is the same whatever dies: orders whose doing leaves a line in a file, a policy that is
replaced, an order that waits for a person, and the person's decision. Every step is repeated until
it is acknowledged, as a careful client would, with the same idempotency key or the same document.
"""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.interaction.people import new_approver
from tests.interaction.processes import wait_until
from tests.interaction.rest import Answer, HubGoneError
from tests.interaction.system import TERMINAL, Agent, Hub, System

WITNESS: Final = "witness"
RULES: Final[list[dict[str, Any]]] = [
    {
        "id": "asks",
        "effect": "allow",
        "actions": ["files.write"],
        "when": "params.path == 'asked'",
        "approval": {"people": 1, "from": ["*"], "withinSeconds": 600},
    },
    {"id": "work", "effect": "allow", "actions": ["files.*", "shell.exec", "echo"]},
]
_LIVES_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Given:
    """An order that the hub acknowledged: its id, and the line that doing it leaves."""

    id: str
    line: str
    path: str = WITNESS


class Stage:
    """One system whose parts are killed again and again; its orders all have to end."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.agent: Agent = system.agent("worker", policy={"rules": RULES, "limits": {}})
        self._ann = new_approver(system, "ann")  # who orders does not approve
        self._count = 0

    # -- dying --------------------------------------------------------------------------------

    def arm_hub(self, point: str, *, passes: int = 1) -> None:
        """Restart the hub so that it dies at `point`, the `passes`-th time it gets there."""
        self.system.hub.kill()  # not stopped: a drain would send the agent away for seconds
        self.system.hub.start(fault=f"{point}:{passes}")

    def arm_agent(self, point: str, *, passes: int = 1) -> None:
        """Restart the agent so that it dies at `point`, the `passes`-th time it gets there."""
        self.agent.kill()
        self.agent.start(fault=point, WRIT_FAULT_AFTER=str(passes - 1))

    @contextmanager
    def revived(self, part: Hub | Agent) -> Iterator[list[int]]:
        """Start `part` again, unarmed, as soon as it dies inside the block; yield the exit codes.

        It must have died by the end of the block or within a minute after it.
        """
        codes: list[int] = []
        failed: list[BaseException] = []
        process = part.process
        assert process is not None

        def revive() -> None:
            try:
                codes.append(process.ended(seconds=_LIVES_SECONDS))
                part.start()
            except BaseException as exc:
                failed.append(exc)

        thread = threading.Thread(target=revive, name="revive")
        thread.start()
        try:
            yield codes
        finally:
            thread.join(_LIVES_SECONDS + 40)
        assert not failed, f"it did not die and come back: {failed[0]}"
        assert codes == [-signal.SIGKILL]

    # -- working ------------------------------------------------------------------------------

    def work(self, rng: random.Random | None = None) -> list[Given]:
        """Do everything once, through whatever dies meanwhile; return what was acknowledged.

        Args:
            rng: draws how many orders and in which order; the same fixed work without it.
        """
        given: list[Given] = []
        kinds = ["quick", "slow", "policy", "quick", "asked", "slow"]
        if rng is not None:
            kinds += rng.choices(["quick", "slow"], k=rng.randrange(6))
            rng.shuffle(kinds)
        for kind in kinds:
            if kind == "policy":
                self._again(lambda: self._post("/policies", self._policy()))
            elif kind == "asked":
                given.append(self._asked())
            else:
                given.append(self._order(kind))
        return given

    def judge(self, given: list[Given], *, agent_died: bool = False) -> dict[str, str]:
        """Hold the hub and the agent to SPEC section 8; return the state of every order.

        Every acknowledged order is there and has ended, once, by one result; no line was written
        twice; every succeeded order has its line. Only the death of the agent interrupts.
        """
        ends = {one.id: self.system.end(one.id) for one in given}
        states = {id_: end["state"] for id_, end in ends.items()}
        allowed = {"succeeded", "interrupted"} if agent_died else {"succeeded"}
        assert set(states.values()) <= allowed, states
        for path in {one.path for one in given}:
            written = Counter(self.agent.lines(path))
            for one in given:
                if one.path != path:
                    continue
                times = written[one.line]
                assert times <= 1, f"{one} was done {times} times"
                assert times == 1 or states[one.id] == "interrupted", f"{one} left no line"
        for one in given:
            assert self._leaves(one.id, "intent.submitted") == 1
            assert self._leaves(one.id, "intent.finished") == 1
            assert ends[one.id]["result"] is not None
        return states

    def judge_everything(self) -> None:
        """Every order the hub ever accepted has ended, known to a test or not; so has the record.

        An order whose submission was never acknowledged may have been taken in: it is repeated
        with its key, so nothing is ordered twice, which the lines have shown.
        """
        listed = self.system.rest.items("/intents")
        assert listed
        assert {one["state"] for one in listed} <= TERMINAL
        assert all(count == 1 for count in Counter(self.agent.lines(WITNESS)).values())
        folder = self.system.folder / "record"
        self.system.writ("audit", "export", str(folder))
        self.system.writ("audit", "verify", str(folder), "--root", self.system.hub.root)

    def _order(self, kind: str) -> Given:
        line = self._line()
        if kind == "quick":
            params: dict[str, Any] = {"path": WITNESS, "content": f"{line}\n", "append": True}
            return Given(self._submit("files.write", params, line), line)
        argv = ["sh", "-c", f"echo {line} >> {WITNESS}; sleep 0.4"]
        return Given(self._submit("shell.exec", {"argv": argv}, line), line)

    def _asked(self) -> Given:
        line = self._line()
        params = {"path": "asked", "content": f"{line}\n", "append": True}
        intent = self._submit("files.write", params, line)
        asked = self._again(lambda: self._find_request(intent))
        payload = {
            "requestId": asked["requestId"],
            "callDigest": asked["callDigest"],
            "approved": True,
            "approver": self._ann.did,
            "proof": self._ann.proof,
        }
        decision = self._again(
            lambda: self.system.seal(
                "tool_approval_response", asked["agent"], payload, key="", signer=self._ann.key
            )
        )
        body = {"document": decision.wire.decode()}
        self._again(lambda: self._post(f"/approvals/{asked['id']}/signed", body))
        return Given(intent, line, "asked")

    def _submit(self, action: str, params: dict[str, Any], key: str) -> str:
        body = {"target": {"agent": self.agent.did}, "action": action, "params": params}
        answer: Answer = self._again(lambda: self._post("/intents", body, key=key))
        return str(answer.value["intents"][0]["id"])

    def _find_request(self, intent: str) -> dict[str, Any] | None:
        found = self.system.rest.items("/approvals", state="pending")
        return next((one for one in found if one["intentId"] == intent), None)

    def _post(self, path: str, body: dict[str, Any], key: str | None = None) -> Answer | None:
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.system.rest.send("POST", path, body, headers=headers)
        if answer.status in (409, 503) and answer.code in ("in_progress", "unavailable"):
            return None
        assert answer.status < 300, answer
        return answer

    def _policy(self) -> dict[str, Any]:
        return {"agent": self.agent.did, "rules": RULES, "limits": {}}

    def _again(self, step: Callable[[], Any]) -> Any:
        def probe() -> Any:
            try:
                return step()
            except HubGoneError:
                return None

        return wait_until(probe, "an acknowledgement", seconds=_LIVES_SECONDS)

    def _line(self) -> str:
        self._count += 1
        return f"{self.system.folder.name}-{self._count}"

    def _leaves(self, intent: str, kind: str) -> int:
        return len(self.system.rest.items("/audit", subject=intent, kind=kind))
