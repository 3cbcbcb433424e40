"""What can be proved offline with nothing but the root's DID: results, and the whole record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.interaction.fixtures import Fleet


def documents_of(fleet: Fleet) -> dict[str, Any]:
    return fleet.system.run(fleet.worker, "echo", proof="offline")


def test_a_result_is_verified_offline_and_a_tampered_one_is_not(fleet: Fleet) -> None:
    system = fleet.system
    path = system.save_documents(documents_of(fleet), "good.json")
    # No hub is asked: the address leads nowhere.
    nowhere = {"WRIT_URL": "http://127.0.0.1:1", "WRIT_API_KEY": "none"}
    report = system.writ("verify", str(path), "--root", system.hub.root, **nowhere)
    assert report["ok"]
    assert {"intent", "result"} <= {row["type"] for row in report["documents"]}
    text = path.read_text()
    assert "offline" in text
    for number, (old, new) in enumerate((("offline", "on-line"), ("succeeded", "succeedeD"))):
        forged = Path(system.folder / f"forged-{number}.json")
        forged.write_text(text.replace(old, new, 1) if number else text.replace(old, new))
        bad = system.writ("verify", str(forged), "--root", system.hub.root, expect=1)
        assert not bad["ok"]
        assert "bad_signature" in json.dumps(bad)


def test_a_result_of_another_root_proves_nothing(fleet: Fleet) -> None:
    system = fleet.system
    path = system.save_documents(documents_of(fleet), "other-root.json")
    stranger = system.hub.made["operatorDid"]
    report = system.writ("verify", str(path), "--root", stranger, expect=1)
    assert not report["ok"]


def test_a_result_swapped_for_another_orders_is_found(fleet: Fleet) -> None:
    system = fleet.system
    first, second = documents_of(fleet), documents_of(fleet)
    first["documents"]["result"] = second["documents"]["result"]
    path = system.save_documents(first, "swapped.json")
    assert not system.writ("verify", str(path), "--root", system.hub.root, expect=1)["ok"]


def test_the_record_is_exported_and_verified_offline_and_a_changed_leaf_is_named(
    fleet: Fleet,
) -> None:
    system = fleet.system
    intent = documents_of(fleet)
    folder = system.folder / "record"
    system.writ("audit", "export", str(folder))
    good = system.writ("audit", "verify", str(folder), "--root", system.hub.root)
    assert good["ok"]
    leaves = folder / "leaves.jsonl"
    lines = leaves.read_text().splitlines(keepends=True)
    assert good["leaves"] == len(lines)
    index = next(number for number, line in enumerate(lines) if intent["id"] in line)
    lines[index] = lines[index].replace(intent["id"], intent["id"][:-1] + "0", 1)
    leaves.write_text("".join(lines))
    bad = system.writ("audit", "verify", str(folder), "--root", system.hub.root, expect=1)
    assert (bad["ok"], bad["index"]) == (False, index)
