"""What is looked at of a process, and what a row of such looks says about growth.

Pure but for reading `/proc`. Knows nothing of the load.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

MAX_MB_PER_HOUR: Final = 1.0
"""The goal under steady load: less growth than this, after the warm-up."""
MAX_MORE_HANDLES: Final = 4
WARM_UP_SHARE: Final = 0.25
MAX_WARM_UP_SECONDS: Final = 900.0
_PAIRS: Final = 60


@dataclass(frozen=True, slots=True)
class Look:
    """One process at one moment."""

    at_seconds: float
    memory_mb: float
    handles: int
    threads: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What happened between the warm-up and the end."""

    first_mb: float
    last_mb: float
    mb_per_hour: float
    handles: tuple[int, int]
    threads: tuple[int, int]

    @property
    def holds(self) -> bool:
        """Whether it stayed below the goal, and kept no handles or threads."""
        return (
            self.mb_per_hour < MAX_MB_PER_HOUR
            and self.handles[1] <= self.handles[0] + MAX_MORE_HANDLES
            and self.threads[1] <= self.threads[0] + MAX_MORE_HANDLES
        )

    def shown(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "holds": self.holds}


def look(pid: int, at_seconds: float) -> Look:
    """Return a process as it is now. Memory is what is its own: resident, not of files.

    Raises:
        OSError: it has ended.
    """
    proc = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
    )
    return Look(
        at_seconds=at_seconds,
        memory_mb=int(status["RssAnon"].split()[0]) / 1024,
        handles=sum(1 for _ in (proc / "fd").iterdir()),
        threads=int(status["Threads"]),
    )


def after_warm_up(looks: Sequence[Look]) -> Sequence[Look]:
    """Return the looks that count."""
    end = looks[-1].at_seconds
    warm = min(end * WARM_UP_SHARE, MAX_WARM_UP_SECONDS)
    return [one for one in looks if one.at_seconds >= warm]


def slope_per_hour(points: Sequence[tuple[float, float]]) -> float:
    """Return the median slope of all pairs (Theil and Sen): one outlier moves nothing.

    Args:
        points: (seconds, value), thinned to some dozens.
    """
    every = max(1, len(points) // _PAIRS)
    some = points[::every]
    slopes = [
        (b - a) / (later - earlier)
        for number, (earlier, a) in enumerate(some)
        for later, b in some[number + 1 :]
        if later > earlier
    ]
    return statistics.median(slopes) * 3600 if slopes else 0.0


def decide_growth(looks: Sequence[Look]) -> Growth:
    """Return what grew after the warm-up; handles and threads by the medians of both ends."""
    counted = after_warm_up(looks)
    part = max(1, len(counted) // 5)
    first, last = counted[:part], counted[-part:]

    def ends(name: str) -> tuple[int, int]:
        middles = [statistics.median(getattr(one, name) for one in some) for some in (first, last)]
        return round(middles[0]), round(middles[1])

    return Growth(
        first_mb=round(statistics.median(one.memory_mb for one in first), 2),
        last_mb=round(statistics.median(one.memory_mb for one in last), 2),
        mb_per_hour=round(slope_per_hour([(o.at_seconds, o.memory_mb) for o in counted]), 3),
        handles=ends("handles"),
        threads=ends("threads"),
    )


def latency_parts(latencies: Sequence[tuple[float, float]], seconds: float) -> dict[str, Any]:
    """Return p50 and p99 in milliseconds of the first and of the last fifth after the warm-up.

    Args:
        latencies: (when it was due, how long it took), in seconds.
        seconds: of the whole run.
    """
    warm = min(seconds * WARM_UP_SHARE, MAX_WARM_UP_SECONDS)
    fifth = (seconds - warm) / 5
    shown: dict[str, Any] = {}
    for name, begin in (("first", warm), ("last", seconds - fifth)):
        took = sorted(1000 * ms for at, ms in latencies if begin <= at < begin + fifth)
        if took:
            shown[name] = {
                "orders": len(took),
                "p50ms": round(took[len(took) // 2], 1),
                "p99ms": round(took[min(len(took) - 1, len(took) * 99 // 100)], 1),
            }
    return shown
