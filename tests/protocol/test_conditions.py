"""Conditions: what they say, what is an error, and that a hostile one ends soon."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from protocol import cel_engine, conditions, limits
from protocol.condition_bounds import MAX_BRACKETS
from protocol.conditions import ConditionContext, compile_condition
from protocol.errors import ConditionError

SECONDS_FOR_ANY_CONDITION = 2.0


def variables(**params: object) -> dict[str, object]:
    return ConditionContext(
        action="files.read",
        params=params,
        realm="default",
        caller_did="did:key:z6Mk",
        now=datetime(2026, 3, 4, 12, 0, tzinfo=UTC),
        agent_did="did:key:z6Mk",
        taint=("web",),
    ).variables()


def evaluate(source: str, **params: object) -> bool:
    return compile_condition(source).evaluate(variables(**params))


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("params.path.startsWith('out/') && !params.path.contains('..')", True),
        ("params.size < 10", True),
        ("params.size < 1.5", False),
        ("has(params.path) && !has(params.missing)", True),
        ("params.missing == 1 || true", True),
        ("params.paths.all(p, p.startsWith('a'))", True),
        ("params.paths.exists(p, p == 'a2')", True),
        ("params.paths.filter(p, p != 'a1').size() == 1", True),
        ("['x', 'y'].exists(p, params.paths.exists(q, q == p))", False),
        ("params['path'].matches('^out/[a-z]{1,8}$')", True),
        ("params.nested.list[0].name.matches('^n')", True),
        ("params.paths.all(p, p.matches('^a[0-9]$'))", True),
        ("action in ['files.read', 'files.list'] && 'web' in taint", True),
        ("now > timestamp('2026-01-01T00:00:00Z') && now.getHours() == 12", True),
        ("params.size + 1 == 3", True),
        ("params.empty == null", True),
        ("params.flag ? realm == 'default' : false", True),
    ],
)
def test_a_condition_says_true_or_false(source: str, result: bool) -> None:
    params = {
        "path": "out/x",
        "size": 2,
        "paths": ["a1", "a2"],
        "nested": {"list": [{"name": "n"}]},
        "empty": None,
        "flag": True,
    }
    assert evaluate(source, **params) is result


@pytest.mark.parametrize(
    "source",
    [
        "params.missing == 1",
        "params.n == 'x' || params.missing",
        "params.n",
        "'true'",
        "1",
        "null",
        "params.n.startsWith('x')",
        "params.list[9] == 1",
        "1 / 0 == 1",
        "9223372036854775807 + 1 > 0",
        "nobody == 1",
        "timestamp('garbage') < now",
        "params.text.matches('[')",
    ],
)
def test_what_cannot_be_evaluated_is_an_error(source: str) -> None:
    with pytest.raises(ConditionError):
        evaluate(source, n=1, list=[1], text="x")


@pytest.mark.parametrize(
    "source",
    [
        "",
        " ",
        "(",
        "true)",
        "a b",
        "1 ==",
        "#",
        "true // yes",
        "'''x''' == 'x'",
        '"""x""" == "x"',
        "'open",
        "open('/etc/passwd') == ''",
        "params.`a` == 1",
        "x" * (limits.MAX_CONDITION_CHARS + 1),
    ],
)
def test_what_is_not_cel_is_an_error(source: str) -> None:
    with pytest.raises(ConditionError):
        compile_condition(source)


BIG = list(range(9_000))
LONG = "a" * 900_000
HOSTILE = {
    "string bomb by chained maps": "[params.s]" + ".map(a, a + a)" * 40 + ".size() == 1",
    "bomb through macros as let": "[params.s + params.s].exists(a, [a + a].exists(b, b == a))",
    "list bomb through literals": "[[1,1]].exists(a, [[a,a]].exists(b, [[b,b]].exists(c, c==c)))",
    "macro over a result": "params.list.map(x, x).map(y, y).size() == 1",
    "macro over an indexed result": "params.list.map(x, [x])[0].all(y, true)",
    "quadratic map": "params.list.map(x, x).size() == 1",
    "quadratic filter": "params.list.filter(x, true).size() == 1",
    "nested all": "params.list.all(x, params.list.all(y, true))",
    "deeply nested all": "params.three.all(a, " * 5 + "true" + ")" * 5,
    "many macros": " && ".join(["params.list.all(x, true)"] * 20),
    "comparing the whole in every round": "params.list.all(x, params.list == params.list)",
    "comparing long text in every round": "params.list.all(x, params.s == params.t)",
    "copies in every round": "params.list.all(x, [params.s, params.s, params.s] == [x])",
    "additions": "params.s" + " + params.s" * 200 + " == ''",
    "addition in every round": "params.list.all(x, params.s + params.s != '')",
    "a large pattern": r"params.short.matches('((a{100}){100}){100}')",
    "a pattern over long text": r"params.s.matches('(a|b|ab)*c{0,50}(\\w{20}){5}$')",
    "a pattern from the params": "params.short.matches(params.pattern)",
    "a pattern in every round": "params.list.all(x, 'a'.matches('(a{1,50}){1,50}'))",
    "a short pattern in every round": "params.list.all(x, params.short.matches('^a'))",
    "a pattern by an escaped key": r"params['\x73'].matches('(a|b|ab)*$')",
    "a pattern as a function": "matches(params.s, '(a|b|ab)*$')",
    "brackets": "(" * 900 + "true" + ")" * 900,
    "lists in lists": "[" * 900 + "]" * 900 + " == []",
    "not not": "!" * 1_900 + "true",
    "a long alternative": "true?true:" * 190 + "true",
    "a long path": "params" + ".a" * 900,
    "a long disjunction": "false||" * 280 + "true",
    "a hidden macro": "params.list . /**/ all(x, true)",
    "a macro behind white space": "params . list\n.\nall ( x , params . list . all ( y , true ) )",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_condition_ends_soon(name: str) -> None:
    values = variables(
        list=BIG, three=[1] * 30, s=LONG, t=LONG + "b", short="aaaa", pattern="(a?){500}b"
    )
    started = time.perf_counter()
    with contextlib.suppress(ConditionError):
        compile_condition(HOSTILE[name][: limits.MAX_CONDITION_CHARS]).evaluate(values)
    assert time.perf_counter() - started < SECONDS_FOR_ANY_CONDITION


WORST_ADMITTED = {
    "map": ("params.list.map(x, x).size() > 0", 300),
    "nested all": ("params.list.all(x, params.list.all(y, true))", 300),
    "all": ("params.list.all(x, x != 'zz' && x != 'yy')", 600),
    "compare all": ("params.list.all(x, params.list == params.list)", 900),
    "matches": ("params.list.all(x, x.matches('^" + r"\\w" * 14 + "$'))", 64),
    "filter": ("params.list.filter(x, x != 'a').size() == 0", 300),
    "one pattern": (r"params.text.matches('(\\w{10}){10}$')", 1),
    "four patterns": (" && ".join([r"!params.text.matches('(\\w{10}){10}!$')"] * 4), 1),
    "additions": ("params.s" + " + params.s" * 8 + " != ''", 1),
    "wide": (" && ".join(["params == params"] * 100), 900),
}


@pytest.mark.parametrize("name", WORST_ADMITTED)
def test_the_worst_that_is_admitted_ends_soon(name: str) -> None:
    source, length = WORST_ADMITTED[name]
    content = {"s": LONG} if "params.s" in source else {}
    values = variables(list=["a"] * length, text="a" * 4_000, **content)
    started = time.perf_counter()
    compile_condition(source).evaluate(values)
    assert time.perf_counter() - started < SECONDS_FOR_ANY_CONDITION


def test_an_ordinary_condition_is_not_troubled_by_long_content() -> None:
    source = "params.path.startsWith('out/') && params.path.matches('^[a-z/]+$')"
    assert evaluate(source, path="out/x", content=LONG)
    assert evaluate("params.paths.all(p, !p.contains('..'))", paths=["a"] * 200, content=LONG)


def test_text_for_a_pattern_is_bounded() -> None:
    assert evaluate("params.s.matches('^a+$')", s="a" * 4_096)
    with pytest.raises(ConditionError):
        evaluate("params.s.matches('^a+$')", s="a" * 4_097)


def test_brackets_have_a_bound() -> None:
    assert evaluate("(" * MAX_BRACKETS + "true" + ")" * MAX_BRACKETS)
    with pytest.raises(ConditionError):
        compile_condition("(" * (MAX_BRACKETS + 1) + "true" + ")" * (MAX_BRACKETS + 1))


def test_a_condition_is_compiled_once() -> None:
    assert compile_condition("params.once == 1") is compile_condition("params.once == 1")


def test_bad_text_is_read_once_and_raised_each_time() -> None:
    before = conditions._compile.cache_info().hits
    for _ in range(2):
        with pytest.raises(ConditionError):
            compile_condition("params.never ==")
    assert conditions._compile.cache_info().hits == before + 1


def test_a_missing_engine_is_an_error_and_is_not_remembered(monkeypatch) -> None:
    cel_engine.load_engine.cache_clear()
    conditions._compile.cache_clear()
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "cel.cel", raising=False)
        patch.setattr(cel_engine.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ConditionError, match="engine"):
            compile_condition("true")
    assert evaluate("true")


def test_a_panic_of_the_engine_is_an_error_and_a_signal_is_not() -> None:
    class PanicException(BaseException):
        """Named as the engine's; it derives from BaseException too."""

    class Raising:
        def __init__(self, exc: BaseException) -> None:
            self.exc = exc

        def variables(self) -> list[str]:
            return []

        def execute(self, context: object) -> object:
            raise self.exc

    good = compile_condition("true")
    panicking = conditions.Condition(
        "true", good.bounds, frozenset(), Raising(PanicException("index"))
    )
    with pytest.raises(ConditionError):
        panicking.evaluate({})
    interrupted = conditions.Condition(
        "true", good.bounds, frozenset(), Raising(KeyboardInterrupt())
    )
    with pytest.raises(KeyboardInterrupt):
        interrupted.evaluate({})


def test_the_engine_is_loaded_at_the_first_condition_and_without_its_command_line() -> None:
    script = """
import sys
import protocol.authority, protocol.approvals
from protocol.conditions import compile_condition
assert "cel" not in sys.modules and "cel.cel" not in sys.modules
assert compile_condition("1 == 1").evaluate({})
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"typer", "rich", "click", "prompt_toolkit"}, loaded
import cel
assert cel.evaluate("1 == 1")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
