"""From what was measured to a page with tables, plots and the same as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.goals import Row
from tests.benchmarks.orders import Cell, quantile

HEAD = """# Benchmarks

Written by `make bench`: one run, everything measured beside everything else. Rates are shares of
what the hub's core could sign and verify in that very moment, for machines differ and drift; the
goals are this project's own. A cell whose hub had less than 90 % of its core at saturation is shown
and rejected: it says something about the machine.
"""


def write_report(folder: Path, run: dict[str, Any], rows: list[Row], cells: list[Cell]) -> Path:
    """Write `report.md`, `report.json` and the plots; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = _plot(folder, cells)
    page = folder / "report.md"
    page.write_text("\n".join([HEAD, *_page(run, rows, cells, plots)]) + "\n")
    facts = {
        "run": run,
        "goals": [{**asdict(row), "verdict": row.verdict} for row in rows],
        "cells": [_facts(cell) for cell in cells],
    }
    (folder / "report.json").write_text(json.dumps(facts, indent=1) + "\n")
    return page


def publish(folder: Path, docs: Path) -> None:
    """Copy the page and its plots to the documentation."""
    for plot in folder.glob("*.svg"):
        (docs / f"benchmarks-{plot.name}").write_text(plot.read_text())
    text = (folder / "report.md").read_text()
    for plot in folder.glob("*.svg"):
        text = text.replace(f"]({plot.name})", f"](benchmarks-{plot.name})")
    (docs / "benchmarks.md").write_text(text)


def _page(
    run: dict[str, Any], rows: list[Row], cells: list[Cell], plots: Sequence[str]
) -> Iterable[str]:
    machine = f"{run['cores']} cores, {platform.machine()}, Python {platform.python_version()}"
    yield f"{run['date']}, {machine}; {run['rounds']} rounds of {run['seconds']:g} s a cell,"
    yield f"{run['agents']} agents, seed {run['seed']}. {run['ledger']}"
    if run.get("left_out"):
        yield "\nLeft out on this machine: " + "; ".join(run["left_out"]) + "."
    yield "\n## Goals\n"
    yield "| goal | at least | reach for | measured | range | verdict |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        sign = "" if row.more_is_better else "at most "
        span = "" if row.low is None else f"{row.low:.3g} to {row.high:.3g}"
        found = "" if row.measured is None else f"{row.measured:.3g} {row.unit}"
        note = f" ({row.note})" if row.note else ""
        yield (
            f"| {row.what} | {sign}{row.at_least:g} {row.unit} | {row.reach:g} {row.unit}"
            f" | {found} | {span} | {row.verdict}{note} |"
        )
    yield "\n## Cells\n"
    yield "Medians over the accepted rounds, or over all where none was accepted. CPU is that of"
    yield "the hub, or of what stands in its place, with its database server.\n"
    yield "| cell | rounds | rejected | per second | of the limit | CPU us each | p50 ms | p99 ms |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in dict.fromkeys(cell.name for cell in cells):
        yield _cell_line([cell for cell in cells if cell.name == name])
    for title, facts in run.get("more", {}).items():
        yield f"\n## {title}\n\n| what | figure |\n|---|---|"
        yield "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    for plot in plots:
        yield f"\n![{plot.removesuffix('.svg')}]({plot})"


def _cell_line(mine: list[Cell]) -> str:
    good = [cell for cell in mine if cell.saturated]
    chosen = good or mine

    def middle(values: Iterable[float]) -> float:
        return statistics.median(values)

    return (
        f"| {mine[0].name} | {len(mine)} | {len(mine) - len(good)}"
        f" | {middle(c.per_second for c in chosen):,.0f}"
        f" | {100 * middle(c.share for c in chosen):.1f} %"
        f" | {middle(c.cpu_microseconds for c in chosen):,.0f}"
        f" | {middle(quantile(c.latencies_ms, 0.5) for c in chosen):.2f}"
        f" | {middle(quantile(c.latencies_ms, 0.99) for c in chosen):.2f} |"
    )


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


def _plot(folder: Path, cells: list[Cell]) -> list[str]:
    try:
        import matplotlib as mpl
    except ImportError:  # the tables say it all; plots need the `bench` extra
        return []
    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "writ"
    names = [n for n in dict.fromkeys(c.name for c in cells) if "half" not in n]
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(names) + 1.2))
    for at, name in enumerate(reversed(names)):
        shares = [100 * cell.share for cell in cells if cell.name == name]
        axes.barh(at, statistics.median(shares), color="#4a6fa5")
        axes.plot(shares, [at] * len(shares), "|", color="#1b2a41", markersize=10)
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_xscale("log")
    axes.set_xlabel("% of what one core can sign and verify; a mark for each round")
    figure.tight_layout()
    figure.savefig(folder / "rates.svg", metadata={"Date": None})
    plt.close(figure)
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for name in dict.fromkeys(c.name for c in cells):
        values = sorted(v for c in cells if c.name == name for v in c.latencies_ms)
        if not values or not ("C=1" in name or "half" in name):
            continue
        step = max(1, len(values) // 400)
        shares = [100 * number / len(values) for number in range(0, len(values), step)]
        axes.plot(values[::step], shares, label=name)
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("% of orders answered by then")
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(folder / "latencies.svg", metadata={"Date": None})
    plt.close(figure)
    return ["rates.svg", "latencies.svg"]
