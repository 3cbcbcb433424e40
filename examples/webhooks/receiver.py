"""A receiver of Writ's webhooks: checks each signature, and does what it is told of only once.

    pip install standardwebhooks
    WEBHOOK_SECRET=whsec_... python receiver.py [PORT]

Prints one JSON line for each new event. Put it behind something that speaks TLS.
"""

import json
import os
import sys
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

MAX_BODY_BYTES = 1024 * 1024
REMEMBERED = 10_000
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
# In real life a table with a unique key, written together with what the event leads to.
seen: OrderedDict[str, None] = OrderedDict()


class Receiver(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        try:
            # Raises for a wrong signature, and for one that is more than five minutes old.
            event = webhook.verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            return self.answer(401)
        id = self.headers["webhook-id"]
        if id not in seen:  # a delivery may come twice, always under the same id
            seen[id] = None
            if len(seen) > REMEMBERED:
                seen.popitem(last=False)
            print(json.dumps({"id": id, **event}), flush=True)
        return self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Events are all that is said."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(
        ("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Receiver
    )
    print(json.dumps({"listening": server.server_address[1]}), flush=True)
    server.serve_forever()
