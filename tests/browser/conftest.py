"""The dashboard as people use it: real Chromium, a real hub process, real agents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from controlplane.dashboard.build import UnreachableError, build, prepare
from tests.browser.chromium import ARGUMENTS, Watch, find_chromium, watched
from tests.browser.people import enter
from tests.interaction.fixtures import Fleet
from tests.interaction.system import System

CHECKOUT = Path(__file__).resolve().parents[2]

Opened = tuple[Page, Watch]
Open = Callable[..., AbstractContextManager[Opened]]


@pytest.fixture(scope="package")
def playwright_driver() -> Iterator[Playwright]:
    """Playwright, until a worker turns to tests of another folder; patient, as others run beside.

    While it lives its event loop counts as running in this thread, and tests elsewhere that start
    a loop of their own would fail.
    """
    expect.set_options(timeout=20_000)
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="package")
def browser(playwright_driver: Playwright) -> Iterator[Browser]:
    """One browser for as long."""
    path = find_chromium()
    if path is None:
        pytest.skip(
            "CHROMIUM ABSENT: the dashboard's tests DID NOT RUN (WRIT_TEST_CHROME names one)"
        )
    with playwright_driver.chromium.launch(executable_path=path, args=list(ARGUMENTS)) as made:
        yield made


@pytest.fixture(scope="session")
def packages() -> Path:
    """A folder with the dashboard's sources and packages, kept between runs; it is built too."""
    work = Path(os.environ.get("WRIT_DASHBOARD_WORK") or CHECKOUT / "build" / "dashboard")
    try:
        build(work=work)
        with prepare(work) as folder:
            return folder
    except UnreachableError as exc:
        pytest.skip(f"DASHBOARD NOT BUILT ({exc}): its tests DID NOT RUN")


@pytest.fixture(scope="session")
def axe(packages: Path) -> str:
    """The source of axe-core, which looks for what shuts people out."""
    return (packages / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="session")
def owned_fleet(fleet: Fleet, packages: Path) -> Fleet:
    """The shared fleet, whose first owner has a password."""
    assert fleet.system.owner  # signed in by it, whoever of a worker's tests does so first
    return fleet


@pytest.fixture
def open_page(browser: Browser, owned_fleet: Fleet) -> Open:
    """Open a page of the shared fleet's dashboard, signed in unless told otherwise."""

    @contextmanager
    def opened(path: str = "/", *, signed_in: bool = True, **how: Any) -> Iterator[Opened]:
        url = dashboard_url(owned_fleet.system)
        with watched(browser, url, **how) as (page, watch):
            if signed_in:
                enter(page, url)
            page.goto(path)
            yield page, watch

    return opened


def dashboard_url(system: System) -> str:
    """Where people open the dashboard: passkeys need a name, not an address of numbers."""
    return system.hub.url.replace("127.0.0.1", "localhost")
