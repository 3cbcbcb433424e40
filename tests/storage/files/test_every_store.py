from __future__ import annotations

import asyncio
import hashlib
import random
from datetime import UTC, datetime, timedelta

import pytest

from storage.errors import BadCursorError, ConflictError, NotFoundError
from storage.files.base import FileStore
from storage.files.errors import BadFileKeyError, FileTooBigError
from storage.files.local import FolderFileStore
from tests.storage.files.conftest import MAX_FILE_BYTES, PART_BYTES


async def collect(chunks) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def stream(*chunks: bytes, fail: Exception | None = None):
    for chunk in chunks:
        yield chunk
    if fail is not None:
        raise fail


async def test_it_is_a_file_store_and_says_that_it_works(store):
    assert isinstance(store, FileStore)
    await store.check()
    assert (await store.list("", limit=10)).items == ()


async def test_what_is_put_comes_back(store):
    content = bytes(range(256)) * 10
    info = await store.put("a/b.bin", content, content_type="image/png")
    digest = hashlib.sha256(content).hexdigest()
    assert (info.key, info.bytes, info.sha256, info.content_type) == (
        "a/b.bin", 2560, digest, "image/png",
    )  # fmt: skip
    found = await store.stat("a/b.bin")
    assert (found.bytes, found.etag, found.sha256) == (info.bytes, info.etag, digest)
    assert found.content_type == "image/png"
    assert abs(found.modified_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert found.modified_at.utcoffset() == timedelta(0)
    assert await store.read("a/b.bin", 2560) == content
    assert await collect(await store.get("a/b.bin")) == content


async def test_an_empty_file_is_a_file(store):
    await store.put("empty", b"")
    await store.put("empty-too", stream(b"", b""))
    assert (await store.stat("empty")).bytes == 0
    assert await collect(await store.get("empty")) == b""
    assert await store.read("empty-too", 0) == b""


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES * 2 + 17])
async def test_a_stream_of_any_size_and_cut_comes_back(store, size):
    content = random.Random(size).randbytes(size)
    cuts = [content[start : start + 777_777] for start in range(0, size, 777_777)]
    info = await store.put("stream", stream(*cuts))
    assert (info.bytes, info.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert (await store.stat("stream")).etag == info.etag
    assert await collect(await store.get("stream")) == content
    whole = await store.put("whole", content)
    assert whole.sha256 == info.sha256
    assert await store.read("whole", size) == content


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 4), (3, 7), (3, None), (None, 3), (9, 100), (10, None), (500, 600), (4, 4), (0, 0)],
)
async def test_a_range_is_cut_as_python_would(store, start, end):
    content = b"0123456789"
    await store.put("file", content)
    assert await collect(await store.get("file", start=start, end=end)) == content[start:end]


async def test_a_range_that_cannot_be_is_refused(store):
    await store.put("file", b"x")
    for start, end in ((-1, None), (3, 2)):
        with pytest.raises(ValueError, match="range"):
            await store.get("file", start=start, end=end)


async def test_what_is_missing_is_not_found(store):
    for call in (store.stat("no"), store.get("no"), store.get("no", start=1), store.read("no", 9)):
        with pytest.raises(NotFoundError):
            await call
    await store.delete("no")
    await store.put("file", b"x")
    await store.delete("file")
    with pytest.raises(NotFoundError):
        await store.stat("file")


async def test_reading_is_bounded(store):
    await store.put("file", b"x" * 1001)
    with pytest.raises(FileTooBigError):
        await store.read("file", 1000)


async def test_a_key_is_a_name_and_a_folder_at_once(store):
    await store.put("a", b"1")
    await store.put("a/b", b"2")
    await store.put("a/b/c", b"3")
    assert [await store.read(key, 1) for key in ("a", "a/b", "a/b/c")] == [b"1", b"2", b"3"]


BAD_KEYS = [
    "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.tmp", "a\\b",
    "a b", "a#", "a\0b", "ä", "a\nb", "%2e%2e/a", "a" * 201, "a/" * 260 + "a", "-rf", "~",
]  # fmt: skip


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_a_key_that_could_lead_astray_is_refused_everywhere(store, key):
    for call in (
        store.put(key, b"x"),
        store.get(key),
        store.read(key, 1),
        store.stat(key),
        store.delete(key),
    ):
        with pytest.raises(BadFileKeyError):
            await call


async def test_a_content_type_that_breaks_a_header_is_refused(store):
    for kind in ("a\r\nb: c", "ä", "", "x" * 300):
        with pytest.raises(BadFileKeyError):
            await store.put("file", b"x", content_type=kind)


async def test_if_absent_writes_once(store):
    await store.put("file", b"one", if_absent=True)
    with pytest.raises(ConflictError):
        await store.put("file", b"two", if_absent=True)
    with pytest.raises(ConflictError):
        await store.put("file", stream(b"x" * PART_BYTES, b"y"), if_absent=True)
    assert await store.read("file", 9) == b"one"


