"""`writ agent`: join, run, status, fingerprint, rotate-key. Gathers settings, prints, exits.

With `writ --json` every line on stdout is one JSON object; the log goes to stderr. Imports of the
agent itself happen inside the commands, so that help stays fast.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agentd.errors import AlreadyRunningError
from protocol.errors import Error

if TYPE_CHECKING:
    from agentd.agent import Agent
    from agentd.settings import AgentSettings

_PATH = click.Path(path_type=Path)
F = TypeVar("F", bound=Callable[..., Any])
_EXIT = {"failed": 1, "usage": 2, "refused": 4, "conflict": 5, "timed_out": 6, "unreachable": 7}
_JOIN_SECONDS = 30.0


class AgentFailure(click.ClickException):
    """An agent's error as the command line shows it: text or JSON on stderr, and an exit code."""

    def __init__(self, error: Error, *, as_json: bool) -> None:
        super().__init__(error.message)
        self._error = error
        self._as_json = as_json
        # click declares it for the class; each error here has its own.
        vars(self)["exit_code"] = _EXIT[
            "conflict" if isinstance(error, AlreadyRunningError) else "failed"
        ]

    def show(self, file: Any = None) -> None:
        """Write the error to stderr."""
        if self._as_json:
            shown = {"error": {"code": self._error.code, "message": self._error.message}}
            click.echo(json.dumps(shown), err=True)
        else:
            click.echo(f"writ: {self._error.message} [{self._error.code}]", err=True)


