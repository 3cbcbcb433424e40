from __future__ import annotations

import asyncio
import importlib
import logging
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from agentd.errors import ExecutorError, SettingsError
from agentd.executors.base import Executor, parse_params
from agentd.executors.registry import discover_executors, load_executors
from agentd.executors.settings import ExecutorSettings, parse_executor_settings
from protocol.ids import is_action

EXAMPLE = Path(__file__).parents[3] / "examples" / "plugins" / "words"
BUILT_IN = {
    "echo", "files.read", "files.write", "files.list", "files.search", "http.get",
    "peer.order", "shell.exec",
}  # fmt: skip
GOOD = """
    from pydantic import BaseModel
    class Nothing(BaseModel): pass
    class Good:
        name, capability, description, idempotent = "{name}", "extra", "does nothing", True
        params_model = Nothing
        async def execute(self, work): return "{result}"
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the path where distributions can be laid down, gone again after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]
    importlib.invalidate_caches()


def lay_down(site: Path, distribution: str, source: str, entry: str = "Good") -> None:
    module = distribution.replace("-", "_")
    (site / f"{module}.py").write_text(textwrap.dedent(source))
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[writ.executors]\nit = {module}:{entry}\n")


def test_the_built_in_actions_are_those_of_the_surface():
    executors = load_executors(ExecutorSettings(plugins=False))
    assert set(executors) == BUILT_IN
    for action, executor in executors.items():
        assert isinstance(executor, Executor)
        assert executor.name == action
        assert is_action(executor.capability)
        assert executor.description
        assert executor.params_model.model_json_schema()["type"] == "object"
    not_idempotent = {name for name in executors if not executors[name].idempotent}
    assert not_idempotent == {"files.write", "shell.exec"}
    schema = executors["shell.exec"].params_model.model_json_schema()
    assert set(schema["properties"]) == {"argv", "stdin", "timeoutSeconds"}
    assert schema["additionalProperties"] is False


def test_a_disabled_action_is_not_offered_and_not_taken_over(site):
    lay_down(site, "thief", GOOD.format(name="shell.exec", result="stolen"))
    settings = ExecutorSettings(disabled=("shell.exec",))
    assert "shell.exec" not in discover_executors(settings).executors


@pytest.mark.parametrize(
    ("source", "entry", "reason"),
    [
        ("raise RuntimeError('boom')", "Good", "boom"),
        ("import sys; sys.exit(3)", "Good", "SystemExit"),
        ("import no_such_module_anywhere", "Good", "no_such_module_anywhere"),
        ("x = 1", "Good", "Good"),
        ("class Good: pass", "Good", "not an executor"),
        ("class Good:\n    def __init__(self): raise OSError('gone')", "Good", "gone"),
        (GOOD.format(name="echo", result="x"), "Good", "already there"),
        (GOOD.format(name="Bad Name", result="x"), "Good", "no action"),
        (GOOD.format(name="writ.policy", result="x"), "Good", "writ's own"),
        (GOOD.format(name="a.b", result="x").replace("async def", "def"), "Good", "coroutine"),
        (GOOD.format(name="a.b", result="x").replace("= Nothing", "= dict"), "Good", "pydantic"),
        (GOOD.format(name="a.b", result="x").replace("True", "1"), "Good", "true or false"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_reported_and_passed_over(
    site, caplog, source, entry, reason
):
    lay_down(site, "broken-one", source, entry)
    lay_down(site, "fine-one", GOOD.format(name="fine.action", result="fine"))
    discovery = discover_executors(ExecutorSettings())
    failures = [item for item in discovery.failures if item.distribution == "broken-one"]
    assert len(failures) == 1
    assert reason in failures[0].reason
    assert "fine.action" in discovery.executors
    assert set(discovery.executors) >= BUILT_IN
    assert type(discovery.executors["echo"]).__module__ == "agentd.executors.echo"
    # whatever another test has done to the process's loggers
    caplog.set_level(logging.WARNING, logger="agentd")
    load_executors(ExecutorSettings())
    assert "broken-one" in caplog.text


def test_of_two_plug_ins_with_one_action_the_first_by_name_is_used(site):
    lay_down(site, "b-second", GOOD.format(name="extra.action", result="b"))
    lay_down(site, "a-first", GOOD.format(name="extra.action", result="a"))
    discovery = discover_executors(ExecutorSettings())
    assert [item.distribution for item in discovery.failures] == ["b-second"]
    assert asyncio.run(discovery.executors["extra.action"].execute(None)) == "a"


def test_plug_ins_can_be_switched_off(site):
    lay_down(site, "fine-one", GOOD.format(name="fine.action", result="fine"))
    assert set(discover_executors(ExecutorSettings(plugins=False)).executors) == BUILT_IN


async def test_the_example_plug_in_installs_and_works(site, tmp_path, run, workspace):
    build = (
        "import sys, os; os.chdir(sys.argv[1]); from hatchling.build import build_wheel;"
        "print(build_wheel(sys.argv[2]))"
    )
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", build, str(EXAMPLE), str(wheels)),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    # A wheel of Python files only is installed by unpacking it.
    with zipfile.ZipFile(wheels / out.decode().split()[-1]) as wheel:
        wheel.extractall(site)
    discovery = discover_executors(ExecutorSettings())
    assert not [item for item in discovery.failures if item.distribution == "writ-words"]
    words = discovery.executors["words.count"]
    (workspace.root / "notes.txt").write_text("One two, two three THREE three")
    assert await run(words, {"path": "notes.txt", "most": 2}) == {
        "words": 6,
        "most": [{"word": "three", "count": 3}, {"word": "two", "count": 2}],
    }
    with pytest.raises(ExecutorError) as caught:
        await run(words, {"path": "../notes.txt"})
    assert caught.value.code == "outside_workspace"
    assert parse_params(words, {"path": "x"})


def test_settings_are_read_from_the_table():
    settings = parse_executor_settings(
        {
            "http_allow_private": ["127.0.0.0/8"],
            "sandbox_level": "confined",
            "sandbox_limits": {"processes": 8},
            "sandbox_environment": {"TOKEN": "hunter2"},
        }
    )
    sandbox = settings.make_sandbox()
    assert (sandbox.level, sandbox.limits.processes) == ("confined", 8)
    assert settings.make_sandbox("process").level == "confined"
    assert settings.make_sandbox("isolated").level == "isolated"
    assert "hunter2" not in repr(settings) + repr(sandbox)
    with pytest.raises(ExecutorError) as caught:
        settings.make_sandbox("unheard_of")
    assert caught.value.code == "sandbox_unavailable"


@pytest.mark.parametrize(
    "table",
    [
        {"unknown": 1},
        {"http_allow_private": ["all"]},
        {"sandbox_level": "none"},
        {"sandbox_limits": {"processes": "many"}},
    ],
)
def test_settings_that_cannot_be_used_are_named(table):
    with pytest.raises(SettingsError, match=rf"executors\.{next(iter(table))}"):
        parse_executor_settings(table)
