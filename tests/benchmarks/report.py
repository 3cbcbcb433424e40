"""From what was measured to a page with tables, plots and the same as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.goals import BATCH, HALF, POSTGRES, SQLITE, Row
from tests.benchmarks.orders import Cell, quantile

NAME = "benchmarks"
HEAD = """# Benchmarks

Written by `make bench` ([how it measures](../how-to/measure.md)): one run, everything beside
everything else. Rates are shares of what the hub's core could sign and verify in that very moment,
for machines differ and drift; the goals are this project's own, and nobody else's promise.
"""
CELLS_HEAD = """
Medians over the accepted rounds, or over all where none was accepted. A cell whose hub (with its
database server) had less than 90 % of its core is counted as rejected: at C=1 and half load that
is meant so, elsewhere it says something about the machine. CPU is that of the hub, or of what
stands in its place, with its database server.

| cell | rounds | rejected | per second | of the limit | core | CPU us each | p50 ms | p99 ms |
|---|---|---|---|---|---|---|---|---|"""


def write_report(folder: Path, run: dict[str, Any], rows: list[Row], cells: list[Cell]) -> Path:
    """Write `benchmarks.md`, `benchmarks.json` and the plots; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = _plot(folder, cells)
    page = folder / f"{NAME}.md"
    page.write_text("\n".join([HEAD, *_page(run, rows, cells, plots)]) + "\n")
    facts = {
        "run": {**run, "machine": _machine(run)},
        "goals": [
            {**asdict(row), "measured": row.measured, "verdict": row.verdict, "told": row.told}
            for row in rows
        ],
        "cells": [_facts(cell) for cell in cells],
    }
    (folder / f"{NAME}.json").write_text(json.dumps(facts, indent=1) + "\n")
    return page


def _machine(run: dict[str, Any]) -> str:
    return f"{run['cores']} cores, {platform.machine()}, Python {platform.python_version()}"


def _page(
    run: dict[str, Any], rows: list[Row], cells: list[Cell], plots: Sequence[tuple[str, str]]
) -> Iterable[str]:
    limits = [cell.limit_per_second for cell in cells]
    yield f"{run['date']}, {_machine(run)}; {run['rounds']} rounds of {run['seconds']:g} s a cell,"
    yield f"{run['agents']} agents, seed {run['seed']}. {run['ledger']}"
    if limits:
        yield f"The hub's core signed and verified {statistics.median(limits):,.0f} times"
        yield f"a second beside a busy one, {min(limits):,.0f} to {max(limits):,.0f} in all."
    if run["missing"]:
        yield "\nNot everything could be measured:\n"
        yield from (f"- {name}: {_cell(why)}" for name, why in run["missing"].items())
    yield "\n## Goals\n"
    yield "| goal | at least | reach for | measured | range | verdict | why |"
    yield "|---|---|---|---|---|---|---|"
    yield from (_goal_line(row) for row in rows)
    yield "\n## Cells"
    yield CELLS_HEAD
    for name in dict.fromkeys(cell.name for cell in cells):
        yield _cell_line([cell for cell in cells if cell.name == name])
    for plot, title in plots:
        yield f"\n![{title}]({plot})"
    for title, facts in run["more"].items():
        yield f"\n## {title}\n\n| what | figure |\n|---|---|"
        yield from (f"| {_words(name)} | {_cell(value)} |" for name, value in facts.items())


def _goal_line(row: Row) -> str:
    bound = "" if row.more_is_better else "at most "
    found = "" if row.measured is None else f"{row.measured:.3g} {row.unit}"
    span = f"{min(row.values):.3g} to {max(row.values):.3g}" if len(row.values) > 1 else ""
    verdict = f"**{row.verdict}**" if row.verdict == "missed" else row.verdict
    return (
        f"| {row.what} | {bound}{row.at_least:g} {row.unit} | {row.reach:g} {row.unit}"
        f" | {found} | {span} | {verdict} | {_cell(row.told)} |"
    )


