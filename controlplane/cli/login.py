"""`writ login`, `logout`, `whoami`, `profiles`: which hub, and as whom."""

from __future__ import annotations

from dataclasses import replace

import click

from controlplane.cli.client import HubClient
from controlplane.cli.failures import CliError
from controlplane.cli.profiles import DEFAULT, Profile, load_profiles, save_profiles
from controlplane.cli.session import DEFAULT_URL, Session


@click.command()
@click.option("--url", "address", help="Address of the hub.")
@click.option("--name", default=DEFAULT, show_default=True, help="Name of the profile.")
@click.option("--api-key", envvar="WRIT_API_KEY", help="The key; asked for when left out.")
@click.pass_obj
def login(session: Session, address: str | None, name: str, api_key: str | None) -> None:
    """Check an API key against a hub and remember both."""
    url = address or session.url or DEFAULT_URL
    key = api_key or click.prompt("API key", hide_input=True, err=True)
    client = HubClient(url, api_key=key.strip())
    me = client.get("/me")
    about = client.get("/.well-known/writ.json")
    profiles = load_profiles()
    profiles[name] = Profile(name, url.rstrip("/"), key.strip(), about.get("root"))
    path = save_profiles(profiles)
    session.printer.say(f"logged in to {url} as {me.get('name')}; kept in {path}")
    if not session.printer.for_people:
        session.printer.data({"profile": name, "url": url, "me": me})


@click.command()
@click.option("--name", default=DEFAULT, show_default=True, help="Name of the profile.")
@click.pass_obj
def logout(session: Session, name: str) -> None:
    """Forget the key of a profile on this machine."""
    profiles = load_profiles()
    if name not in profiles:
        raise CliError(f"no profile {name!r}", exit_code=3, code="not_found")
    profiles[name] = replace(profiles[name], api_key=None)
    save_profiles(profiles)
    session.printer.say(f"forgot the key of {name!r}; the hub still knows it: revoke it there")


@click.command()
@click.pass_obj
def whoami(session: Session) -> None:
    """Show who the hub takes this key for."""
    me = session.client.get("/me")
    columns = [("name", "name"), ("kind", "kind"), ("id", "id"), ("roles", "roles")]
    session.printer.record(me, [*columns, ("scopes", "scopes"), ("realm", "realm")])


@click.command()
@click.pass_obj
def profiles(session: Session) -> None:
    """List the remembered hubs; never prints a key."""
    rows = [
        {"name": one.name, "url": one.url, "root": one.root, "hasKey": one.api_key is not None}
        for one in load_profiles().values()
    ]
    session.printer.listing(
        {"items": rows, "nextCursor": None},
        [("NAME", "name"), ("URL", "url"), ("KEY", "hasKey"), ("ROOT", "root")],
        empty="no profiles yet: writ login --url ...",
    )
