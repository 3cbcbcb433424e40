"""`multipart/form-data` as it comes in: short fields first, then one file, never all in memory.

Owns the bounds of a form. Knows nothing of what the file is for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from controlplane.api.json_body import UnsupportedMediaTypeError
from controlplane.errors import BadRequestError, InvalidFieldError

MAX_FIELDS: Final = 8
MAX_FIELD_BYTES: Final = 4_096
FILE_FIELD: Final = "file"


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form whose fields have been read and whose file is still on its way.

    Attributes:
        fields: text by name.
        filename: as the sender calls it; data, never a path.
        content_type: as the sender calls it, or None.
        content: the file's bytes; raises `BadRequestError` at its end when the form is cut short.
    """

    fields: dict[str, str]
    filename: str
    content_type: str | None
    content: AsyncIterator[bytes]


def is_form(content_type: str) -> bool:
    """Whether a content type announces a form."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


async def read_form(parts: AsyncIterator[bytes], content_type: str) -> UploadForm:
    """Return the form up to the first byte of its file.

    Raises:
        UnsupportedMediaTypeError: a form without a boundary.
        BadRequestError: no form, or one that breaks off.
        InvalidFieldError: a field twice or too long, or no part named `file`.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 200:
        raise UnsupportedMediaTypeError("a form has a boundary")
    events = _Events(parts, boundary)
    fields: dict[str, str] = {}
    while True:
        part = await events.next_part()
        if part is None:
            raise InvalidFieldError("the form has no file", pointer=f"/{FILE_FIELD}")
        name = part.text("name")
        if name == FILE_FIELD:
            return UploadForm(
                fields, part.text("filename") or "file", part.content_type, events.content()
            )
        if name in fields or len(fields) >= MAX_FIELDS:
            raise InvalidFieldError("given twice, or too many fields", pointer=f"/{name}")
        value = bytearray()
        async for piece in events.piece():
            value += piece
            if len(value) > MAX_FIELD_BYTES:
                raise InvalidFieldError(f"at most {MAX_FIELD_BYTES} bytes", pointer=f"/{name}")
        try:
            fields[name] = value.decode()
        except UnicodeDecodeError as exc:
            raise InvalidFieldError("not UTF-8", pointer=f"/{name}") from exc


@dataclass(frozen=True, slots=True)
class _Part:
    disposition: dict[bytes, bytes]
    content_type: str | None

    def text(self, name: str) -> str:
        try:
            return self.disposition.get(name.encode(), b"").decode()
        except UnicodeDecodeError as exc:
            raise InvalidFieldError("not UTF-8", pointer=f"/{name}") from exc


class _End:
    """A part, or the whole form, is over."""


_PART_END, _FORM_END = _End(), _End()


class _Events:
    """The parser's callbacks as a queue; it never holds more than one part of the body."""

    def __init__(self, parts: AsyncIterator[bytes], boundary: bytes) -> None:
        self._parts = parts
        self._queue: deque[_Part | bytes | _End] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_headers_finished": self._headers_finished,
                "on_part_data": lambda data, start, end: self._queue.append(data[start:end]),
                "on_part_end": lambda: self._queue.append(_PART_END),
                "on_end": lambda: self._queue.append(_FORM_END),
            },
        )

    async def next_part(self) -> _Part | None:
        """Return the next part, None after the last one."""
        event = await self._next()
        if isinstance(event, _Part):
            return event
        if event is _FORM_END:
            return None
        raise BadRequestError("the form cannot be read")

    async def piece(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the part that was returned last."""
        while isinstance(event := await self._next(), bytes):
            yield event

    async def content(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file, and see that nothing follows it."""
        async for data in self.piece():
            yield data
        if await self.next_part() is not None:
            raise InvalidFieldError("fields stand before the one file", pointer=f"/{FILE_FIELD}")

    async def _next(self) -> _Part | bytes | _End:
        while not self._queue:
            data = await anext(self._parts, None)
            try:
                if data is None:
                    raise BadRequestError("the form breaks off")
                self._parser.write(data)
            except MultipartParseError as exc:
                raise BadRequestError("the form cannot be read") from exc
        return self._queue.popleft()

    def _header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        # The names of browsers are UTF-8; latin-1 keeps their bytes on the way through text.
        given = self._headers.get(b"content-disposition", b"").decode("latin-1")
        _, options = parse_options_header(given)
        kind = self._headers.get(b"content-type")
        self._queue.append(_Part(options, None if kind is None else kind.decode("latin-1").strip()))
