"""`/settings/storage`: where files are kept, tried out and switched while the hub runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from controlplane.api.agents import parse_if_match
from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.views import etag_of, time_view
from controlplane.errors import InvalidFieldError
from controlplane.file_places import Place, parse_url
from controlplane.file_stores import Storage, merge_place
from storage.files.credentials import S3Credentials

_TEXT = Field(min_length=1, max_length=500)


class S3CredentialsBody(Body):
    """An access key; stored encrypted, never shown again."""

    access_key_id: Annotated[str, _TEXT]
    secret_access_key: Annotated[str, _TEXT] = Field(repr=False)
    session_token: Annotated[str, Field(max_length=4_000)] | None = Field(default=None, repr=False)


class StorageBody(Body):
    """What to change.

    `url` null is the store the hub was started with; a folder lies inside the hub's data folder;
    `credentials` null are those of the hub's machine.
    """

    url: Annotated[str, Field(max_length=1_000)] | None = None
    endpoint: Annotated[str, Field(max_length=500)] | None = None
    region: Annotated[str, Field(max_length=100)] | None = None
    credentials: S3CredentialsBody | None = None


class StorageSettingsView(View):
    """Where files are kept. `origin` is `setting` once it was chosen here."""

    url: str
    endpoint: str | None
    region: str | None
    has_credentials: bool
    origin: str
    conditional_writes: bool | None
    earlier: list[str]
    updated_at: str | None
    updated_by: str | None
    etag: str


class StorageTestView(View):
    """Whether files can be written, read and removed.

    `conditionalWrites` tells whether the server heeds conditions on writes.
    """

    ok: bool
    code: str | None
    detail: str | None
    conditional_writes: bool | None
    seconds: float


@operation(
    "GET", "/api/v1/settings/storage", permission="settings.read", result=StorageSettingsView
)
async def show(call: Call) -> Any:
    """Where files are kept."""
    return _reply(call, call.hub.storage.storage)


@operation(
    "PATCH",
    "/api/v1/settings/storage",
    permission="settings.write",
    body=StorageBody,
    result=StorageSettingsView,
    errors=("precondition_failed", "conflict", "storage_test_failed"),
)
async def switch(call: Call) -> Any:
    """Keep new files elsewhere, after a test; with If-Match only over that version."""
    keeper = call.hub.storage
    named = parse_if_match(call.headers.get("if-match"))
    before = keeper.storage
    place = _place(call, before.present)
    over = before.revision if named is None else named
    return _reply(call, await keeper.switch(call.actor, place, over=over, strict=named is not None))


@operation(
    "POST",
    "/api/v1/settings/storage/test",
    permission="settings.write",
    body=StorageBody,
    result=StorageTestView,
)
async def test(call: Call) -> Any:
    """Try a file store out for real, the present one with an empty body; changes no setting."""
    keeper = call.hub.storage
    tested = await keeper.test(_place(call, keeper.storage.present))
    shown = asdict(tested)
    shown["conditionalWrites"] = shown.pop("conditional_writes")
    return shown


def _place(call: Call, before: Place) -> Place:
    body: StorageBody = call.body
    changes: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if "url" in changes:
        changes["url"] = parse_url(call.hub.settings, changes["url"])
    if changes.get("credentials") is not None:
        one = changes["credentials"]
        changes["credentials"] = S3Credentials(
            one.access_key_id, one.secret_access_key, one.session_token
        )
    place = merge_place(before, changes)
    s3 = (place.url or call.hub.settings.effective_files_url).startswith("s3://")
    for name in ("endpoint", "region", "credentials"):
        if not s3 and getattr(place, name) is not None:
            raise InvalidFieldError("goes with s3://bucket/prefix", pointer=f"/{name}")
    return place


def _reply(call: Call, storage: Storage) -> Reply:
    settings, place = call.hub.settings, storage.present
    etag = etag_of(storage.revision)
    view = {
        "url": place.url or settings.effective_files_url,
        "endpoint": place.endpoint,
        "region": place.region,
        "hasCredentials": place.credentials is not None,
        "origin": "setting" if storage.revision else settings.origins["files_url"],
        "conditionalWrites": call.hub.files.heeds_conditions,
        "earlier": [one.url or settings.effective_files_url for one in storage.earlier],
        "updatedAt": time_view(storage.updated_at),
        "updatedBy": storage.updated_by,
        "etag": etag,
    }
    return Reply(view, headers={"ETag": etag})


OPERATIONS = [show, switch, test]
