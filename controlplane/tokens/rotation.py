"""A new token key, made on the machine that has the data folder; running hubs follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane import token_keys
from controlplane.first_start import open_hub_data
from controlplane.identity import HubIdentity
from controlplane.secret_keeper import SecretKeeper

if TYPE_CHECKING:
    from controlplane.settings import HubSettings
    from storage.records import TokenKeyRecord


async def rotate_token_key(settings: HubSettings, *, at_once: bool = False) -> TokenKeyRecord:
    """Make the next key in the database of `settings`; see `token_keys.rotate_token_key`.

    Raises:
        NotInitialisedError, SecretError, UnavailableError: nothing was changed.
    """
    HubIdentity.load(settings)  # `open_hub_data` would make a hub where there is none
    _, database, _ = await open_hub_data(settings)
    try:
        secrets = await SecretKeeper.load(settings.effective_secrets_key_file, database)
        return await token_keys.rotate_token_key(database, secrets, by="console", at_once=at_once)
    finally:
        await database.close()