def _shared(function: F) -> F:
    options = [
        click.option(
            "--data-dir", type=click.Path(path_type=Path), help="Key, state, pinned root."
        ),
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            help="TOML file of settings.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _hub_options(function: F) -> F:
    options = [
        click.option(
            "--hub",
            help="WebSocket URL of the hub, with or without /ws/agent; several with commas.",
        ),
        click.option("--root", help="DID of the root key to believe."),
        click.option("--name", help="The name this agent wishes for."),
        click.option(
            "--workspace", type=click.Path(path_type=Path), help="The folder orders may touch."
        ),
        click.option("--label", "labels", multiple=True, metavar="KEY=VALUE"),
        click.option(
            "--require-operator-signature",
            is_flag=True,
            default=None,
            help="Obey only chains that do not pass through the hub's key.",
        ),
        click.option(
            "--trust-first-hub",
            is_flag=True,
            default=None,
            help="Pin the root of whatever answers first. Compare the fingerprint.",
        ),
        click.option(
            "--insecure", is_flag=True, default=None, help="Allow ws:// to other machines."
        ),
        click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"])),
        click.option("--log-format", type=click.Choice(["text", "json"])),
        click.option("--health-port", type=int, help="Port of /healthz on 127.0.0.1; -1: none."),
        click.option(
            "--accept-empty-state",
            is_flag=True,
            default=None,
            help="Start from nothing although this agent has a key.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def agent() -> None:
    """Join a hub and run the agent on this machine."""


@agent.command()
@_shared
@_hub_options
@click.option("--join", "join", help="A join token (better: WRIT_AGENT_JOIN or its _FILE).")
@click.pass_context
def run(ctx: click.Context, /, config_file: Path | None, **flags: Any) -> None:
    """Run the agent until it is told to stop."""
    settings = _settings(ctx, flags, config_file)

    def remember(condition: str, agent: Agent) -> bool:
        # the hub has shown the pinned root: from now on `writ agent run` alone finds it
        if condition in {"online", "pending"}:
            _remember_hub(settings)
        return False

    _run(ctx, settings, until=remember)


@agent.command()
@click.argument("token_or_url")
@_shared
@_hub_options
@click.pass_context
def join(ctx: click.Context, /, token_or_url: str, config_file: Path | None, **flags: Any) -> None:
    """Join a hub: pin its root, register, remember the address for `run`.

    TOKEN_OR_URL is a join token, or the hub's URL together with --root or --trust-first-hub. Ends
    when the agent is enrolled, or waits for an admin.
    """
    is_token = token_or_url.strip().startswith("writ-join:")
    flags["join" if is_token else "hub"] = token_or_url
    settings = _settings(ctx, flags, config_file)
    reached: list[str] = []

    def until(condition: str, agent: Agent) -> bool:
        done = condition in {"online", "pending", "refused"}
        if done:
            reached.append(condition)
        return done

    _run(ctx, settings, until=until, seconds=_JOIN_SECONDS)
    if not reached:
        _say(ctx, "the hub could not be reached; `writ agent run` goes on trying")
        ctx.exit(_EXIT["unreachable"])
    if reached[-1] == "refused":
        ctx.exit(_EXIT["refused"])
    _remember_hub(settings)
    _say(ctx, f"{reached[-1]}: start the agent with `writ agent run`")


@agent.command()
@_shared
@click.pass_context
def status(ctx: click.Context, /, config_file: Path | None, **flags: Any) -> None:
    """Show what this agent is, holds and does."""
    settings = _settings(ctx, flags, config_file)
    from agentd.status import describe_agent

    with _failures(ctx):
        _show(ctx, describe_agent(settings))


@agent.command()
@_shared
@click.option("--root", help="DID of the root, where none is pinned yet.")
@click.pass_context
def fingerprint(ctx: click.Context, /, config_file: Path | None, **flags: Any) -> None:
    """Show the fingerprint an admin compares."""
    settings = _settings(ctx, flags, config_file)
    from agentd.identity import load_identity
    from agentd.main import key_passphrase
    from protocol.keys import PublicKey
    from protocol.keys import fingerprint as fingerprint_of

    with _failures(ctx):
        identity = load_identity(
            settings.data_dir, make_key=False, passphrase=key_passphrase(settings)
        )
        shown = identity.fingerprint
        if shown is None and settings.root:
            root = PublicKey.parse_did(settings.root)
            shown = fingerprint_of(root, identity.key.public_key)
    if _as_json(ctx):
        click.echo(json.dumps({"agentDid": identity.did, "fingerprint": shown}))
    else:
        click.echo(shown or "unknown: no root is pinned yet")


@agent.command("rotate-key")
@_shared
@_hub_options
@click.pass_context
def rotate_key(ctx: click.Context, /, config_file: Path | None, **flags: Any) -> None:
    """Move this agent to a new key; the old one is kept until the hub has taken the new one."""
    settings = _settings(ctx, flags, config_file)
    from agentd.identity import prepare_next_key
    from agentd.main import key_passphrase, read_running_pid

    with _failures(ctx):
        prepared = prepare_next_key(settings.data_dir, key_passphrase(settings))
        pid = read_running_pid(settings.data_dir)
    if pid is not None:
        import os
        import signal

        os.kill(pid, signal.SIGHUP)
        _show(ctx, {"newAgentDid": prepared.did, "state": "prepared", "agentPid": pid})
        return
    rotated: list[str] = []

    def until(condition: str, agent: Agent) -> bool:
        if condition == "online" and agent.standing.agent_did == prepared.did:
            rotated.append(prepared.did)
        return bool(rotated)

    _run(ctx, settings, until=until, seconds=_JOIN_SECONDS)
    if not rotated:
        _show(ctx, {"newAgentDid": prepared.did, "state": "prepared"})
        ctx.exit(_EXIT["unreachable"])
    _show(ctx, {"newAgentDid": prepared.did, "state": "rotated"})


def _run(
    ctx: click.Context,
    settings: AgentSettings,
    *,
    until: Callable[[str, Agent], bool] | None = None,
    seconds: float | None = None,
) -> None:
    import asyncio

    from agentd.main import run_agent

    as_json = _as_json(ctx)

    hinted: object = None

    def emit(line: dict[str, object]) -> None:
        nonlocal hinted
        if not as_json and "state" in line:
            # What to do is said once; that it goes on asking, each time.
            hint, line = line.get("hint"), {k: v for k, v in line.items() if k != "hint"}
            if hint != hinted and (hint is not None or line["state"] != "connecting"):
                hinted = hint
                line = line if hint is None else {**line, "hint": hint}
        try:
            sys.stdout.write((json.dumps(line) if as_json else _for_people(line)) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            return  # nobody reads any more; the agent goes on

    async def bounded() -> None:
        try:
            async with asyncio.timeout(seconds):
                await run_agent(settings, emit, until=until)
        except TimeoutError:
            return

    with _failures(ctx):
        asyncio.run(bounded())


def _for_people(line: dict[str, object]) -> str:
    if "state" not in line:
        return (
            f"agent        {line['agentDid']}\nfingerprint  {line['fingerprint'] or 'unknown yet'}"
        )
    shown = {name: value for name, value in line.items() if name not in ("state", "hint")}
    facts = "".join(f"  {name}={value}" for name, value in shown.items())
    if line.get("trustedFirstHub"):
        return (
            "WARNING: the root of the first hub that answered is trusted from now on.\n"
            f"         Compare before you rely on it:{facts}"
        )
    if "hint" in line:
        import textwrap

        facts += "\n" + textwrap.indent(textwrap.fill(str(line["hint"]), 72), "    ")
    return f"{line['state']}{facts}"


def _settings(ctx: click.Context, flags: dict[str, Any], config_file: Path | None) -> AgentSettings:
    from agentd.settings import load_settings, parse_label

    with _failures(ctx):
        labels = flags.pop("labels", None)
        if labels:
            flags["labels"] = dict(parse_label(item) for item in labels)
        return load_settings(flags, config_file=config_file)


def _remember_hub(settings: AgentSettings) -> None:
    from agentd.main import decide_destination
    from agentd.settings import CONFIG_FILE

    path = settings.data_dir / CONFIG_FILE
    if path.exists():
        return  # a person's file is theirs; the address stands in it or is given again
    url = ",".join(decide_destination(settings, None).hub_urls)
    lines = [f"hub = {json.dumps(url)}", f"name = {json.dumps(settings.name)}"]
    if settings.insecure:
        lines.append("insecure = true")
    if settings.workspace is not None:
        lines.append(f"workspace = {json.dumps(str(settings.workspace.absolute()))}")
    if settings.require_operator_signature:
        lines.append("require_operator_signature = true")
    if settings.labels:
        lines.append("[labels]")
        lines += [f"{json.dumps(k)} = {json.dumps(v)}" for k, v in settings.labels.items()]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _show(ctx: click.Context, value: dict[str, Any]) -> None:
    if _as_json(ctx):
        click.echo(json.dumps(value))
        return
    width = max(len(name) for name in value)
    for name, item in value.items():
        text = json.dumps(item) if isinstance(item, dict | list) else str(item)
        click.echo(f"{name.ljust(width)}  {text}")


def _say(ctx: click.Context, text: str) -> None:
    if not _as_json(ctx):
        click.echo(text, err=True)


def _as_json(ctx: click.Context) -> bool:
    return getattr(ctx.obj, "form", "table") == "json"


class _failures:  # noqa: N801 - reads as a statement
    """Turn the agent's errors into what the command line shows."""

    def __init__(self, ctx: click.Context) -> None:
        self._ctx = ctx

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Error):
            raise AgentFailure(error, as_json=_as_json(self._ctx)) from None
