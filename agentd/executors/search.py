"""The action `files.search`: lines of files that match a pattern, in bounded time.

`pattern` is a Python regular expression, tried on each line; one without special characters is
plain text and is looked for in this process. Any other is tried in a sandboxed child process that
is killed when the time is up, so that no pattern can hold the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import struct
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, Field, JsonValue

from agentd.errors import ExecutorError
from agentd.executors.base import Params, Work, check_output
from agentd.executors.blocking import FILES, Halt
from agentd.executors.files import RelativePath, cut_listing
from agentd.executors.search_lines import find_lines, is_text
from agentd.sandbox import Sandbox, SandboxLimits

MAX_MATCHES: Final = 2_000
MAX_LINE_CHARS: Final = 500
MAX_FILE_BYTES: Final = 8 * 1024 * 1024
MAX_TOTAL_BYTES: Final = 256 * 1024 * 1024
SEARCH_SECONDS: Final = 30.0
SPECIAL: Final = frozenset(".^$*+?{}[]\\|()")
WORKER: Final = Path(__file__).with_name("search_lines.py")

Match = tuple[str, int, str]


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        raise ValueError(f"not a regular expression: {str(exc)[:200]}") from None
    return pattern


class SearchParams(Params):
    """Params of `files.search`."""

    path: RelativePath
    pattern: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_check_pattern)]


class FilesSearch:
    """`files.search`: the output is `{matches: [{path, line, text}]}`.

    Lines count from 1 and their text is cut at 500 characters. Binary files and files over 8 MiB
    are passed over; links are not followed. Where there is more than fits, or more than 256 MiB to
    read, `truncated` is true.
    """

    name = "files.search"
    capability = "files"
    description = "Find lines that match a regular expression in the files at or below a path."
    idempotent = True
    params_model: type[BaseModel] = SearchParams

    async def execute(self, work: Work) -> JsonValue:
        """Return the matches, sorted by path and line.

        Raises:
            ExecutorError: those of `Workspace.list`; `search_timed_out`.
        """
        params = work.params_as(SearchParams)
        search = _Search(work, params.path, params.pattern)
        seconds = work.remaining_seconds(SEARCH_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                matches, more = await search.run(seconds)
        except TimeoutError:
            raise ExecutorError("search_timed_out", f"not done in {seconds:g} seconds") from None
        shown: list[JsonValue] = [
            {"path": path, "line": line, "text": text} for path, line, text in matches[:MAX_MATCHES]
        ]
        more = more or len(matches) > MAX_MATCHES
        return check_output(cut_listing("matches", shown, more=more), work)


class _Search:
    """One search: its files, read once, and how much of them."""

    def __init__(self, work: Work, path: str, pattern: str) -> None:
        self._work, self._path, self._pattern = work, path, pattern
        self._halt = Halt()
        self._cut = False

    async def run(self, seconds: float) -> tuple[list[Match], bool]:
        if not set(self._pattern) & SPECIAL:
            matches = await FILES.run(self._halt, self._find_plain)
        else:
            matches = await self._find_regular(seconds)
        return matches, self._cut

    def _texts(self) -> Generator[tuple[str, bytes], None, None]:
        total = 0
        for path, content in self._work.workspace.iterate_files(
            self._path, max_file_bytes=MAX_FILE_BYTES, stop=self._halt
        ):
            if not is_text(content):
                continue
            total += len(content)
            if total > MAX_TOTAL_BYTES:
                self._cut = True
                return
            yield path, content

    def _find_plain(self) -> list[Match]:
        wanted, raw = self._pattern, self._pattern.encode()
        matches: list[Match] = []
        for path, content in self._texts():
            if raw not in content:
                continue
            left = MAX_MATCHES + 1 - len(matches)
            lines = find_lines(content, lambda line: wanted in line, left, MAX_LINE_CHARS)
            matches.extend((path, line, text) for line, text in lines)
            if len(matches) > MAX_MATCHES:
                break
        return matches

    async def _find_regular(self, seconds: float) -> list[Match]:
        paths: list[str] = []
        limits = SandboxLimits(cpu_seconds=int(seconds) + 5, memory_bytes=1024**3, file_bytes=0)
        done = await Sandbox(limits=limits).run(
            [sys.executable, "-I", "-S", "-B", str(WORKER)],
            workspace=self._work.workspace,
            stdin=self._stream(paths),
            timeout_seconds=seconds + 1,
            output_bytes=(MAX_MATCHES + 1) * (6 * MAX_LINE_CHARS + 50),
        )
        if done.exit_code != 0 or done.truncated:
            raise ExecutorError("search_failed", f"the searching process ended {done.exit_code}")
        matches: list[Match] = []
        for row in done.stdout.splitlines():
            index, lines = json.loads(row)
            matches.extend((paths[index], line, text) for line, text in lines)
        return matches

    async def _stream(self, paths: list[str]) -> AsyncGenerator[bytes, None]:
        order = {
            "pattern": self._pattern,
            "maxMatches": MAX_MATCHES + 1,
            "maxLineChars": MAX_LINE_CHARS,
        }
        yield json.dumps(order).encode() + b"\n"
        texts = self._texts()
        try:
            while (item := await FILES.run(self._halt, next, texts, None)) is not None:
                paths.append(item[0])
                yield struct.pack(">I", len(item[1]))
                yield item[1]
        finally:
            self._halt.set()
            with contextlib.suppress(ValueError):  # a thread is still inside: it sees the flag
                texts.close()
