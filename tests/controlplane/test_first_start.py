"""From an empty folder to a hub, broken off anywhere, and never twice (SURFACE, "First start")."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from controlplane import first_start, identity
from controlplane.errors import HalfInitialisedError, NotInitialisedError, SettingsError
from controlplane.first_start import init_hub, new_admin_key
from controlplane.identity import HubIdentity
from controlplane.key_files import load_private_key, save_private_key
from controlplane.settings import HubSettings, load_settings
from protocol.delegation import verify_link
from protocol.errors import KeyFileError
from protocol.keys import SigningKey
from tests.controlplane.hubs import serve


def settings_of(folder: Path, **flags: Any) -> HubSettings:
    return load_settings({"data_dir": folder, **flags}, environ={})


async def test_a_new_hub_has_keys_only_its_owner_reads_and_a_chain_to_each(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "hub")
    made = await init_hub(settings)
    assert stat.S_IMODE(settings.keys_dir.stat().st_mode) == 0o700
    for file in settings.keys_dir.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    mine = HubIdentity.load(settings)
    assert load_private_key(made.root_key_file).public_key.did == made.root_did
    assert load_private_key(made.operator_key_file).public_key.did == made.operator_did
    actions = {}
    for name, envelope in (
        ("hub", mine.hub_delegation),
        ("log", mine.log_delegation),
        ("operator", mine.operator_delegation),
    ):
        link = verify_link(envelope)
        assert envelope.public_key.did == made.root_did
        actions[name] = {one.action for one in link.delegation.capabilities}
    assert {"*", "writ.route", "writ.policy", "writ.approve"} <= actions["hub"]
    assert "writ.route" not in actions["operator"]
    assert actions["log"] == {"writ.log"}


async def test_init_twice_changes_nothing_and_tells_no_key(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "hub")
    first = await init_hub(settings)
    again = await init_hub(settings)
    assert first.api_key is not None
    assert again.api_key is None
    assert (again.root_did, again.hub_did) == (first.root_did, first.hub_did)


async def test_a_given_root_key_signs_and_stays_where_it_lies(tmp_path: Path) -> None:
    elsewhere = tmp_path / "safe"
    key = SigningKey.from_seed(bytes(range(32)))
    save_private_key(elsewhere / "root.pem", key)
    settings = settings_of(tmp_path / "hub", root_key_file=elsewhere / "root.pem")
    made = await init_hub(settings)
    assert made.root_did == key.public_key.did
    assert not (settings.keys_dir / "root.pem").exists()
    (elsewhere / "root.pem").unlink()
    async with serve(tmp_path / "hub", made.api_key) as served:
        assert (await served.client.get("/api/v1/me")).status == 200


async def test_a_start_that_was_broken_off_between_keys_and_rows_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path / "hub")

    def power_cut(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(first_start, "_write_first_rows", power_cut)
    with pytest.raises(RuntimeError, match="power cut"):
        await init_hub(settings)
    root = HubIdentity.load(settings).root_did
    monkeypatch.undo()
    made = await init_hub(settings)
    assert made.root_did == root
    assert made.api_key is not None


async def test_keys_that_were_broken_off_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path / "hub")

    def power_cut(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(identity, "root_delegation", power_cut)
    with pytest.raises(RuntimeError, match="power cut"):
        await init_hub(settings)
    with pytest.raises(NotInitialisedError):
        HubIdentity.load(settings)
    monkeypatch.undo()
    assert (await init_hub(settings)).api_key is not None


async def test_a_database_without_its_keys_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "hub")
    await init_hub(settings)
    shutil.rmtree(settings.keys_dir)
    with pytest.raises(HalfInitialisedError):
        await init_hub(settings)
    assert not settings.keys_dir.exists()


async def test_a_database_of_another_hub_is_refused(tmp_path: Path) -> None:
    one, other = settings_of(tmp_path / "one"), settings_of(tmp_path / "other")
    await init_hub(one)
    await init_hub(other)
    shutil.rmtree(other.keys_dir)
    shutil.copytree(one.keys_dir, other.keys_dir)
    with pytest.raises(HalfInitialisedError):
        await init_hub(other)


async def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "hub")
    await init_hub(settings)
    (settings.keys_dir / "hub.pem").chmod(0o644)
    with pytest.raises(KeyFileError):
        HubIdentity.load(settings)


async def test_key_files_open_only_with_their_passphrase(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "hub", key_passphrase="correct horse")
    await init_hub(settings)
    HubIdentity.load(settings)
    with pytest.raises(KeyFileError):
        HubIdentity.load(settings_of(tmp_path / "hub"))


async def test_whoever_holds_the_data_folder_can_make_a_new_admin_key(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "hub")
    await init_hub(settings)
    key = await new_admin_key(settings, "found again")
    async with serve(tmp_path / "hub", key) as served:
        assert (await served.client.get("/api/v1/me")).json["roles"] == ["owner"]


def test_settings_weigh_flag_over_environment_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text('host = "10.0.0.1"\nport = 1\nlog_level = "error"\n')
    secret = tmp_path / "pass"
    secret.write_text("from a file\n")
    found = load_settings(
        {"port": 3, "host": None},
        environ={
            "WRIT_DATA_DIR": str(tmp_path),
            "WRIT_PORT": "2",
            "WRIT_HOST": "10.0.0.2",
            "WRIT_KEY_PASSPHRASE_FILE": str(secret),
        },
    )
    assert (found.port, found.host, found.log_level) == (3, "10.0.0.2", "error")
    assert found.passphrase == b"from a file"
    assert found.origins["port"] == "flag"
    assert found.origins["host"] == "environment WRIT_HOST"
    assert found.origins["log_level"].startswith("file ")
    assert found.origins["max_pending"] == "default"
    assert "from a file" not in repr(found)


@pytest.mark.parametrize(
    "text", ["prot = 1\n", "port = 99999\n", "clock_skew_seconds = 4\n", "port = [\n"]
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "hub.toml").write_text(text)
    with pytest.raises(SettingsError):
        load_settings({"data_dir": tmp_path}, environ={})


def test_a_fresh_key_file_never_replaces_another(tmp_path: Path) -> None:
    key = SigningKey.from_seed(os.urandom(32))
    save_private_key(tmp_path / "keys" / "a.pem", key)
    with pytest.raises(KeyFileError):
        save_private_key(tmp_path / "keys" / "a.pem", SigningKey.from_seed(os.urandom(32)))
    assert load_private_key(tmp_path / "keys" / "a.pem").seed == key.seed
