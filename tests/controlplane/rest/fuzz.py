"""Hostile and friendly requests to every operation, made from the hub's own description of them.

`python -m tests.controlplane.rest.fuzz --seconds 600` is the long form; a test runs a short one.
Everything follows from the seed, which is printed; what is found is told with the request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.controlplane.hubs import ServedHub, serve
from tests.controlplane.rest.population import Population, populate
from tests.controlplane.rest.test_realm_walls import OF
from tests.servers.postgres import PostgresServer

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_TIMEOUT_SECONDS: Final = 20


@dataclass
class Fuzzer:
    """One run against one hub: who asks, for how long, and what was found."""

    url: str
    keys: dict[str, str]
    ids: dict[str, list[str]]
    seed: int
    until: float
    found: list[str] = field(default_factory=list)
    requests: int = 0
    asked: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Ask every operation as everybody, and again with other requests while there is time."""
        api = requests.get(f"{self.url}/openapi.json", timeout=_TIMEOUT_SECONDS).json()
        schema = schemathesis.openapi.from_dict(api)
        schema.config.update(base_url=self.url)
        operations = [one.ok() for one in schema.get_all_operations()]
        asked = [one for one in operations if not one.path.endswith("/events")]
        self._ask_by_other_methods(api["paths"])
        turn = 0
        while turn == 0 or time.monotonic() < self.until:
            draw = random.Random(self.seed + turn)
            rows = [(one, who, mode) for one in asked for who in self.keys for mode in _MODES]
            draw.shuffle(rows)
            # Everything is asked something before anything is asked twice.
            rows.sort(key=lambda row: row[2] is GenerationMode.NEGATIVE)
            for row in rows:
                late = time.monotonic() >= self.until
                # However slow the machine: nothing is left out, it is only asked less.
                if not late or row[0].label not in self.asked:
                    self.asked.add(row[0].label)
                    self._ask(*row, turn, examples=1 if late else 3)
            turn += 1

    def _ask(self, one: Any, who: str, mode: GenerationMode, turn: int, *, examples: int) -> None:
        checks = [*CHECKS]
        if mode is GenerationMode.NEGATIVE:
            checks.append(negative_data_rejection)
        draw = random.Random(f"{self.seed} {turn} {one.label} {who}")

        @seed(draw.getrandbits(32))
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=one.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            if mode is GenerationMode.POSITIVE:
                self._name_what_there_is(case, one.path, draw)
            self.requests += 1
            try:
                case.call_and_validate(
                    headers={"Authorization": f"Bearer {self.keys[who]}"},
                    checks=checks,
                    timeout=_TIMEOUT_SECONDS,
                    allow_redirects=False,
                )
            except FailureGroup as group:
                self._note(one.label, who, group, case)
            except requests.RequestException as exc:
                self.found.append(f"{one.label} as {who}: {exc!r}")

        with contextlib.suppress(Unsatisfiable):
            ask()

    def _note(self, label: str, who: str, group: FailureGroup, case: Any) -> None:
        for failure in group.exceptions:
            curl = case.as_curl_command()
            self.found.append(f"{label} as {who}: {failure}\n  {curl[:2_000]}")

    def _name_what_there_is(self, case: Any, path: str, draw: random.Random) -> None:
        """Put real ids where a path has some, mostly: what is not there is soon answered."""
        resource = path.removeprefix("/api/v1/").partition("/")[0]
        for name in case.path_parameters or {}:
            known = self.ids.get("users" if name == "user" else resource)
            if known and draw.random() < 0.8:
                case.path_parameters[name] = draw.choice(known)

    def _ask_by_other_methods(self, paths: dict[str, Any]) -> None:
        key = next(iter(self.keys.values()))
        for path, methods in paths.items():
            address = self.url + re.sub(r"\{\w+\}", "0198f000-0000-7000-8000-000000000000", path)
            for method in METHODS:
                if method.lower() in methods:
                    continue
                answer = requests.request(
                    method,
                    address,
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=_TIMEOUT_SECONDS,
                )
                allowed = sorted(one.strip() for one in answer.headers.get("Allow", "").split(","))
                if answer.status_code != 405 or allowed != sorted(m.upper() for m in methods):
                    self.found.append(f"{method} {path}: {answer.status_code}, allow {allowed}")


_MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def ids_of(populations: Iterator[Population] | list[Population]) -> dict[str, list[str]]:
    """Return what stands in the paths of each resource."""
    found: dict[str, list[str]] = {}
    for one in populations:
        for resource, kinds in OF.items():
            found.setdefault(resource, []).extend(one.ids[kind] for kind in kinds)
    return found


async def fuzz(served: ServedHub, *, seed_: int, seconds: float) -> Fuzzer:
    """Populate a hub, ask it for so long, and return what was found."""
    realms = [await populate(served, name) for name in ("oakland", "elmwood")]
    owner = await served.owner()
    member = await served.person("oakland-guest", "member", "oakland")
    fuzzer = Fuzzer(
        url=f"http://127.0.0.1:{served.client.port}",
        keys={"owner": str(owner.api_key), "member": str(member.api_key)},
        ids=ids_of(realms),
        seed=seed_,
        until=time.monotonic() + seconds,
    )
    await asyncio.to_thread(fuzzer.run)
    return fuzzer


SETTINGS: Final[dict[str, Any]] = {
    "max_wait_seconds": 1,
    "sign_in_attempts_per_address": 1_000_000,
    "webhook_allowed_networks": ("127.0.0.0/8",),
}


async def _main(seconds: float, seed_: int, database_url: str | None) -> int:
    flags = {**SETTINGS, **({"database_url": database_url} if database_url else {})}
    with tempfile.TemporaryDirectory() as folder:
        async with serve(Path(folder) / "hub", **flags) as served:
            fuzzer = await fuzz(served, seed_=seed_, seconds=seconds)
    for one in fuzzer.found:
        print(one)
    print(f"seed {seed_}: {fuzzer.requests} requests, {len(fuzzer.found)} findings")
    return 1 if fuzzer.found else 0


def chosen_seed() -> int:
    """Return the seed of `WRIT_FUZZ_SEED`, else a new one."""
    return int(os.environ.get("WRIT_FUZZ_SEED") or secrets.randbelow(2**31))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=chosen_seed())
    parser.add_argument("--postgres", action="store_true", help="on a Postgres of its own")
    chosen = parser.parse_args()
    server = PostgresServer() if chosen.postgres else None
    try:
        url = None if server is None else server.url(server.create())
        sys.exit(asyncio.run(_main(chosen.seconds, chosen.seed, url)))
    finally:
        if server is not None:
            server.remove()