def _cell_line(mine: list[Cell]) -> str:
    good = [cell for cell in mine if cell.saturated]
    chosen = good or mine

    def middle(values: Iterable[float]) -> float:
        return statistics.median(values)

    return (
        f"| {mine[0].name} | {len(mine)} | {len(mine) - len(good)}"
        f" | {middle(c.per_second for c in chosen):,.0f}"
        f" | {100 * middle(c.share for c in chosen):.1f} %"
        f" | {100 * middle(c.utilisation for c in chosen):.0f} %"
        f" | {middle(c.cpu_microseconds for c in chosen):,.0f}"
        f" | {middle(quantile(c.latencies_ms, 0.5) for c in chosen):.2f}"
        f" | {middle(quantile(c.latencies_ms, 0.99) for c in chosen):.2f} |"
    )


def _words(name: str) -> str:
    """`hubCpuWhileIdle` and `cold_seconds` as words."""
    spaced = "".join(f" {one.lower()}" if one.isupper() else one for one in name)
    return spaced.replace("_", " ")


def _cell(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", "\\|")


def _facts(cell: Cell) -> dict[str, Any]:
    return {
        "name": cell.name,
        "perSecond": round(cell.per_second, 1),
        "shareOfLimit": round(cell.share, 4),
        "limitPerSecond": round(cell.limit_per_second),
        "pythonPerSecond": round(cell.python_per_second),
        "utilisation": round(cell.utilisation, 3),
        "accepted": cell.saturated,
        "cpuMicroseconds": round(cell.cpu_microseconds, 1),
        "p50Ms": round(quantile(cell.latencies_ms, 0.5), 3),
        "p99Ms": round(quantile(cell.latencies_ms, 0.99), 3),
    }


def _plot(folder: Path, cells: list[Cell]) -> list[tuple[str, str]]:
    """Draw what can be drawn; without matplotlib (the extra `bench`) the tables say it all."""
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "writ"
    mpl.rcParams["svg.fonttype"] = "none"  # text as text: a tenth of the bytes
    drawn = []
    for name, title, draw in (
        ("rates", "Rates as shares of the sign+verify limit, a mark for each round", _draw_rates),
        ("latencies", "Share of orders answered, by milliseconds", _draw_latencies),
    ):
        figure, axes = plt.subplots(figsize=(8, 4.5))
        if draw(axes, cells):
            figure.tight_layout()
            file = f"{NAME}-{name}.svg"
            figure.savefig(folder / file, metadata={"Date": None})
            drawn.append((file, title))
        plt.close(figure)
    return drawn


def _draw_rates(axes: Any, cells: list[Cell]) -> bool:
    names = sorted({c.name for c in cells if HALF not in c.name}, reverse=True)
    for at, name in enumerate(names):
        shares = [100 * cell.share for cell in cells if cell.name == name]
        ours = name.startswith((SQLITE, POSTGRES))
        axes.barh(at, statistics.median(shares), color="#4a6fa5" if ours else "#9aa5b1")
        axes.plot(shares, [at] * len(shares), "|", color="#1b2a41", markersize=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.set_xlabel("% of what one core can sign and verify; a mark for each round")
    return bool(names)


def _draw_latencies(axes: Any, cells: list[Cell]) -> bool:
    any_drawn = False
    for name in dict.fromkeys(c.name for c in cells):
        values = sorted(v for c in cells if c.name == name for v in c.latencies_ms)
        if len(values) < 2 or not name.startswith((SQLITE, POSTGRES)) or BATCH in name:
            continue
        marks = sorted({round(at * (len(values) - 1) / 120) for at in range(121)})
        axes.plot(
            [values[at] for at in marks], [100 * at / (len(values) - 1) for at in marks], label=name
        )
        any_drawn = True
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("% of orders answered by then")
    if any_drawn:
        axes.legend(loc="lower right", fontsize="small")
    return any_drawn
