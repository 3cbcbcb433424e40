"""`writ login`, `logout`, `whoami`, `profiles`: which hub, and as whom."""

from __future__ import annotations

import time
from dataclasses import replace

import click

from controlplane.cli.client import HubClient, segment
from controlplane.cli.failures import CliError, ProblemError
from controlplane.cli.profiles import DEFAULT, Profile, load_profiles, save_profiles
from controlplane.cli.session import DEFAULT_URL, Session


@click.command()
@click.option("--url", "address", help="Address of the hub.")
@click.option("--name", default=DEFAULT, show_default=True, help="Name of the profile.")
@click.option("--api-key", envvar="WRIT_API_KEY", help="The key; asked for when left out.")
@click.option("--device", is_flag=True, help="Sign in by another machine, with a short code.")
@click.option("--let-in", metavar="CODE", help="Let in the machine that shows this code.")
@click.option("--user", help="Sign in with this name and a password.")
@click.option("--password", envvar="WRIT_PASSWORD", help="With --user; asked for when left out.")
@click.pass_obj
def login(
    session: Session,
    /,
    address: str | None,
    name: str,
    api_key: str | None,
    device: bool,
    user: str | None,
    password: str | None,
    let_in: str | None,
) -> None:
    """Sign in, or check an API key, and remember it with its hub.

    A sign-in lasts for days and can do what you can; an API key may be narrower.
    """
    if let_in:
        _let_in(session, let_in)
        return
    if device and user:
        raise click.UsageError("either --device or --user")
    url = address or session.url or DEFAULT_URL
    if device:
        key = _by_device(url)
    elif user:
        asked = password or click.prompt("Password", hide_input=True, err=True)
        body = {"name": user, "password": asked, "bearer": True}
        key = HubClient(url, api_key=None).post("/login", body)["token"]
    else:
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


def _by_device(url: str) -> str:
    """Return the session this machine gets once its person has let it in (RFC 8628)."""
    client = HubClient(url, api_key=None)
    begun = client.post("/login/device")
    click.echo(
        f"On a machine where you are signed in, open {begun['verificationUri']}\n"
        f"and enter {begun['userCode']}   (or there: writ login --let-in {begun['userCode']})",
        err=True,
    )
    wait = float(begun["intervalSeconds"])
    while True:
        try:
            made = client.post("/login/device/token", {"deviceCode": begun["deviceCode"]})
            return str(made["token"])
        except ProblemError as exc:
            if exc.problem_code == "slow_down":
                wait += 1
            elif exc.problem_code != "authorization_pending":
                raise
        time.sleep(wait)


def _let_in(session: Session, code: str) -> None:
    """Let in the machine that shows `code`, after saying which one it is."""
    waiting = session.client.get(f"/me/device-logins/{segment(code)}")
    said = f"{waiting['client'] or 'a machine'} at {waiting['address']}"
    if session.printer.for_people:
        click.confirm(f"Let in {said} as you?", abort=True, err=True)
    session.client.post("/me/device-logins", {"userCode": code, "approved": True})
    session.printer.say(f"let in {said}")


@click.command()
@click.option("--name", default=DEFAULT, show_default=True, help="Name of the profile.")
@click.pass_obj
def logout(session: Session, name: str) -> None:
    """Sign out, and forget the key of a profile on this machine."""
    profiles = load_profiles()
    if name not in profiles:
        raise CliError(f"no profile {name!r}", exit_code=3, code="not_found")
    known = profiles[name]
    ended = False
    if known.api_key is not None and known.api_key.startswith("writs_"):
        try:
            HubClient(known.url, api_key=known.api_key).post("/logout")
            ended = True
        except CliError as exc:
            # Over already, or out of reach: forgotten here in any case.
            ended = isinstance(exc, ProblemError) and exc.status == 401
    profiles[name] = replace(known, api_key=None)
    save_profiles(profiles)
    left = "signed out" if ended else f"forgot the key of {name!r}; the hub still knows it"
    session.printer.say(left)


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
