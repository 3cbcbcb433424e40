"""Write docs/reference/cli.md and settings.md from what the program itself declares.

`python -m docs.generate` (or `make docs`) writes them; `tests/docs/` fails while they differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agentd.settings import AgentSettings
from controlplane.cli.main import COMMANDS, writ
from controlplane.settings import HubSettings

REFERENCE = Path(__file__).parent / "reference"
GENERATED = "<!-- written by `make docs`; change the program, not this file -->\n"

CLI_HEAD = """# The command `writ`

```
writ [--url URL] [--profile P] [--json | -o table|json|yaml] COMMAND
```

Options of `writ` itself stand before the command. Data goes to stdout, everything else to stderr;
with `--json` stdout is exactly one JSON value (one per line for streams), and an error is
`{"error": {"code", "message"}}` on stderr. At a terminal, tables fit its width: ids and
fingerprints are never cut, times are shown as distances, and columns that do not fit are left
out; piped, nothing is cut.

## Exit codes

| code | means | for example |
|---|---|---|
| 0 | done | the order succeeded |
| 1 | failed | the order failed, was cancelled or interrupted; a proof does not hold |
| 2 | usage | a wrong option, a file that cannot be read, an address that is none |
| 3 | not found | no such agent, order, file; or none that you may see |
| 4 | not allowed | the policy refused the order; your key may not; a key file others can read |
| 5 | conflict | cancelling what is finished, deciding twice, a file that exists |
| 6 | timed out | the work took longer than `--timeout`, or you waited long enough |
| 7 | unreachable | no hub answers at the address |

`writ run` and `writ intents watch` end with the code of the order; for many orders, the highest.
A mistake in `writ` itself is one line and code 1; `WRIT_DEBUG=1` shows the traceback.

## Environment

| variable | means |
|---|---|
| `WRIT_URL` | address of the hub; without it the profile's, else `http://127.0.0.1:8080` |
| `WRIT_API_KEY`, `WRIT_API_KEY_FILE` | the key, or a file that holds it; only a profile's own hub is sent its key |
| `WRIT_OPERATOR_KEY` | key file that signs orders and decisions, as `--sign` |
| `WRIT_KEY_PASSPHRASE` | passphrase of key files |
| `WRIT_PROFILE` | profile made by `writ login` |
| `WRIT_CONFIG_DIR` | folder of `profiles.json` (mode 0600) |

## Completion

```
eval "$(_WRIT_COMPLETE=bash_source writ)"          # bash, in ~/.bashrc
eval "$(_WRIT_COMPLETE=zsh_source writ)"           # zsh, in ~/.zshrc
_WRIT_COMPLETE=fish_source writ | source           # fish
```

Names of agents are completed by asking the hub; while it is away nothing is offered.
"""

SETTINGS_HEAD = """# Settings

