"""The root of `writ`: a table of commands, each loaded only when it is called.

`writ --help` must stay under 0.3 s and import no server library, so the table carries the short
help beside the import string, and nothing here imports a command. The group `agent` lives in the
agent's own package and is named only by string: this room must not import `agentd`.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import click

from protocol import __version__


class Entry(NamedTuple):
    """Where a command lives (`module:attribute`) and what `--help` says of it."""

    target: str
    help: str


_HERE = "controlplane.cli"
COMMANDS: dict[str, Entry] = {
    "hub": Entry(f"{_HERE}.hub:hub", "Start and look after a hub."),
    "agent": Entry("agentd.cli:agent", "Join a hub and run the agent on this machine."),
    "login": Entry(f"{_HERE}.login:login", "Remember a hub and a key as a profile."),
    "logout": Entry(f"{_HERE}.login:logout", "Forget the key of a profile."),
    "whoami": Entry(f"{_HERE}.login:whoami", "Show who the hub takes you for."),
    "profiles": Entry(f"{_HERE}.login:profiles", "List the hubs you have logged in to."),
    "agents": Entry(f"{_HERE}.quarantine:agents", "See and steer the agents."),
    "registrations": Entry(f"{_HERE}.fleet:registrations", "Approve or reject agents that ask."),
    "join-tokens": Entry(f"{_HERE}.fleet:join_tokens", "Make tokens that let an agent join."),
    "run": Entry(f"{_HERE}.work:run", "Order an action on one agent or many."),
    "intents": Entry(f"{_HERE}.work:intents", "Follow and cancel orders."),
    "approvals": Entry(f"{_HERE}.approvals:approvals", "Decide what waits for a person."),
    "policies": Entry(f"{_HERE}.policies:policies", "See and set what agents may do."),
    "delegations": Entry(f"{_HERE}.delegations:delegations", "See, lend and take back rights."),
    "users": Entry(f"{_HERE}.people:users", "See, add and change people."),
    "realms": Entry(f"{_HERE}.people:realms", "See and make realms."),
    "members": Entry(f"{_HERE}.people:members", "Say who belongs to a realm, and as what."),
    "invitations": Entry(f"{_HERE}.people:invitations", "Invite people by a link."),
    "api-keys": Entry(f"{_HERE}.api_keys:api_keys", "Make and revoke API keys."),
    "tokens": Entry(f"{_HERE}.tokens:tokens", "Show yourself to other services."),
    "files": Entry(f"{_HERE}.files:files", "Put and get files of the hub's store."),
    "webhooks": Entry(f"{_HERE}.webhooks:webhooks", "Have events sent to addresses."),
    "notifications": Entry(
        f"{_HERE}.notifications:notifications", "See what you are told, and choose it."
    ),
    "audit": Entry(f"{_HERE}.audit:audit", "Read, export and verify the record."),
    "verify": Entry(f"{_HERE}.verify:verify", "Prove a stored document offline."),
    "keys": Entry(f"{_HERE}.keys:keys", "Make and show signing keys."),
}


class LazyGroup(click.Group):
    """A click group whose commands are imported at the moment they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None for a name that is not in the table."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", envvar="WRIT_URL", help="Address of the hub (WRIT_URL).")
@click.option("--profile", envvar="WRIT_PROFILE", help="Profile made by `writ login`.")
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default=None)
@click.version_option(__version__, prog_name="writ")
@click.pass_context
def writ(ctx: click.Context, /, **options: Any) -> None:
    """Give signed orders to agents you cannot reach, and get proof of what they did."""
    from controlplane.cli.session import Session

    form = "json" if options["as_json"] else options["output"] or "table"
    ctx.obj = Session(url=options["url"], profile=options["profile"], form=form)


def main() -> None:
    """Run `writ` and end with the exit code that docs/reference/cli.md promises."""
    from controlplane.cli.failures import run_and_exit

    run_and_exit(writ)


if __name__ == "__main__":
    main()
