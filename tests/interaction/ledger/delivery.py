"""Section 8: every accepted order ends once, whatever dies."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "delivery.states",
        "8",
        "states only go forward, by compare-and-set; steps may be skipped",
        "protocol/test_lifecycle.py::test_steps_may_be_skipped_but_never_taken_back",
        "storage/test_intents.py::test_of_many_ends_exactly_one_wins",
        "storage/test_intents.py::test_nothing_leaves_a_terminal_state",
    ),
    row(
        "delivery.cancel-flag",
        "8",
        "`cancelRequested` is a flag beside the state",
        "storage/test_intents.py::test_cancel_is_a_flag_beside_the_state",
    ),
    row(
        "delivery.answer-on-disk",
        "8",
        "a submission is answered only when it is on disk",
        "faults/test_kill_hub.py::test_every_order_ends_once_whatever_the_hub_was_doing",
        "controlplane/test_orders_over_rest.py::test_a_database_that_is_gone_takes_nothing_in",
        "storage/test_durability.py::"
        "test_after_kill_9_what_was_acknowledged_is_there_and_nothing_is_half",
    ),
    row(
        "delivery.offline",
        "8",
        "an order for an agent that is away waits, and is sent when it comes",
        "interaction/test_continuity.py::"
        "test_orders_for_an_agent_that_is_away_wait_and_are_done_once_in_order",
        "controlplane/hub/test_delivery.py::test_an_order_for_an_agent_that_is_away_waits_for_it",
    ),
    row(
        "delivery.resend",
        "8",
        "an order is resent after a reconnect, and to a silent agent, until it is acked",
        "controlplane/hub/test_delivery.py::"
        "test_an_unacknowledged_order_comes_again_after_a_reconnect",
        "controlplane/hub/test_delivery.py::test_an_order_the_agent_is_silent_about_comes_again",
        "controlplane/hub/test_delivery.py::test_an_accepted_order_does_not_come_again",
    ),
    row(
        "delivery.agent-disk",
        "8",
        "the agent writes the order to disk, then acks, then starts it",
        "agentd/test_kill_points.py::test_a_kill_loses_nothing_and_repeats_nothing",
        "agentd/test_state.py::test_a_full_disk_acks_nothing_starts_nothing_and_kills_nobody",
    ),
    row(
        "delivery.once",
        "8",
        "each order starts at most once: what it died in is `interrupted`",
        "faults/test_kill_agent.py::test_every_order_ends_once_whatever_the_agent_was_doing",
        "agentd/test_kill_points.py::test_a_kill_loses_nothing_and_repeats_nothing",
    ),
    row(
        "delivery.idempotent",
        "8",
        "an action that is declared idempotent runs again instead",
        "agentd/test_kill_points.py::test_idempotent_work_simply_runs_again",
    ),
    row(
        "delivery.result-disk",
        "8",
        "the result's bytes are on disk before they are sent, and are resent until acked",
        "agentd/test_kill_points.py::test_a_result_without_an_ack_is_sent_again_unchanged",
        "faults/test_kill_agent.py::test_every_order_ends_once_whatever_the_agent_was_doing",
    ),
    row(
        "delivery.first-result",
        "8",
        "the first valid result counts; an equal one is acked again, another is `conflict`",
        "controlplane/hub/test_delivery.py::test_the_same_result_again_is_acknowledged_again",
        "controlplane/hub/test_delivery.py::test_another_result_is_a_conflict_and_changes_nothing",
    ),
    row(
        "delivery.bad-result",
        "8",
        "a result for nobody's order is `unknown_intent`, for other bytes `bad_digest`",
        "controlplane/hub/test_delivery.py::"
        "test_a_result_for_another_agents_order_is_unknown_intent",
        "controlplane/hub/test_delivery.py::"
        "test_a_result_for_bytes_that_were_never_sent_is_bad_digest",
    ),
    row(
        "delivery.old-result",
        "8",
        "a result whose own `expires` has come is signed anew",
        "agentd/test_connections.py::test_a_result_whose_time_has_gone_is_signed_anew",
    ),
    row(
        "delivery.expired",
        "8",
        "`expired` comes from `queued` when time is over; the order is never sent",
        "interaction/test_continuity.py::"
        "test_an_order_nobody_fetched_in_time_is_expired_and_never_done",
        "controlplane/hub/test_delivery.py::test_an_order_that_expired_in_the_queue_is_never_sent",
        "protocol/test_lifecycle.py::test_only_what_no_agent_has_accepted_expires_by_time",
    ),
    row(
        "delivery.expired-dispatched",
        "8",
        "a dispatched order expires when the agent is back and does not hold it",
        "controlplane/hub/test_time_ends_orders.py::"
        "test_a_sent_order_expires_when_the_agent_is_back_without_it",
    ),
    row(
        "delivery.unconfirmed",
        "8",
        "7 days after `expires` without the agent an order ends as expired, `unconfirmed`",
        "controlplane/hub/test_time_ends_orders.py::"
        "test_a_week_without_the_agent_ends_a_sent_order_unconfirmed",
    ),
    row(
        "delivery.lost",
        "8",
        "an order that the agent had and lost expires `unconfirmed`, and is never sent again",
        "controlplane/hub/test_time_ends_orders.py::"
        "test_an_order_the_agent_had_and_lost_expires_unconfirmed_and_is_not_sent_again",
        "controlplane/hub/test_time_ends_orders.py::"
        "test_a_full_list_of_held_orders_says_nothing_of_others",
        "evil/test_evil_agent.py::test_it_claims_to_hold_anothers_orders_and_hides_its_own",
    ),
    row(
        "delivery.cancel-queued",
        "8",
        "a queued order is `cancelled` at once and never done",
        "interaction/test_continuity.py::test_a_queued_order_is_cancelled_at_once_and_never_done",
    ),
    row(
        "delivery.cancel-running",
        "8",
        "another order is cancelled when the agent confirms by its result",
        "interaction/test_orders.py::test_a_running_order_is_cancelled_when_the_agent_confirms",
        "evil/test_evil_timing.py::test_a_cancel_right_behind_an_order_is_not_lost",
    ),
    row(
        "delivery.one-end",
        "8",
        "every accepted submission ends in exactly one state, with kill -9 of either side anywhere",
        "faults/test_kill_hub.py::test_every_order_ends_once_whatever_the_hub_was_doing",
        "faults/test_kill_agent.py::test_every_order_ends_once_whatever_the_agent_was_doing",
        "faults/test_kill_hub.py::test_after_all_that_nothing_is_open_and_the_record_holds",
        "interaction/test_continuity.py::test_a_hub_killed_in_mid_order_loses_nothing",
        "node/test_node_agent.py::test_nothing_is_lost_when_the_agent_and_the_hub_are_killed",
    ),
    row(
        "delivery.approvals-survive",
        "8",
        "an order that waits for people survives the death of the agent",
        "interaction/test_approvals.py::test_a_held_order_survives_a_kill_of_the_agent",
        "agentd/test_orders.py::test_an_order_waits_for_a_person_across_a_restart",
    ),
)
