"""Real Chromium for tests: found on this machine, watched while it shows a page.

Owns where the browser is, how it is started, and what no page of ours may do: write an error on
the console, ask another host, break its own policy. Knows no screens.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page

# The shell is the same engine without windows around its pages: a fresh one opens 3.5 times faster.
NAMES = ("chromium-headless-shell", "chromium", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--font-render-hinting=none",
)
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SCHEMES = ("light", "dark")


def find_chromium() -> str | None:
    """Return the path of a browser: `WRIT_TEST_CHROME`, else one on PATH; None without."""
    named = os.environ.get("WRIT_TEST_CHROME")
    if named:
        return named
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Watch:
    """What a page did that none of ours may do."""

    origin: str
    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    """Parts of console lines that a test expects, such as the status of a refused request."""

    def attach(self, page: Page) -> None:
        """Watch a page from now on."""
        page.on("console", lambda line: self._heard(line.type, line.text))
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def check(self) -> None:
        """Fail with what was seen."""
        assert not self.faults, "\n".join(self.faults)

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(part in text for part in self.allowed):
            self.faults.append(f"console {kind}: {text}")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and (
            f"{parts.scheme}://{parts.netloc}" != self.origin
        ):
            self.faults.append(f"a request left the host: {url}")


@contextmanager
def watched(
    browser: Browser, url: str, *, size: dict[str, int] | None = None, scheme: str = "light"
) -> Iterator[tuple[Page, Watch]]:
    """A page of a fresh profile at `url`; leaving the block fails on what it may not do."""
    options: dict[str, Any] = {"viewport": size or WIDE, "color_scheme": scheme, "base_url": url}
    if size is PHONE:
        options |= {"has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    context: BrowserContext = browser.new_context(**options)
    context.set_default_timeout(15_000)
    watch = Watch(url)
    try:
        page = context.new_page()
        watch.attach(page)
        yield page, watch
        watch.check()
    finally:
        context.close()


def screenshot(page: Page, name: str) -> None:
    """Keep a picture where `WRIT_SCREENSHOTS` says; without it nothing is kept."""
    folder = os.environ.get("WRIT_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def pictures(page: Page, name: str) -> None:
    """Keep pictures of a page as it stands in both schemes and sizes, where they are wanted."""
    if os.environ.get("WRIT_SCREENSHOTS"):
        for kind, size in (("wide", WIDE), ("phone", PHONE)):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                page.wait_for_timeout(250)  # transitions
                screenshot(page, f"{name}-{scheme}-{kind}")
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]
