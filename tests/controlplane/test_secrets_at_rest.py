"""Secrets at rest: data keys of realms, wrapped by a key outside the database; new keys of both
kinds while the hub runs, killed at every step; and a realm that takes its secrets with it."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane import secret_rotation
from controlplane.backup import read_backup, write_backup
from controlplane.errors import SecretError, SettingsError, StateConflictError
from controlplane.faults import ROTATION_POINTS
from controlplane.fleet.join_tokens import secret_place
from controlplane.secret_keeper import SecretKeeper, data_key_id
from controlplane.secret_rotation import destroy_retired, rotate_secrets
from controlplane.secrets import SecretBox
from controlplane.settings import HubSettings, load_settings
from controlplane.wrapping_keys import load_raw_keys, load_wrapping_keys
from protocol.errors import KeyFileError
from storage.database import Database
from storage.records import DataKeyRecord
from storage.repositories.sealed_rows import SealedRows
from storage.tables import metadata
from tests.controlplane.hubs import ServedHub, serve


def key_file(served: ServedHub) -> Path:
    return served.settings.effective_secrets_key_file


async def data_keys(database: Database) -> list[DataKeyRecord]:
    return list(
        await database.read(lambda uow: uow.data_keys.get_many(sorted(uow.data_keys.ids())))
    )


async def token(served: ServedHub, realm: str = "default") -> str:
    """Make a join token; its sealed key is a secret of the realm."""
    made = await served.client.post("/api/v1/join-tokens", {"realm": realm})
    assert made.status == 201, made.data
    return str(made.json["id"])


async def opened(served: ServedHub, id: str) -> bytes:
    """What the hub that serves makes of the sealed key of a join token."""
    record = await served.hub.database.read(lambda uow: uow.join_tokens.get(id))
    return bytes(served.hub.secrets.open(record.sealed_secret, place=secret_place(id)))


async def sealed_with(served: ServedHub, id: str) -> str | None:
    record = await served.hub.database.read(lambda uow: uow.join_tokens.get(id))
    return data_key_id(record.sealed_secret)


async def rotate_in_a_process(settings: HubSettings, *args: str, **env: str) -> tuple[int, str]:
    """Run `writ hub rotate-secrets` as a person would; return its exit code and its errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controlplane.cli.main", "hub", "rotate-secrets", *args),
        *("--data-dir", str(settings.data_dir), "--database-url", settings.effective_database_url),
        env={**os.environ, **env},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def test_every_sealed_column_is_known_to_the_rotation() -> None:
    from controlplane.sealed_values import PLACES

    sealed = {
        column
        for table in metadata.tables.values()
        for column in table.columns
        if column.name.startswith("sealed")
    }
    assert sealed == {one.sealed for one in SealedRows.columns.values()}
    assert PLACES.keys() == SealedRows.columns.keys()


async def test_each_realm_has_a_data_key_of_its_own_and_the_database_no_key_as_it_is(
    served: ServedHub,
) -> None:
    await served.client.post("/api/v1/realms", {"id": "lab"})
    here, there = await token(served), await token(served, "lab")
    assert await sealed_with(served, here) != await sealed_with(served, there)
    keys = {one.id: one for one in await data_keys(served.hub.database)}
    assert {one.realm for one in keys.values()} == {None, "default", "lab"}
    (raw,) = load_raw_keys(key_file(served))
    database = served.settings.data_dir.rglob("hub.db*")
    assert not any(raw in path.read_bytes() for path in database)


async def test_a_value_opens_in_its_place_only_and_a_wrapped_key_for_its_realm_only(
    served: ServedHub,
) -> None:
    secrets, database = served.hub.secrets, served.hub.database
    sealed = secrets.seal(b"secret", place="a/1", realm="default")
    assert secrets.open(sealed, place="a/1") == b"secret"
    for bad, place in (
        (sealed, "a/2"),
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), "a/1"),
        (sealed[:1] + bytes(16) + sealed[17:], "a/1"),
        (sealed[:20], "a/1"),
        (b"", "a/1"),
    ):
        with pytest.raises(SecretError):
            secrets.open(bad, place=place)
    with pytest.raises(SecretError):
        secrets.seal(b"secret", place="a/1", realm="no-such-realm")
    # Who writes into the database cannot have one realm's key used for another.
    one, other = (await data_keys(database))[:2]
    swapped = DataKeyRecord(
        one.id, one.realm, one.wrapping_key, other.wrapped, one.created_at, None
    )
    from controlplane.secret_keeper import unwrap

    keys = load_wrapping_keys(key_file(served))
    assert len(unwrap(keys, one)) == 32
    with pytest.raises(SecretError):
        unwrap(keys, swapped)


