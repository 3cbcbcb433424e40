"""`writ hub ...`: start and look after a hub on this machine.

The only commands that need the `hub` extra; every import of the server stands inside a function.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.failures import NOT_FOUND, USAGE, CliError
from controlplane.cli.session import Session

if TYPE_CHECKING:
    from controlplane.people.sign_in_links import SignInLink
    from controlplane.settings import HubSettings

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of keys, database and files.",
)
_database_url = click.option("--database-url", help="sqlite+aiosqlite:///... or postgresql+asyncpg")
_config = click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, path_type=Path),
    help="TOML file of settings.",
)


@click.group()
def hub() -> None:
    """Start and look after a hub."""


@hub.command("init")
@_data_dir
@_database_url
@_config
@click.option(
    "--root-key",
    "root_key_file",
    type=click.Path(exists=True, path_type=Path),
    help="A root key made elsewhere, by `writ keys new`.",
)
@click.pass_obj
def init(session: Session, /, **flags: Any) -> None:
    """Make a hub: root key, hub key, first admin, and one API key that is shown once."""
    settings = _settings(flags)
    from controlplane.first_start import init_hub

    made = asyncio.run(init_hub(settings))
    value = {
        "rootDid": made.root_did,
        "hubDid": made.hub_did,
        "rootKeyFile": str(made.root_key_file),
        "operatorDid": made.operator_did,
        "operatorKeyFile": str(made.operator_key_file),
        "dataDir": str(made.data_dir),
        "apiKey": made.api_key,
    }
    session.printer.record(value, [(name, name) for name in value])
    if made.api_key is None:
        session.printer.say("\nThis hub was here already; nothing was changed.")
        session.printer.say("A lost API key is replaced by: writ hub new-key")
        return
    _tell_root(session, made.root_key_file, own=settings.root_key_file is None)


@hub.command("run")
@click.option("--host", help="Address to listen on; 127.0.0.1 unless told otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="8080; 0 lets the system choose.")
@_data_dir
@_database_url
@click.option("--bus-url", help="nats://... for several processes of one hub.")
@_config
@click.pass_obj
def run(session: Session, /, **flags: Any) -> None:
    """Serve agents and REST on one port until SIGTERM."""
    settings = _settings(flags)
    from controlplane.first_start import init_hub
    from controlplane.server import run_hub

    if not settings.keys_dir.exists():
        made = asyncio.run(init_hub(settings))
        if made.api_key is not None:
            click.echo(f"A new hub in {made.data_dir}", err=True)
            click.echo(f"API key, shown once: {made.api_key}", err=True)
            _tell_root(session, made.root_key_file, own=settings.root_key_file is None)

    def ready(url: str, link: SignInLink | None) -> None:
        if not session.printer.for_people:
            session.printer.line({"ready": True, "url": url})
            return
        shown = _page_address(settings, url)
        click.echo(f"writ hub on {shown} - API docs {shown}/docs - Ctrl-C ends it", err=True)
        if link is not None:
            click.echo(
                f"\nNobody can sign in yet. Open this as {link.user}; it works once, for an hour:\n"
                f"  {shown}{link.path}",
                err=True,
            )

    run_hub(settings, ready=ready, with_link=session.printer.for_people)


@hub.command("doctor")
@_data_dir
@_database_url
@click.option("--bus-url", help="nats://... for several processes of one hub.")
@_config
@click.option("--all", "show_all", is_flag=True, help="Settings at their defaults too.")
@click.pass_context
def doctor(ctx: click.Context, /, show_all: bool, **flags: Any) -> None:
    """Print each setting, where it came from, and what is unsafe; exit 1 when something is broken.

    Secrets are shown as set or not, never by value.
    """
    session: Session = ctx.obj
    settings = _settings(flags)
    from controlplane.doctor import examine

    report = asyncio.run(examine(settings))
    if not session.printer.for_people:
        session.printer.data(report)
    else:
        chosen = [one for one in report["settings"] if show_all or one["origin"] != "default"]
        if chosen:
            session.printer.table(
                ["SETTING", "VALUE", "FROM"],
                [[row["name"], row["value"], row["origin"]] for row in chosen],
            )
            click.echo()
        if not show_all:
            session.printer.say("The rest are defaults: --all shows them.\n")
        for row in report["checks"]:
            colour = {"ok": "green", "unsafe": "yellow", "broken": "red"}[row["verdict"]]
            click.echo(f"{click.style(row['verdict'].ljust(7), fg=colour)} {row['says']}")
    ctx.exit(1 if any(row["verdict"] == "broken" for row in report["checks"]) else 0)


@hub.command("migrate")
@_data_dir
@_database_url
@_config
@click.pass_obj
def migrate(session: Session, /, **flags: Any) -> None:
    """Bring the database's schema to this version; nothing happens when it is there already."""
    settings = _settings(flags)
    from storage.database import Database

    async def upgrade() -> None:
        await (await Database.open(settings.effective_database_url)).close()

    asyncio.run(upgrade())
    session.printer.say("the schema is this version's")
    if not session.printer.for_people:
        session.printer.data({"migrated": True})


