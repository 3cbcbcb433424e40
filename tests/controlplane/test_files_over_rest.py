"""Files by REST: put as a form or to a granted URL, listed, fetched, removed; names are data."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from protocol.messages import UploadGrant, UploadRequest
from protocol.messages.intents import OutputFile
from tests.controlplane.hubs import Answer, Client, ServedHub, serve

CONTENT = bytes(range(256)) * 3_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILES = "/api/v1/files"


def form(
    content: bytes = CONTENT,
    *,
    filename: str = "report.bin",
    boundary: str = "b0undary",
    after: dict[str, str] | None = None,
    **fields: str,
) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of a form whose file is last, unless `after` follows it."""

    def field(name: str, value: str) -> bytes:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        return f"{head}{value}\r\n".encode()

    data = b"".join(field(*one) for one in fields.items())
    data += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '.encode()
    data += f'filename="{filename}"\r\nContent-Type: text/html\r\n\r\n'.encode()
    data += content + b"\r\n"
    data += b"".join(field(*one) for one in (after or {}).items())
    data += f"--{boundary}--\r\n".encode()
    return data, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


async def put(client: Client, key: str | None = None, *args: Any, **kwargs: Any) -> Answer:
    data, headers = form(*args, **kwargs)
    if key is not None:
        headers["Idempotency-Key"] = key
    return await client.send("POST", FILES, raw=data, headers=headers)


async def machine_key(served: ServedHub, **fields: Any) -> Client:
    body = {"name": "machine", "machine": True, **fields}
    made = await (await served.owner()).post("/api/v1/api-keys", body)
    assert made.status == 201, made.data
    return served.client.as_key(made.json["key"])


async def eventually(probe: Any, *, becomes: bool = True) -> None:
    """Return when `probe` answers so; it is asked every few milliseconds, for ten seconds."""
    async with asyncio.timeout(10):
        while await probe() is not becomes:  # noqa: ASYNC110 - the database announces nothing
            await asyncio.sleep(0.005)


async def stored(served: ServedHub) -> list[str]:
    found: list[str] = []
    for prefix in ("files/", "incoming/"):
        found += [one.key for one in (await served.hub.files.list(prefix, limit=100)).items]
    return found


async def test_a_file_that_was_put_is_listed_fetched_and_removed(served: ServedHub) -> None:
    made = await put(served.client)
    assert (made.status, made.json["bytes"], made.json["sha256"]) == (201, len(CONTENT), DIGEST)
    assert (made.json["name"], made.json["realm"]) == ("report.bin", "default")
    one = f"{FILES}/{made.json['id']}"
    assert (await served.client.get(one)).json == made.json
    listed = await served.client.get(f"{FILES}?realm=default")
    assert listed.json == {"items": [made.json], "nextCursor": None}
    got = await served.client.get(f"{one}/content")
    assert got.data == CONTENT
    assert (await served.client.send("DELETE", one)).status == 204
    for gone in (one, f"{one}/content"):
        assert (await served.client.get(gone)).status == 404
    assert (await served.client.send("DELETE", one)).status == 404
    assert await stored(served) == []
    leaves = (await served.client.get("/api/v1/audit")).json["items"]
    assert {"file.created", "file.deleted"} <= {leaf["kind"] for leaf in leaves}


async def test_what_is_fetched_is_saved_and_never_shown(served: ServedHub) -> None:
    made = await put(served.client, filename="x.html")
    got = await served.client.get(made.json["content"])
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith('attachment; filename="x.html"')
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    head = await served.client.send("HEAD", made.json["content"])
    assert (head.status, head.data) == (200, b"")
    assert head.headers["content-length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/abs", "CON", "a/b", "ünï cödé 日本.txt", "..", "%2e%2e"],
)
async def test_a_name_is_a_name_and_no_path(served: ServedHub, name: str) -> None:
    made = await put(served.client, name=name)
    assert (made.status, made.json["name"]) == (201, name)
    assert await stored(served) == [f"files/{made.json['id']}"]
    shown = (await served.client.get(made.json["content"])).headers["content-disposition"]
    plain = shown.split('"')[1]
    assert not set(plain) & set("/\\\"'%")
    assert not plain.startswith(".")


async def test_a_name_that_no_text_here_may_hold_is_400(served: ServedHub) -> None:
    answer = await served.client.post(FILES, {"name": "a\x00b", "bytes": 1, "sha256": DIGEST})
    assert (answer.status, answer.code) == (400, "bad_request")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 256, "\u202egpj.exe", "  "])
async def test_a_name_that_cannot_be_shown_is_422(served: ServedHub, name: str) -> None:
    body = {"name": name, "bytes": 1, "sha256": DIGEST}
    answer = await served.client.post(FILES, body)
    assert (answer.status, answer.code) == (422, "invalid_field")
    assert answer.json["errors"][0]["pointer"] == "/name"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, len(CONTENT)),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
        ("bytes=5-99999999999", 5, len(CONTENT)),
    ],
)
async def test_a_range_is_answered_by_that_range(
    served: ServedHub, asked: str, start: int, end: int
) -> None:
    made = await put(served.client)
    got = await served.client.get(made.json["content"], headers={"Range": asked})
    assert (got.status, got.data) == (206, CONTENT[start:end])
    assert got.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


