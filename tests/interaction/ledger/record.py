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
        "controlplane/test_record_tiles.py::"
        "test_the_tiles_lead_to_the_root_that_the_checkpoint_signs",
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
        "record.fork-told",
        "9",
        "an agent that found a fork says so to the hub, which shows it as quarantined",
        "interaction/test_continuity.py::"
        "test_a_hub_put_back_to_a_backup_is_told_by_its_agents_that_its_record_has_forked",
        "agentd/test_connections.py::"
        "test_a_fork_outlives_the_process_and_only_more_than_the_hub_lifts_it",
    ),
    row(
        "record.new-log-key",
        "9",
        "a new log key comes only by a new delegation from the root",
        "controlplane/cli/test_record.py::test_a_log_the_root_did_not_make_a_log_is_not_believed",
        "agentd/test_connections.py::"
        "test_a_new_log_key_counts_when_the_root_names_it_and_not_when_the_hub_does",
    ),
    row(
        "record.assurance",
        "9",
        "every leaf says how its actor is known: enforced, attributed or unknown",
        "controlplane/test_record_of_realms.py::test_every_entry_says_how_its_actor_is_known",
    ),
    row(
        "record.realms",
        "9",
        "who reads the record of a realm reads its leaves alone, and hashes of all others",
        "controlplane/test_record_of_realms.py::test_a_reader_of_a_realm_reads_that_realm_alone",
        "controlplane/test_record_of_realms.py::"
        "test_what_a_realm_takes_away_is_proved_under_the_one_tree",
        "controlplane/test_record_tiles.py::test_a_reader_of_a_realm_gets_hashes_and_no_entries",
        "storage/test_audit.py::"
        "test_two_leaves_that_say_the_same_have_nothing_in_common_to_guess_from",
    ),
    row(
        "record.personal",
        "9",
        "a leaf keeps a salted hash of what a person may want forgotten; the value can be erased",
        "storage/test_audit.py::"
        "test_a_leaf_keeps_a_salted_hash_of_what_a_person_may_want_forgotten",
        "controlplane/test_record_of_realms.py::"
        "test_a_person_who_is_removed_is_forgotten_and_every_proof_still_holds",
        "architecture/test_entries_of_the_record.py::"
        "test_what_a_person_may_want_forgotten_is_not_in_the_leaf_itself",
    ),
    row(
        "record.witness",
        "9",
        "a witness cosigns what contains the checkpoint it saw before, and nothing else",
        "interaction/test_witness.py::test_what_a_witness_has_seen_is_proved_with_its_key_alone",
        "interaction/test_witness.py::"
        "test_a_record_that_was_taken_back_is_a_fork_and_nothing_is_signed",
        "protocol/test_cosignature.py::test_the_line_is_the_one_the_specification_spells",
        "cluster/test_two_hubs.py::"
        "test_a_witness_that_looks_at_either_sees_one_record_and_is_shown_once",
    ),
    row(
        "record.damaged",
        "9",
        "a hub signs nothing over leaves that were changed in its database",
        "controlplane/test_record_of_realms.py::"
        "test_leaves_changed_in_the_database_are_never_signed",
    ),
    row(
        "record.offline",
        "9",
        "the command line verifies inclusion and consistency offline, and names a bad leaf",
        "interaction/test_proof.py::"
        "test_the_record_is_exported_and_verified_offline_and_a_changed_leaf_is_named",
        "controlplane/cli/test_record.py::test_a_changed_leaf_is_found_by_index",
        "controlplane/test_record_of_realms.py::test_a_row_that_was_edited_is_named_by_its_index",
        "controlplane/test_fleet_over_rest.py::"
        "test_the_record_proves_itself_to_somebody_with_the_root_key_only",
    ),
)
