"""Section 9: the record that can only grow."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "record.leaf",
        "9",
        "every change appends a leaf in its own transaction",
        "controlplane/test_orders_over_rest.py::"
        "test_every_step_of_an_order_is_in_the_record_and_proved",
        "faults/test_kill_hub.py::test_every_order_ends_once_whatever_the_hub_was_doing",
        "storage/test_group_commit.py::test_what_a_failed_unit_wrote_is_gone",
    ),
    row(
        "record.tree",
        "9",
        "the tree is RFC 6962 with SHA-256",
        "protocol/test_audit_tree.py::test_the_published_roots_hold",
        "protocol/test_audit_tree.py::test_the_published_proofs_hold",
        "storage/test_audit.py::test_the_tree_is_the_tree_over_all_leaves_at_every_size",
    ),
    row(
        "record.unchangeable",
        "9",
        "a leaf is never changed, removed or replaced",
        "storage/test_audit.py::test_the_database_refuses_to_change_or_remove_a_leaf",
        "storage/test_audit.py::test_a_leaf_cannot_be_replaced",
    ),
    row(
        "record.checkpoint",
        "9",
        "a checkpoint is a C2SP signed note by the log key, which the root delegates by `writ.log`",
        "protocol/test_checkpoint.py::test_the_go_reference_note_is_made_byte_for_byte",
        "controlplane/cli/test_record.py::test_a_log_the_root_did_not_make_a_log_is_not_believed",
        "evil/test_evil_hub_orders.py::test_an_order_by_the_keeper_of_the_record",
    ),
    row(
        "record.tiles",
        "9",
        "the record is read as `tlog-tiles`",
        "controlplane/cli/test_record.py::"
        "test_leaf_and_tile_changed_together_are_found_by_the_level_above",
        gap="tiles are in the export; none are served over HTTP",
    ),
    row(
        "record.agents-watch",
        "9",
        "agents keep the highest checkpoint and ask `checkpoint_request` when it grows",
        "agentd/test_connections.py::test_the_record_may_only_grow",
        "controlplane/hub/test_delivery.py::"
        "test_a_checkpoint_request_is_answered_by_a_proof_that_holds",
    ),
    row(
        "record.proof",
        "9",
        "`checkpoint_proof` holds, or the request is refused",
        "controlplane/hub/test_delivery.py::"
        "test_a_checkpoint_request_is_answered_by_a_proof_that_holds",
        "controlplane/hub/test_delivery.py::test_a_proof_beyond_the_record_is_refused",
    ),
    row(
        "record.fork",
        "9",
        "a smaller, different or unproven checkpoint is `log_fork`",
        "agentd/test_connections.py::test_the_record_may_only_grow",
        "agentd/test_connections.py::test_an_unproven_record_is_a_fork",
    ),
    row(
        "record.new-log-key",
        "9",
        "a new log key comes only by a new delegation from the root",
        "controlplane/cli/test_record.py::test_a_log_the_root_did_not_make_a_log_is_not_believed",
        gap="offline it is shown; an agent that is handed a second log key has no test",
    ),
    row(
        "record.offline",
        "9",
        "the command line verifies inclusion and consistency offline, and names a bad leaf",
        "interaction/test_proof.py::"
        "test_the_record_is_exported_and_verified_offline_and_a_changed_leaf_is_named",
        "controlplane/cli/test_record.py::test_a_changed_leaf_is_found_by_index",
        "controlplane/test_fleet_over_rest.py::"
        "test_the_record_proves_itself_to_somebody_with_the_root_key_only",
    ),
)