async def test_if_match_writes_over_what_was_seen_only(store):
    first = await store.put("file", b"one")
    second = await store.put("file", b"two", if_match=first.etag)
    with pytest.raises(ConflictError):
        await store.put("file", b"three", if_match=first.etag)
    with pytest.raises(ConflictError):
        await store.put("file", stream(b"x" * PART_BYTES, b"y"), if_match=first.etag)
    with pytest.raises((ConflictError, NotFoundError)):
        await store.put("missing", b"x", if_match=first.etag)
    assert (await store.stat("file")).etag == second.etag
    big = await store.put("file", stream(b"x" * PART_BYTES, b"y"), if_match=second.etag)
    assert (await store.put("file", b"end", if_match=big.etag)).bytes == 3


async def test_of_many_at_once_exactly_one_wins(store):
    await store.put("count", b"0")

    async def add(number: int) -> bool:
        seen = await store.stat("count")
        try:
            await store.put("count", str(number).encode(), if_match=seen.etag)
        except ConflictError:
            return False
        return True

    async def create(number: int) -> bool:
        try:
            await store.put("once", str(number).encode(), if_absent=True)
        except ConflictError:
            return False
        return True

    assert sum(await asyncio.gather(*(create(number) for number in range(12)))) == 1
    winners = await asyncio.gather(*(add(number) for number in range(1, 13)))
    assert sum(winners) >= 1
    assert winners[int(await store.read("count", 9)) - 1]


async def test_a_stream_that_fails_changes_nothing(store):
    await store.put("file", b"old")
    for size in (10, PART_BYTES + 10):
        with pytest.raises(RuntimeError, match="gone"):
            await store.put("file", stream(b"x" * size, fail=RuntimeError("gone")))
        with pytest.raises(RuntimeError, match="gone"):
            await store.put("new", stream(b"x" * size, fail=RuntimeError("gone")))
    assert await store.read("file", 9) == b"old"
    assert [info.key for info in (await store.list("", limit=9)).items] == ["file"]


async def test_a_file_over_the_bound_is_refused_and_leaves_nothing(store):
    with pytest.raises(FileTooBigError):
        await store.put("file", stream(*[b"x" * (1 << 20)] * 13))
    with pytest.raises(FileTooBigError):
        await store.put("file", b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(NotFoundError):
        await store.stat("file")


async def test_a_cancelled_put_changes_nothing(store):
    started = asyncio.Event()

    async def endless():
        yield b"x" * (PART_BYTES + 1)
        yield b"x" * PART_BYTES
        started.set()
        await asyncio.Event().wait()

    await store.put("file", b"old")
    task = asyncio.create_task(store.put("file", endless()))
    async with asyncio.timeout(20):
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await store.read("file", 9) == b"old"


async def test_listing_comes_in_pages_in_the_order_of_keys(store):
    keys = ["a", "a-b", "a.b", "a/1", "a/2", "a/b/c", "a0", "b", "b/x", "c/d/e/f", "c/d/e0"]
    for key in random.Random(1).sample(keys, len(keys)):
        await store.put(key, key.encode())
    everything = await store.list("", limit=100)
    assert sorted(info.key for info in everything.items) == sorted(keys)
    if isinstance(store, FolderFileStore):
        assert [info.key for info in everything.items] == sorted(keys)
    assert everything.next_cursor is None
    assert {info.key: info.bytes for info in everything.items} == {k: len(k) for k in keys}
    stat = await store.stat("a/b/c")
    assert next(i for i in everything.items if i.key == "a/b/c").etag == stat.etag
    for limit in (1, 2, 3, 11):
        found, cursor = [], None
        while True:
            page = await store.list("", limit=limit, cursor=cursor)
            assert len(page.items) <= limit
            found += [info.key for info in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == [info.key for info in everything.items]
    for prefix in ("a", "a/", "a/b", "c/d/e", "b", "x", "a-"):
        page = await store.list(prefix, limit=100)
        assert {i.key for i in page.items} == {k for k in keys if k.startswith(prefix)}


async def test_a_page_survives_the_removal_of_its_last_key(store):
    for key in "abcd":
        await store.put(key, b"x")
    page = await store.list("", limit=2)
    await store.delete("b")
    rest = await store.list("", limit=9, cursor=page.next_cursor)
    assert [info.key for info in rest.items] == ["c", "d"]


async def test_a_bad_cursor_or_prefix_is_refused(store):
    with pytest.raises(BadCursorError):
        await store.list("", limit=1, cursor="nonsense")
    for prefix in ("../", ".tmp", "a/..", "a#", "/..", "ä", "a\0"):
        with pytest.raises(BadFileKeyError):
            await store.list(prefix, limit=1)


async def test_a_reader_sees_one_version_to_the_end(store):
    old, new = b"a" * 3_000_000, b"b" * 3_000_000
    await store.put("file", old)
    chunks = await store.get("file")
    head = await anext(chunks)
    await store.put("file", new)
    assert head + await collect(chunks) == old
    assert await store.read("file", 3_000_000) == new
