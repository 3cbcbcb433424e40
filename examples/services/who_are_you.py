"""A service that trusts a hub's tokens without ever asking it who somebody is.

    python examples/services/who_are_you.py --hub http://127.0.0.1:8080

Whoever comes with a token for this audience is told what it says. All it needs is the hub's
published keys and a JWT library; nothing of Writ is imported.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

KEYS_SECONDS = 300
"""How long the keys are kept; the hub publishes a new one for longer than that before it signs."""
LEEWAY_SECONDS = 10

# The name of Ed25519 signatures in JWTs is changing (RFC 9864); the hub uses the one known longest.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")


class Checker:
    """Checks tokens with the keys that the hub publishes."""

    def __init__(self, hub: str, issuer: str, audience: str) -> None:
        self._keys_url = hub.rstrip("/") + "/.well-known/jwks.json"
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._seen: dict[str, float] = {}
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
            jti={"essential": True},
        )

    def check(self, token: str, *, once: bool = False) -> dict[str, Any]:
        """Return the claims of a token that holds; with `once`, of one that was not shown before.

        Raises:
            JoseError, ValueError: it does not hold, or is not for this service, or is over.
        """
        # Say which algorithm; never believe the token's own header.
        claims = jwt.decode(token, self._load_keys(), algorithms=["EdDSA"]).claims
        self._claims.validate(claims)
        if once:
            now = time.time()
            self._seen = {id: end for id, end in self._seen.items() if end > now}
            if claims["jti"] in self._seen:
                raise ValueError("this token was shown before")
            self._seen[claims["jti"]] = claims["exp"] + LEEWAY_SECONDS
        return dict(claims)

    def _load_keys(self) -> KeySet:
        if self._keys is None or time.monotonic() - self._fetched_at > KEYS_SECONDS:
            with urllib.request.urlopen(self._keys_url, timeout=5) as answer:
                self._keys = KeySet.import_key_set(json.load(answer))
            self._fetched_at = time.monotonic()
        return self._keys


def main() -> None:
    """Serve until stopped; prints `{"ready": true, "url": ...}` when it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hub", required=True, help="where the hub is reached")
    parser.add_argument("--issuer", help="its public URL or DID, if that is another")
    parser.add_argument("--audience", help="what this service calls itself; its URL by default")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--localhost", action="store_true", help="say so instead of 127.0.0.1")
    chosen = parser.parse_args()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scheme, _, token = self.headers.get("Authorization", "").partition(" ")
            try:
                if scheme != "Bearer":
                    raise ValueError("a token is needed")
                status, said = 200, checker.check(token)
            except (JoseError, ValueError) as exc:
                status, said = 401, {"error": type(exc).__name__}
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a request carries a token."""

    server = ThreadingHTTPServer(("127.0.0.1", chosen.port), Handler)
    host = "localhost" if chosen.localhost else "127.0.0.1"
    url = f"http://{host}:{server.server_port}"
    checker = Checker(chosen.hub, chosen.issuer or chosen.hub, chosen.audience or url)
    print(json.dumps({"ready": True, "url": url}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
