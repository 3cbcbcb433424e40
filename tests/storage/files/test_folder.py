from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import time

import pytest

from storage.errors import ConflictError, NotFoundError, UnavailableError
from storage.files.errors import BadFileStoreUrlError, DamagedFileError, FileStoreRefusedError
from storage.files.local import HEADER_BYTES, FolderFileStore
from storage.files.open_store import open_file_store


@pytest.fixture
async def store(tmp_path):
    opened = FolderFileStore(tmp_path / "files")
    yield opened
    await opened.close()


async def test_a_folder_has_no_presigned_urls(store):
    assert await store.presign_get("a", 60) is None
    assert await store.presign_put("a", 60, bytes=1, sha256="0" * 64) is None


async def test_files_are_for_the_owner_only(store, tmp_path):
    await store.put("a/b", b"x")
    for path in (tmp_path / "files").rglob("*"):
        if ".locks" not in path.parts:
            assert path.stat().st_mode & 0o077 == 0


async def test_content_follows_a_readable_header(store, tmp_path):
    await store.put("a/b", b"content", content_type="text/plain")
    raw = (tmp_path / "files" / "a" / "b#").read_bytes()
    assert raw[HEADER_BYTES:] == b"content"
    assert raw[:HEADER_BYTES].decode().split()[0] == '{"contentType":'


async def test_damage_is_noticed(store, tmp_path):
    path = tmp_path / "files" / "file#"
    await store.put("file", b"content")
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole + b"x", b"x" * len(whole), b"", whole[:-1] + b"X"):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError):
            await store.read("file", 100)


async def test_a_full_disk_changes_nothing_and_may_pass(store, tmp_path, monkeypatch):
    await store.put("file", b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError) as caught:
        await store.put("file", b"new")
    assert caught.value.retryable
    monkeypatch.undo()
    assert await store.read("file", 9) == b"old"
    assert list((tmp_path / "files" / ".tmp").iterdir()) == []


async def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    store = FolderFileStore(tmp_path / "file" / "below")
    with pytest.raises(FileStoreRefusedError):
        await store.check()
    with pytest.raises(NotFoundError):
        await store.stat("a")
    await store.close()


async def test_drafts_of_a_crash_are_removed_a_day_later(tmp_path):
    drafts = tmp_path / "files" / ".tmp"
    drafts.mkdir(parents=True)
    (drafts / "old").write_text("x")
    (drafts / "young").write_text("x")
    os.utime(drafts / "old", (time.time() - 90_000,) * 2)
    store = FolderFileStore(tmp_path / "files")
    await store.put("a", b"x")
    assert [path.name for path in drafts.iterdir()] == ["young"]
    await store.close()


async def test_a_writer_killed_in_the_middle_leaves_the_old_file(store, tmp_path):
    await store.put("file", b"old")
    code = (
        "import asyncio, os, pathlib, sys\n"
        "from storage.files.local import FolderFileStore\n"
        "async def data():\n"
        "    yield b'x' * 3_000_000\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(FolderFileStore(pathlib.Path(sys.argv[1])).put('file', data()))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path / "files")
    )
    assert await process.wait() == -9
    assert await store.read("file", 9) == b"old"


async def test_conditions_hold_between_processes(store, tmp_path):
    code = (
        "import asyncio, pathlib, sys\n"
        "from storage.errors import ConflictError\n"
        "from storage.files.local import FolderFileStore\n"
        "async def main():\n"
        "    store, won = FolderFileStore(pathlib.Path(sys.argv[1])), 0\n"
        "    for number in range(40):\n"
        "        try:\n"
        "            await store.put(f'key/{number}', sys.argv[2].encode(), if_absent=True)\n"
        "            won += 1\n"
        "        except ConflictError: pass\n"
        "    print(won)\n"
        "asyncio.run(main())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, str(tmp_path / "files"), str(index)),
            stdout=subprocess.PIPE,
        )
        for index in range(3)
    ]
    outs = [(await process.communicate())[0] for process in processes]
    assert sum(int(out) for out in outs) == 40


async def test_a_url_names_a_folder(tmp_path):
    for url in (str(tmp_path / "x"), (tmp_path / "x").as_uri()):
        store = open_file_store(url)
        assert repr(store) == f"FolderFileStore({str(tmp_path / 'x')!r})"
        await store.put("a", b"x") if url.startswith("/") else await store.read("a", 9)
        await store.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "file://other/x",
        "file://",
        "s3://",
        "s3://UPPER/x",
        "s3://bucket/../x",
        "s3://key:secret@bucket/x",
        "s3://bucket/x?y=z",
    ],
)
def test_a_url_that_names_no_store_is_refused(url):
    with pytest.raises(BadFileStoreUrlError) as caught:
        open_file_store(url)
    assert "secret" not in caught.value.message


async def test_a_conflict_leaves_no_draft(store, tmp_path):
    await store.put("file", b"x")
    with pytest.raises(ConflictError):
        await store.put("file", b"y", if_absent=True)
    assert list((tmp_path / "files" / ".tmp").iterdir()) == []
