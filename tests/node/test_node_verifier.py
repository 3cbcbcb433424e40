"""The dashboard's proof library, written from SPEC.md in another language, judges every vector.

It shares no line with the Python implementation. Both engines that run it are asked, as each
brings its own Ed25519: Node's (OpenSSL) and the browser's (BoringSSL).
"""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.node.conftest import HERE, NODE

VECTORS = HERE.parents[1] / "protocol" / "vectors"
SHARED = HERE.parents[2] / "shared" / "vectors"
FROM_ELSEWHERE = {"jcs", "wycheproof_ed25519.json", "ed25519_speccheck.json"}


def run(*arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    script = HERE / "verify_vectors.mjs"
    done = subprocess.run(
        [NODE, script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert not done.stderr, done.stderr
    # Not `splitlines`, which also ends lines at U+2028.
    lines = done.stdout.removesuffix("\n").split("\n")
    return done.returncode, [json.loads(line) for line in lines]


def check_reports(reports: list[dict[str, Any]]) -> None:
    """Every file was judged, and every case as the Python implementation judges it."""
    assert [report for report in reports if report["failed"]] == []
    files = {path.name for path in VECTORS.glob("*.json")}
    assert {report["file"] for report in reports} - FROM_ELSEWHERE == files | {"SPEC.md"}
    assert sum(report["passed"] for report in reports) > 300


def test_every_vector_is_judged_as_the_python_implementation_judges_it() -> None:
    code, reports = run()
    check_reports(reports)
    assert code == 0


def test_a_vector_that_says_something_else_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(VECTORS, folder)
    shutil.copy(VECTORS.parent / "SPEC.md", tmp_path)
    chains = json.loads((folder / "chains.json").read_text("utf-8"))
    changed = next(case for case in chains["cases"] if case["code"] == "revoked")
    changed["code"] = None
    (folder / "chains.json").write_text(json.dumps(chains), "utf-8")
    (folder / "unknown.json").write_text("[]", "utf-8")
    code, lines = run(folder, tmp_path / "none")
    reports = {report["file"]: report for report in lines}
    assert code == 1
    assert reports["chains.json"]["failed"] == [changed["name"]]
    assert reports["unknown.json"]["passed"] == 0
    assert reports["handshakes.json"]["failed"] == []


class Scripts(http.server.SimpleHTTPRequestHandler):
    """Serves a folder of scripts; a browser goes by the type, not by the name."""

    def guess_type(self, path: Any) -> str:
        """Return the type of a script for every script."""
        script = str(path).endswith((".ts", ".mjs"))
        return "text/javascript" if script else super().guess_type(path)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def page_url(tmp_path: Path) -> Iterator[str]:
    """Where the library and its judges are served as scripts."""
    subprocess.run([NODE, HERE / "strip_types.mjs", tmp_path], check=True, timeout=60)
    (tmp_path / "index.html").write_text("<!doctype html><title>vectors</title>")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Scripts, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_real_browser_judges_them_the_same(page_url: str) -> None:
    path = find_chromium()
    if path is None:
        pytest.skip("CHROMIUM ABSENT: the vectors DID NOT RUN in a browser")
    from playwright.sync_api import sync_playwright

    _, contents = run("--content")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        page = browser.new_page()
        page.goto(f"{page_url}/index.html")
        reports = page.evaluate(
            """async (contents) => {
              const { judge } = await import("/tests/node/judges.mjs");
              return Promise.all(contents.map(({ file, content }) => judge(file, content)));
            }""",
            contents,
        )
        browser.close()
    check_reports(reports)
