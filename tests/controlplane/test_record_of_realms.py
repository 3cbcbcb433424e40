"""Who reads what of the record: realms apart under one tree, persons erasable, actors graded."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from controlplane.audit.personal import erase_aged
from controlplane.audit.service import RecordKeeper
from controlplane.cli.record import BadRecordError, verify_record, write_record
from controlplane.errors import RecordDamagedError
from protocol.audit_leaf import Assurance, assurance_of
from protocol.keys import PublicKey
from storage.unit_of_work import UnitOfWork
from tests.controlplane.hubs import Client, ServedHub

LISTED = "/api/v1/audit?limit=200"


async def entries(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = await client.get(LISTED + query)
    assert answer.status == 200, answer.data
    return list(answer.json["items"])


async def take_away(client: Client, folder: Path, query: str = "") -> Path:
    answer = await client.get(f"/api/v1/audit/export{query}")
    assert answer.status == 200, answer.data
    rows = [json.loads(line) for line in answer.data.decode().splitlines()]
    write_record(rows, folder, on_leaf=lambda _count: None)
    return folder


async def two_realms(served: ServedHub) -> tuple[Client, Client]:
    """An auditor of the realm `lab`, and the owner, who has done something in two realms."""
    owner = await served.owner()
    for realm in ("lab", "plant"):
        made = await owner.post("/api/v1/realms", {"id": realm, "description": f"of {realm}"})
        assert made.status == 201, made.data
    return await served.person("zoe", "auditor", "lab"), owner


async def test_a_reader_of_a_realm_reads_that_realm_alone(served: ServedHub) -> None:
    auditor, owner = await two_realms(served)
    theirs = await entries(auditor)
    assert {"realm.created", "invitation.used", "member.set"} <= {one["kind"] for one in theirs}
    assert all(one["realms"] == ["lab"] for one in theirs)
    everything = await entries(owner)
    assert [one for one in everything if "lab" in one["realms"]] == theirs
    assert await entries(owner, "&realm=lab") == theirs
    assert (await auditor.get(f"{LISTED}&realm=plant")).status == 404
    for one in everything:
        answer = await auditor.get(f"/api/v1/audit/proof/inclusion?index={one['index']}")
        assert answer.status == (200 if one in theirs else 404)


async def test_what_a_realm_takes_away_is_proved_under_the_one_tree(
    served: ServedHub, tmp_path: Path
) -> None:
    auditor, owner = await two_realms(served)
    root = PublicKey.parse_did(served.hub.identity.root_did)
    folder = await take_away(auditor, tmp_path / "lab")
    report = verify_record(folder, root=root)
    theirs = await entries(auditor)
    assert report.shown == len(theirs) < report.size
    said = "".join(path.read_text() for path in folder.iterdir() if path.is_file())
    assert "of lab" in said
    assert "plant" not in said
    whole = verify_record(await take_away(owner, tmp_path / "all"), root=root)
    assert whole.size >= report.size
    chosen = await take_away(owner, tmp_path / "some", "?kind=realm.*")
    assert verify_record(chosen, root=root).shown == 2


async def test_a_person_who_is_removed_is_forgotten_and_every_proof_still_holds(
    served: ServedHub, tmp_path: Path
) -> None:
    owner = await served.owner()
    admin = await served.person("zoe", "admin")
    me = (await admin.get("/api/v1/me")).json["id"]
    made = await admin.post("/api/v1/realms", {"id": "attic", "description": "where Zoë sleeps"})
    assert made.status == 201
    changed = await admin.send("PATCH", "/api/v1/realms/attic", {"description": "Zoë's bed"})
    assert changed.status == 200, changed.data
    (entry,) = await entries(owner, "&kind=realm.changed")
    assert entry["personal"] == {"description": "Zoë's bed"}
    assert "Zoë" not in entry["leaf"]
    root = PublicKey.parse_did(served.hub.identity.root_did)
    before = verify_record(await take_away(owner, tmp_path / "before"), root=root)
    assert (await owner.send("DELETE", f"/api/v1/users/{me}")).status == 204
    (after,) = await entries(owner, "&kind=realm.changed")
    assert after == {**entry, "personal": {"description": None}}
    (erased,) = await entries(owner, "&kind=audit.erased")
    assert erased["subject"] == f"user:{me}"
    assert erased["data"]["values"] >= 1
    folder = await take_away(owner, tmp_path / "after")
    assert verify_record(folder, root=root).personal < before.personal
    assert "Zoë" not in "".join(p.read_text() for p in folder.iterdir() if p.is_file())


async def test_personal_values_go_when_they_are_old_and_their_going_is_recorded(
    served: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await served.owner()
    await owner.post("/api/v1/join-tokens", {"name": "annas-*"})
    (entry,) = await entries(owner, "&kind=join_token.created")
    assert entry["personal"] == {"name": "annas-*"}
    assert await erase_aged(served.hub) == 0
    young = served.settings.model_copy(update={"audit_personal_seconds": -60})
    object.__setattr__(served.hub, "settings", young)
    assert await erase_aged(served.hub) >= 1
    (entry,) = await entries(owner, "&kind=join_token.created")
    assert entry["personal"] == {"name": None}
    (erased,) = await entries(owner, "&kind=audit.erased")
    assert erased["actor"] == "hub"


async def test_every_entry_says_how_its_actor_is_known(served: ServedHub) -> None:
    agent = await served.enrol()
    order = {"target": {"agent": agent.did}, "action": "echo", "params": {}}
    person = (await (await served.person("ben", "operator")).get("/api/v1/me")).json["id"]
    for more in ({}, {"onBehalfOf": f"user:{person}"}):
        answer = await served.client.post("/api/v1/intents", {**order, **more})
        assert answer.status == 202, answer.data
    represented, own = await entries(served.client, "&kind=intent.submitted")
    assert (own["assurance"], own["data"].get("onBehalfOf")) == ("enforced", None)
    assert represented["assurance"] == "attributed"
    assert represented["data"]["onBehalfOf"] == f"user:{person}"
    (enrolled,) = await entries(served.client, "&kind=agent.enrolled")
    assert enrolled["assurance"] == "attributed"  # whoever showed the token
    by_console = await entries(served.client, "&actor=console")
    assert {one["assurance"] for one in by_console} <= {"unknown"}
    everything = await entries(served.client)
    assert {one["assurance"] for one in everything} <= {one.value for one in Assurance}


@pytest.mark.parametrize(
    ("actor", "assurance"),
    [
        ("user:1", Assurance.ENFORCED),
        ("key:1", Assurance.ENFORCED),
        ("did:key:z6Mk", Assurance.ENFORCED),
        ("hub", Assurance.ENFORCED),
        ("oidc:corp", Assurance.ATTRIBUTED),
        ("console", Assurance.UNKNOWN),
        ("hubby", Assurance.UNKNOWN),
        ("", Assurance.UNKNOWN),
    ],
)
def test_the_form_of_an_actor_tells_how_they_are_known(actor: str, assurance: Assurance) -> None:
    assert assurance_of(actor) is assurance


async def test_the_record_leaves_as_lines_for_other_programs(served: ServedHub) -> None:
    owner = await served.owner()
    await owner.post("/api/v1/join-tokens", {"name": "a|b=c\\d"})
    listed = await entries(owner)
    lines = (await owner.get("/api/v1/audit/export?format=jsonl")).data.decode().splitlines()
    assert [json.loads(line)["index"] for line in lines] == [one["index"] for one in listed][::-1]
    answer = await owner.get("/api/v1/audit/export?format=cef&kind=join_token.created")
    assert answer.headers["content-type"].startswith("text/plain")
    (line,) = answer.data.decode().splitlines()
    assert line.startswith("CEF:0|Writ|hub|")
    assert line.split("|")[4:7] == ["join_token.created", "join token created", "3"]
    assert '"a|b\\=c\\\\\\\\d"' in line
    assert (await owner.get("/api/v1/audit/export?format=xml")).status == 422
    assert (await owner.get("/api/v1/audit?since=yesterday")).code == "invalid_field"


async def test_leaves_changed_in_the_database_are_never_signed(served: ServedHub) -> None:
    hub, owner = served.hub, await served.owner()

    def behind_its_back(uow: UnitOfWork) -> None:
        for statement in (
            "DROP TRIGGER audit_leaves_refuse_update",
            'UPDATE audit_leaves SET hash = zeroblob(32) WHERE "index" = 1',
        ):
            uow.transaction.core(text(statement))
        uow.audit.append("k", "hub", "s", {})

    await hub.database.write(behind_its_back)
    started_anew = RecordKeeper(hub.database, hub.identity)
    with pytest.raises(RecordDamagedError):
        await started_anew.sign_newest()
    object.__setattr__(hub, "record", started_anew)
    assert (await owner.get("/api/v1/audit/checkpoint")).code == "record_damaged"


async def test_a_row_that_was_edited_is_named_by_its_index(
    served: ServedHub, tmp_path: Path
) -> None:
    hub, owner = served.hub, await served.owner()

    def behind_its_back(uow: UnitOfWork) -> None:
        for statement in (
            "DROP TRIGGER audit_leaves_refuse_update",
            "UPDATE audit_leaves SET leaf = CAST(replace(leaf, 'hub', 'hut') AS BLOB) "
            'WHERE "index" = 3',
        ):
            uow.transaction.core(text(statement))

    await hub.database.write(behind_its_back)
    folder = await take_away(owner, tmp_path / "record")
    with pytest.raises(BadRecordError) as caught:
        verify_record(folder, root=PublicKey.parse_did(hub.identity.root_did))
    assert caught.value.index == 3


async def test_checkpoints_asked_for_at_once_are_of_one_tree(served: ServedHub) -> None:
    hub = served.hub
    fresh = RecordKeeper(hub.database, hub.identity)
    signed = await asyncio.gather(*(fresh.sign_newest() for _ in range(8)))
    texts = {one.text for one in signed if one is not None}
    sizes = {text.splitlines()[1] for text in texts}  # the hub may write an entry meanwhile
    assert len(texts) == len(sizes)
