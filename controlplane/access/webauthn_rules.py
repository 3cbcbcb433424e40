"""WebAuthn as this hub wants it: discoverable passkeys that verify their user. No I/O.

The only module that knows the library; it is slow to load, so nothing imports it at start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

REFUSED: Final = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError)
"""What the library raises over bytes that a stranger made."""
_REQUIRED: Final = UserVerificationRequirement.REQUIRED


def registration_options(
    domain: str, *, user_id: str, name: str, held: Sequence[bytes]
) -> tuple[bytes, dict[str, Any]]:
    """Return a fresh challenge, and what `navigator.credentials.create` takes.

    Args:
        domain: the relying party's id.
        user_id: what the passkey says when it signs in.
        name: for the person.
        held: credential ids they have, so that no device gets a second one.
    """
    options = generate_registration_options(
        rp_id=domain,
        rp_name="Writ",
        user_id=user_id.encode(),
        user_name=name,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in held],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_REQUIRED
        ),
    )
    return options.challenge, json.loads(options_to_json(options))


def verify_registration(
    credential: Mapping[str, Any], *, challenge: bytes, domain: str, origin: str
) -> VerifiedRegistration:
    """Return the new credential; one of `REFUSED` when the answer does not hold."""
    return verify_registration_response(
        credential=dict(credential),
        expected_challenge=challenge,
        expected_rp_id=domain,
        expected_origin=origin,
        require_user_verification=True,
    )


def sign_in_options(domain: str) -> tuple[bytes, dict[str, Any]]:
    """Return a fresh challenge, and what `navigator.credentials.get` takes."""
    options = generate_authentication_options(rp_id=domain, user_verification=_REQUIRED)
    return options.challenge, json.loads(options_to_json(options))


def verify_sign_in(
    credential: Mapping[str, Any],
    *,
    challenge: bytes,
    domain: str,
    origin: str,
    public_key: bytes,
    sign_count: int,
) -> VerifiedAuthentication:
    """Return what the passkey proved; one of `REFUSED` when its answer does not hold."""
    return verify_authentication_response(
        credential=dict(credential),
        expected_challenge=challenge,
        expected_rp_id=domain,
        expected_origin=origin,
        credential_public_key=public_key,
        credential_current_sign_count=sign_count,
        require_user_verification=True,
    )
