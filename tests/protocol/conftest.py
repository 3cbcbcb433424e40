"""Property tests: no deadline per example (the machine is shared), the same examples in CI."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("writ", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "writ")
