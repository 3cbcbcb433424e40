"""Policy files: YAML or JSON that people write, read strictly, every fault with line and field.

Pure: text in, a `PolicyFile` or all faults at once out. A key given twice, an alias, an unknown
field or an unreadable condition is a fault; nothing is guessed. The schema that editors use is
made from the same models (docs/reference/policy-file.schema.json).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, ValidationError

from controlplane.errors import HubError
from controlplane.policies.content import PolicyContent
from protocol.conditions import compile_condition
from protocol.errors import ConditionError
from protocol.limits import MAX_JSON_DEPTH
from protocol.messages.fields import WIRE, Absent, DocumentPayload, Many, Name
from protocol.messages.policies import PolicyLimits, PolicyRule

MAX_FILE_CHARS: Final = 512 * 1024
MAX_FILE_DEPTH: Final = 24
MAX_FAULTS: Final = 20
SCHEMA_ID: Final = "urn:writ:policy-file:1"

Path = tuple[str | int, ...]
Lines = dict[Path, int]


class RuleInFile(PolicyRule):
    """A rule with a word for its readers."""

    description: Absent[Annotated[str, Field(max_length=1_000)]] = None


class PolicyFile(DocumentPayload):
    """What a policy file holds."""

    model_config = ConfigDict(title="Writ policy file")

    schema_: Annotated[Absent[Annotated[str, Field(max_length=500)]], Field(alias="$schema")] = None
    name: Absent[Annotated[str, Field(max_length=100)]] = None
    description: Absent[Annotated[str, Field(max_length=2_000)]] = None
    realms: Absent[Annotated[Many[Name], Field(max_length=64)]] = None
    rules: Annotated[tuple[RuleInFile, ...], Field(strict=False, max_length=256)]
    limits: PolicyLimits = PolicyLimits()

    @property
    def content(self) -> PolicyContent:
        """Rules and limits in wire form; descriptions stay in the file."""
        return PolicyContent(
            rules=[
                one.model_dump(mode="json", by_alias=True, exclude={"description"})
                for one in self.rules
            ],
            limits=self.limits.model_dump(mode="json", by_alias=True),
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `line` counts from 1; None where it is not known."""

    line: int | None
    pointer: str
    message: str


class PolicyFileError(HubError):
    """A file that is no policy, with everything that is wrong in it; the message says it all."""

    code = "bad_policy_file"

    def __init__(self, name: str, faults: list[Fault]) -> None:
        lines = [
            f"{name}{'' if one.line is None else f':{one.line}'}: "
            f"{one.pointer + ': ' if one.pointer else ''}{one.message}"
            for one in faults
        ]
        super().__init__("\n".join(lines))
        self.faults = faults