async def test_values_of_the_first_form_still_open_and_the_rotation_moves_them_on(
    served: ServedHub,
) -> None:
    """Before there were data keys, the key in the file sealed everything itself."""
    id = await token(served)
    (raw,) = load_raw_keys(key_file(served))
    before = await opened(served, id)
    first_form = SecretBox(raw).seal(before, place=secret_place(id))
    row = (await served.hub.database.read(lambda u: u.sealed_rows.list("join_tokens", limit=9)))[0]
    assert await served.hub.database.write(lambda u: u.sealed_rows.replace(row, first_form))
    assert await opened(served, id) == before
    done = await rotate_secrets(served.settings)
    assert (done.resealed, done.unreadable) == (1, 0)
    assert await sealed_with(served, id) is not None
    assert await opened(served, id) == before


async def test_a_new_wrapping_key_leaves_what_is_sealed_as_it_is_and_the_old_key_opens_nothing(
    served: ServedHub, tmp_path: Path
) -> None:
    id = await token(served)
    old = tmp_path / "old" / "secrets.key"
    old.parent.mkdir(mode=0o700)
    old.write_bytes(key_file(served).read_bytes())
    old.chmod(0o600)
    before = await served.hub.database.read(lambda uow: uow.join_tokens.get(id))
    code, said = await rotate_in_a_process(served.settings)
    assert code == 0, said
    after = await served.hub.database.read(lambda uow: uow.join_tokens.get(id))
    assert after == before
    keys = load_wrapping_keys(key_file(served))
    assert list(keys.boxes) != list(load_wrapping_keys(old).boxes)
    assert {one.wrapping_key for one in await data_keys(served.hub.database)} == {keys.present}
    with pytest.raises(SecretError):
        await SecretKeeper.load(old, served.hub.database)
    fresh = await SecretKeeper.load(key_file(served), served.hub.database)
    assert fresh.open(after.sealed_secret, place=secret_place(id)) == await opened(served, id)
    # The hub that ran all the while makes keys under the new one.
    await served.client.post("/api/v1/realms", {"id": "lab"})
    await token(served, "lab")
    assert {one.wrapping_key for one in await data_keys(served.hub.database)} == {keys.present}


