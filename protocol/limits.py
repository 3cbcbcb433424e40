"""Every number of the protocol, with its unit and the section of SPEC.md it comes from."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# --- section 3: JSON profile and freshness ---
MAX_JSON_DEPTH: Final = 32
"""Containers inside each other; the envelope is 1, scalars add none."""
MAX_PARAMS_DEPTH: Final = 24
"""Deepest `params` of an order; refused at submission beyond it."""
MAX_JSON_VALUES: Final = 10_000
"""Values in one text: every container and every scalar counts one, keys count none."""
MAX_SAFE_INTEGER: Final = 2**53 - 1
DEFAULT_CLOCK_SKEW_SECONDS: Final = 60
MIN_CLOCK_SKEW_SECONDS: Final = 5
MAX_CLOCK_SKEW_SECONDS: Final = 300
DOCUMENT_SKEW: Final = timedelta(seconds=60)
"""A document is valid from its timestamp minus this."""

# --- section 4: connection ---
SUBPROTOCOL: Final = "writ.v1"
MAX_FRAME_BYTES_BEFORE_REGISTRATION: Final = 64 * 1024
MAX_FRAME_BYTES: Final = 1024 * 1024
REGISTER_DEADLINE_SECONDS: Final = 5
MAX_UNREGISTERED_PER_ADDRESS: Final = 50
MAX_PENDING_PER_ADDRESS: Final = 20
MAX_PENDING: Final = 1_000
JOIN_FAILURES_PER_ADDRESS: Final = 100
PENDING_LIFETIME: Final = timedelta(days=7)
FRAMES_PER_SECOND: Final = 200
FRAMES_BURST: Final = 500
HEARTBEAT_SECONDS: Final = 30
PING_SECONDS: Final = 20
MISSED_INTERVALS: Final = 2
KEY_CONFLICT_ANSWER_SECONDS: Final = 5
RECONNECT_MIN_SECONDS: Final = 0.5
RECONNECT_MAX_SECONDS: Final = 60.0
REJECTED_RETRY_SECONDS: Final = 600
CHECKPOINT_PROOF_SECONDS: Final = 30
INTENT_RESEND_SECONDS: Final = 30
RESULT_INSTEAD_OF_ACK_SECONDS: Final = 0.1
RESULT_ACK_GATHER_SECONDS: Final = 0.05
CHALLENGE_BYTES: Final = 32
MAX_PROGRESS_BYTES: Final = 16 * 1024
"""JCS bytes of the `data` of one `intent_progress`."""

# --- section 5: enrolment ---
JOIN_TOKEN_LIFETIME: Final = timedelta(minutes=15)
JOIN_SECRET_BYTES: Final = 32

# --- section 6: documents ---
MAX_OUTPUT_BYTES: Final = 256 * 1024
"""JCS bytes of a result's `output`; more goes by upload."""
RESULT_LIFETIME: Final = timedelta(days=90)
MAX_USED: Final = 10**12
"""The most tokens or cents that a result says of its order: more is an error of who counted."""

# --- section 7: authority ---
MAX_CHAIN_LINKS: Final = 5
MAX_CONDITION_CHARS: Final = 2_000
MAX_CONDITIONS: Final = 16
MAX_NUMBER_STEP: Final = 1_000_000
"""How far an epoch or version may go beyond the one in force in one step through a hub's key."""

# --- section 8: delivery ---
UNCONFIRMED_AFTER: Final = timedelta(days=7)


class CloseCode:
    """WebSocket close codes of section 4."""

    UNSUPPORTED_DATA: Final = 1003
    NOT_UTF8: Final = 1007
    TOO_BIG: Final = 1009
    PROTOCOL_ERROR: Final = 4400
    AUTHENTICATION_FAILED: Final = 4401
    REFUSED: Final = 4403
    DEADLINE: Final = 4408
    KEY_CONFLICT: Final = 4409
    RATE: Final = 4429
    DRAINING: Final = 4503
