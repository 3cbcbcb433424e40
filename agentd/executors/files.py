"""The actions on files: read, write, list (SURFACE, built-in actions). Searching is `search`.

Owns their params and outputs. The boundary they stay within is `agentd.workspace`'s.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, JsonValue, model_validator

from agentd.errors import ExecutorError
from agentd.executors.base import Params, Work, check_output, count_output_bytes
from agentd.executors.blocking import FILES, Halt
from agentd.workspace_path import MAX_PATH_BYTES
from protocol import limits

Encoding = Literal["utf-8", "base64"]
RelativePath = Annotated[str, Field(max_length=MAX_PATH_BYTES)]

MAX_ENTRIES = 2_000
"""Each entry is four JSON values, and a text of the protocol has at most 10,000."""


class ReadParams(Params):
    """Params of `files.read`."""

    path: RelativePath
    encoding: Encoding | None = None


class WriteParams(Params):
    """Params of `files.write`."""

    path: RelativePath
    content: str
    encoding: Encoding = "utf-8"
    append: bool = False

    @model_validator(mode="after")
    def _content_decodes(self) -> Self:
        decode_content(self.content, self.encoding)
        return self


class ListParams(Params):
    """Params of `files.list`."""

    path: RelativePath
    recursive: bool = False


def decode_content(content: str, encoding: Encoding) -> bytes:
    """Return the bytes that `content` stands for.

    Raises:
        ValueError: not canonical base64.
    """
    if encoding == "utf-8":
        return content.encode()
    try:
        decoded = base64.b64decode(content, validate=True)
    except binascii.Error:
        raise ValueError("content is not base64") from None
    if base64.b64encode(decoded).decode() != content:
        raise ValueError("content is not canonical base64")
    return decoded


def encode_content(content: bytes, encoding: Encoding | None = None) -> tuple[str, Encoding]:
    """Return `content` as JSON text and the encoding used: UTF-8 where it is text, else base64.

    U+0000 is no character of the protocol's JSON, so content with it counts as binary.

    Raises:
        ExecutorError: `not_text` when `utf-8` was asked for and cannot be.
    """
    if encoding != "base64":
        try:
            if b"\0" not in content:
                return content.decode(), "utf-8"
        except UnicodeDecodeError:
            pass
        if encoding == "utf-8":
            raise ExecutorError("not_text", "not UTF-8 text, or with zero bytes: ask for base64")
    return base64.b64encode(content).decode(), "base64"


class FilesRead:
    """`files.read`: the output is `{content, encoding, bytes, sha256}`."""

    name = "files.read"
    capability = "files"
    description = "Read a file of the workspace, as text or base64."
    idempotent = True
    params_model: type[BaseModel] = ReadParams

    async def execute(self, work: Work) -> JsonValue:
        """Return the file's content.

        Raises:
            ExecutorError: those of `Workspace.read`, and `not_text`.
        """
        params = work.params_as(ReadParams)
        content = await FILES.run(
            Halt(), work.workspace.read, params.path, max_bytes=work.max_output_bytes
        )
        text, encoding = encode_content(content, params.encoding)
        return check_output(
            {
                "content": text,
                "encoding": encoding,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            },
            work,
        )


class FilesWrite:
    """`files.write`: the output is `{bytes, sha256}` of the whole file as it then stands."""

    name = "files.write"
    capability = "files"
    description = "Write a file of the workspace, at once or not at all; missing folders are made."
    # Appending twice is not appending once.
    idempotent = False
    params_model: type[BaseModel] = WriteParams

    async def execute(self, work: Work) -> JsonValue:
        """Write, and return the size and digest of the file.

        Raises:
            ExecutorError: those of `Workspace.write`.
        """
        params = work.params_as(WriteParams)
        content = decode_content(params.content, params.encoding)
        written = await FILES.run(
            Halt(), work.workspace.write, params.path, content, append=params.append
        )
        return {"bytes": written.bytes, "sha256": written.sha256}


class FilesList:
    """`files.list`: the output is `{entries: [{path, kind, bytes}]}`.

    Paths are relative to the workspace; `kind` is `file`, `folder`, `link` or `other`. Where there
    are more than fit, the first are given and `truncated` is true.
    """

    name = "files.list"
    capability = "files"
    description = "List a folder of the workspace, with or without all below it."
    idempotent = True
    params_model: type[BaseModel] = ListParams

    async def execute(self, work: Work) -> JsonValue:
        """Return the entries, sorted by path.

        Raises:
            ExecutorError: those of `Workspace.list`.
        """
        params = work.params_as(ListParams)
        halt = Halt()
        entries, more = await FILES.run(
            halt,
            work.workspace.list,
            params.path,
            recursive=params.recursive,
            max_entries=MAX_ENTRIES,
            stop=halt,
        )
        shown: list[JsonValue] = [
            {"path": entry.path, "kind": entry.kind, "bytes": entry.bytes} for entry in entries
        ]
        return check_output(cut_listing("entries", shown, more=more), work)


def cut_listing(
    key: str,
    items: list[JsonValue],
    *,
    more: bool,
    max_bytes: int = limits.MAX_OUTPUT_BYTES - 1024,
) -> dict[str, JsonValue]:
    """Return `{key: items}` with as many of the first items as fit, `truncated` when not all."""
    size = 0
    for index, item in enumerate(items):
        size += count_output_bytes(item) + 1
        if size > max_bytes:
            items, more = items[:index], True
            break
    return {key: items, "truncated": True} if more else {key: items}