async def test_a_range_beyond_the_end_is_416_and_an_odd_one_is_ignored(served: ServedHub) -> None:
    made = await put(served.client)
    beyond = {"Range": f"bytes={len(CONTENT)}-"}
    answer = await served.client.get(made.json["content"], headers=beyond)
    assert (answer.status, answer.code) == (416, "range_not_satisfiable")
    for odd in ("bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=-"):
        got = await served.client.get(made.json["content"], headers={"Range": odd})
        assert (got.status, len(got.data)) == (200, len(CONTENT))
    changed = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert (await served.client.get(made.json["content"], headers=changed)).status == 200


async def test_the_same_key_puts_one_file_whatever_the_boundary(served: ServedHub) -> None:
    first = await put(served.client, "k1")
    again = await put(served.client, "k1", boundary="another")
    other = await put(served.client, "k1", CONTENT + b"!")
    assert again.status == 201
    assert again.json == first.json
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert await stored(served) == [f"files/{first.json['id']}"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d[: len(d) // 2], "bad_request"),
        (lambda d: d[:-6], "bad_request"),
        (lambda d: b"no form at all", "bad_request"),
        (lambda d: b"", "bad_request"),
        (lambda d: d.replace(b'name="file"', b'name="fiel"'), "invalid_field"),
    ],
)
async def test_a_form_that_cannot_be_read_keeps_nothing(
    served: ServedHub, change: Any, code: str
) -> None:
    data, headers = form()
    answer = await served.client.send("POST", FILES, raw=change(data), headers=headers)
    assert answer.code == code
    assert await stored(served) == []
    assert (await served.client.get(FILES)).json["items"] == []


async def test_what_a_form_must_not_have_is_422_and_keeps_nothing(served: ServedHub) -> None:
    for fields in ({"colour": "red"}, {"realm": "nowhere"}, {"after": {"realm": "default"}}):
        answer = await put(served.client, **fields)  # type: ignore[arg-type]
        assert (answer.status, answer.code) == (422, "invalid_field"), fields
    assert await stored(served) == []


