"""A service learns from a token who calls it, and asks the hub for nothing but its keys."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interaction.fixtures import Fleet

EXAMPLE = Path(__file__).parents[2] / "examples" / "services" / "who_are_you.py"


@dataclass(frozen=True)
class Service:
    """The example service, as a process of its own; `url` is what it calls itself."""

    url: str

    def ask(self, token: str) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(self.url, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)


@pytest.fixture
def service(fleet: Fleet) -> Iterator[Service]:
    hub = fleet.system.hub
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE), "--hub", hub.url, "--issuer", hub.did, "--localhost"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            one = Service(json.loads(process.stdout.readline())["url"])
            fleet.system.writ("realms", "audiences", "default", one.url)
            yield one
        finally:
            process.terminate()


def test_a_person_calls_a_service_with_a_token_from_the_command_line(
    fleet: Fleet, service: Service
) -> None:
    hub = fleet.system.hub
    made = fleet.system.writ("tokens", "create", service.url, "--scope", "files.read")
    status, claims = service.ask(made["token"])
    assert status == 200, claims
    assert (claims["sub"], claims["scope"]) == (made["subject"], "files.read")
    assert (claims["iss"], claims["aud"]) == (hub.did, service.url)
    head, body, signature = made["token"].split(".")
    for bad in ("", "x", "a.b.c", f"{head}.{body}.", f"{head}.{body[:-2]}AA.{signature}"):
        assert service.ask(bad)[0] == 401


def test_an_agent_calls_a_service_and_the_service_knows_for_which_order_and_for_whom(
    fleet: Fleet, service: Service
) -> None:
    system = fleet.system
    intent = system.order(fleet.worker, "http.get", url=f"{service.url}/x", tokenFor=service.url)
    ended = system.end(intent)
    assert ended["state"] == "succeeded", ended["result"]
    output = ended["result"]["output"]
    assert output["status"] == 200
    claims = json.loads(output["body"])
    assert (claims["sub"], claims["intent"]) == (fleet.worker.did, ended["id"])
    assert (claims["action"], claims["ordered_by"]) == ("http.get", ended["submittedBy"])


def test_a_token_goes_to_its_own_service_and_to_no_other(fleet: Fleet, service: Service) -> None:
    system = fleet.system
    elsewhere = system.order(
        fleet.worker, "http.get", url=f"{service.url}/x", tokenFor="http://localhost:1/"
    )
    ended = system.end(elsewhere)
    assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "bad_params")
    unknown = system.order(
        fleet.worker, "http.get", url=f"{service.url}/x", tokenFor=f"{service.url}/other"
    )
    ended = system.end(unknown)
    assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "no_token")
