"""A small client of the hub's REST API: it sends what it is told and hides nothing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit


class HubGoneError(Exception):
    """The hub cannot be reached, or went away in mid-request: nobody knows what it did."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `value` is its JSON, None where there is none."""

    status: int
    headers: dict[str, str]
    value: Any

    @property
    def code(self) -> str | None:
        """The stable code, when the answer is a problem."""
        return self.value.get("code") if isinstance(self.value, dict) else None


@dataclass(frozen=True)
class Rest:
    """Calls under `/api/v1` with one API key."""

    url: str
    api_key: str | None = None

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = 70.0,
        **query: Any,
    ) -> Answer:
        """Return the answer, whatever its status; paths that begin with `/.` are not the API's.

        Raises:
            HubGoneError: no complete answer came.
        """
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if self.api_key is not None:
            sent["Authorization"] = f"Bearer {self.api_key}"
        sent.update(headers or {})
        target = path if path.startswith(("/.", "/healthz", "/readyz")) else f"/api/v1{path}"
        if query:
            target += "?" + urlencode(query)
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=seconds)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, target, body=data, headers=sent)
            response = connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise HubGoneError(f"{method} {target}: {exc!r}") from exc
        finally:
            connection.close()
        value = json.loads(raw) if raw.strip().startswith((b"{", b"[")) else None
        lowered = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, lowered, value)

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a GET that succeeds."""
        return self._good(self.send("GET", path, **query), f"GET {path}")

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        """Return the JSON of a POST that succeeds."""
        answer = self.send("POST", path, {} if body is None else body, **query)
        return self._good(answer, f"POST {path}")

    def items(self, path: str, **query: Any) -> list[Any]:
        """Return every item of a listing, page by page."""
        found: list[Any] = []
        cursor: dict[str, Any] = {}
        while True:
            page = self.get(path, **query, **cursor)
            found += page["items"]
            if not page["nextCursor"]:
                return found
            cursor = {"cursor": page["nextCursor"]}

    @staticmethod
    def _good(answer: Answer, what: str) -> Any:
        assert answer.status < 300, f"{what}: {answer.status} {answer.value}"
        return answer.value
