"""Section 7: the seven steps, each with its code, and what no hub can do."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "authority.order",
        "7",
        "the first failing step names the code of a signed `refused` result",
        "protocol/test_authority.py::test_the_first_failing_step_names_the_code",
        "interaction/test_orders.py::"
        "test_a_denied_order_is_refused_by_the_agent_and_names_the_rule",
        "node/test_node_agent_refuses.py::test_every_step_of_authority_has_its_code",
    ),
    row(
        "authority.step-1",
        "7",
        "step 1: `quarantined`, `unknown_action`, `bad_params`",
        "protocol/test_authority.py::test_an_agent_in_quarantine_takes_no_order",
        "interaction/test_orders.py::"
        "test_wrong_params_and_unknown_actions_are_refused_by_the_agent",
        "interaction/test_continuity.py::"
        "test_quarantine_refuses_all_work_until_an_operator_releases",
    ),
    row(
        "authority.chain",
        "7",
        "step 2: at most five links lead from the root to the signer",
        "protocol/test_delegation.py::test_five_links_hold_and_six_do_not",
        "protocol/test_authority_properties.py::test_a_child_never_may_what_its_parent_may_not",
    ),
    row(
        "authority.chain-codes",
        "7",
        "step 2 fails as `no_chain`, `bad_chain`, `operator_required`, `revoked`, "
        "`chain_expired`, `not_attenuated`, in that order",
        "protocol/test_delegation.py::test_codes_come_in_their_order",
        "protocol/test_delegation.py::test_a_link_wider_than_its_parent_is_not_attenuated",
        "protocol/test_delegation.py::test_every_link_is_within_its_own_lifetime",
        "protocol/test_delegation.py::test_no_key_stands_in_a_chain_twice",
    ),
    row(
        "authority.stranger",
        "7",
        "a signer for whom nothing is held is answered by `error` and stored nowhere",
        "protocol/test_authority.py::"
        "test_a_stranger_is_told_apart_from_a_signer_whose_chain_is_broken",
        "evil/test_evil_hub_orders.py::test_an_order_of_a_stranger_leaves_nothing",
    ),
    row(
        "authority.step-3",
        "7",
        "step 3: `not_granted`, `condition_false`, `wrong_realm`",
        "protocol/test_authority.py::test_a_link_must_cover_action_realm_and_agent",
        "protocol/test_authority.py::"
        "test_a_condition_of_any_link_must_be_true_and_an_error_is_false",
        "interaction/test_orders.py::test_an_order_in_a_realm_of_no_policy_is_wrong_realm",
    ),
    row(
        "authority.step-4",
        "7",
        "step 4: an order on behalf of somebody needs a held delegation to them, else "
        "`person_not_granted`",
        "protocol/test_authority.py::"
        "test_on_behalf_of_needs_a_delegation_to_that_person_that_covers_the_order",
        "evil/test_evil_hub_orders.py::test_an_order_on_behalf_of_somebody_without_a_grant",
    ),
    row(
        "authority.step-4-hub",
        "7",
        "the hub answers 403 to a submission on behalf of somebody that no grant covers",
        "controlplane/test_orders_over_rest.py::"
        "test_orders_on_behalf_of_a_person_without_a_grant_are_403",
        "controlplane/test_delegations_over_rest.py::"
        "test_a_grant_lets_the_hub_order_for_a_person_until_it_is_revoked",
    ),
    row(
        "authority.step-5",
        "7",
        "step 5: `no_policy`, `policy_expired`, `policy_denied`",
        "protocol/test_authority.py::test_policy_refusals_have_their_codes",
        "protocol/test_policy.py::test_without_a_policy_in_force_nothing_is_decided",
    ),
    row(
        "authority.step-6",
        "7",
        "step 6: `rate_limited` and `budget_exhausted`; kept on disk, a restart forgets nothing",
        "interaction/test_orders.py::"
        "test_over_the_rate_of_the_policy_is_refused_and_a_restart_forgets_nothing",
        "agentd/test_orders.py::test_limits_survive_a_restart",
        "protocol/test_limits_window.py::test_tokens_and_cents_add_up_over_the_day",
        "protocol/test_authority.py::"
        "test_every_budget_of_the_chain_bounds_the_order_beside_the_policys_limits",
        "interaction/test_policies.py::test_an_hours_limit_counts_across_a_restart_and_says_so",
        "interaction/test_policies.py::test_a_days_limit_counts_what_came_in_every_way",
    ),
    row(
        "authority.step-7",
        "7",
        "step 7: an order waits for distinct people; `approval_denied`, `approval_expired`",
        "protocol/test_approvals.py::test_distinct_people_are_counted",
        "interaction/test_approvals.py::test_a_held_order_runs_once_approved_by_somebodys_own_key",
        "interaction/test_approvals.py::test_a_denial_is_final_and_nothing_is_started",
        "interaction/test_approvals.py::test_nobody_deciding_in_time_is_approval_expired",
    ),
    row(
        "authority.not-the-orderer",
        "7",
        "who ordered it does not decide about it",
        "protocol/test_approvals.py::test_who_ordered_it_does_not_decide",
        "interaction/test_approvals.py::test_who_gave_the_order_does_not_decide_about_it",
        "evil/test_evil_hub_approvals.py::test_as_the_operator_who_ordered",
    ),
    row(
        "authority.invalid-decision",
        "7",
        "an invalid decision counts for nothing; a denial is final",
        "protocol/test_approvals.py::test_a_chain_that_does_not_hold_counts_for_nothing",
        "protocol/test_approvals.py::test_a_denial_is_final",
        "evil/test_evil_hub_approvals.py::test_with_an_approval_after_a_denial",
    ),
    row(
        "authority.vouching",
        "7",
        "to vouch for a role the hub's chain must hold `writ.approve`; `*` never counts the hub",
        "protocol/test_approvals.py::test_to_vouch_the_hubs_chain_holds_approve",
        "evil/test_evil_hub_approvals.py::test_as_anyone_under_its_own_key",
    ),
    row(
        "authority.call-digest",
        "7",
        "`callDigest` is SHA-256 over the canonical intent id, tool and arguments",
        "protocol/test_approvals.py::test_the_call_digest_is_of_the_canonical_call",
        "interaction/test_approvals.py::test_a_held_order_runs_once_approved_by_somebodys_own_key",
    ),
    row(
        "authority.not-before",
        "7",
        "before `notBefore` an order is held",
        "interaction/test_orders.py::test_an_order_not_before_its_time_is_held_until_then",
        "protocol/test_authority.py::test_an_order_is_held_until_not_before_and_dies_at_expires",
    ),
    row(
        "authority.checked-again",
        "7",
        "held and waiting orders are checked again when they start; too late is `expired`",
        "interaction/test_orders.py::test_an_order_that_waits_past_its_time_is_refused_as_expired",
        "agentd/test_orders.py::test_a_held_order_whose_time_goes_is_refused_as_expired",
        "evil/test_evil_timing.py::test_a_stricter_rule_holds_for_orders_that_wait_for_a_place",
    ),
    row(
        "authority.timeout",
        "7",
        "`timeoutSeconds` counts from the start; then the work is ended",
        "interaction/test_orders.py::"
        "test_an_order_that_takes_too_long_is_timed_out_and_its_process_is_gone",
        "agentd/executors/test_shell.py::"
        "test_when_the_time_is_up_grandchildren_with_their_own_session_end_too",
    ),
    row(
        "authority.require-operator",
        "7",
        "with `requireOperatorSignature` a hub that is broken into orders nothing",
        "interaction/test_operator_signature.py::"
        "test_an_agent_that_demands_an_operator_obeys_no_order_of_the_hub",
        "evil/test_evil_hub_orders.py::test_an_order_under_its_own_key",
        "evil/test_evil_hub_orders.py::test_an_order_under_a_key_it_has_made_itself_a_puppet_of",
        "evil/test_evil_hub_orders.py::test_other_params_under_an_operators_signature",
        "interaction/test_policies.py::test_a_strict_agent_takes_its_policy_from_an_operators_key",
    ),
    row(
        "authority.hub-may-stop",
        "7",
        "it may still add revocations and set a quarantine",
        "protocol/test_document_authority.py::"
        "test_where_operators_must_sign_the_hub_only_stops_things",
    ),
    row(
        "authority.fork-quarantine",
        "7",
        "`log_fork` puts the agent into quarantine by itself",
        "agentd/test_connections.py::test_the_record_may_only_grow",
        "agentd/test_connections.py::test_an_unproven_record_is_a_fork",
    ),
    row(
        "authority.lift-epoch",
        "7",
        "a quarantine is lifted by an authorised one with a higher epoch",
        "protocol/test_document_authority.py::test_a_lift_needs_a_higher_epoch_than_the_last_seen",
        "agentd/test_connections.py::"
        "test_a_fork_outlives_the_process_and_only_more_than_the_hub_lifts_it",
    ),
)
