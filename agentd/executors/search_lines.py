"""Find the lines of one text that match; also a program that does so for a stream of texts.

Imports the standard library only: `agentd.executors.search` runs it as a file in a child process,
because a regular expression can take for ever and no thread can be made to stop.

Input: one JSON line `{pattern, maxMatches, maxLineChars}`, then for each text a 4-byte big-endian
length and its bytes. Output: per text that matches, one JSON line `[index, [[line, text], ...]]`.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

BINARY_PROBE_BYTES = 8192


def is_text(content: bytes) -> bool:
    """Whether content looks like text: no zero byte near its start."""
    return b"\0" not in content[:BINARY_PROBE_BYTES]


def find_lines(
    content: bytes, matches: Callable[[str], object], max_matches: int, max_line_chars: int
) -> Iterator[tuple[int, str]]:
    """Yield number (from 1) and text, cut to `max_line_chars`, of the lines that match."""
    found = 0
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.removesuffix(b"\r").decode(errors="replace")
        if matches(line):
            yield number, line[:max_line_chars].replace("\0", "\N{REPLACEMENT CHARACTER}")
            found += 1
            if found >= max_matches:
                return


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer one stream of texts; ends at its end or when enough has been found."""
    order = json.loads(source.readline())
    search = re.compile(order["pattern"]).search
    left = order["maxMatches"]
    index = 0
    while left > 0 and len(head := source.read(4)) == 4:
        content = source.read(struct.unpack(">I", head)[0])
        lines = list(find_lines(content, search, left, order["maxLineChars"]))
        if lines:
            left -= len(lines)
            sink.write(json.dumps([index, lines]).encode() + b"\n")
        index += 1
    sink.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
