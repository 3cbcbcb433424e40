"""What the shell offers after a Tab: names that only the hub knows, or nothing when it is away."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from protocol.errors import Error

MAX_OFFERED = 50


class AgentName(click.types.StringParamType):
    """An agent's name or DID; completes names of agents the caller may see."""

    name = "agent"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the agents whose names begin so; a hub that is away offers nothing, silently."""
        from controlplane.cli.session import Session

        root = ctx.find_root().params
        session = Session(url=root.get("url"), profile=root.get("profile"), form="json")
        try:
            page = session.client.pages("/agents", limit=MAX_OFFERED, q=incomplete or None)
        except Error:
            return []
        return [
            CompletionItem(one["name"], help=one.get("status"))
            for one in page["items"]
            if one["name"].startswith(incomplete)
        ]
