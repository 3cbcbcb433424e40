"""OpenAPI 3.1 from the table of operations: what is declared is what is described.

Complete enough to generate a typed client from, and to hold the hub to: tests/controlplane/rest
asks every operation hostile things and compares each answer with what is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from controlplane.access.cross_site import SAFE_METHODS
from controlplane.access.session_tokens import CSRF_HEADER, SESSION_COOKIE
from controlplane.api.errors import ANSWERS
from controlplane.api.operation import PUBLIC, Operation, View
from protocol import __version__

_REFERENCE: Final = "#/components/schemas/{model}"
_FORM: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "realm": {"type": "string"},
        "name": {"type": "string"},
        "file": {"type": "string", "format": "binary"},
    },
    "additionalProperties": False,
    "description": "fields before the file",
}
_SCHEMES: Final = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or the token of a session that was asked for with `bearer`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": f"A browser's session; over https its name is `__Host-{SESSION_COOKIE}`.",
    },
    "page": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "With a cookie, each change carries the `csrfToken` of `GET /api/v1/me`.",
    },
}
_HEADERS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "X-Request-Id": ("The id of this answer in the log, or the one given", {"type": "string"}),
    "ETag": ("The version, for If-Match", {"type": "string"}),
    "Location": ("Where to go", {"type": "string"}),
    "Set-Cookie": ("A session, or what a sign-in needs to go on", {"type": "string"}),
    "Retry-After": ("Seconds to wait", {"type": "integer", "minimum": 0}),
    "WWW-Authenticate": ("How to say who you are", {"type": "string"}),
    "Idempotency-Replayed": (
        "`true` on the first answer, given again",
        {"type": "string", "const": "true"},
    ),
    "Content-Range": ("Which bytes of how many", {"type": "string"}),
}
_ALWAYS: Final = frozenset({"X-Request-Id", "Location", "Retry-After", "WWW-Authenticate"})
"""What stands on each answer that names it."""
_ASKED: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "Idempotency-Key": (
        "Makes a repetition get the first answer",
        {"type": "string", "pattern": r"^[\x21-\x7e]{1,200}$"},
    ),
    "If-Match": ("Only over this version", {"type": "string"}),
    "Last-Event-ID": ("Go on after this event", {"type": "string"}),
    "Range": ("One range of bytes", {"type": "string"}),
}


class _Plain(GenerateJsonSchema):
    """Schemas without what says nothing: titles made of names, and null as a default."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        if "default" in described and described["default"] is None:
            del described["default"]
        return described


class FieldErrorView(View):
    """A wrong field, by JSON pointer, or `?` and the name of a query parameter."""

    pointer: str
    detail: str


