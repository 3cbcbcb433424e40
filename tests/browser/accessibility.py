"""What shuts people out, as axe-core sees it."""

from __future__ import annotations

from playwright.sync_api import Page

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


_SETTLED = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  await frame();
  const ends = (one) =>
    one.playState === "running" && Number.isFinite(one.effect?.getComputedTiming().endTime);
  const moving = document.getAnimations().filter(ends);
  await Promise.all(moving.map((one) => one.finished.catch(() => undefined)));
}"""


def check_accessible(page: Page, axe: str) -> None:
    """Fail with what axe finds serious on the page as it stands, contrast among it."""
    # Half-way through a transition colours are mixed, and have another contrast than when it ends.
    page.evaluate(_SETTLED)
    # Through the debugger's door: the page's own policy lets no script of ours in.
    page.evaluate(axe)
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, "
        "resultTypes: ['violations']}).then(all => all.violations"
        ".filter(one => ['serious', 'critical'].includes(one.impact))"
        ".flatMap(one => one.nodes.map(node => "
        "`${one.id}: ${node.target.join(' ')}\\n  ${node.failureSummary}`)))",
        _RULES,
    )
    assert not found, f"{page.url}\n" + "\n".join(found)


def check_fits(page: Page) -> None:
    """Fail when anything of the page stands out of the window's width, where nobody sees it."""
    size = page.viewport_size
    assert size is not None
    # Of the window as it was opened: a phone widens its page to what stands out of it.
    out = page.evaluate(
        "width => [...document.querySelectorAll('main *')].filter(one => {"
        "const box = one.getBoundingClientRect();"
        "return box.width > 1 && box.right > width + 1 && !one.closest('[role=region],pre');"
        "}).slice(0, 5).map(one => one.outerHTML.slice(0, 200))",
        size["width"],
    )
    assert not out, f"{page.url}\n" + "\n".join(out)
