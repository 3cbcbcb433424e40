"""Owns the proof that a condition ends soon, taken from its text before the engine sees it.

The engine has no budget of its own: a nested macro over a long list, a chain of `map`, or a large
regular expression would hold an agent for minutes. So only conditions are admitted whose cost has
a simple bound: few macros, each over an input or a list of constants (never over something
computed, so nothing can grow), `matches` only of an input against a constant, few `+` and none
inside a macro. What remains depends on the size of the variables and is checked per evaluation.
Knows nothing of the engine and of what the variables mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from protocol import limits
from protocol.errors import ConditionError

MAX_TOKENS = 600
MAX_BRACKETS = 24
MAX_MACROS = 8
MAX_MACRO_WEIGHT = 4
MAX_MATCHES = 4
MAX_PLUS = 8
MAX_PATTERN_CHARS = 200
MAX_PATTERN_CHARS_IN_MACRO = 64
MAX_PATTERN_REPEATS = 100
MAX_MATCH_TEXT_CHARS = 4_096
MAX_MATCHES_IN_MACRO = 64
MAX_STEPS = 100_000
"""Rounds of all macros around the innermost expression."""
MAX_OPERATIONS = 2_000_000
"""Words and signs evaluated in all rounds; about 0.06 us each."""
MAX_COMPARED_NODES = 1_000_000
"""Values compared in all rounds; about 0.1 us each."""
MAX_VARIABLE_NODES = 40_000
_BYTES_PER_NODE = 1_000

# `map` and `filter` copy their list for every element they add, so a list counts squared there.
_MACROS = {"all": 1, "exists": 1, "exists_one": 1, "map": 2, "filter": 2}
_FUNCTIONS = frozenset(
    {
        *("has", "size", "contains", "startsWith", "endsWith", "matches"),
        *("int", "uint", "double", "string", "bytes", "type", "dyn", "timestamp", "duration"),
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    }
)
_COMPARERS = frozenset(["==", "!=", "<", "<=", ">", ">=", "in"]) | _FUNCTIONS
_WORDS = frozenset(["true", "false", "null", "in"])
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<string>(?:[rR][bB]?|[bB][rR])(?:"[^"\r\n]*"|'[^'\r\n]*')
        | [bB]?(?:"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*'))
      | (?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<operator>==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE,
)
_REPEAT = re.compile(r"\{(\d*)(?:,(\d*))?\}")
_OPENING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the text of a condition says about its cost.

    Attributes:
        macro_weight: nesting of macros, `map` and `filter` counting two; 0: nothing repeats.
        macro_depth: nesting of macros, each counting one.
        tokens: words and signs, so operations of one round.
        comparisons: operators and functions that read whole values.
        copies: the longest list that is written in the text, or values it may hold at once.
        match_paths: the inputs `matches` reads outside macros, as names from the variables down.
        matches_in_macro: whether a regular expression is compiled once a round.
    """

    macro_weight: int
    macro_depth: int
    tokens: int
    comparisons: int
    copies: int
    match_paths: tuple[tuple[str, ...], ...]
    matches_in_macro: bool


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def parse_bounds(source: str) -> Bounds:
    """Return the bounds of a condition, or refuse one whose cost has no simple bound.

    Raises:
        ConditionError: too long, not CEL, an unknown function, or one of the rules above.
    """
    if len(source) > limits.MAX_CONDITION_CHARS:
        raise ConditionError(f"a condition has at most {limits.MAX_CONDITION_CHARS} characters")
    return _Scan(_tokens(source)).bounds()


def check_bounds(bounds: Bounds, variables: Mapping[str, object]) -> None:
    """Return when evaluating over `variables` ends soon.

    Raises:
        ConditionError: the variables are too large for what the condition does with them.
    """
    for path in bounds.match_paths:
        text = _resolve(variables, path)
        if isinstance(text, str) and len(text) > MAX_MATCH_TEXT_CHARS:
            raise ConditionError(f"`matches` reads at most {MAX_MATCH_TEXT_CHARS} characters")
    if bounds.macro_weight == 0:
        return
    size = _measure(variables)
    longest = max(size.longest_list, bounds.copies)
    steps, rounds = longest**bounds.macro_weight, longest**bounds.macro_depth
    if steps > MAX_STEPS or steps * bounds.tokens > MAX_OPERATIONS:
        raise ConditionError("the params are too long for a condition with macros")
    nodes = size.nodes + size.chars // _BYTES_PER_NODE
    if rounds * nodes * bounds.comparisons * bounds.copies > MAX_COMPARED_NODES:
        raise ConditionError("the params are too large for a condition with macros")
    if bounds.matches_in_macro and (
        rounds > MAX_MATCHES_IN_MACRO or size.longest_text > MAX_MATCH_TEXT_CHARS
    ):
        raise ConditionError("the params are too large for `matches` inside a macro")


