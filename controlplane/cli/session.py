"""What one call of `writ` knows: which hub, whose key, which form of output."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.cli.failures import USAGE, CliError
from controlplane.cli.profiles import choose_profile

if TYPE_CHECKING:
    from controlplane.cli.client import HubClient
    from controlplane.cli.output import Printer
    from protocol.keys import SigningKey

DEFAULT_URL = "http://127.0.0.1:8080"


class Session:
    """Everything a command needs, made when it is first asked for."""

    def __init__(self, *, url: str | None, profile: str | None, form: str) -> None:
        self.form = form
        self.url = url
        self._profile_name = profile

    @cached_property
    def client(self) -> HubClient:
        """The REST client of the chosen hub: flag, then WRIT_URL, then profile, then loopback."""
        from controlplane.cli.client import HubClient

        profile = choose_profile(self._profile_name)
        # a key is only ever sent to the hub it was made for
        url = self.url or (profile.url if profile else DEFAULT_URL)
        key = os.environ.get("WRIT_API_KEY") or _read_secret("WRIT_API_KEY_FILE")
        if key is None and profile is not None and profile.url.rstrip("/") == url.rstrip("/"):
            key = profile.api_key
        return HubClient(url, api_key=key)

    @cached_property
    def printer(self) -> Printer:
        """The writer of results, in the form that was asked for."""
        from controlplane.cli.output import Printer

        return Printer(self.form)

    def operator_key(self, path: str | None) -> SigningKey | None:
        """Return the key that signs orders and decisions: `--sign`, then WRIT_OPERATOR_KEY."""
        chosen = path or os.environ.get("WRIT_OPERATOR_KEY")
        if not chosen:
            return None
        from controlplane.key_files import load_private_key

        passphrase = os.environ.get("WRIT_KEY_PASSPHRASE")
        return load_private_key(Path(chosen), passphrase.encode() if passphrase else None)


def _read_secret(variable: str) -> str | None:
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise CliError(f"{variable}: {path} cannot be read", exit_code=USAGE) from exc
