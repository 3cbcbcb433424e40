"""What agents say they use: of an order in its result, of a limit in their heartbeats.

Both are an agent's own word, in free form (SPEC sections 4 and 5). The agent's count is the one
that decides; here it is only shown and summed, so whatever has another form counts as nothing said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from protocol import limits
from protocol.limits_window import RATES_AND_BUDGETS, LimitUse
from storage.repositories.intents import Spent

if TYPE_CHECKING:
    from protocol.messages.intents import Result

NEAR_PERMILLE: Final = 800
"""From this part of a limit on, people are shown it."""
_MOST_PERMILLE: Final = 1_000_000


def spent_by(result: Result) -> Spent:
    """Return what a result says its order has used."""
    tokens, cents = (_figure(result.usage.get(name)) for name in ("tokens", "cents"))
    return Spent(
        tokens=None if tokens is None else int(tokens),
        millicents=None if cents is None else round(cents * 1_000),
    )


def read_nearest_limit(heartbeat: Mapping[str, Any]) -> LimitUse | None:
    """Return the limit that an agent is nearest to, None where it names none."""
    usage = heartbeat.get("tokenUsage")
    said = usage.get("nearest") if isinstance(usage, Mapping) else None
    if not isinstance(said, Mapping):
        return None
    limit = said.get("limit")
    if limit not in RATES_AND_BUDGETS:
        return None
    used, most = _figure(said.get("used")), _figure(said.get("most"))
    return None if used is None or most is None else LimitUse(limit, used, most)


def permille_of(nearest: LimitUse) -> int:
    """Return the thousandths that are used, up to what a row can hold."""
    return int(min(nearest.share * 1_000, _MOST_PERMILLE))


def _figure(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= limits.MAX_USED else None