@hub.command("new-key")
@click.option("--name", default="console", show_default=True, help="To tell it from others.")
@_data_dir
@_database_url
@_config
@click.pass_obj
def new_key(session: Session, /, name: str, **flags: Any) -> None:
    """Make another API key of the first admin; needs the data folder, not the hub."""
    settings = _settings(flags)
    from controlplane.first_start import new_admin_key

    key = asyncio.run(new_admin_key(settings, name))
    if session.printer.for_people:
        click.echo(key)
    else:
        session.printer.data({"apiKey": key})


@hub.command("sign-in-link")
@click.option("--user", default="admin", show_default=True, help="Whom it signs in.")
@_data_dir
@_database_url
@_config
@click.pass_obj
def sign_in_link(session: Session, /, user: str, **flags: Any) -> None:
    """Print a link that signs somebody in to the dashboard, once, within an hour.

    For the first owner, and for who has lost passkey and password. Needs the data folder, not the
    hub; the address is that of `--url`, else of the settings.
    """
    settings = _settings(flags)
    from controlplane.errors import HiddenError
    from controlplane.people.sign_in_links import make_sign_in_link

    try:
        made = asyncio.run(make_sign_in_link(settings, user))
    except HiddenError as exc:
        raise CliError(exc.message, exit_code=NOT_FOUND) from exc
    address = _page_address(settings, session.url or f"http://{settings.host}:{settings.port}")
    link = address + made.path
    if session.printer.for_people:
        click.echo(link)
    else:
        expires = made.expires_at.isoformat().replace("+00:00", "Z")
        session.printer.data({"link": link, "user": made.user, "expiresAt": expires})


_root_key = click.option(
    "--root-key",
    "root_key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Key file of the root in force; read and left where it lies.",
)


@hub.command("rotate-key")
@_root_key
@_data_dir
@_database_url
@_config
@click.pass_obj
def rotate_key(session: Session, /, root_key: Path, **flags: Any) -> None:
    """Give the hub a new key; start it again afterwards, the agents come over by themselves."""
    settings = _settings(flags)
    from controlplane.rotations import rotate_hub_key

    made = asyncio.run(rotate_hub_key(settings, root_key))
    value = {"hubDid": made.hub_did, "before": made.before, "rootDid": made.root_did}
    session.printer.record(value, [(name, name) for name in value])
    session.printer.say("\nStart the hub again. If the old key may be in other hands, then also:")
    session.printer.say(
        f"  writ delegations revocations --revoke-key {made.before} --sign ROOT-KEY"
    )


@hub.command("rotate-root")
@_root_key
@click.option(
    "--new-root-key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Key file of the next root, made by `writ keys new`.",
)
@_data_dir
@_database_url
@_config
@click.pass_obj
def rotate_root(session: Session, /, root_key: Path, new_root_key: Path, **flags: Any) -> None:
    """Move the fleet to a new root that the old one names; start the hub again afterwards."""
    settings = _settings(flags)
    from controlplane.rotations import rotate_root as rotate

    made = asyncio.run(rotate(settings, root_key, new_root_key))
    renew = [{"id": one.id, "issuer": one.issuer, "subject": one.subject} for one in made.renew]
    value = {"rootDid": made.root_did, "before": made.before, "renew": renew}
    session.printer.record(value, [("rootDid", "rootDid"), ("before", "before")])
    session.printer.say("\nStart the hub again. The old root counts for nothing from then on.")
    for one in renew:
        session.printer.say(f"To be signed again by {one['issuer']}: {one['id']}")