class ProblemView(View):
    """RFC 9457 problem document; `code` is stable."""

    type: str
    title: str
    status: int
    code: str = Field(json_schema_extra={"enum": [*sorted(ANSWERS)]})
    request_id: str
    detail: str | None = None
    errors: list[FieldErrorView] | None = None


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of `operations`."""
    listed = list(operations)
    inputs = {one.body for one in listed if one.body is not None}
    inputs |= {one.query for one in listed if one.query is not None}
    outputs = {model for one in listed if (model := _model(one.result)) is not None}
    wanted: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in inputs]
    shown: set[type[BaseModel]] = {*outputs, ProblemView}
    wanted += [(model, "serialization") for model in shown]
    wanted.sort(key=lambda pair: (pair[0].__name__, pair[1]))
    references, definitions = models_json_schema(
        wanted, ref_template=_REFERENCE, schema_generator=_Plain
    )
    schemas = definitions.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        path = one.path.replace("*}", "}")  # OpenAPI has no name for the rest of a path
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, references, schemas)
    for query in {one.query for one in listed if one.query is not None}:
        schemas.pop(_name_of(references[query, "validation"]), None)
    schemas |= _pages(listed, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Writ",
            "version": __version__,
            "description": "Signed orders to agents you cannot reach, and proof of what they did.",
        },
        "tags": [{"name": name} for name in sorted({_tag(one) for one in listed})],
        "paths": paths,
        "components": {
            "securitySchemes": _SCHEMES,
            "headers": {
                name: {"description": text, "schema": schema, "required": name in _ALWAYS}
                for name, (text, schema) in _HEADERS.items()
            },
            "responses": _failures(listed, references),
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _operation(
    one: Operation, references: Mapping[Any, dict[str, Any]], schemas: Mapping[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _operation_id(one),
        "summary": one.summary,
        "tags": [_tag(one)],
        "x-permission": one.permission,
        "x-step-up": one.step_up,
        "security": _security(one),
        "responses": _responses(one, references),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\*?\}", one.path)
    ]
    if one.query is not None:
        schema = schemas[_name_of(references[one.query, "validation"])]
        required = schema.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema.get("properties", {}).items()
        ]
    for name in _asked_headers(one):
        text, schema = _ASKED[name]
        parameters.append({"name": name, "in": "header", "description": text, "schema": schema})
    if parameters:
        described["parameters"] = parameters
    if one.body is not None:
        described["requestBody"] = {
            "required": any(field.is_required() for field in one.body.model_fields.values()),
            "content": {"application/json": {"schema": references[one.body, "validation"]}},
        }
    if one.streamed:
        described.setdefault("requestBody", {"content": {}})["content"]["multipart/form-data"] = {
            "schema": _FORM
        }
    return described


def _security(one: Operation) -> list[dict[str, list[str]]]:
    if one.permission == PUBLIC:
        return []
    session: dict[str, list[str]] = {"session": []}
    if one.method not in SAFE_METHODS:
        session["page"] = []
    return [{"apiKey": []}, session]


def _asked_headers(one: Operation) -> list[str]:
    asked = []
    if one.idempotency != "none":
        asked.append("Idempotency-Key")
    if "precondition_failed" in one.errors:
        asked.append("If-Match")
    if one.media_type == "text/event-stream":
        asked.append("Last-Event-ID")
    if "range_not_satisfiable" in one.errors:
        asked.append("Range")
    return asked


def _responses(one: Operation, references: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    responses = {
        status: _success(one, status, told, references)
        for status, told in {one.status: "Done", **one.also}.items()
    }
    for status, codes in _codes_by_status(one).items():
        if status in responses:
            failure = _failure(status, codes, references)
            responses[status]["description"] += f"; {failure['description']}"
            responses[status]["headers"] |= failure["headers"]
            responses[status]["content"] |= failure["content"]
        else:
            responses[status] = {"$ref": f"#/components/responses/{_failure_name(codes)}"}
    return {str(status): responses[status] for status in sorted(responses)}


def _codes_by_status(one: Operation) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for code in sorted(one.errors):
        status = ANSWERS[code].status
        found[status] = (*found.get(status, ()), code)
    return found


def _failures(
    operations: Iterable[Operation], references: Mapping[Any, dict[str, Any]]
) -> dict[str, Any]:
    """Return each failing answer there is, by the codes it may have."""
    found = {
        _failure_name(codes): _failure(status, codes, references)
        for one in operations
        for status, codes in _codes_by_status(one).items()
    }
    return dict(sorted(found.items()))


def _failure_name(codes: Iterable[str]) -> str:
    return ".".join(codes)


def _failure(
    status: int, codes: Iterable[str], references: Mapping[Any, dict[str, Any]]
) -> dict[str, Any]:
    problem = {
        "allOf": [references[ProblemView, "serialization"]],
        "properties": {
            "status": {"type": "integer", "const": status},
            "code": {"type": "string", "enum": list(codes)},
        },
    }
    return {
        "description": ", ".join(f"`{code}`: {ANSWERS[code].title}" for code in codes),
        "headers": _headers(*_told_with(status)),
        "content": {"application/problem+json": {"schema": problem}},
    }


def _told_with(status: int) -> list[str]:
    if status == 401:
        return ["WWW-Authenticate"]
    return ["Retry-After"] if status in (429, 503) else []


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _success(
    one: Operation, status: int, told: str, references: Mapping[Any, dict[str, Any]]
) -> dict[str, Any]:
    model = _model(one.result)
    names = []
    if status == 302:
        names = ["Location", "Set-Cookie"]
    elif model is not None and not _is_page(one) and "etag" in model.model_fields:
        names = ["ETag"]
    if one.idempotency != "none":
        names.append("Idempotency-Replayed")
    if status == 206:
        names.append("Content-Range")
    described: dict[str, Any] = {"description": told, "headers": _headers(*names)}
    if status in (204, 302):
        return described
    schema: dict[str, Any] = {"type": "string"}
    if model is not None:
        schema = references[model, "serialization"]
        if _is_page(one):
            schema = {"$ref": _REFERENCE.format(model=_page_name(model))}
    elif one.result is dict:
        schema = {"type": "object", "additionalProperties": {}}
    described["content"] = {one.media_type.partition(";")[0]: {"schema": schema}}
    for other in one.also_media_types:
        described["content"][other] = {"schema": {"type": "string"}}
    return described


def _pages(
    operations: Iterable[Operation], references: Mapping[Any, dict[str, Any]]
) -> dict[str, Any]:
    """Return the schema of each listing's page, by its name."""
    return {
        _page_name(model): {
            "type": "object",
            "title": _page_name(model),
            "description": "A page of a listing; `nextCursor` is null on the last one.",
            "required": ["items", "nextCursor"],
            "additionalProperties": False,
            "properties": {
                "items": {"type": "array", "items": references[model, "serialization"]},
                "nextCursor": {"type": ["string", "null"]},
            },
        }
        for one in operations
        if _is_page(one) and (model := _model(one.result)) is not None
    }


def _is_page(one: Operation) -> bool:
    return get_origin(one.result) is list


def _page_name(model: type[BaseModel]) -> str:
    return f"{model.__name__.removesuffix('View')}Page"


def _name_of(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _model(result: Any) -> type[BaseModel] | None:
    if get_origin(result) is list:
        result = get_args(result)[0]
    return result if isinstance(result, type) and issubclass(result, BaseModel) else None


def _tag(one: Operation) -> str:
    """Return what an operation is about: the first part of its path under the API."""
    prefix, _, rest = one.path.partition("/api/v1/")
    return rest.partition("/")[0] if not prefix else "hub"


def _operation_id(one: Operation) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", one.path.removeprefix("/api/v1")).strip("_")
    return f"{one.method.lower()}_{words}"
