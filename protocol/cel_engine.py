"""Owns the way to the CEL engine: its Rust extension alone, loaded at the first condition.

Importing the engine's package would pull in its command line (0.4 s, 15 MB), so the extension
module is found beside the package's files and loaded by itself. Knows nothing of conditions.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePath
from typing import Protocol, cast

from protocol.errors import ConditionError

_MODULE = "cel.cel"
"""Its name inside the package: an import of the package elsewhere finds and shares it, as it
must, because the extension panics when it is initialised a second time."""


class Program(Protocol):
    """A compiled expression of the engine."""

    def execute(self, context: Mapping[str, object]) -> object:
        """Return the value of the expression over `context`; raises whatever the engine does."""

    def variables(self) -> list[str]:
        """Return the names the expression refers to, those bound by its macros too."""


class Engine(Protocol):
    """The part of the extension module that is used here."""

    def compile(self, expression: str) -> Program:
        """Return the compiled expression; raises `ValueError` on a syntax error."""


@lru_cache(maxsize=1)
def load_engine() -> Engine:
    """Return the CEL engine, loaded once per process.

    Raises:
        ConditionError: the engine is not installed (extra `cel`), or will not load. A failure is
            not remembered, so an engine installed later is found.
    """
    loaded = sys.modules.get(_MODULE)
    if loaded is not None:
        return cast(Engine, loaded)
    package = importlib.util.find_spec("cel")
    folders = list(package.submodule_search_locations or ()) if package is not None else []
    finder_details = (
        importlib.machinery.ExtensionFileLoader,
        importlib.machinery.EXTENSION_SUFFIXES,
    )
    for folder in folders:
        finder = importlib.machinery.FileFinder(str(PurePath(folder)), finder_details)
        spec = finder.find_spec(_MODULE)
        if spec is None or spec.loader is None:
            continue
        try:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except BaseException as exc:
            if isinstance(exc, Exception) or is_panic(exc):
                raise ConditionError("the CEL engine cannot be loaded") from exc
            raise
        sys.modules[_MODULE] = module
        return cast(Engine, module)
    raise ConditionError("no CEL engine is installed, so no condition can be read")


def is_panic(exc: BaseException) -> bool:
    """Whether the engine panicked; its panics derive from BaseException and only have a name."""
    return type(exc).__name__ == "PanicException"
