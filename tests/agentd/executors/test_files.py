from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time

import pytest

from agentd.errors import ExecutorError
from agentd.executors.base import count_output_bytes, parse_params
from agentd.executors.echo import Echo
from agentd.executors.files import FilesList, FilesRead, FilesWrite
from agentd.executors.search import FilesSearch
from protocol import limits
from protocol.canonical import canonical_json
from protocol.errors import BadParamsError
from protocol.strict_json import check_json_profile

READ, WRITE, LIST, SEARCH, ECHO = FilesRead(), FilesWrite(), FilesList(), FilesSearch(), Echo()


async def code_of(awaitable) -> str:
    with pytest.raises(ExecutorError) as caught:
        await awaitable
    return caught.value.code


async def test_echo_gives_back_every_value_unchanged(run):
    params = {"a": [1, 1.5, True, None, "ä"], "b": {"c": {}}}
    output = await run(ECHO, params)
    assert canonical_json(output) == canonical_json(params)
    assert await run(ECHO, {}) == {}


@pytest.mark.parametrize(
    ("content", "encoding", "shown"),
    [
        (b"text \xc3\xa4\r\n", "utf-8", "text \u00e4\r\n"),
        (b"", "utf-8", ""),
        (b"\xff\x00", "base64", "/wA="),
        (b"a\0b", "base64", "YQBi"),
    ],
)
async def test_reading_gives_text_where_it_is_text(run, workspace, content, encoding, shown):
    (workspace.root / "file").write_bytes(content)
    assert await run(READ, {"path": "file"}) == {
        "content": shown,
        "encoding": encoding,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


async def test_the_encoding_asked_for_is_the_one_given(run, workspace):
    (workspace.root / "file").write_bytes(b"text")
    output = await run(READ, {"path": "file", "encoding": "base64"})
    assert (output["content"], output["encoding"]) == ("dGV4dA==", "base64")
    (workspace.root / "file").write_bytes(b"\xff")
    assert await code_of(run(READ, {"path": "file", "encoding": "utf-8"})) == "not_text"


async def test_an_output_over_the_limit_is_refused_unless_the_caller_uploads(run, workspace):
    (workspace.root / "big").write_bytes(b"x" * limits.MAX_OUTPUT_BYTES)
    assert await code_of(run(READ, {"path": "big"})) == "output_too_big"
    # Under the limit as bytes, over it once every byte is escaped.
    (workspace.root / "escaped").write_bytes(b"\x01" * 60_000)
    assert await code_of(run(READ, {"path": "escaped"})) == "output_too_big"
    output = await run(READ, {"path": "big"}, max_output_bytes=1 << 20)
    assert output["bytes"] == limits.MAX_OUTPUT_BYTES


@pytest.mark.parametrize("value", ['\x00x\x1f"\\/\u2028\x7f', "ä\U0001f600\n", {"b": 1, "a": [2]}])
def test_an_output_is_counted_as_it_is_signed(value):
    value = value.replace("\0", "") if isinstance(value, str) else value
    assert count_output_bytes(value) == len(canonical_json(value))


async def test_writing_takes_text_and_base64(run, workspace):
    written = await run(WRITE, {"path": "a/b", "content": "ä"})
    assert written == {"bytes": 2, "sha256": hashlib.sha256("ä".encode()).hexdigest()}
    raw = bytes(range(256))
    encoded = base64.b64encode(raw).decode()
    await run(WRITE, {"path": "a/c", "content": encoded, "encoding": "base64"})
    assert (workspace.root / "a/c").read_bytes() == raw
    await run(WRITE, {"path": "a/b", "content": "!", "append": True})
    assert (workspace.root / "a/b").read_text() == "ä!"


@pytest.mark.parametrize(
    ("executor", "params"),
    [
        (READ, {}),
        (READ, {"path": 1}),
        (READ, {"path": "a", "encoding": "latin-1"}),
        (READ, {"path": "a", "extra": 1}),
        (WRITE, {"path": "a"}),
        (WRITE, {"path": "a", "content": "%%%", "encoding": "base64"}),
        (WRITE, {"path": "a", "content": "YR==", "encoding": "base64"}),
        (WRITE, {"path": "a", "content": "x", "append": "yes"}),
        (LIST, {"path": "a", "recursive": 1}),
        (SEARCH, {"path": "a", "pattern": ""}),
        (SEARCH, {"path": "a", "pattern": "("}),
        (SEARCH, {"path": "a", "pattern": "x" * 1001}),
    ],
)
def test_params_that_do_not_fit_are_bad_params(executor, params):
    with pytest.raises(BadParamsError):
        parse_params(executor, params)


def test_bad_params_repeat_no_value():
    with pytest.raises(BadParamsError) as caught:
        parse_params(WRITE, {"path": "a", "content": 1, "encoding": "hunter2"})
    assert "content" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("executor", "more"),
    [(READ, {}), (WRITE, {"content": "x"}), (LIST, {}), (SEARCH, {"pattern": "x"})],
)
async def test_every_action_on_files_stays_inside(run, executor, more):
    for path in ("../x", "/etc", "%2e%2e/x"):
        assert await code_of(run(executor, {"path": path, **more})) == "outside_workspace"


