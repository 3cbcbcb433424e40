"""A reverse proxy that puts a hub below a path, as nginx and Traefik do."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_NOT_PASSED = {"connection", "transfer-encoding", "keep-alive", "accept-encoding"}


class PathProxy:
    """Serves `upstream` below `path`.

    With `takes_off` the hub sees addresses without the path and is told of it by
    `X-Forwarded-Prefix`; else it sees them whole and has to know.
    """

    def __init__(self, path: str, *, takes_off: bool) -> None:
        self.path = path
        self.takes_off = takes_off
        self.upstream = ""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                proxy._pass(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_one

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def origin(self) -> str:
        """Where browsers find it."""
        return f"http://localhost:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _pass(self, asked: BaseHTTPRequestHandler) -> None:
        if not asked.path.startswith(f"{self.path}/"):
            asked.send_error(404)
            return
        path = asked.path.removeprefix(self.path) if self.takes_off else asked.path
        headers = {k: v for k, v in asked.headers.items() if k.lower() not in _NOT_PASSED}
        if self.takes_off:
            headers["X-Forwarded-Prefix"] = self.path
        body = asked.rfile.read(int(asked.headers.get("content-length", 0)))
        host = urlsplit(self.upstream).netloc
        upstream = http.client.HTTPConnection(host)
        try:
            upstream.request(asked.command, path, body, headers)
            answer = upstream.getresponse()
            asked.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _NOT_PASSED:
                    asked.send_header(name, value)
            asked.send_header("Connection", "close")
            asked.end_headers()
            while piece := answer.read1(65_536):
                asked.wfile.write(piece)
                asked.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the browser left a stream
        finally:
            upstream.close()