async def test_new_data_keys_seal_everything_anew_while_the_hub_runs(
    served: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.secret_keeper.BATCH", 3)
    monkeypatch.setattr("controlplane.sealed_values.BATCH", 3)
    ids = [await token(served) for _ in range(8)]
    plain = [await opened(served, id) for id in ids]
    before = {one.id for one in await data_keys(served.hub.database)}
    rotating = asyncio.create_task(rotate_secrets(served.settings, data_keys=True))
    while not rotating.done():
        ids.append(await token(served))
        plain.append(await opened(served, ids[-1]))
        await asyncio.wait({rotating}, timeout=0.2)
    done = await rotating
    assert done.data_keys == 2
    assert done.resealed >= 8
    await served.hub.secrets.refresh()
    assert [await opened(served, id) for id in ids] == plain
    retired = {one.id for one in await data_keys(served.hub.database) if one.retired_at}
    assert retired == before
    # They still open what is on its way, and are destroyed when that time is over.
    assert await destroy_retired(served.hub.database, served.hub.secrets) == 0
    monkeypatch.setattr(secret_rotation, "RETIRED_FOR", -secret_rotation.ADOPT_AFTER)
    assert await destroy_retired(served.hub.database, served.hub.secrets) == len(before)
    await served.hub.secrets.refresh()
    assert [await opened(served, id) for id in ids] == plain
    assert before.isdisjoint({await sealed_with(served, id) for id in ids})


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotations in this process do not wait for other hubs: there are none."""
    for module in ("secret_keeper", "secret_rotation"):
        monkeypatch.setattr(f"controlplane.{module}.ADOPT_AFTER", timedelta(0))


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("point", sorted(ROTATION_POINTS))
async def test_a_rotation_killed_at_any_step_loses_nothing_and_is_finished_by_the_next(
    served: ServedHub, point: str
) -> None:
    id = await token(served)
    plain = await opened(served, id)
    code, said = await rotate_in_a_process(served.settings, "--data-keys", WRIT_FAULT=point)
    assert code == -signal.SIGKILL, said
    assert await opened(served, id) == plain
    fresh = await SecretKeeper.load(key_file(served), served.hub.database)
    await served.hub.secrets.refresh()
    other = await token(served)
    fresh_again = await SecretKeeper.load(key_file(served), served.hub.database)
    for keeper in (fresh, fresh_again):
        record = await served.hub.database.read(lambda uow: uow.join_tokens.get(id))
        assert keeper.open(record.sealed_secret, place=secret_place(id)) == plain
    assert (await rotate_secrets(served.settings, data_keys=True)).unreadable == 0
    await served.hub.secrets.refresh()
    assert await opened(served, id) == plain
    assert len(await opened(served, other)) == 32
    keys = load_raw_keys(key_file(served))
    assert len(keys) == 1
    (in_force,) = await served.hub.database.read(lambda uow: uow.wrapping_keys.list())
    assert in_force.id == load_wrapping_keys(key_file(served)).present


async def test_two_rotations_at_once_in_one_data_folder_are_refused(
    served: ServedHub,
) -> None:
    async with secret_rotation._alone(served.settings.keys_dir):
        with pytest.raises(StateConflictError):
            await rotate_secrets(served.settings)


async def test_the_keys_can_lie_elsewhere_and_are_then_only_read(tmp_path: Path) -> None:
    file = tmp_path / "vault" / "keys"
    file.parent.mkdir(mode=0o700)

    def write(*keys: bytes) -> None:
        file.write_text("# ours\n" + "".join(base64.b64encode(k).decode() + "\n" for k in keys))
        file.chmod(0o600)

    first, second = os.urandom(32), os.urandom(32)
    write(first)
    settings = load_settings(
        {"data_dir": tmp_path / "hub"}, environ={"WRIT_SECRETS_KEY_FILE": str(file)}
    )
    async with serve(tmp_path / "hub", secrets_key_file=file) as served:
        assert not (served.settings.keys_dir / "secrets.key").exists()
        id = await token(served)
        plain = await opened(served, id)
        with pytest.raises(SettingsError, match="no new key"):
            await rotate_secrets(settings)
        write(second, first)
        content = file.read_bytes()
        await rotate_secrets(settings)
        assert file.read_bytes() == content
        write(second)
        assert (await SecretKeeper.load(file, served.hub.database)) is not None
        assert await opened(served, id) == plain
        key = served.client.api_key
    async with serve(tmp_path / "hub", key, secrets_key_file=file) as served:
        assert await opened(served, id) == plain
    write(first)
    with pytest.raises(SecretError, match="does not hold the key"):
        async with serve(tmp_path / "hub", key, secrets_key_file=file):
            pass


@pytest.mark.parametrize(
    "content", [b"", b"x", b"not base64!\n", base64.b64encode(bytes(31)), b"A" * 20_000]
)
async def test_a_file_that_holds_no_key_stops_the_start(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "vault" / "keys"
    file.parent.mkdir(mode=0o700)
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(KeyFileError):
        load_wrapping_keys(file)


async def test_a_realm_that_is_removed_takes_its_secrets_with_it(served: ServedHub) -> None:
    await served.client.post("/api/v1/realms", {"id": "lab"})
    id = await token(served, "lab")
    (key,) = await served.hub.database.read(lambda uow: uow.data_keys.of_realm("lab"))
    assert (await served.client.send("DELETE", "/api/v1/realms/lab")).status == 204
    with pytest.raises(SecretError):
        await opened(served, id)
    assert key.id not in {one.id for one in await data_keys(served.hub.database)}
    # Not even what is left in the file has the wrapped key, once the log is folded in.
    with closing(sqlite3.connect(served.settings.data_dir / "hub.db")) as database:
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    assert key.wrapped not in (served.settings.data_dir / "hub.db").read_bytes()
    # The same name again is another realm with another key.
    await served.client.post("/api/v1/realms", {"id": "lab"})
    assert len(await opened(served, await token(served, "lab"))) == 32
    with pytest.raises(SecretError):
        await opened(served, id)


async def test_another_process_opens_what_this_one_sealed_a_moment_ago(served: ServedHub) -> None:
    second = await SecretKeeper.load(key_file(served), served.hub.database)
    await served.client.post("/api/v1/realms", {"id": "lab"})
    id = await token(served, "lab")
    place = secret_place(id)

    def unit(uow: Any) -> bytes:
        return second.open_in(uow, uow.join_tokens.get(id).sealed_secret, place=place)

    assert await served.hub.database.read(unit) == await opened(served, id)


async def test_a_backup_opens_with_the_keys_in_it_before_and_after_a_rotation(
    served: ServedHub, tmp_path: Path
) -> None:
    id = await token(served)
    plain = await opened(served, id)
    await asyncio.to_thread(write_backup, served.settings, tmp_path / "before.backup")
    await rotate_secrets(served.settings)
    await asyncio.to_thread(write_backup, served.settings, tmp_path / "after.backup")
    for name in ("before", "after"):
        settings = load_settings({"data_dir": tmp_path / name, "port": 0}, environ={})
        await asyncio.to_thread(read_backup, settings, tmp_path / f"{name}.backup")
        async with serve(tmp_path / name, served.client.api_key) as restored:
            assert await opened(restored, id) == plain


@pytest.mark.usefixtures("hasty")
async def test_the_same_on_postgres(postgres_url: str, tmp_path: Path) -> None:
    async with serve(tmp_path / "hub", database_url=postgres_url) as served:
        await served.client.post("/api/v1/realms", {"id": "lab"})
        ids = [await token(served), await token(served, "lab")]
        plain = [await opened(served, id) for id in ids]
        settings = served.settings
        code, _ = await rotate_in_a_process(
            settings, "--data-keys", WRIT_FAULT="secrets_batch_resealed"
        )
        assert code == -signal.SIGKILL
        assert [await opened(served, id) for id in ids] == plain
        done = await rotate_secrets(settings, data_keys=True)
        assert done.unreadable == 0
        await served.hub.secrets.refresh()
        assert [await opened(served, id) for id in ids] == plain
        assert (await served.client.send("DELETE", "/api/v1/realms/lab")).status == 204
        with pytest.raises(SecretError):
            await opened(served, ids[1])
