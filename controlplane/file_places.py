"""Where files may be kept: one place as it is chosen, stored and opened.

Owns the form of a place in the database, with its credentials sealed, and which folders may be
chosen over the network. Touches no store.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from controlplane.errors import InvalidFieldError, SecretError
from controlplane.secret_keeper import SecretKeeper, data_key_id
from controlplane.settings import HubSettings
from storage.files.base import FileStore
from storage.files.credentials import S3Credentials
from storage.files.open_store import open_file_store

_SEALED_FOR: Final = "settings/storage/credentials"


@dataclass(frozen=True, slots=True)
class Place:
    """A file store by its address.

    Attributes:
        url: a folder or `s3://bucket/prefix`; None is the one the process was started with.
        endpoint: of an S3 server that is not Amazon's.
        region: of an S3 server.
        credentials: None takes those the machine offers.
    """

    url: str | None = None
    endpoint: str | None = None
    region: str | None = None
    credentials: S3Credentials | None = field(default=None, repr=False)

    @property
    def address(self) -> tuple[str | None, str | None]:
        """What tells one place from another, whoever has its keys."""
        return self.url, self.endpoint


def parse_url(settings: HubSettings, url: str | None) -> str | None:
    """Return the URL of a place as it is stored.

    Over the network only folders inside the hub's data folder can be named: who steals an admin's
    key must not make the hub write anywhere else on its machine.

    Raises:
        InvalidFieldError: another folder, or no file store at all.
    """
    if url is None or url == settings.effective_files_url:
        return None
    if url.startswith("s3://"):
        return url
    if url.startswith("file://"):
        url = unquote(urlsplit(url).path)
    elif "://" in url:
        raise InvalidFieldError("a folder or s3://bucket/prefix", pointer="/url")
    try:
        home = settings.data_dir.resolve()
        folder = (home / url).resolve()
    except (OSError, ValueError, RuntimeError):
        raise InvalidFieldError("no such folder can be", pointer="/url") from None
    keys = settings.keys_dir.resolve()
    if home not in folder.parents or folder == keys or keys in folder.parents:
        raise InvalidFieldError(
            "a folder inside the hub's data folder; another one is named when the hub starts "
            "(files_url)",
            pointer="/url",
        )
    return None if folder == Path(settings.effective_files_url).resolve() else str(folder)


def open_place(settings: HubSettings, place: Place) -> FileStore:
    """Return the store at a place; nothing is touched yet.

    Raises:
        BadFileStoreUrlError: none can be there, or what it needs is not installed.
    """
    return open_file_store(
        settings.effective_files_url if place.url is None else place.url,
        credentials=place.credentials,
        endpoint=place.endpoint,
        region=place.region,
        max_file_bytes=settings.max_file_bytes,
    )


def seal_place(secrets: SecretKeeper, place: Place) -> dict[str, Any]:
    """Return the JSON form of a place; its credentials only this hub can open."""
    sealed = None
    if place.credentials is not None:
        one = place.credentials
        plain = [one.access_key_id, one.secret_access_key, one.session_token]
        data = secrets.seal(json.dumps(plain).encode(), place=_SEALED_FOR)
        sealed = base64.b64encode(data).decode()
    return {
        "url": place.url,
        "endpoint": place.endpoint,
        "region": place.region,
        "credentials": sealed,
    }


def unseal_place(secrets: SecretKeeper, value: Mapping[str, Any]) -> Place:
    """Return the place that `seal_place` put away.

    Raises:
        SecretError: its credentials were sealed by another hub.
    """
    sealed = value.get("credentials")
    credentials = None
    if sealed is not None:
        try:
            plain = json.loads(secrets.open(base64.b64decode(sealed), place=_SEALED_FOR))
            credentials = S3Credentials(*plain)
        except (ValueError, TypeError) as exc:
            raise SecretError("the credentials of the file store cannot be read") from exc
    return Place(value.get("url"), value.get("endpoint"), value.get("region"), credentials)


def reseal_place(
    secrets: SecretKeeper, value: Mapping[str, Any]
) -> tuple[dict[str, Any], frozenset[str | None]]:
    """Return the JSON form with the credentials under the present data key, and the key it names.

    Credentials that do not open stay as they are.
    """
    sealed = value.get("credentials")
    if sealed is None:
        return dict(value), frozenset()
    data = base64.b64decode(sealed)
    try:
        if not secrets.is_current(data, None):
            data = secrets.seal(secrets.open(data, place=_SEALED_FOR), place=_SEALED_FOR)
    except SecretError:
        return dict(value), frozenset({data_key_id(data)})
    made = {**value, "credentials": base64.b64encode(data).decode()}
    return made, frozenset({data_key_id(data)})