def parse_policy_file(text: str, *, name: str = "policy") -> PolicyFile:
    """Return the policy that `text` holds.

    Args:
        text: YAML 1.1 or JSON.
        name: of the file, for the message.

    Raises:
        PolicyFileError: it is none; nothing of it counts.
    """
    if len(text) > MAX_FILE_CHARS:
        raise PolicyFileError(name, [Fault(None, "", f"larger than {MAX_FILE_CHARS} characters")])
    try:
        value, lines = _read(text)
        if not isinstance(value, dict):
            raise _ReadError(1, (), "a policy file holds an object with `rules`")
    except _ReadError as exc:
        raise PolicyFileError(name, [Fault(exc.line, _pointer(exc.path), exc.message)]) from None
    try:
        file = PolicyFile.model_validate(value, context=WIRE, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise PolicyFileError(name, list(_faults(exc, lines))[:MAX_FAULTS]) from None
    faults = [Fault(_line(lines, path), _pointer(path), message) for path, message in _doubts(file)]
    if faults:
        raise PolicyFileError(name, faults[:MAX_FAULTS])
    return file


def policy_file_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of policy files."""
    schema = _for_readers(PolicyFile.model_json_schema(by_alias=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Writ policy file",
        **schema,
    }


class _ReadError(Exception):
    def __init__(self, line: int | None, path: Path, message: str) -> None:
        super().__init__(message)
        self.line, self.path, self.message = line, path, message


def _read(text: str) -> tuple[Any, Lines]:
    """Return the value and the line of every part of it; without YAML no lines are known."""
    try:
        import yaml
    except ImportError:
        return _read_json(text), {}
    return _read_yaml(yaml, text)


def _read_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise _ReadError(None, (), f"{twice!r} is given twice")
        return value

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as exc:
        hint = "" if text.lstrip()[:1] in "{[" else " (YAML needs: pip install 'writd[cli]')"
        raise _ReadError(exc.lineno, (), f"not JSON: {exc.msg}{hint}") from None
    except RecursionError:
        raise _ReadError(None, (), "too deep") from None


def _read_yaml(yaml: Any, text: str) -> tuple[Any, Lines]:
    lines: Lines = {}
    try:
        # Aliases are refused before anything is composed: they can make little text much.
        for token in _tokens(yaml, yaml.SafeLoader(text)):
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                line = token.start_mark.line + 1
                raise _ReadError(line, (), "aliases and anchors are not for policies")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise _ReadError(1, (), "the file is empty")
        return _value(yaml, loader, node, (), lines), lines
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        problem = getattr(exc, "problem", None) or "cannot be read"
        raise _ReadError(line, (), f"neither YAML nor JSON: {problem}") from None
    except RecursionError:
        raise _ReadError(None, (), "too deep") from None
    except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError) as exc:
        # What the library's constructors raise for a value that only looks like its tag.
        raise _ReadError(None, (), f"a value that cannot be read: {exc}") from None


def _tokens(yaml: Any, loader: Any) -> Iterator[Any]:
    """Yield the tokens up to the first that is too deep: the scanner slows with depth."""
    opening = (
        yaml.FlowMappingStartToken,
        yaml.FlowSequenceStartToken,
        yaml.BlockMappingStartToken,
        yaml.BlockSequenceStartToken,
    )
    closing = (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken, yaml.BlockEndToken)
    depth = 0
    while loader.check_token():
        token = loader.get_token()
        depth += isinstance(token, opening) - isinstance(token, closing)
        if depth > MAX_JSON_DEPTH:
            raise _ReadError(token.start_mark.line + 1, (), "too deep")
        yield token


def _value(yaml: Any, loader: Any, node: Any, path: Path, lines: Lines) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if len(path) > MAX_FILE_DEPTH:
        raise _ReadError(line, path[:3], "too deep")
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node) if _is_scalar(yaml, key_node) else None
            key_line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise _ReadError(key_line, path, f"a field's name is text, not {key_node.value!r}")
            if key in found:
                raise _ReadError(key_line, (*path, key), "given twice")
            lines[(*path, key)] = key_line
            found[key] = _value(yaml, loader, value_node, (*path, key), lines)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(yaml, loader, one, (*path, index), lines) for index, one in enumerate(node.value)
        ]
    return loader.construct_object(node)


def _is_scalar(yaml: Any, node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode)


def _faults(exc: ValidationError, lines: Lines) -> Iterator[Fault]:
    for error in exc.errors(include_url=False, include_input=False):
        path: Path = tuple(error["loc"])
        message = error["msg"]
        if error["type"] == "extra_forbidden":
            message = f"no such field{_suggestion(path)}"
        elif error["type"] == "missing":
            message = "is missing"
        elif error["type"] == "string_type":
            message = "write it as text, in quotes"
        yield Fault(_line(lines, path), _pointer(path), message)


def _suggestion(path: Path) -> str:
    known = {
        name
        for model in (PolicyFile, RuleInFile, PolicyLimits)
        for name in (field.alias or key for key, field in model.model_fields.items())
    } | {"people", "from", "withinSeconds", "operatorSigned"}
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _doubts(file: PolicyFile) -> Iterator[tuple[Path, str]]:
    """Yield what the forms let through and no author can have meant."""
    seen: set[str] = set()
    for index, rule in enumerate(file.rules):
        path: Path = ("rules", index)
        if rule.id in seen:
            yield (*path, "id"), f"rule {rule.id} is there already"
        seen.add(rule.id)
        if rule.when is not None:
            try:
                compile_condition(rule.when)
            except ConditionError as exc:
                yield (*path, "when"), exc.message
        if rule.effect == "deny":
            for name in ("approval", "sandbox", "domains"):
                if getattr(rule, name) is not None:
                    yield (*path, name), "a deny rule demands nothing"


def _line(lines: Lines, path: Path) -> int | None:
    """Return the line of the nearest part that is there: what is missing has none of its own."""
    for end in range(len(path), -1, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def _pointer(path: Path) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _for_readers(schema: Any) -> Any:
    """Return a schema in which what may be left out is never null, and names stand once."""
    if isinstance(schema, list):
        return [_for_readers(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: _for_readers(value)
        for key, value in schema.items()
        if not (key == "default" and value is None)
        and not (key == "title" and isinstance(value, str))
    }
    if isinstance(found.get("description"), str):
        found["description"] = found["description"].replace("from_", "from")
    options = found.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        left = [one for one in options if one != {"type": "null"}]
        del found["anyOf"]
        found.update(left[0] if len(left) == 1 else {"anyOf": left})
    return found
