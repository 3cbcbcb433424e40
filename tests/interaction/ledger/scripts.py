"""What scripts rely on: commands, answers and exit codes that do not change."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "scripts.hub",
        "scripts",
        "`writ --json hub init` prints keys and DIDs; `hub run` prints one line when it serves",
        "interaction/test_scripts.py::test_hub_init_and_run_print_what_scripts_read",
    ),
    row(
        "scripts.hub-stop",
        "scripts",
        "a hub that is told to stop ends with 0, everything closed",
        "controlplane/test_hub_process.py::"
        "test_a_told_hub_ends_in_bounded_time_with_everything_closed",
    ),
    row(
        "scripts.agent",
        "scripts",
        "`writ --json agent run` prints DID and fingerprint first, then one line per state",
        "interaction/test_scripts.py::test_agent_run_prints_identity_first_and_then_states",
    ),
    row(
        "scripts.well-known",
        "scripts",
        "`/.well-known/writ.json` names root, hub, log and versions",
        "interaction/test_scripts.py::test_the_well_known_file_names_who_is_who",
    ),
    row(
        "scripts.idempotency",
        "scripts",
        "the same `Idempotency-Key` gets the first answer, with another body 422",
        "interaction/test_orders.py::test_the_same_idempotency_key_makes_one_order",
        "controlplane/test_rest_rules.py::"
        "test_the_same_key_and_body_get_the_first_answer_without_its_secret",
    ),
    row(
        "scripts.statuses",
        "scripts",
        "400 not JSON or a bad cursor, 422 a wrong or unknown field, 409 a state that does not "
        "allow it",
        "controlplane/test_rest_rules.py::test_a_body_that_is_not_json_is_400",
        "controlplane/test_rest_rules.py::test_a_wrong_or_unknown_field_is_422_with_its_pointer",
        "controlplane/test_rest_rules.py::test_a_cursor_nobody_handed_out_is_400",
        "interaction/test_orders.py::test_a_running_order_is_cancelled_when_the_agent_confirms",
    ),
    row(
        "scripts.same-signed-document",
        "scripts",
        "the same signed document again gets its first answer",
        "interaction/test_operator_signature.py::"
        "test_a_signed_order_is_forwarded_byte_for_byte_and_done",
    ),
    row(
        "scripts.hidden",
        "scripts",
        "what the caller may not see is 404, what they may see and not do 403",
        "interaction/test_orders.py::"
        "test_who_may_not_see_an_agent_gets_404_and_who_may_not_order_403",
    ),
    row(
        "scripts.capabilities",
        "scripts",
        "`capabilities` is short for a policy with one allow rule",
        "controlplane/test_fleet_over_rest.py::"
        "test_an_approval_by_capabilities_enrols_with_a_policy",
    ),
    row(
        "scripts.documents",
        "scripts",
        "an order shows its signed documents, byte for byte; `writ verify` proves them offline",
        "interaction/test_proof.py::test_a_result_is_verified_offline_and_a_tampered_one_is_not",
    ),
    row(
        "scripts.broadcast",
        "scripts",
        "capability and selector reach everybody they mean, offline agents too",
        "interaction/test_batches.py::test_a_capability_reaches_every_agent_that_has_it",
        "controlplane/test_orders_over_rest.py::"
        "test_a_selector_orders_everybody_it_means_offline_ones_too",
    ),
    row(
        "scripts.stages",
        "scripts",
        "a batch goes a few at a time and stops after too many failures",
        "interaction/test_batches.py::test_after_too_many_failures_the_rest_is_never_sent",
    ),
    row(
        "scripts.release",
        "scripts",
        "quarantine is set by the hub's key and released by an operator's document",
        "interaction/test_continuity.py::"
        "test_quarantine_refuses_all_work_until_an_operator_releases",
    ),
    row(
        "scripts.metrics",
        "scripts",
        "`/metrics` needs a key with its scope, except from loopback",
        "controlplane/test_access.py::test_metrics_are_for_loopback_or_a_scoped_key",
    ),
    row(
        "scripts.actions",
        "scripts",
        "the built-in actions take and give what is written",
        "interaction/test_orders.py::test_every_built_in_action_works",
    ),
    row(
        "scripts.workspace",
        "scripts",
        "what leads out of the workspace has failed with `outside_workspace`",
        "interaction/test_orders.py::test_what_leads_out_of_the_workspace_has_failed_with_its_code",
        "agentd/test_workspace.py::test_whatever_is_accepted_stays_inside",
    ),
    row(
        "scripts.exit-codes",
        "scripts",
        "exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 5 conflict, 6 timed out, "
        "7 unreachable",
        "interaction/test_scripts.py::test_exit_codes_say_how_it_ended",
    ),
)
