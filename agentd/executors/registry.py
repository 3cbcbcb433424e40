"""The table of what this agent can do: the built-in actions, and those of installed plug-ins.

A plug-in is a distribution with entry points in the group `writ.executors`, each naming an
executor, or a class or function without arguments that gives one. A plug-in that cannot be loaded
or clashes is reported and passed over: it never keeps an agent from starting.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from pydantic import BaseModel

from agentd.executors.base import Executor
from agentd.executors.echo import Echo
from agentd.executors.files import FilesList, FilesRead, FilesWrite
from agentd.executors.http import HttpGet
from agentd.executors.peer import PeerOrder
from agentd.executors.search import FilesSearch
from agentd.executors.settings import ExecutorSettings
from agentd.executors.shell import ShellExec
from protocol.ids import is_action

ENTRY_POINTS: Final = "writ.executors"
MAX_DESCRIPTION_CHARS: Final = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PluginFailure:
    """A plug-in that was passed over, and why."""

    entry_point: str
    distribution: str
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """All executors by action, and what could not be loaded."""

    executors: dict[str, Executor]
    failures: tuple[PluginFailure, ...]


def list_builtin_executors(settings: ExecutorSettings) -> list[Executor]:
    """Return the executors of the built-in actions."""
    return [
        Echo(),
        FilesRead(),
        FilesWrite(),
        FilesList(),
        FilesSearch(),
        HttpGet(
            allow_private=settings.http_allow_private, max_body_bytes=settings.http_max_body_bytes
        ),
        ShellExec(),
        PeerOrder(),
    ]


def discover_executors(
    settings: ExecutorSettings, plugins: Iterable[EntryPoint] | None = None
) -> Discovery:
    """Return the built-in executors and those of `plugins` (by default all installed).

    Actions that the settings disable are left out last: a plug-in never takes the name of one.
    """
    found = {executor.name: executor for executor in list_builtin_executors(settings)}
    failures = []
    candidates = entry_points(group=ENTRY_POINTS) if plugins is None else plugins
    if not settings.plugins:
        candidates = ()
    for point in sorted(candidates, key=lambda point: (_distribution(point), point.name)):
        try:
            executor = _load(point)
            if executor.name in found:
                raise ValueError(f"the action {executor.name} is already there")
            found[executor.name] = executor
        # A plug-in is foreign code: whatever it raises on import is its failure, not the agent's.
        except (Exception, SystemExit) as exc:
            reason = f"{type(exc).__name__}: {exc}"[:300]
            failures.append(PluginFailure(point.name, _distribution(point), reason))
    left = {name: found[name] for name in found if name not in settings.disabled}
    return Discovery(left, tuple(failures))


def load_executors(settings: ExecutorSettings) -> dict[str, Executor]:
    """Return every executor by its action, after warning of plug-ins that were passed over."""
    discovery = discover_executors(settings)
    for failure in discovery.failures:
        _log.warning(
            "plug-in %s of %s is not used: %s",
            failure.entry_point,
            failure.distribution,
            failure.reason,
        )
    return discovery.executors


def _distribution(point: EntryPoint) -> str:
    return "" if point.dist is None else point.dist.name


def _load(point: EntryPoint) -> Executor:
    loaded = point.load()
    executor = loaded() if inspect.isclass(loaded) or inspect.isroutine(loaded) else loaded
    if not isinstance(executor, Executor):
        raise TypeError("not an executor: an attribute is missing")
    if not is_action(executor.name) or executor.name.partition(".")[0] == "writ":
        raise ValueError("its name is no action, or one of writ's own")
    if not is_action(executor.capability):
        raise ValueError("its capability is no name")
    if not isinstance(executor.description, str) or not isinstance(executor.idempotent, bool):
        raise TypeError("description is a text and idempotent is true or false")
    if len(executor.description) > MAX_DESCRIPTION_CHARS:
        raise ValueError("its description is too long")
    model = executor.params_model
    if not (inspect.isclass(model) and issubclass(model, BaseModel)):
        raise TypeError("params_model is no pydantic model")
    model.model_json_schema()
    if not inspect.iscoroutinefunction(executor.execute):
        raise TypeError("execute is no coroutine function")
    return executor
