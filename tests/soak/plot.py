"""The looks of a run as one small SVG: memory of each process over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.soak.figures import Look

_WIDTH, _HEIGHT, _MARGIN = 720, 240, 48
_COLOURS: Final = ("#1f6feb", "#bf3989", "#1a7f37", "#9a6700")


def draw_memory(looks: Mapping[str, Sequence[Look]]) -> str:
    """Return the SVG; each process is drawn as megabytes above its own lowest."""
    end = max(many[-1].at_seconds for many in looks.values()) or 1.0
    rises = {
        name: [(one.at_seconds, one.memory_mb - min(o.memory_mb for o in many)) for one in many]
        for name, many in looks.items()
    }
    top = max(1.0, *(rise for many in rises.values() for _, rise in many))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        y = _y(share)
        parts.append(f'<path d="M{_MARGIN} {y:.1f}H{_WIDTH - 8}" stroke="#ddd"/>')
        parts.append(f'<text x="4" y="{y + 4:.1f}">+{share * top:.1f} MB</text>')
    parts.append(f'<text x="{_WIDTH - 64}" y="{_HEIGHT - 4}">{end / 60:.0f} min</text>')
    for number, (name, points) in enumerate(rises.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(f"{_x(at / end):.1f},{_y(rise / top):.1f}" for at, rise in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        parts.append(f'<text x="{_MARGIN + 8 + 110 * number}" y="14" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _x(share: float) -> float:
    return _MARGIN + share * (_WIDTH - 8 - _MARGIN)


def _y(share: float) -> float:
    return _HEIGHT - 24 - share * (_HEIGHT - 48)
