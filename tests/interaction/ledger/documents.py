"""Section 6: the stored, signed things, and what each of them demands."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "documents.forms",
        "6",
        "every document has the fields, forms and bounds of its table, and no others",
        "protocol/test_spec.py::test_a_table_names_the_fields_of_its_model_in_order",
        "protocol/test_messages.py::test_a_payload_comes_back_as_it_went_out",
        "protocol/test_messages.py::test_a_document_with_an_unknown_field_is_refused",
    ),
    row(
        "documents.intent",
        "6",
        "an `intent` orders one action of one agent, and comes back with one `result`",
        "interaction/test_orders.py::test_every_built_in_action_works",
        "controlplane/hub/test_delivery.py::test_an_order_travels_to_the_agent_and_its_result_back",
    ),
    row(
        "documents.result",
        "6",
        "a `result` is signed by the agent over the digest of the order; one output at most, and "
        "it says why it failed",
        "protocol/test_messages.py::test_a_result_has_one_output_at_most_and_says_why_it_failed",
        "interaction/test_proof.py::test_a_result_is_verified_offline_and_a_tampered_one_is_not",
        "controlplane/hub/test_delivery.py::"
        "test_a_result_that_another_key_signed_is_not_taken_from_here",
    ),
    row(
        "documents.intent-cancel",
        "6",
        "an `intent_cancel` needs `writ.cancel`, or the order's own signer",
        "protocol/test_document_authority.py::test_who_may_cancel",
        "interaction/test_orders.py::test_a_running_order_is_cancelled_when_the_agent_confirms",
    ),
    row(
        "documents.policy-update",
        "6",
        "a `policy_update` needs `writ.policy` over the old realms and the new; rule ids differ",
        "protocol/test_document_authority.py::"
        "test_a_policy_is_signed_by_who_holds_its_realms_and_the_ones_in_force",
        "protocol/test_messages.py::test_rules_of_one_policy_have_different_ids",
        "controlplane/test_fleet_over_rest.py::"
        "test_a_newer_policy_reaches_the_agent_and_an_unreadable_one_nobody",
    ),
    row(
        "documents.delegation",
        "6",
        "a `delegation` is signed by its parent's subject with depth left, or by the root",
        "protocol/test_document_authority.py::test_who_may_delegate",
        "protocol/test_delegation.py::test_each_link_is_signed_by_the_subject_before_it",
        "interaction/test_delegations.py::test_an_operator_lends_to_a_scheduler_until_it_is_taken_back",
    ),
    row(
        "documents.tool-approval-response",
        "6",
        "a `tool_approval_response` is over exactly one request and call, and needs `writ.approve`",
        "protocol/test_approvals.py::test_a_decision_is_over_exactly_this_call",
        "interaction/test_approvals.py::test_a_decision_over_another_call_is_not_taken",
        "evil/test_evil_hub_approvals.py::test_with_an_approval_of_another_call",
    ),
    row(
        "documents.revocations",
        "6",
        "`revocations` is the full list; `writ.revoke` may add, only the root removes "
        "(`forbidden_lift`)",
        "protocol/test_document_authority.py::"
        "test_anyone_with_the_action_adds_and_only_the_root_removes",
        "controlplane/test_fleet_over_rest.py::"
        "test_a_revoked_agent_is_shut_out_and_the_others_are_told",
        "agentd/test_orders.py::test_a_revoked_key_orders_nothing_any_more",
        "interaction/test_delegations.py::test_what_was_renewed_holds_and_only_the_root_takes_a_revocation_back",
    ),
    row(
        "documents.quarantine",
        "6",
        "a `quarantine` may be set through the hub's key, never lifted",
        "protocol/test_document_authority.py::test_no_chain_through_the_hub_lifts_a_quarantine",
        "interaction/test_continuity.py::"
        "test_quarantine_refuses_all_work_until_an_operator_releases",
        "interaction/test_delegations.py::test_a_quarantine_overtakes_the_orders_that_waited_for_the_agent",
    ),
    row(
        "documents.configuration",
        "6",
        "`llm_config` and `skills_config` need `writ.configure`, and their versions only go up",
        "protocol/test_document_authority.py::test_an_operator_needs_exactly_that_action",
        "protocol/test_document_authority.py::test_numbers_only_go_up_across_ids",
        gap="authority and ratchet are tested; no executor reads these documents yet",
    ),
    row(
        "documents.proof",
        "6",
        "`proof` names the delegations to the signer; without it the signer is root or hub",
        "protocol/test_delegation.py::test_without_a_proof_only_root_and_hub_sign",
        "protocol/test_authority.py::test_an_operator_orders_under_the_chain_the_order_names",
        "interaction/test_operator_signature.py::"
        "test_a_signed_order_is_forwarded_byte_for_byte_and_done",
    ),
    row(
        "documents.not-authorised",
        "6",
        "a steering document without a chain that holds its action is `not_authorised`",
        "protocol/test_document_authority.py::test_a_chain_that_does_not_hold_is_not_authorised",
    ),
    row(
        "documents.exact-bytes",
        "6",
        "the hub stores and forwards the exact bytes of who had the authority",
        "interaction/test_operator_signature.py::"
        "test_a_signed_order_is_forwarded_byte_for_byte_and_done",
        "controlplane/test_orders_over_rest.py::test_an_order_signed_elsewhere_keeps_its_bytes",
        "storage/test_intents.py::test_a_document_is_kept_byte_for_byte_once",
    ),
    row(
        "documents.patterns",
        "6",
        "`namespace.*` and `*` cover what they say; `*` never covers `writ.*`",
        "protocol/test_capabilities.py::test_a_name_or_pattern_covers_an_action",
        "protocol/test_policy.py::test_star_does_not_cover_writ_actions",
        "protocol/test_ids_and_times.py::test_names_and_actions_have_their_grammar",
    ),
    row(
        "documents.lists",
        "6",
        "absent realms or agents are all, an empty list none, a link names a subset",
        "protocol/test_capabilities.py::test_absent_lists_cover_all_and_empty_ones_nothing",
        "protocol/test_capabilities.py::test_a_list_must_be_a_subset_wherever_the_parent_names_one",
    ),
    row(
        "documents.ratchets",
        "6",
        "versions and epochs only go up: `old_version`, `old_epoch`",
        "protocol/test_document_authority.py::test_numbers_only_go_up_across_ids",
        "agentd/test_orders.py::test_versions_only_go_up",
        "storage/test_permits.py::test_the_version_in_force_at_an_agent_only_goes_up",
        "interaction/test_policies.py::test_every_version_is_acknowledged_and_in_the_record",
    ),
    row(
        "documents.unreadable",
        "6",
        "an unreadable document leaves the old one in force",
        "agentd/test_orders.py::test_unreadable_documents_inside_a_frame_are_answered",
        "agentd/test_orders.py::test_a_policy_that_cannot_be_read_leaves_the_one_before_in_force",
    ),
    row(
        "documents.revoked-signer",
        "6",
        "a revoked key voids everything signed by it that was not already accepted",
        "agentd/test_orders.py::test_a_revoked_key_orders_nothing_any_more",
        "protocol/test_authority_properties.py::test_a_revoked_link_is_always_refused",
        "interaction/test_delegations.py::test_what_is_revoked_meanwhile_counts_before_the_first_order_of_one_who_returns",
    ),
    row(
        "policy.first-match",
        "6",
        "the first matching deny wins, else the first matching allow; its id is `decision.rule`",
        "protocol/test_policy.py::test_a_deny_wins_wherever_it_stands",
        "protocol/test_policy.py::test_the_first_matching_allow_decides",
        "interaction/test_orders.py::"
        "test_a_denied_order_is_refused_by_the_agent_and_names_the_rule",
    ),
    row(
        "policy.default",
        "6",
        "what no rule allows is denied",
        "protocol/test_policy.py::test_what_no_rule_allows_is_denied",
        "interaction/test_orders.py::test_what_no_rule_allows_is_refused",
    ),
    row(
        "policy.errors",
        "6",
        "an error in a deny's condition counts as a match, in an allow's as none",
        "protocol/test_policy.py::test_an_error_in_a_deny_matches_and_in_an_allow_does_not",
        "protocol/test_authority_properties.py::test_adding_a_deny_never_allows_more",
    ),
    row(
        "policy.limits",
        "6",
        "limits are sliding windows over accepted orders; over `concurrent` an order waits",
        "protocol/test_limits_window.py::test_each_limit_refuses_alone",
        "protocol/test_limits_window.py::test_over_concurrent_waits",
        "interaction/test_orders.py::test_an_order_that_waits_past_its_time_is_refused_as_expired",
        "interaction/test_policies.py::test_over_concurrent_an_order_waits_for_its_place",
    ),
    row(
        "policy.from",
        "6",
        "a role is only vouched for by the hub, a DID must sign itself, `*` is anyone who may "
        "approve but never the hub",
        "protocol/test_approvals.py::test_only_the_hub_vouches_for_a_role",
        "protocol/test_approvals.py::test_a_named_person_signs_themself_and_holds_approve",
        "protocol/test_approvals.py::"
        "test_star_is_anyone_whose_chain_holds_approve_but_never_the_hub",
        "interaction/test_approvals.py::test_a_person_with_the_role_decides_and_the_hub_vouches",
    ),
    row(
        "policy.from-operator-signed",
        "6",
        "roles count for nothing where `operatorSigned` or `requireOperatorSignature` is set",
        "protocol/test_approvals.py::test_roles_count_for_nothing_where_operators_must_sign",
        "evil/test_evil_hub_approvals.py::test_as_a_role_where_the_rule_wants_operators",
    ),
    row(
        "documents.output-size",
        "6",
        "an output over 256 KiB in a result is `output_too_big`",
        "controlplane/hub/test_delivery.py::test_an_output_over_the_limit_is_refused",
        "agentd/test_uploads.py::test_else_it_is_too_big",
    ),
    row(
        "documents.cel",
        "6",
        "conditions are bounded CEL over the named variables",
        "protocol/test_authority.py::test_conditions_see_the_order",
        "protocol/test_conditions.py::test_a_hostile_condition_ends_soon",
        "protocol/test_conditions.py::test_what_cannot_be_evaluated_is_an_error",
    ),
    row(
        "documents.sealed",
        "6",
        "`sealed` is opened by its agent alone, for its own order; else `bad_params`",
        "protocol/test_sealing.py::test_what_was_sealed_for_an_order_opens_in_it",
        "protocol/test_sealing.py::test_a_box_made_for_another_order_does_not_open",
        "protocol/test_sealing.py::test_a_hub_cannot_have_the_answer_sealed_to_itself",
        "agentd/test_sealed_orders.py::test_a_box_that_belongs_to_another_order_is_bad_params",
        "interaction/test_sealed_orders.py::"
        "test_params_and_output_pass_a_hub_that_cannot_read_them",
    ),
    row(
        "documents.one-gate",
        "6",
        "all work is an intent: one gate, one record",
        "controlplane/hub/test_peers.py::test_a_peers_order_that_may_not_pass_is_an_error",
        gap="orders of people, machines and peers are shown; `chat.turn`, `channel.mention`, "
        "`knowledge.sync` and schedules are not built yet",
    ),
)
