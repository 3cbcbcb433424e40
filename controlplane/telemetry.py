"""What the hub says about itself: JSON logs on stderr, and Prometheus numbers.

Labels are bounded: states and codes of the protocol, never ids, names or addresses. Log lines
carry ids and codes, never secrets, params or outputs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from protocol.redaction import HIDDEN, is_secret_name, redact


def configure_logging(level: str = "info") -> None:
    """Have every log line of this process go to stderr as one JSON object."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,  # last, so that it sees tracebacks too
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def hide_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide what sounds or looks like a secret, also inside; the last net, not the first."""
    for name, value in event.items():
        if not name.startswith("_"):  # of structlog's own, which never reaches a line
            event[name] = HIDDEN if is_secret_name(name) else redact(value)
    return event


class BusMetrics:
    """The numbers of the bus between hubs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.linked = Gauge("writ_bus_linked", "Whether the bus can be reached", registry=registry)
        self.sent = Counter(
            "writ_bus_sent", "Messages said to other hubs", ["topic"], registry=registry
        )
        self.heard = Counter(
            "writ_bus_heard", "Messages heard from other hubs", ["topic"], registry=registry
        )
        self.dropped = Counter(
            "writ_bus_dropped",
            "Messages not carried: too many waiting, or unreadable",
            ["why"],
            registry=registry,
        )


class Metrics:
    """The numbers of one hub, in a registry of their own so that tests can run several hubs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made = self.registry
        self.intents = Counter(
            "writ_intents", "Intents that entered a state", ["state"], registry=made
        )
        self.submissions = Counter(
            "writ_submissions", "Accepted submissions, one per request", registry=made
        )
        self.connections = Gauge("writ_connections", "Open agent sockets", ["state"], registry=made)
        self.outbox_depth = Gauge(
            "writ_outbox_rows", "Rows waiting for agents, as last seen", registry=made
        )
        self.send_queue_depth = Gauge(
            "writ_send_queue_frames", "Frames queued on open sockets", registry=made
        )
        self.commit_seconds = Histogram(
            "writ_commit_seconds",
            "From handing a submission to the writer until it is on disk",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
            registry=made,
        )
        self.refused_frames = Counter(
            "writ_refused_frames", "Frames answered by an error or a close", ["code"], registry=made
        )
        self.frames = Counter("writ_frames", "Frames by direction", ["direction"], registry=made)
        self.requests = Counter(
            "writ_requests", "REST requests by status class", ["status"], registry=made
        )
        self.events_dropped = Counter(
            "writ_events_dropped", "Events a slow subscriber did not get", registry=made
        )
        self.bus = BusMetrics(made)

        self._entered: dict[str, Counter] = {}
        self._answered: dict[int, Counter] = {}

    def entered(self, state: str) -> None:
        """Count an intent that has entered a state."""
        counter = self._entered.get(state)
        if counter is None:
            counter = self._entered[state] = self.intents.labels(state)
        counter.inc()

    def answered(self, status: int) -> None:
        """Count an answered request."""
        counter = self._answered.get(status)
        if counter is None:
            counter = self._answered[status] = self.requests.labels(f"{status // 100}xx")
        counter.inc()

    def render(self) -> bytes:
        """Return the Prometheus text of every number."""
        return generate_latest(self.registry)
