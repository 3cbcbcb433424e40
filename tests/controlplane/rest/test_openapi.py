"""The hub's description of itself says enough to generate a typed client from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.api.errors import ANSWERS
from controlplane.api.openapi import describe
from controlplane.api.operation import PUBLIC
from controlplane.api.routes import OPERATIONS

API = json.loads(json.dumps(describe(OPERATIONS)))
FREE = {"Json", "JsonObject"}
"""What may say anything: what people and agents put into params, outputs and schemas."""
DESCRIBES_ITSELF = "/openapi.json"


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in API["paths"].items():
        for method, one in methods.items():
            yield f"{method.upper()} {path}", one


def response(one: dict[str, Any], status: str) -> dict[str, Any]:
    found: dict[str, Any] = one["responses"][status]
    if "$ref" in found:
        return API["components"]["responses"][found["$ref"].rpartition("/")[2]]  # type: ignore[no-any-return]
    return found


def untyped(schema: Any, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield where a generated client would have to say `unknown`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen | FREE:
            yield from untyped(API["components"]["schemas"][name], seen | {name})
        return
    parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if not parts and not {"type", "enum", "const"} & schema.keys():
        yield json.dumps(schema)
    if schema.get("type") == "object" and "properties" not in schema:
        more = schema.get("additionalProperties")
        if more in (None, True, {}):
            yield json.dumps(schema)
        else:
            parts.append(more)
    if schema.get("type") == "array":
        parts.append(schema.get("items", {}))
    for part in (*parts, *schema.get("properties", {}).values()):
        yield from untyped(part, seen)


@pytest.mark.parametrize("name", [name for name, _ in operations()])
def test_every_result_is_typed_to_its_last_field(name: str) -> None:
    one = dict(operations())[name]
    if name.endswith(DESCRIBES_ITSELF):
        return
    for status in one["responses"]:
        for media in response(one, status).get("content", {}).values():
            assert list(untyped(media["schema"])) == []


def test_operations_have_names_of_their_own_and_say_what_they_are_about() -> None:
    names = [one["operationId"] for _, one in operations()]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in API["tags"]}
    assert all(one["summary"] and set(one["tags"]) <= tags for _, one in operations())


def test_failures_are_problems_with_their_codes() -> None:
    for name, one in operations():
        for status in (status for status in one["responses"] if status >= "400"):
            told = response(one, status)
            problem = told["content"]["application/problem+json"]["schema"]
            codes = problem["properties"]["code"]["enum"]
            assert {ANSWERS[code].status for code in codes} == {int(status)}, name
            assert "X-Request-Id" in told["headers"]
        assert {"500", "503"} <= one["responses"].keys(), name


def test_who_may_call_is_said_for_keys_and_for_browsers() -> None:
    declared = {f"{one.method} {one.path.replace('*}', '}')}": one for one in OPERATIONS}
    for name, one in operations():
        if declared[name].permission == PUBLIC:
            assert one["security"] == []
        else:
            session = {"session": [], **({} if name.startswith("GET") else {"page": []})}
            assert one["security"] == [{"apiKey": []}, session], name


def test_listings_are_pages_with_a_name_of_their_own() -> None:
    page = API["components"]["schemas"]["AgentPage"]
    assert page["properties"]["items"]["items"]["$ref"].endswith("/AgentView")
    got = response(API["paths"]["/api/v1/agents"]["get"], "200")
    assert got["content"]["application/json"]["schema"]["$ref"].endswith("/AgentPage")
