"""An implementation in another language, written from SPEC.md, judges every published vector."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parents[1] / "protocol" / "vectors"
FROM_ELSEWHERE = {"jcs", "wycheproof_ed25519.json", "ed25519_speccheck.json"}


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("NODE ABSENT: no `node` on PATH; the verifier in another language DID NOT RUN")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.lstrip("v").split(".")[0]) < 20:
        pytest.skip(
            f"NODE TOO OLD: {version.stdout.strip()}, 20 is needed; the verifier DID NOT RUN"
        )
    return found


def run(node: str, *arguments: Path) -> tuple[int, dict[str, Any]]:
    script = HERE / "verify_vectors.mjs"
    done = subprocess.run(
        [node, script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert not done.stderr, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {report["file"]: report for report in reports}


def test_every_vector_is_judged_as_the_python_implementation_judges_it(node: str) -> None:
    code, reports = run(node)
    assert [report for report in reports.values() if report["failed"]] == []
    assert code == 0
    files = {path.name for path in VECTORS.glob("*.json")}
    assert set(reports) - FROM_ELSEWHERE == files | {"SPEC.md"}
    assert sum(report["passed"] for report in reports.values()) > 300


def test_a_vector_that_says_something_else_is_noticed(node: str, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(VECTORS, folder)
    shutil.copy(VECTORS.parent / "SPEC.md", tmp_path)
    chains = json.loads((folder / "chains.json").read_text("utf-8"))
    changed = next(case for case in chains["cases"] if case["code"] == "revoked")
    changed["code"] = None
    (folder / "chains.json").write_text(json.dumps(chains), "utf-8")
    (folder / "unknown.json").write_text("[]", "utf-8")
    code, reports = run(node, folder, tmp_path / "none")
    assert code == 1
    assert reports["chains.json"]["failed"] == [changed["name"]]
    assert reports["unknown.json"]["passed"] == 0
    assert reports["handshakes.json"]["failed"] == []