async def test_a_long_listing_fits_a_result_and_says_that_it_is_cut(run, workspace):
    for index in range(2_100):
        (workspace.root / f"{index:04}").touch()
    output = await run(LIST, {"path": "."})
    assert len(output["entries"]) == 2_000
    assert output["truncated"] is True
    check_json_profile(output)
    for index in range(1_500):
        (workspace.root / f"{index:04}{'n' * 240}").touch()
    assert count_output_bytes(await run(LIST, {"path": "."})) <= limits.MAX_OUTPUT_BYTES


async def test_a_listing_names_paths_from_the_workspace(run, workspace):
    (workspace.root / "a" / "b").mkdir(parents=True)
    (workspace.root / "a" / "b" / "file").write_text("xyz")
    assert await run(LIST, {"path": "a", "recursive": True}) == {
        "entries": [
            {"path": "a/b", "kind": "folder", "bytes": 0},
            {"path": "a/b/file", "kind": "file", "bytes": 3},
        ]
    }


@pytest.fixture
def texts(workspace):
    (workspace.root / "sub").mkdir()
    (workspace.root / "one.txt").write_text("first\nneedle (here)\r\nlast needle")
    (workspace.root / "sub" / "two.txt").write_text("a needle ä\n")
    (workspace.root / "binary").write_bytes(b"needle\0needle")
    (workspace.root / "latin").write_bytes(b"needle \xe4\n")


@pytest.mark.parametrize("pattern", ["needle", "need.e", "(?i)NEEDLE", "n[e]{2}dle"])
async def test_searching_finds_lines_as_text_and_as_expression(run, texts, pattern):
    assert await run(SEARCH, {"path": "", "pattern": pattern}) == {
        "matches": [
            {"path": "latin", "line": 1, "text": "needle \ufffd"},
            {"path": "one.txt", "line": 2, "text": "needle (here)"},
            {"path": "one.txt", "line": 3, "text": "last needle"},
            {"path": "sub/two.txt", "line": 1, "text": "a needle ä"},
        ]
    }


async def test_searching_one_file_and_finding_nothing(run, texts):
    output = await run(SEARCH, {"path": "one.txt", "pattern": r"\(here\)$"})
    assert [match["line"] for match in output["matches"]] == [2]
    assert await run(SEARCH, {"path": "sub", "pattern": "^x+$"}) == {"matches": []}
    assert await code_of(run(SEARCH, {"path": "none", "pattern": "x+"})) == "not_found"


@pytest.mark.parametrize("pattern", ["hit", "h.t"])
async def test_too_many_matches_are_cut(run, workspace, pattern):
    (workspace.root / "file").write_text("hit\n" * 5_000)
    output = await run(SEARCH, {"path": "", "pattern": pattern})
    assert len(output["matches"]) == 2_000
    assert output["truncated"] is True
    check_json_profile(output)
    (workspace.root / "file").write_text(("hit" + "x" * 10_000 + "\n") * 700)
    output = await run(SEARCH, {"path": "", "pattern": pattern})
    assert output["truncated"] is True
    assert count_output_bytes(output) <= limits.MAX_OUTPUT_BYTES


async def test_a_pattern_that_takes_for_ever_is_ended(run, workspace):
    (workspace.root / "file").write_text("a" * 60 + "!\n")
    started = time.monotonic()
    code = await code_of(run(SEARCH, {"path": "", "pattern": "(a+)+$"}, seconds=1.5))
    assert code == "search_timed_out"
    assert time.monotonic() - started < 10


async def test_a_search_can_be_cancelled_at_once(run, workspace):
    (workspace.root / "file").write_text("a" * 60 + "!\n")
    task = asyncio.create_task(run(SEARCH, {"path": "", "pattern": "(a+)+$"}))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_fifo_in_the_way_of_a_search_does_not_block_it(run, workspace):
    os.mkfifo(workspace.root / "fifo")
    (workspace.root / "file").write_text("x\n")
    async with asyncio.timeout(10):
        assert len((await run(SEARCH, {"path": "", "pattern": "x"}))["matches"]) == 1
