"""The hub with its record left out, to measure what the record costs; for benchmarks alone.

`python -m tests.benchmarks.hub_without_record hub run ...` is `writ hub run ...` in a process where
appending a leaf does nothing. There is no such setting: a hub that people run keeps its record.
"""

from __future__ import annotations

from typing import Any

from controlplane.cli.main import main
from storage.repositories.audit import Audit


def _append_nothing(_self: Audit, *_args: Any, **_more: Any) -> None:
    pass


if __name__ == "__main__":
    Audit.append = _append_nothing  # type: ignore[method-assign]
    main()
