"""Section 5: tokens, approval, key rotation."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "enrolment.token-form",
        "5",
        "a join token is `writ-join:` and the base64url of hub, root, id and secret",
        "protocol/test_join_tokens.py::test_a_token_comes_back_as_it_went_out",
        "protocol/test_spec.py::test_the_worked_examples_are_what_the_code_makes",
    ),
    row(
        "enrolment.token-secret",
        "5",
        "the secret never travels: the proof is an HMAC over the registration without itself",
        "protocol/test_join_tokens.py::test_the_proof_is_an_hmac_of_the_payload_without_itself",
        "protocol/test_join_tokens.py::test_a_changed_register_is_not_proved",
        "agentd/test_connections.py::test_a_join_token_brings_hub_root_and_a_proof",
    ),
    row(
        "enrolment.token-at-rest",
        "5",
        "the hub keeps a digest of the secret, encrypted, and shows the token once",
        "controlplane/test_access.py::test_a_sealed_secret_opens_only_in_its_place_with_its_key",
        "controlplane/test_rest_rules.py::"
        "test_the_same_key_and_body_get_the_first_answer_without_its_secret",
    ),
    row(
        "enrolment.token-once",
        "5",
        "a token lets one agent in",
        "interaction/test_enrolment.py::test_a_token_that_approves_lets_one_agent_in_and_no_second",
        "storage/test_agents.py::test_a_join_token_is_used_once_by_whoever_comes_first",
    ),
    row(
        "enrolment.token-bounds",
        "5",
        "a token is bound to a lifetime, a realm and a pattern for names",
        "storage/test_agents.py::test_a_revoked_expired_or_unknown_token_cannot_be_used",
        "controlplane/hub/test_handshake.py::"
        "test_a_token_that_does_not_approve_fills_in_the_realm_and_waits",
        "controlplane/hub/test_handshake.py::"
        "test_an_invalid_token_is_auth_failed_and_uses_nothing_up",
    ),
    row(
        "enrolment.auto-approve",
        "5",
        "`autoApprove` lets the agent in at once; a taken name gets a number",
        "controlplane/hub/test_handshake.py::"
        "test_a_token_that_approves_by_itself_lets_the_agent_in_at_once",
        "controlplane/hub/test_handshake.py::test_a_taken_name_gets_a_number",
    ),
    row(
        "enrolment.invalid-token",
        "5",
        "an invalid token is `auth_failed` and uses nothing up",
        "controlplane/hub/test_handshake.py::"
        "test_an_invalid_token_is_auth_failed_and_uses_nothing_up",
    ),
    row(
        "enrolment.known-key",
        "5",
        "a token of a key that is enrolled is ignored",
        "controlplane/hub/test_handshake.py::test_a_token_of_a_key_that_is_enrolled_is_ignored",
    ),
    row(
        "enrolment.approval",
        "5",
        "approval grants name, realms and a policy; the key file is all the agent needs from then",
        "interaction/test_enrolment.py::"
        "test_agent_and_hub_show_the_same_fingerprint_and_approval_lets_it_in",
        "controlplane/test_fleet_over_rest.py::"
        "test_an_approval_by_capabilities_enrols_with_a_policy",
        "controlplane/hub/test_handshake.py::"
        "test_an_approval_while_the_agent_is_away_lets_it_in_when_it_returns",
    ),
    row(
        "enrolment.no-more-than-own",
        "5",
        "nobody grants more than they may grant themselves",
        "controlplane/test_access.py::test_nobody_makes_a_key_that_may_more_than_they",
        "controlplane/test_fleet_over_rest.py::"
        "test_an_admin_of_one_realm_lets_no_agent_into_another",
    ),
    row(
        "enrolment.rotation",
        "5",
        "`key_rotation` moves name, policy and orders to the new key, which has agreed",
        "controlplane/hub/test_handshake.py::"
        "test_an_agent_goes_on_under_a_new_key_with_its_name_policy_and_orders",
        "controlplane/hub/test_handshake.py::"
        "test_a_rotation_to_a_key_that_has_not_agreed_changes_nothing",
        "protocol/test_key_rotation.py::"
        "test_a_proof_for_another_old_key_or_by_another_new_key_is_refused",
    ),
    row(
        "enrolment.rotation-crash",
        "5",
        "the agent keeps both keys until the hub has taken the new one, whatever dies",
        "faults/test_kill_agent.py::"
        "test_an_agent_that_dies_while_it_goes_over_to_a_new_key_stays_the_same_agent",
        "agentd/test_cli.py::test_a_rotation_survives_a_kill",
    ),
)
