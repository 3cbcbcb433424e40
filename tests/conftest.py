"""Fixtures that more than one folder of tests uses: the real servers, and whole systems."""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.nats",
    "tests.servers.s3",
    "tests.servers.oidc",
    "tests.interaction.fixtures",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first, so that no worker is left alone with one at the end."""
    long = (
        "tests/browser/",
        "tests/cluster/",
        "tests/faults/",
        "tests/interaction/",
        "tests/smoke/",
    )
    items.sort(key=lambda item: not item.nodeid.startswith(long))
