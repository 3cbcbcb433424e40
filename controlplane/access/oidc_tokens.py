"""ID tokens of OpenID providers: proved, or refused. No I/O."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from controlplane.errors import HubError

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures by keys that only the provider has: never `none`, never a shared secret."""
_SKEW_SECONDS: Final = 60
_MAX_AGE_SECONDS: Final = 600
_MAX_TOKEN_CHARS: Final = 32_768
_MAX_SUBJECT_CHARS: Final = 255


class TokenError(HubError):
    """A token that proves nothing; the message is for the log."""

    code = "sign_in_failed"


class UnknownKeyError(TokenError):
    """Signed by a key that is not among those known: perhaps they have been rotated."""


@dataclass(frozen=True, slots=True)
class Pkce:
    """The secret of one redirect (RFC 7636, S256)."""

    verifier: str
    challenge: str


def new_pkce() -> Pkce:
    """Return a fresh verifier and its challenge."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return Pkce(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def verify_id_token(
    token: str,
    keys: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the claims of a token that this provider made for us, now, for this sign-in.

    Args:
        token: in compact form.
        keys: the provider's JWKS.
        issuer: exactly as configured (OpenID Connect Core 3.1.3.7).
        client_id: who it must be for.
        nonce: what this sign-in was begun with.
        now: aware.

    Raises:
        UnknownKeyError: signed by another key than those given.
        TokenError: anything else that does not hold.
    """
    if len(token) > _MAX_TOKEN_CHARS:
        raise TokenError("the token is too large")
    try:
        decoded = jwt.decode(token, KeySet.import_key_set(dict(keys)), algorithms=[*ALGORITHMS])  # type: ignore[arg-type]
    except JoseError as exc:
        raise UnknownKeyError(f"the signature does not hold: {type(exc).__name__}") from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise UnknownKeyError(f"not a token of these keys: {type(exc).__name__}") from exc
    claims = dict(decoded.claims)
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    moment = now.timestamp()
    subject = claims.get("sub")
    issued, ends = _number(claims.get("iat")), _number(claims.get("exp"))
    if claims.get("iss") != issuer:
        raise TokenError("another issuer")
    if client_id not in audiences:
        raise TokenError("for somebody else")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise TokenError("handed to somebody else")
    if moment >= ends + _SKEW_SECONDS:
        raise TokenError("expired")
    if not -_SKEW_SECONDS <= moment - issued <= _MAX_AGE_SECONDS:
        raise TokenError("not issued just now")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise TokenError("of another sign-in")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARS:
        raise TokenError("about nobody")
    return claims


def groups_of(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """Return the groups a token names; none where it names something else."""
    found = claims.get(claim)
    named = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(one for one in named if isinstance(one, str))


def _number(value: Any) -> float:
    """Return a NumericDate; `TokenError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError("a time is missing")
    return float(value)