@hub.command("rotate-secrets")
@click.option("--data-keys", is_flag=True, help="Make new data keys too and seal everything anew.")
@_data_dir
@_database_url
@_config
@click.pass_obj
def rotate_secrets(session: Session, /, data_keys: bool, **flags: Any) -> None:
    """Give the secrets at rest a new key while the hub runs; broken off, run it again."""
    settings = _settings(flags)
    from controlplane.secret_rotation import rotate_secrets as rotate

    made = asyncio.run(rotate(settings, data_keys=data_keys, report=session.printer.say))
    value = {
        "wrappingKey": made.wrapping_key,
        "rewrapped": made.rewrapped,
        "dataKeys": made.data_keys,
        "resealed": made.resealed,
        "unreadable": made.unreadable,
    }
    session.printer.record(value, [(name, name) for name in value])
    if settings.secrets_key_file is not None:
        session.printer.say(
            f"\nEverything opens with the first key of {settings.secrets_key_file}: "
            "the others can be taken out of it."
        )


@hub.command("rotate-token-key")
@click.option(
    "--at-once",
    is_flag=True,
    help="The old key has been seen: sign with the new one now and publish only that.",
)
@_data_dir
@_database_url
@_config
@click.pass_obj
def rotate_token_key(session: Session, /, at_once: bool, **flags: Any) -> None:
    """Give tokens for other services a new signing key; it signs once services can know it."""
    settings = _settings(flags)
    from controlplane.tokens.rotation import rotate_token_key as rotate
    from protocol.timestamps import format_timestamp

    made = asyncio.run(rotate(settings, at_once=at_once))
    value = {"kid": made.id, "activeAt": format_timestamp(made.active_at)}
    session.printer.record(value, [("kid", "kid"), ("activeAt", "activeAt")])


@hub.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_data_dir
@_database_url
@_config
@click.pass_obj
def backup(session: Session, /, file: Path, **flags: Any) -> None:
    """Write keys, database and files into one archive; safe while the hub runs."""
    settings = _settings(flags)
    from controlplane.backup import write_backup

    made = write_backup(settings, file)
    session.printer.record(made, [("file", "file"), ("members", "members"), ("bytes", "bytes")])
    session.printer.say("It holds private keys: keep it as safe as them.")
    if "notInIt" in made:
        session.printer.say(f"Not in it, and needed with it: {made['notInIt']}")


@hub.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_data_dir
@_config
@click.pass_obj
def restore(session: Session, /, file: Path, **flags: Any) -> None:
    """Make a data folder from an archive; the folder must not exist or be empty."""
    settings = _settings(flags)
    from controlplane.backup import read_backup

    made = read_backup(settings, file)
    session.printer.record(made, [("dataDir", "dataDir"), ("members", "members")])


def _page_address(settings: HubSettings, url: str) -> str:
    """Return where people open the dashboard: passkeys need a name, which 127.0.0.1 is not."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    for loopback in ("127.0.0.1", "[::1]"):
        url = url.replace(f"//{loopback}:", "//localhost:")
    return url.rstrip("/")


def _settings(flags: dict[str, Any]) -> HubSettings:
    try:
        import sqlalchemy  # noqa: F401 - only to know whether the extra is there

        from controlplane.settings import load_settings
    except ImportError as exc:
        text = f"a hub needs more than this installation has ({exc.name}): pip install 'writd[hub]'"
        raise CliError(text, exit_code=USAGE) from exc
    config_file = flags.pop("config_file", None)
    return load_settings(flags, config_file=config_file)


def _tell_root(session: Session, path: Path, *, own: bool) -> None:
    if not own or not (session.printer.for_people or sys.stderr.isatty()):
        return
    click.echo(
        f"\nThe root key lies in {path}.\n"
        "Whoever has it owns the fleet, and the hub does not need it to run. Move it to a machine\n"
        "that is off, or a safe: docs/how-to/keep-the-root-key-offline.md",
        err=True,
    )