def _tokens(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(source):
        found = _TOKEN.match(source, position)
        if found is None:
            raise ConditionError(f"unreadable condition at character {position + 1}")
        position = found.end()
        if found.lastgroup != "space":
            tokens.append(_Token(found.lastgroup or "", found.group()))
        if len(tokens) > MAX_TOKENS:
            raise ConditionError(f"a condition has at most {MAX_TOKENS} words and signs")
    if not tokens:
        raise ConditionError("an empty condition")
    # What looks like two signs here could be one to the engine: a quote in triplicate, a comment.
    for before, after in pairwise(tokens):
        if before.kind == "string" and after.kind in ("string", "name") and after.text != "in":
            raise ConditionError("two strings side by side")
        if before.text == after.text == "/":
            raise ConditionError("a condition has no comments")
    return tokens


class _Scan:
    """One pass over the tokens; every rule of the module in one place."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.stack: list[tuple[str, int]] = []  # closing sign, macro weight
        self.macros = self.matches = self.plus = self.comparisons = 0
        self.heaviest = self.deepest = 0
        self.copies = 1
        self.match_paths: list[tuple[str, ...]] = []
        self.matches_in_macro = False

    @property
    def weight(self) -> int:
        return sum(weight for _, weight in self.stack)

    def bounds(self) -> Bounds:
        for index, token in enumerate(self.tokens):
            if token.kind == "name" and self._text(index + 1) == "(":
                self._call(index)
            if token.text in _COMPARERS and token.kind != "string":
                self.comparisons += 1
            if token.kind == "operator":
                self._operator(index, token.text)
        if self.stack:
            raise ConditionError("a bracket is not closed")
        return Bounds(
            macro_weight=self.heaviest,
            macro_depth=self.deepest,
            tokens=len(self.tokens),
            comparisons=self.comparisons,
            copies=self.copies,
            match_paths=tuple(self.match_paths),
            matches_in_macro=self.matches_in_macro,
        )

    def _text(self, index: int) -> str:
        if not 0 <= index < len(self.tokens) or self.tokens[index].kind == "string":
            return ""
        return self.tokens[index].text

    def _operator(self, index: int, sign: str) -> None:
        if sign in _OPENING:
            name = self._text(index - 1)
            weight = _MACROS.get(name, 0) if sign == "(" else 0
            self.stack.append((_OPENING[sign], weight))
            self.heaviest = max(self.heaviest, self.weight)
            self.deepest = max(self.deepest, sum(weight > 0 for _, weight in self.stack))
            if len(self.stack) > MAX_BRACKETS or self.heaviest > MAX_MACRO_WEIGHT:
                raise ConditionError("a condition is nested too deep")
        elif sign in ")]}":
            if not self.stack or self.stack[-1][0] != sign:
                raise ConditionError("a bracket is closed that is not open")
            self.stack.pop()
        elif sign == "," and self.stack and self.stack[-1][0] in "]}":
            self.copies += 1
        elif sign == "+":
            self.plus += 1
            if self.plus > MAX_PLUS or self.weight:
                raise ConditionError(f"at most {MAX_PLUS} additions, and none inside a macro")

    def _call(self, index: int) -> None:
        name = self.tokens[index].text
        method = self._text(index - 1) == "."
        if name in _MACROS:
            self.macros += 1
            if self.macros > MAX_MACROS:
                raise ConditionError(f"at most {MAX_MACROS} macros")
            if not method or (
                self._path_before(index - 1) is None and not self._constant_list_before(index - 1)
            ):
                raise ConditionError(f"`{name}` takes an input or a list of constants")
        elif name == "matches":
            self._matches(index, method)
        elif name not in _FUNCTIONS and name != "in":
            raise ConditionError(f"no function {name[:40]!r} in conditions")

    def _matches(self, index: int, method: bool) -> None:
        self.matches += 1
        if self.matches > MAX_MATCHES:
            raise ConditionError(f"at most {MAX_MATCHES} uses of `matches`")
        path = self._path_before(index - 1) if method else None
        argument = self.tokens[index + 2] if index + 2 < len(self.tokens) else None
        if path is None or argument is None or argument.kind != "string":
            raise ConditionError("`matches` takes an input and a constant")
        if self._text(index + 3) != ")":
            raise ConditionError("`matches` takes an input and a constant")
        if self.weight:
            self.matches_in_macro = True
            if len(argument.text) > MAX_PATTERN_CHARS_IN_MACRO or "{" in argument.text:
                raise ConditionError("too large a pattern inside a macro")
            return
        self.match_paths.append(path)
        repeats = 1
        for low, high in _REPEAT.findall(argument.text):
            repeats *= max(int(high or low or 1), 1) if len(high or low) < 6 else 10**6
        if len(argument.text) > MAX_PATTERN_CHARS or repeats > MAX_PATTERN_REPEATS:
            raise ConditionError("too large a pattern")

    def _path_before(self, dot: int) -> tuple[str, ...] | None:
        """The names before the dot at `dot`, when they are `a.b["c"][0]` and nothing else."""
        names: list[str] = []
        at = dot - 1
        while True:
            token = self.tokens[at] if at >= 0 else None
            if token is None:
                return None
            if token.text == "]" and token.kind == "operator":
                if self._text(at - 2) != "[" or at < 3:
                    return None
                key = _plain_key(self.tokens[at - 1])
                if key is None:
                    return None
                names.append(key)
                at -= 3
                if not (self.tokens[at].kind == "name" or self._text(at) == "]"):
                    return None
                continue
            if token.kind != "name" or token.text in _WORDS:
                return None
            names.append(token.text)
            if self._text(at - 1) != ".":
                return tuple(reversed(names))
            at -= 2

    def _constant_list_before(self, dot: int) -> bool:
        if self._text(dot - 1) != "]":
            return False
        at, depth = dot - 1, 0
        while at >= 0:
            token = self.tokens[at]
            if token.text == "]" and token.kind == "operator":
                depth += 1
            elif token.text == "[" and token.kind == "operator":
                depth -= 1
                if depth == 0:
                    # An index such as `x[1]` looks alike; `_path_before` has judged those.
                    before = self.tokens[at - 1] if at else None
                    return before is None or (
                        before.kind == "operator" and before.text not in (")", "]", "}", ".")
                    )
            elif not _is_constant_part(token):
                return False
            at -= 1
        return False


def _is_constant_part(token: _Token) -> bool:
    if token.kind == "name":
        return token.text in _WORDS
    return token.kind != "operator" or token.text in (",", "-")


def _plain_key(key: _Token) -> str | None:
    """The key as the variables spell it, or None when only the engine could say."""
    if key.kind == "string" and key.text[0] in "\"'" and "\\" not in key.text:
        return key.text[1:-1]
    return key.text if key.kind == "number" and key.text.isdecimal() else None


@dataclass(slots=True)
class _Size:
    nodes: int = 0
    chars: int = 0
    longest_list: int = 0
    longest_text: int = 0


def _measure(value: object) -> _Size:
    """The size of the variables; gives up with `ConditionError` past `MAX_VARIABLE_NODES`."""
    size = _Size()
    waiting = [value]
    while waiting:
        node = waiting.pop()
        size.nodes += 1
        if size.nodes > MAX_VARIABLE_NODES:
            raise ConditionError("the variables of a condition are too many")
        if isinstance(node, str):
            size.chars += len(node)
            size.longest_text = max(size.longest_text, len(node))
        elif isinstance(node, Mapping):
            size.longest_list = max(size.longest_list, len(node))
            for key, child in node.items():
                size.chars += len(str(key))
                waiting.append(child)
        elif isinstance(node, list | tuple):
            size.longest_list = max(size.longest_list, len(node))
            waiting.extend(node)
    return size


def _resolve(variables: Mapping[str, object], path: tuple[str, ...]) -> object:
    node: object = variables
    for name in path:
        if isinstance(node, Mapping):
            node = node.get(name)
        elif isinstance(node, list | tuple) and name.isdecimal():
            node = node[int(name)] if int(name) < len(node) else None
        else:
            return None
    return node