async def test_an_upload_that_breaks_off_keeps_nothing(served: ServedHub) -> None:
    data, headers = form()
    reader, writer = await asyncio.open_connection(served.client.host, served.client.port)
    lines = {
        "Host": "hub",
        "Authorization": f"Bearer {served.client.api_key}",
        "Content-Length": str(len(data)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"POST {FILES} HTTP/1.1\r\n{head}\r\n".encode() + data[: len(data) // 2])
    await writer.drain()

    async def begun() -> bool:
        page = await served.hub.database.read(lambda uow: uow.files.list(state="uploading"))
        return bool(page.items)

    await eventually(begun)
    writer.close()
    await eventually(begun, becomes=False)
    assert await stored(served) == []
    assert served.hub.uploads.taken == 0
    del reader


async def test_a_file_over_the_bound_is_413_whether_it_says_so_or_not(tmp_path: Path) -> None:
    async with serve(tmp_path / "hub", max_file_bytes=10_000) as served:
        told = await put(served.client, content=b"x" * 200_000)
        assert told.status == 413
        data, headers = form(b"x" * 200_000)
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
        headers |= {"Transfer-Encoding": "chunked", "Content-Length": ""}
        silent = await served.client.send("POST", FILES, raw=chunked, headers=headers)
        assert (silent.status, silent.code) == (413, "file_too_big")
        assert await stored(served) == []
        assert (await put(served.client, content=b"x" * 10_000)).status == 201


async def test_only_so_many_uploads_run_at_once(tmp_path: Path) -> None:
    async with serve(tmp_path / "hub", max_uploads=1) as served:
        with served.hub.uploads.take(1):
            answer = await put(served.client)
            assert (answer.status, answer.code) == (429, "rate_limited")
        assert (await put(served.client)).status == 201


async def test_a_realm_keeps_its_files_to_itself(served: ServedHub) -> None:
    await served.client.post("/api/v1/realms", {"id": "lab"})
    mine = await put(served.client, realm="default")
    theirs = await put(served.client, realm="lab")
    lab = await machine_key(served, roles=["operator"], realm="lab")
    listed = (await lab.get(FILES)).json["items"]
    assert [one["id"] for one in listed] == [theirs.json["id"]]
    assert (await lab.get(mine.json["content"])).status == 404
    assert (await lab.send("DELETE", f"{FILES}/{mine.json['id']}")).status == 404
    assert (await put(lab, realm="default")).status == 403
    viewer = await machine_key(served, roles=["member"])
    assert (await put(viewer)).status == 403
    assert (await viewer.get(mine.json["content"])).data == CONTENT
    assert (await viewer.send("DELETE", f"{FILES}/{mine.json['id']}")).status == 403


async def announce(client: Client, **more: Any) -> Answer:
    body = {"name": "big.bin", "bytes": len(CONTENT), "sha256": DIGEST, **more}
    return await client.post(FILES, body)


async def send_to(served: ServedHub, upload: dict[str, Any], content: bytes) -> int:
    stranger = served.client.as_key(None)
    path = urlsplit(upload["url"]).path
    return (await stranger.send("PUT", path, raw=content, headers=upload["headers"])).status


async def test_an_announced_file_is_there_when_it_is_completed(served: ServedHub) -> None:
    made = await announce(served.client)
    assert made.status == 201
    one = f"{FILES}/{made.json['id']}"
    early = await served.client.post(f"{one}/complete")
    assert (early.status, early.code) == (409, "conflict")
    assert await send_to(served, made.json["upload"], CONTENT) == 201
    assert (await served.client.get(one)).status == 404
    done = await served.client.post(f"{one}/complete")
    assert (done.status, done.json["state"]) == (200, "ready")
    assert (await served.client.post(f"{one}/complete")).json == done.json
    assert (await served.client.get(f"{one}/content")).data == CONTENT
    assert await stored(served) == [f"files/{made.json['id']}"]


async def test_other_bytes_than_announced_never_become_the_file(served: ServedHub) -> None:
    made = await announce(served.client)
    wrong = CONTENT[:-1] + b"!"
    assert await send_to(served, made.json["upload"], wrong) == 422
    # A store with URLs of its own may take anything: what lies there is looked at again.
    await served.hub.files.put(f"incoming/{made.json['id']}", wrong)
    done = await served.client.post(f"{FILES}/{made.json['id']}/complete")
    assert (done.status, done.code) == (409, "conflict")
    assert (await served.client.get(f"{FILES}/{made.json['id']}")).status == 404


async def test_only_who_announced_a_file_completes_it(served: ServedHub) -> None:
    made = await announce(served.client)
    await send_to(served, made.json["upload"], CONTENT)
    other = await machine_key(served, roles=["admin"])
    assert (await other.post(f"{FILES}/{made.json['id']}/complete")).status == 404


async def test_a_replayed_announcement_leaves_its_url_out(served: ServedHub) -> None:
    body = {"name": "a", "bytes": 1, "sha256": DIGEST}
    key = {"Idempotency-Key": "a1"}
    first = await served.client.post(FILES, body, headers=key)
    again = await served.client.post(FILES, body, headers=key)
    assert again.json == {**first.json, "upload": None}
    other = await served.client.post(FILES, {**body, "name": "b"}, headers=key)
    assert (other.status, other.code) == (422, "idempotency_mismatch")


async def test_what_was_never_finished_is_cleared_away(tmp_path: Path) -> None:
    from controlplane.files.service import clear_unfinished

    async with serve(tmp_path / "hub") as served:
        made = await announce(served.client)
        await send_to(served, made.json["upload"], CONTENT)
        kept = await put(served.client)
        await clear_unfinished(served.hub)
        assert len(await stored(served)) == 2  # nothing is due yet
        hub, id = served.hub, made.json["id"]
        row = await hub.database.read(lambda uow: uow.files.get(id))
        await hub.database.write(lambda uow: uow.files.update(id, expires_at=row.created_at))
        await clear_unfinished(hub)
        assert await stored(served) == [f"files/{kept.json['id']}"]
        assert await hub.database.read(lambda uow: uow.files.get(id)) is None


async def test_a_file_that_was_changed_in_the_store_breaks_off(served: ServedHub) -> None:
    made = await put(served.client)
    await served.hub.files.put(f"files/{made.json['id']}", CONTENT[:-1] + b"!")
    got = await served.client.get(made.json["content"])
    assert len(got.data) < len(CONTENT)


async def test_a_big_output_is_fetched_by_the_link_in_its_order(served: ServedHub) -> None:
    agent = await served.enrol()
    body = {"target": {"agent": agent.did}, "action": "echo", "params": {}}
    order = (await served.client.post("/api/v1/intents", body)).json["intents"][0]
    intent = await agent.document()
    await agent.accept(intent)
    await agent.say(UploadRequest(intent_id=order["id"], bytes=len(CONTENT), sha256=DIGEST))
    grant = await agent.receive(UploadGrant)
    upload = {"url": grant.url, "headers": dict(grant.headers)}
    assert await send_to(served, upload, CONTENT) == 201
    output = OutputFile(bytes=len(CONTENT), sha256=DIGEST)
    await agent.say_document(agent.result(intent, output_file=output))
    await agent.result_acks(1)
    view = (await served.client.get(f"/api/v1/intents/{order['id']}?wait=5")).json
    (file,) = view["files"]
    assert (file["bytes"], file["sha256"]) == (len(CONTENT), DIGEST)
    assert (await served.client.get(file["content"])).data == CONTENT
    listed = (await served.client.get(f"{FILES}?intent={order['id']}")).json["items"]
    assert [one["id"] for one in listed] == [file["id"]]
