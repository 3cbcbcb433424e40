"""A witness on another machine: cosigns what only grew, and signs nothing over a fork."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.interaction.system import System

MakeSystem = Callable[..., System]


class Elsewhere:
    """Another machine: a key, a memory, and the root it trusts."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.folder = system.folder / "elsewhere"
        self.folder.mkdir(mode=0o700)
        self.key = self.folder / "witness.pem"
        self.state = self.folder / "seen.json"
        system.writ("keys", "new", str(self.key))

    def watch(self, *, expect: int = 0) -> Any:
        return self.said(expect=expect)[0]

    def said(self, *, expect: int) -> tuple[Any, str]:
        words = ["audit", "witness", "--key", str(self.key), "--state", str(self.state)]
        return self.system.writ_said(*words, "--root", self.system.hub.root, expect=expect)

    def verify(self, folder: Path, *, expect: int = 0, key: str) -> Any:
        words = ["audit", "verify", str(folder), "--root", self.system.hub.root, "--witness", key]
        return self.system.writ(*words, expect=expect)


def grow(system: System, *names: str) -> None:
    for name in names:
        system.rest.post("/realms", {"id": name})


def test_what_a_witness_has_seen_is_proved_with_its_key_alone(make_system: MakeSystem) -> None:
    system = make_system()
    witness = Elsewhere(system)
    first = witness.watch()
    assert first["before"] is None
    grow(system, "one", "two")
    second = witness.watch()
    assert (second["before"], second["cosigned"]) == (first["cosigned"], first["cosigned"] + 2)
    assert second["witness"] == first["witness"]
    grow(system, "three")
    shown = system.rest.get("/audit/checkpoint")
    assert [one["size"] for one in shown["cosigned"]] == [second["cosigned"]]
    assert shown["size"] == second["cosigned"] + 1
    folder = system.folder / "record"
    system.writ("audit", "export", str(folder))
    for key in (second["witness"], "did:key:" + second["witness"].partition("+")[0].split("/")[-1]):
        good = witness.verify(folder, key=key)
        assert (good["leaves"], good["witnessed"]) == (shown["size"], second["cosigned"])
    bad = witness.verify(folder, key=system.hub.did, expect=1)
    assert not bad["ok"]
    cosigned = folder / "cosigned.json"
    cosigned.write_text(cosigned.read_text().replace(f"\\n{second['cosigned']}\\n", "\\n3\\n"))
    assert not witness.verify(folder, key=second["witness"], expect=1)["ok"]


def test_a_record_that_was_taken_back_is_a_fork_and_nothing_is_signed(
    make_system: MakeSystem,
) -> None:
    system = make_system()
    witness = Elsewhere(system)
    witness.watch()
    system.hub.stop()
    before = system.folder / "before"
    shutil.copytree(system.hub.folder, before)
    system.hub.start()
    grow(system, "told", "and-seen")
    seen = witness.watch()["cosigned"]
    system.hub.stop()
    shutil.rmtree(system.hub.folder)
    shutil.copytree(before, system.hub.folder)
    system.hub.start()
    remembered = witness.state.read_text()
    _, said = witness.said(expect=1)
    assert "log_fork" in said
    assert "shrank" in said
    assert "the proof is on its record now" in said
    # Grown again past what was seen, it is another record still: no proof joins the two.
    grow(system, "never", "told", "before")
    _, said = witness.said(expect=1)
    assert "log_fork" in said
    assert "does not contain" in said
    assert witness.state.read_text() == remembered
    evidence = json.loads(witness.state.with_suffix(".fork.json").read_text())
    assert f"\n{seen}\n" in evidence["seenBefore"]
    assert evidence["shownNow"] != evidence["seenBefore"]
    shown = system.rest.get("/audit/checkpoint")["cosigned"]
    assert all(one["size"] < seen for one in shown)
    # The record says of itself that it has a fork, once for each proof that was handed in.
    file = str(witness.state.with_suffix(".fork.json"))
    assert system.writ("audit", "report-fork", file)["why"] == "not_contained"
    reports = system.rest.items("/audit", kind="audit.fork_reported")
    assert [one["data"]["why"] for one in reports] == ["not_contained", "cut_short"]


def test_a_witness_that_has_lost_its_memory_does_not_guess(make_system: MakeSystem) -> None:
    system = make_system()
    witness = Elsewhere(system)
    witness.watch()
    witness.state.write_text("{}")
    _, said = witness.said(expect=1)
    assert "never guesses" in said


def test_the_hub_shows_no_cosignature_that_does_not_hold(make_system: MakeSystem) -> None:
    system = make_system()
    witness = Elsewhere(system)
    made = witness.watch()
    shown = system.rest.get("/audit/checkpoint")["cosigned"][0]
    line = shown["checkpoint"].splitlines(keepends=True)[-1]
    good = {"size": made["cosigned"], "key": made["witness"], "cosignature": line}
    assert system.rest.send("POST", "/audit/cosignatures", good).status == 201
    for change in (
        {"size": made["cosigned"] - 1},
        {"size": 10_000},
        {"key": shown["key"]},
        {"key": "nobody"},
        {"cosignature": line + line},
        {"cosignature": "\n" + line},
        {"cosignature": line.replace("A", "B", 1)[:-9] + "AAAAAAA=\n"},
        {"cosignature": "x"},
    ):
        answer = system.rest.send("POST", "/audit/cosignatures", {**good, **change})
        assert (answer.status, answer.value["code"]) == (422, "invalid_field"), change
    machine = system.machine("operator")
    assert machine.send("POST", "/audit/cosignatures", good).status == 403
