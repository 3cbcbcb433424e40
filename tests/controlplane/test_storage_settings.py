"""Where files are kept: tried out for real, switched while the hub runs, and remembered."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.hubs import ServedHub, serve
from tests.controlplane.test_files_over_rest import (
    CONTENT,
    FILES,
    announce,
    eventually,
    machine_key,
    put,
)
from tests.servers.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server

STORAGE = "/api/v1/settings/storage"


def s3_body(server: S3Server, **more: Any) -> dict[str, Any]:
    return {
        "url": f"s3://{BUCKET}/{server.make_prefix()}",
        "endpoint": server.endpoint,
        "credentials": {"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY},
        **more,
    }


async def switch(served: ServedHub, body: dict[str, Any], etag: str | None = None) -> Any:
    headers = {} if etag is None else {"If-Match": etag}
    return await served.client.send("PATCH", STORAGE, body, headers=headers)


async def test_a_new_hub_keeps_files_in_its_folder(served: ServedHub) -> None:
    shown = await served.client.get(STORAGE)
    assert shown.json["url"] == str(served.settings.data_dir / "files")
    assert (shown.json["origin"], shown.json["conditionalWrites"]) == ("default", True)
    assert shown.headers["etag"] == shown.json["etag"] == '"0"'
    tested = await served.client.post(f"{STORAGE}/test")
    assert tested.json["ok"] is True


async def test_files_move_to_s3_and_back_while_the_hub_runs_and_stay_readable(
    served: ServedHub, s3_server: S3Server
) -> None:
    before = await put(served.client, name="before")
    body = s3_body(s3_server)
    tested = await served.client.post(f"{STORAGE}/test", body)
    assert tested.json["ok"], tested.json
    assert tested.json["conditionalWrites"] is True
    assert (await served.client.get(STORAGE)).json["etag"] == '"0"'  # a test changes nothing

    switched = await switch(served, body, '"0"')
    assert switched.status == 200, switched.data
    assert (switched.json["url"], switched.json["origin"]) == (body["url"], "setting")
    assert switched.json["hasCredentials"] is True
    during = await put(served.client, name="during")
    announced = await announce(served.client, name="announced")
    upload = announced.json["upload"]
    assert upload["url"].startswith(s3_server.endpoint)
    assert await asyncio.to_thread(put_to, upload, CONTENT) == 200
    done = await served.client.post(f"{FILES}/{announced.json['id']}/complete")
    assert (done.status, done.json["state"]) == (200, "ready"), done.data

    back = await switch(served, {"url": None}, switched.json["etag"])
    assert (back.json["hasCredentials"], back.json["earlier"]) == (False, [body["url"]])
    after = await put(served.client, name="after")
    for one in (before, during, announced, after):
        got = await served.client.get(f"{FILES}/{one.json['id']}/content")
        assert got.data == CONTENT
        assert (await served.client.send("DELETE", f"{FILES}/{one.json['id']}")).status == 204
    part = await served.hub.files.list("files/", limit=10)
    assert part.items == ()


def put_to(upload: dict[str, Any], content: bytes) -> int:
    import urllib3

    answer = urllib3.request("PUT", upload["url"], body=content, headers=upload["headers"])
    return answer.status


async def test_the_choice_survives_a_restart_and_its_secret_is_nowhere_to_read(
    tmp_path: Path, s3_server: S3Server
) -> None:
    body = s3_body(s3_server)
    async with serve(tmp_path / "hub") as served:
        key = served.client.api_key
        switched = await switch(served, body)
        made = await put(served.client)
        shown = [switched.data, (await served.client.get(STORAGE)).data]
        shown.append((await served.client.get("/api/v1/audit/export")).data)
    async with serve(tmp_path / "hub", key) as served:
        assert (await served.client.get(STORAGE)).json["url"] == body["url"]
        assert (await served.client.get(made.json["content"])).data == CONTENT
    database = sqlite3.connect(tmp_path / "hub" / "hub.db")
    (kept,) = database.execute("select value from settings where key = 'storage'").fetchone()
    database.close()
    assert json.loads(kept)["present"]["url"] == body["url"]
    for text in (*shown, kept.encode()):
        assert SECRET_KEY.encode() not in text
        assert ACCESS_KEY.encode() not in text
    for path in (tmp_path / "hub").rglob("*"):
        assert not path.is_file() or SECRET_KEY.encode() not in path.read_bytes()


async def test_a_store_that_fails_its_test_is_not_switched_to(
    served: ServedHub, s3_server: S3Server
) -> None:
    wrong = {"accessKeyId": ACCESS_KEY, "secretAccessKey": "another"}
    for body in (
        s3_body(s3_server, credentials=wrong),
        s3_body(s3_server, url="s3://no-such-bucket/x"),
        s3_body(s3_server, endpoint="http://127.0.0.1:1"),
    ):
        tested = await served.client.post(f"{STORAGE}/test", body)
        assert tested.json["ok"] is False
        assert tested.json["code"]
        answer = await switch(served, body)
        assert (answer.status, answer.code) == (422, "storage_test_failed")
        assert SECRET_KEY not in answer.data.decode()
    assert (await served.client.get(STORAGE)).json["etag"] == '"0"'
    assert (await put(served.client)).status == 201


async def test_a_choice_that_was_changed_meanwhile_is_412(served: ServedHub) -> None:
    first = await switch(served, {"url": "other-files"}, '"0"')
    assert first.json["url"] == str(served.settings.data_dir / "other-files")
    late = await switch(served, {"url": None}, '"0"')
    assert (late.status, late.code) == (412, "precondition_failed")
    leaves = (await served.client.get("/api/v1/audit")).json["items"]
    assert [one["kind"] for one in leaves].count("settings.storage_changed") == 1


@pytest.mark.parametrize("url", ["/etc", "..", "keys", "keys/x", ".", "ftp://x/y"])
async def test_no_folder_outside_the_hubs_own_can_be_chosen(served: ServedHub, url: str) -> None:
    answer = await switch(served, {"url": url})
    assert (answer.status, answer.code) == (422, "invalid_field")
    assert answer.json["errors"][0]["pointer"] == "/url"


async def test_credentials_are_not_carried_to_another_server(
    served: ServedHub, s3_server: S3Server
) -> None:
    assert (await switch(served, s3_body(s3_server))).status == 200
    moved = await served.client.post(f"{STORAGE}/test", {"endpoint": "http://127.0.0.1:1"})
    assert moved.json["code"] == "file_store_refused"  # no credentials: nothing was sent
    same = await served.client.post(f"{STORAGE}/test", {"region": "eu-west-1"})
    assert same.json["ok"] is True


async def test_who_may_not_change_settings_may_not_test_them(served: ServedHub) -> None:
    auditor = await machine_key(served, roles=["auditor"])
    assert (await auditor.get(STORAGE)).status == 200
    assert (await auditor.send("PATCH", STORAGE, {"url": None})).status == 403
    assert (await auditor.post(f"{STORAGE}/test")).status == 403
    operator = await machine_key(served, roles=["operator"])
    assert (await operator.get(STORAGE)).status == 403


async def test_another_hub_process_on_the_same_database_follows(tmp_path: Path) -> None:
    from controlplane.file_stores import StorageKeeper

    async with serve(tmp_path / "hub") as served:
        hub = served.hub
        second = await StorageKeeper.load(hub.settings, hub.secrets, hub.database)
        await switch(served, {"url": "elsewhere"})
        made = await put(served.client)

        async def followed() -> bool:
            await second.refresh()
            return second.storage.revision > 0

        await eventually(followed)
        assert await second.files.read(f"files/{made.json['id']}", len(CONTENT)) == CONTENT
        await second.files.close()
