"""The one table from error codes to HTTP, and the shape of a problem (RFC 9457).

A code that stands in no row is our fault: it becomes `internal`, 500, and says nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from controlplane.errors import InvalidFieldError
from protocol.errors import Error


class Answer(NamedTuple):
    """What a code means over HTTP."""

    status: int
    title: str


ANSWERS: Final[Mapping[str, Answer]] = {
    "bad_request": Answer(400, "The request cannot be read"),
    "bad_cursor": Answer(400, "Not a cursor of this listing"),
    "authorization_pending": Answer(400, "Not let in yet"),
    "slow_down": Answer(400, "Asked too often"),
    "expired_token": Answer(400, "Not a valid device code"),
    "access_denied": Answer(400, "Not let in"),
    "unauthenticated": Answer(401, "Who are you?"),
    "sign_in_failed": Answer(401, "Not signed in"),
    "forbidden": Answer(403, "Not allowed"),
    "cross_site": Answer(403, "Not made by a page of this hub"),
    "step_up_required": Answer(403, "Sign in again first"),
    "person_not_granted": Answer(403, "No grant of that person covers this"),
    "not_found": Answer(404, "Not found"),
    "method_not_allowed": Answer(405, "Not a method of this address"),
    "upload_timeout": Answer(408, "The upload took too long"),
    "conflict": Answer(409, "The state does not allow this"),
    "in_progress": Answer(409, "The first request with this key still runs"),
    "id_reuse": Answer(409, "The signer used this id for other bytes"),
    "precondition_failed": Answer(412, "Changed in the meantime"),
    "body_too_large": Answer(413, "The body is too large"),
    "file_too_big": Answer(413, "The file is too big"),
    "unsupported_media_type": Answer(415, "The body must be application/json"),
    "range_not_satisfiable": Answer(416, "The file has no such bytes"),
    "invalid_field": Answer(422, "A field is wrong"),
    "idempotency_mismatch": Answer(422, "The key was used with another body"),
    "bad_json": Answer(422, "The document is outside the JSON profile"),
    "bad_envelope": Answer(422, "Not a signed document"),
    "frame_too_large": Answer(422, "The document is too large"),
    "bad_signature": Answer(422, "The signature does not hold"),
    "wrong_audience": Answer(422, "Addressed to somebody else"),
    "future": Answer(422, "Signed in the future"),
    "stale": Answer(422, "Signed too long ago"),
    "expired": Answer(422, "It has expired"),
    "unknown_type": Answer(422, "No such document"),
    "forbidden_type": Answer(422, "Not a document for this address"),
    "bad_payload": Answer(422, "The payload does not fit"),
    "weak_key": Answer(422, "Not a key that can be trusted"),
    "policies_conflict": Answer(422, "These policies cannot be merged"),
    "bad_condition": Answer(422, "A condition cannot be read"),
    "bad_file_store_url": Answer(422, "Not a file store"),
    "storage_test_failed": Answer(422, "The file store did not pass its test"),
    "rate_limited": Answer(429, "Too many, too fast"),
    "provider_unreachable": Answer(502, "The provider does not answer"),
    "unavailable": Answer(503, "The hub cannot store anything right now"),
    "file_store_refused": Answer(503, "The file store refuses this hub"),
    "lagged": Answer(503, "Reading too slowly"),
    "record_damaged": Answer(500, "The record was changed behind the hub's back"),
    "internal": Answer(500, "The hub failed"),
}
RETRY_AFTER_SECONDS: Final = 1
ALWAYS: Final = ("internal", "unavailable")
"""Every operation may answer these."""


def problem_of(error: Error, request_id: str) -> tuple[int, dict[str, Any]]:
    """Return status and problem document of `error`, telling no more than its table row allows."""
    code = error.code if error.code in ANSWERS else "internal"
    detail = None if code in ("internal", "unavailable") else error.message
    status, problem = make_problem(code, detail, request_id)
    if isinstance(error, InvalidFieldError):
        problem["errors"] = [{"pointer": error.pointer, "detail": error.message}]
    return status, problem


def make_problem(code: str, detail: str | None, request_id: str) -> tuple[int, dict[str, Any]]:
    """Return status and problem document of one code."""
    status, title = ANSWERS[code]
    problem: dict[str, Any] = {
        "type": f"urn:writ:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "requestId": request_id,
    }
    if detail and detail != code:
        problem["detail"] = detail
    return status, problem
