"""No event is lost to kill -9 of the hub, and the documented receiver takes each one once."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interaction.processes import CHECKOUT, WritProcess, environment, wait_until
from tests.interaction.system import System

RECEIVER = CHECKOUT / "examples" / "webhooks" / "receiver.py"


@pytest.fixture(params=["sqlite", "postgres"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """A hub process whose webhooks may reach loopback, and soon try again."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    env = {
        "WRIT_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32",
        "WRIT_WEBHOOK_FIRST_RETRY_SECONDS": "0.2",
        "WRIT_WEBHOOK_MAX_RETRY_SECONDS": "1",
        "WRIT_WEBHOOK_TIMEOUT_SECONDS": "2",
        "WRIT_WEBHOOK_ATTEMPTS": "32",
    }
    with System(tmp_path, database_url=url, **env) as one:
        one.hub.start()
        yield one


def start_receiver(folder: Path, secret: str, port: int) -> WritProcess:
    return WritProcess(
        "receiver",
        [str(RECEIVER), str(port)],
        log=folder / "receiver.log",
        env=environment(WEBHOOK_SECRET=secret),
        command=(sys.executable,),
    )


def told(receiver: WritProcess) -> list[dict[str, Any]]:
    return [line for line in receiver.lines if "type" in line]


def test_every_event_arrives_whenever_the_hub_was_killed(system: System, tmp_path: Path) -> None:
    # Its port is taken first: the secret is known only when there is a webhook for it.
    probe = start_receiver(tmp_path, "whsec_" + "A" * 43 + "=", 0)
    port = probe.wait_line(listening=...)["listening"]
    probe.kill()
    body = {"url": f"http://127.0.0.1:{port}/", "events": ["realm.created"]}
    made = system.rest.post("/webhooks", body)

    # Nobody listens yet, and the hub dies before, while and after it looks at its record.
    for number in range(2):
        system.rest.post("/realms", {"id": f"early-{number}"})
        system.hub.kill()
        system.hub.start()
    receiver = start_receiver(tmp_path, made["secret"], port)
    try:
        wait_until(lambda: len(told(receiver)) == 2, "what happened while nobody listened")

        # The receiver stops in mid-request, and the hub dies while it waits for the answer.
        os.kill(receiver.pid, signal.SIGSTOP)
        system.rest.post("/realms", {"id": "late"})
        path = f"/webhooks/{made['id']}/deliveries"
        wait_until(
            lambda: any(one["attempts"] for one in system.rest.items(path, state="pending")),
            "an attempt under way",
        )
        system.hub.kill()
        os.kill(receiver.pid, signal.SIGCONT)
        system.hub.start()
        wait_until(
            lambda: len(system.rest.items(path, state="delivered")) == 3,
            "every delivery, after the lease of the dead hub",
            seconds=60,
        )
        seen = Counter(one["data"]["subject"] for one in told(receiver))
        assert seen == Counter([*(f"early-{number}" for number in range(2)), "late"])
    finally:
        receiver.kill()


def test_the_documented_receiver_turns_away_what_is_not_signed(
    system: System, tmp_path: Path
) -> None:
    receiver = start_receiver(tmp_path, "whsec_" + "A" * 43 + "=", 0)
    try:
        port = receiver.wait_line(listening=...)["listening"]
        body = {"url": f"http://127.0.0.1:{port}/", "events": ["*"]}
        made = system.writ("webhooks", "create", body["url"], "--event", "realm.*")
        sent = system.rest.post(f"/webhooks/{made['id']}/test")
        assert (sent["state"], sent["status"]) == ("dead", 401)
        system.writ("webhooks", "test", made["id"], expect=1)
        assert told(receiver) == []
        listed = system.writ("webhooks", "list")["items"]
        assert [one["id"] for one in listed] == [made["id"]]
        changed = system.writ("webhooks", "update", made["id"], "--disable", "--event", "agent.*")
        assert (changed["state"], changed["events"]) == ("disabled", ["agent.*"])
        renewed = system.writ("webhooks", "rotate-secret", made["id"])
        assert renewed["secret"] != made["secret"]
        letters = system.writ("webhooks", "deliveries", made["id"], "--state", "dead")["items"]
        assert len(letters) == 2
        again = system.writ("webhooks", "replay", made["id"], letters[0]["id"])
        assert again["state"] == "pending"
        assert system.writ("webhooks", "replay", made["id"]) == {"replayed": 0}
        shown = system.writ("webhooks", "show", made["id"])
        assert (shown["pending"], shown["dead"]) == (1, 1)
        assert system.writ("webhooks", "events")["items"]
        system.writ("webhooks", "delete", made["id"])
        system.writ("webhooks", "show", made["id"], expect=3)
    finally:
        receiver.kill()