Each process reads its settings once. Order of weight: flag, environment, TOML file, default.
A variable `NAME_FILE` reads the value of `NAME` from a file, so that no secret stands in the
environment. `writ hub doctor` prints each value, where it came from, and what is unsafe. Times are
in seconds and sizes in bytes where the name says so. In the TOML file a setting has the name of
the first column.
"""

MEANING = {
    "accept_empty_state": "start from nothing although this agent has a key",
    "bus_url": "`nats://...` for several processes of one hub; in process otherwise",
    "bus_credentials_file": "file with a NATS user's JWT and seed",
    "checkpoint_proof_seconds": "how long the hub may take on a connection to prove that its record only grew",
    "clock_skew_seconds": "how far clocks of agents may be off",
    "data_dir": "where keys, database and files lie",
    "database_url": "`sqlite+aiosqlite:///...` or `postgresql+asyncpg://...`; SQLite in the data folder otherwise",
    "default_expires_seconds": "how long an order waits for its agent, unless it says so itself",
    "default_timeout_seconds": "how long work may take, unless the order says so itself",
    "device_login_seconds": "how long a code of `writ login --device` works",
    "drain_retry_after_seconds": "when agents may come back after this hub was told to end",
    "executors": "the `[executors]` table of the file: what the built-in actions may do",
    "files_url": "a folder or `s3://bucket/prefix`, until another is chosen at `/settings/storage`; `files` in the data folder otherwise",
    "frames_burst": "frames that may come at once",
    "frames_per_second": "frames that may come in the long run",
    "health_port": "port of `/healthz` on 127.0.0.1; 0 takes a free one, -1 serves none",
    "heartbeat_seconds": "how often agents say that they live",
    "host": "address to listen on",
    "hub": "URL of the hub, with or without `/ws/agent`",
    "idempotency_seconds": "how long answers under an `Idempotency-Key` are kept",
    "insecure": "allow `ws://` to other machines",
    "intent_resend_seconds": "when an order is sent again to an agent that says nothing about it",
    "invitation_seconds": "how long an invitation works unless it says otherwise",
    "join": "join token",
    "key_conflict_answer_seconds": "how long an old connection may take to show that it lives",
    "key_passphrase": "passphrase of the key files",
    "labels": "`key=value`, separated by commas",
    "log_format": "`text` or `json`",
    "log_level": "`debug`, `info`, `warning` or `error`",
    "max_batch_intents": "orders in one request to `/intents/batch`",
    "max_body_bytes": "the largest request that is not a file",
    "max_documents_per_signer": "documents of one key whose ids are remembered; more are refused",
    "max_event_subscribers": "open event streams",
    "max_expires_seconds": "the longest an order may wait for its agent",
    "max_file_bytes": "the largest file",
    "max_frame_bytes": "the largest frame of an agent",
    "max_frame_bytes_before_registration": "the same before it has shown its key",
    "max_notifications": "notifications kept for one person",
    "max_open_orders": "orders an agent holds that are not finished",
    "max_pending": "requests to be enrolled, in all",
    "join_failures_per_address": "join tokens that one address may fail to prove, in 5 minutes",
    "max_pending_per_address": "requests to be enrolled from one address",
    "max_running": "orders an agent works on at once",
    "max_send_queue_bytes": "bytes waiting for one agent before it counts as too slow",
    "max_send_queue_frames": "frames waiting for one agent before it counts as too slow",
    "max_targets": "agents that one order may reach",
    "arrivals_per_second": "agents that get a turn to come in when too many come at once, or after a drain",
    "max_unregistered": "sockets of all addresses that have not shown a key",
    "max_unregistered_per_address": "sockets of one address that have not shown a key",
    "max_uploads": "uploads at a time",
    "max_wait_seconds": "the longest `?wait=`",
    "max_webhooks": "webhooks of this hub",
    "name": "the name this agent wishes for; the machine's otherwise",
    "notification_digest_seconds": "how long facts are gathered for one mail",
    "notification_keep_seconds": "how long notifications are kept",
    "oidc": "OpenID providers, as tables in the file or as JSON: docs/how-to/sign-in.md",
    "open_timeout_seconds": "how long connecting may take",
    "peers": "the `[peers]` table of the file: names of this agent's own for other agents' DIDs",
    "pending_lifetime_seconds": "how long a request to be enrolled waits for an admin",
    "ping_seconds": "WebSocket pings",
    "policy_lifetime_seconds": "how long a signed policy holds; it is renewed before",
    "port": "port to listen on; 0 lets the system choose",
    "public_url": "what agents and browsers reach the hub as, where a proxy stands before it",
    "reconnect_max_seconds": "the longest pause before connecting again",
    "reconnect_min_seconds": "the shortest one",
    "register_deadline_seconds": "how long an agent may take to show its key",
    "rejected_retry_seconds": "when a rejected agent asks again",
    "require_operator_signature": "obey only chains that do not pass through the hub's key",
    "result_ack_gather_seconds": "how long acknowledgements of results are gathered",
    "result_resend_seconds": "when a result is sent again that was not acknowledged, and a question nobody has answered",
    "root": "DID of the root to believe",
    "root_key_file": "a root key kept elsewhere, for `hub init`",
    "session_idle_seconds": "and how long it lasts unused",
    "session_seconds": "how long a sign-in lasts at most",
    "shutdown_grace_seconds": "how long running work may take to end when the agent is told to",
    "shutdown_seconds": "how long the end of the hub may take",
    "sign_in_attempts_per_address": "attempts to sign in from one address, in 5 minutes",
    "sign_in_attempts_per_name": "attempts to sign in as somebody from one address, in 5 minutes",
    "smtp_from": "sender of mail",
    "smtp_url": "mail server: `smtp://`, `smtp+starttls://` or `smtps://` with user and password",
    "step_up_seconds": "how fresh a sign-in must be for approvals, keys and passkeys",
    "trust_first_hub": "pin the root of whatever answers first",
    "trusted_proxies": "addresses whose `X-Forwarded-*` are believed, separated by commas",
    "upload_seconds": "how long one upload may take",
    "webhook_allowed_networks": "networks, separated by commas, that webhooks may reach although they are not public; `http://` to loopback among them",
    "webhook_attempts": "attempts before a delivery is a dead letter",
    "webhook_concurrency": "deliveries to one webhook at a time",
    "webhook_disable_after_seconds": "how long nothing may arrive before a webhook is disabled",
    "webhook_first_retry_seconds": "the wait after the first failure; each later one is six times as long",
    "webhook_keep_deliveries": "deliveries kept of one webhook after they arrived",
    "webhook_keep_seconds": "how long deliveries are kept after they ended",
    "webhook_max_pending": "deliveries waiting for one webhook; what comes later waits in the record",
    "webhook_max_retry_seconds": "the longest wait between attempts",
    "webhook_secret_grace_seconds": "how long the secret before the newest signs too",
    "webhook_timeout_seconds": "how long one attempt may take",
    "workspace": "the folder orders may touch; `workspace` in the data folder otherwise",
}
"""What each setting means; without a row here it is told by its name."""


def render_cli() -> str:
    """Return docs/reference/cli.md."""
    parts = [CLI_HEAD, GENERATED, "## Commands\n"]
    context = click.Context(writ, info_name="writ")
    for name in COMMANDS:
        command = writ.get_command(context, name)
        assert command is not None, name
        parts.extend(_render_command(command, f"writ {name}"))
    return "\n".join(parts).rstrip() + "\n"


def _render_command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    help_text = " ".join((command.help or "").replace("\b", "").split())
    if isinstance(command, click.Group):
        yield f"### {path}\n\n{help_text}\n"
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _render_command(inner, f"{path} {name}")
        return
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"#### {path}\n\n```\n{usage}\n```\n\n{help_text}\n"
    rows = []
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            flags = ", ".join(f"`{flag}`" for flag in (*param.opts, *param.secondary_opts))
            rows.append(f"| {flags} | {' '.join((param.help or '').split())} |")
    if rows:
        yield "\n".join(["| option | |", "|---|---|", *rows, ""])


def render_settings() -> str:
    """Return docs/reference/settings.md."""
    hub = _render_model(HubSettings, ("WRIT_",))
    agent = _render_model(AgentSettings, ("WRIT_AGENT_", "WRIT_"))
    return "\n".join(
        [
            SETTINGS_HEAD,
            GENERATED,
            "## Hub\n\nFile: `--config`, else `WRIT_CONFIG`, else `hub.toml` in the data folder.\n",
            hub,
            "## Agent\n\nFile: `--config`, else `config.toml` in the data folder. `WRIT_AGENT_NAME`"
            " weighs more than `WRIT_NAME`.\n",
            agent,
        ]
    )


def _render_model(model: type[BaseModel], prefixes: tuple[str, ...]) -> str:
    rows = ["| setting | environment | default | means |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        variables = ", ".join(f"`{prefix}{name.upper()}`" for prefix in prefixes)
        if name in ("executors", "peers"):
            variables = "file only"
        rows.append(
            f"| `{name}` | {variables} | {_default(field.default)} | {MEANING.get(name, name.replace('_', ' '))} |"
        )
    return "\n".join([*rows, ""])


def _default(value: Any) -> str:
    # Defaults made at run time depend on the machine, so their meaning tells them instead.
    if value is PydanticUndefined or value in (None, "", (), {}):
        return ""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return f"`{value}`"


PAGES = {"cli.md": render_cli, "settings.md": render_settings}

if __name__ == "__main__":
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), "utf-8")
