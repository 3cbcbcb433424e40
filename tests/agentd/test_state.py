"""What is on disk: damage stops the agent, a full disk does not, and a folder is one agent's."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentd.clock import Clock
from agentd.errors import (
    AlreadyRunningError,
    IdentityError,
    StateError,
    StateUnavailableError,
)
from agentd.identity import KEY_FILE, InstanceLock, load_identity, pin_root, prepare_next_key
from agentd.main import run_agent
from agentd.state import StateDatabase
from agentd.state.facts import CLOCK, get_fact, raise_clock, set_fact
from protocol.messages import IntentAck
from tests.agentd.conftest import AgentHere
from tests.agentd.hub_double import HubDouble, new_key

MakeAgent = Callable[..., AgentHere]


async def test_units_that_wait_together_commit_together_and_a_bad_one_harms_no_other(
    data_dir: Path,
) -> None:
    state = StateDatabase.open(data_dir, create=True)

    def bad(connection: sqlite3.Connection) -> None:
        set_fact(connection, "bad", "written")
        raise KeyError("bad")

    futures = [
        state.submit(lambda c: set_fact(c, "one", "1")),
        state.submit(bad),
        state.submit(lambda c: set_fact(c, "two", "2")),
    ]
    ended = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(item) for item in ended] == [type(None), KeyError, type(None)]
    assert [get_fact(state.reader, name) for name in ("one", "bad", "two")] == ["1", None, "2"]
    state.close()
    with pytest.raises(StateUnavailableError):
        await state.write(lambda c: set_fact(c, "late", "3"))


@pytest.mark.parametrize("damage", ["garbage", "empty", "middle", "foreign", "newer"])
def test_a_damaged_state_is_not_acted_on(data_dir: Path, damage: str) -> None:
    StateDatabase.open(data_dir, create=True).close()
    path = data_dir / "state.db"
    if damage == "garbage":
        path.write_bytes(os.urandom(8192))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "middle":
        data = bytearray(path.read_bytes())
        data[4096:12288] = os.urandom(8192)
        path.write_bytes(data)
    else:
        with sqlite3.connect(path) as connection:
            name = "application_id" if damage == "foreign" else "user_version"
            connection.execute(f"PRAGMA {name}=77")
        connection.close()
    with pytest.raises(StateError, match=r"state\.db"):
        StateDatabase.open(data_dir, create=True)


def lose_state(data_dir: Path) -> None:
    for file in data_dir.glob("state.db*"):
        file.unlink()


async def test_a_lost_state_is_not_taken_for_a_new_one(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
    lose_state(data_dir)
    with pytest.raises(StateError, match="--accept-empty-state"):
        await run_agent(agent_here().settings, lambda _line: None)
    async with agent_here(accept_empty_state=True) as agent:
        await agent.state("online")


async def test_a_full_disk_acks_nothing_starts_nothing_and_kills_nobody(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path
) -> None:
    async with agent_here() as here:
        await here.state("online")
        assert here.agent is not None
        writer = here.agent._state._writer
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count={pages}")
        big = {"path": "witness", "content": "x" * 200_000}
        intent = await hub.order("files.write", big)
        # A frame that needs no disk is answered after the order has failed to be stored.
        await hub.send_document(hub.make_intent("echo", {}, signer=new_key()))
        await hub.until(lambda: len(hub.received.frames) >= 2)
        assert hub.result_of(intent) is None
        assert hub.received.of(IntentAck) == []
        assert not (data_dir / "workspace" / "witness").exists()
        writer.execute("PRAGMA max_page_count=1000000")
        await hub.send_document(intent)
        assert (await hub.result(intent))["status"] == "succeeded"


def test_time_never_runs_backwards(data_dir: Path) -> None:
    state = StateDatabase.open(data_dir, create=True)
    for milliseconds in (5_000, 9_000, 7_000):
        state.write_now(lambda c, at=milliseconds: raise_clock(c, at))
    assert get_fact(state.reader, CLOCK) == "9000"
    state.close()
    future = datetime.now(UTC) + timedelta(days=1)
    clock = Clock(future)
    assert clock.later() == future
    assert clock.now() < future


def test_a_key_file_is_private_and_its_folder_too(data_dir: Path) -> None:
    first = load_identity(data_dir)
    assert (data_dir / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert load_identity(data_dir).did == first.did
    (data_dir / KEY_FILE).chmod(0o640)
    with pytest.raises(IdentityError, match=KEY_FILE):
        load_identity(data_dir)
    (data_dir / KEY_FILE).chmod(0o600)
    data_dir.chmod(0o755)
    with pytest.raises(IdentityError, match="open to others"):
        load_identity(data_dir)


def test_a_link_is_no_key_file(data_dir: Path, tmp_path: Path) -> None:
    load_identity(data_dir)
    (data_dir / KEY_FILE).rename(tmp_path / "elsewhere.pem")
    (data_dir / KEY_FILE).symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(IdentityError):
        load_identity(data_dir)


def test_a_passphrase_protects_the_key(data_dir: Path) -> None:
    first = load_identity(data_dir, passphrase=b"correct horse")
    assert load_identity(data_dir, passphrase=b"correct horse").did == first.did
    with pytest.raises(IdentityError):
        load_identity(data_dir, passphrase=b"wrong")


def test_a_root_is_pinned_once(data_dir: Path) -> None:
    root, other = new_key().public_key, new_key().public_key
    load_identity(data_dir)
    pin_root(data_dir, root)
    pin_root(data_dir, root)
    with pytest.raises(IdentityError, match="another root"):
        pin_root(data_dir, other)
    (data_dir / "root.did").write_text("nonsense")
    with pytest.raises(IdentityError, match="unreadable"):
        load_identity(data_dir)


def test_a_rotation_under_way_keeps_its_key(data_dir: Path) -> None:
    load_identity(data_dir)
    assert prepare_next_key(data_dir) == prepare_next_key(data_dir)


def test_one_process_holds_a_folder(data_dir: Path) -> None:
    with InstanceLock(data_dir), pytest.raises(AlreadyRunningError):
        InstanceLock(data_dir).acquire()
    with InstanceLock(data_dir):
        pass
