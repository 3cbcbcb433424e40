"""OpenAPI 3.1 from the table of operations: what is declared is what is described."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from controlplane.api.errors import ANSWERS
from controlplane.api.operation import PUBLIC, Operation, View
from protocol import __version__

_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"realm": {"type": "string"}, "file": {"type": "string", "format": "binary"}},
    "description": "fields before the file",
}
_REFERENCE = "#/components/schemas/{model}"


class ProblemView(View):
    """RFC 9457 problem document; `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    request_id: str
    detail: str | None = None
    errors: list[dict[str, str]] | None = None


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
    references, definitions = models_json_schema(wanted, ref_template=_REFERENCE)
    schemas = definitions.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, references, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Writ",
            "version": __version__,
            "description": "Signed orders to agents you cannot reach, and proof of what they did.",
        },
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    }


def _operation(
    one: Operation, references: dict[Any, dict[str, Any]], schemas: dict[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _operation_id(one),
        "summary": one.summary,
        "x-permission": one.permission,
        "responses": {str(one.status): _success(one, references), **_failures(one, references)},
    }
    if one.permission == PUBLIC:
        described["security"] = []
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", one.path)
    ]
    if one.query is not None:
        schema = schemas[references[one.query, "validation"]["$ref"].rpartition("/")[2]]
        required = schema.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema.get("properties", {}).items()
        ]
    if one.idempotency != "none":
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 200},
            }
        )
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


def _success(one: Operation, references: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    if one.status == 204:
        return {"description": "Done"}
    schema: dict[str, Any] = {"type": "string"}
    model = _model(one.result)
    if model is not None:
        schema = references[model, "serialization"]
        if get_origin(one.result) is list:
            schema = {
                "type": "object",
                "required": ["items", "nextCursor"],
                "properties": {
                    "items": {"type": "array", "items": schema},
                    "nextCursor": {"type": ["string", "null"]},
                },
            }
    elif one.result is dict:
        schema = {"type": "object"}
    return {"description": "Done", "content": {one.media_type: {"schema": schema}}}


def _failures(one: Operation, references: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in one.errors:
        by_status.setdefault(ANSWERS[code].status, []).append(code)
    problem = {"application/problem+json": {"schema": references[ProblemView, "serialization"]}}
    return {
        str(status): {"description": ", ".join(codes), "content": problem}
        for status, codes in sorted(by_status.items())
    }


def _model(result: Any) -> type[BaseModel] | None:
    if get_origin(result) is list:
        result = get_args(result)[0]
    return result if isinstance(result, type) and issubclass(result, BaseModel) else None


def _operation_id(one: Operation) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", one.path.removeprefix("/api/v1")).strip("_")
    return f"{one.method.lower()}_{words}"
