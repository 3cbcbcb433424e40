"""Draws delegations as the tree they are: root, whom it trusts, whom those trust, 80 columns."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from controlplane.cli.plain_text import clean

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

WIDTH = 80
_MAX_DEPTH = 16


def print_tree(
    about: dict[str, Any], delegations: Sequence[dict[str, Any]], which: str | None
) -> bool:
    """Print the tree, or only the chains to an id, DID or person; False when there is none."""
    from rich.console import Console
    from rich.tree import Tree

    by_digest = {one["digest"]: one for one in delegations}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for one in sorted(delegations, key=lambda one: str(one["id"])):
        children.setdefault(one["parent"], []).append(one)
    wanted = None if which is None else set(_on_the_way(delegations, by_digest, which))
    if wanted is not None and not wanted:
        return False
    names = {about["root"]: "root", about["hub"]: "hub", about["log"]: "log"}
    tree = Tree(_label([("root", "bold"), (f"  {about['root']}", "dim")]))
    _grow(tree, None, children, wanted, names, revoked=False, depth=0)
    console = Console(highlight=False, soft_wrap=False)
    if not sys.stdout.isatty():
        console.width = WIDTH
    console.print(tree)
    return True


def _grow(
    tree: Tree,
    parent: str | None,
    children: dict[str | None, list[dict[str, Any]]],
    wanted: set[str] | None,
    names: dict[str, str],
    *,
    revoked: bool,
    depth: int,
) -> None:
    if depth > _MAX_DEPTH:
        return
    for one in children.get(parent, ()):
        if wanted is not None and one["id"] not in wanted:
            continue
        dead = revoked or one["revoked"]
        branch = tree.add(_describe(one, names, dead="revoked" if one["revoked"] else dead))
        _grow(branch, one["digest"], children, wanted, names, revoked=dead, depth=depth + 1)


def _describe(one: dict[str, Any], names: dict[str, str], *, dead: bool | str) -> Text:
    subject = one["subject"]
    parts = [(names.get(subject, subject), "red" if dead else "bold")]
    if dead:
        parts.append((" (revoked)" if dead == "revoked" else " (revoked above)", "red"))
    parts.append((f"\n{one['id']}", "dim"))
    parts.append((f"\nuntil {one['expiresAt'][:16]}Z, depth {one['maxDepth']}", "dim"))
    if one["budget"]:
        budget = ", ".join(f"{name}={number}" for name, number in one["budget"].items())
        parts.append((f", {budget}", "dim"))
    for bounds, actions in _grouped(one["capabilities"]):
        parts.append((f"\n{', '.join(actions)}{bounds}", ""))
    parts += [(f"\nif {condition}", "cyan") for condition in one["conditions"]]
    return _label(parts)


def _grouped(capabilities: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    groups: dict[str, list[str]] = {}
    for one in capabilities:
        bounds = ""
        if one.get("realms") is not None:
            bounds += f"  in {', '.join(one['realms']) or 'no realm'}"
        if one.get("agents") is not None:
            bounds += f"  at {', '.join(one['agents']) or 'no agent'}"
        groups.setdefault(bounds, []).append(one["action"])
    yield from groups.items()


def _on_the_way(
    delegations: Sequence[dict[str, Any]], by_digest: dict[str, dict[str, Any]], which: str
) -> Iterator[str]:
    """Yield the ids of the links that lead to, or hang under, what was asked for."""
    for one in delegations:
        path: list[dict[str, Any]] = [one]
        while (parent := by_digest.get(path[-1]["parent"])) is not None and len(path) <= _MAX_DEPTH:
            path.append(parent)
        if any(which in (link["id"], link["subject"]) for link in path):
            yield from (link["id"] for link in path)


def _label(parts: Sequence[tuple[str, str]]) -> Text:
    from rich.text import Text

    return Text.assemble(*((clean(text, keep="\n"), style) for text, style in parts))
