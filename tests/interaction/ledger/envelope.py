"""Section 3: the envelope, its bytes, and the checks in their order."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "envelope.fields",
        "3",
        "an envelope has exactly the fields of its kind: no other, none missing",
        "protocol/test_envelope.py::test_another_shape_is_bad_envelope",
        "protocol/test_verification.py::"
        "test_a_control_frame_is_no_document_and_a_document_no_control_frame",
    ),
    row(
        "envelope.id",
        "3",
        "an `id` is a lowercase UUIDv7",
        "protocol/test_ids_and_times.py::"
        "test_an_id_is_a_uuid_of_version_seven_and_carries_its_time",
        "protocol/test_ids_and_times.py::test_what_is_no_id_is_refused",
    ),
    row(
        "envelope.timestamp",
        "3",
        "times have the one form `YYYY-MM-DDTHH:MM:SS.mmmZ`, in payloads too",
        "protocol/test_ids_and_times.py::test_a_time_comes_back_from_its_wire_form",
        "protocol/test_ids_and_times.py::"
        "test_a_model_field_takes_the_wire_form_and_aware_times_only",
    ),
    row(
        "envelope.audience",
        "3",
        "`*` addresses everyone only in `hello`, `delegation`, `revocations` and an early `error`",
        "protocol/test_verification.py::"
        "test_only_the_types_for_everyone_may_be_addressed_to_everyone",
    ),
    row(
        "envelope.sequence",
        "3",
        "sequence numbers count 1, 2, 3 ... per direction; `hello` and `register` are 1",
        "protocol/test_session_handshake.py::"
        "test_hello_and_register_are_number_one_and_hello_speaks_to_all",
        "protocol/test_session_online.py::test_rows_4_to_8_close_4400",
    ),
    row(
        "envelope.signature-form",
        "3",
        "a signature is canonical base64 with padding of 64 bytes; another spelling is refused",
        "protocol/test_envelope.py::test_a_signature_in_another_spelling_is_bad_envelope",
        "protocol/test_keys.py::test_any_other_base64_is_refused",
    ),
    row(
        "envelope.unknown-fields",
        "3",
        "unknown payload fields are refused in documents and ignored in control frames",
        "protocol/test_messages.py::test_a_document_with_an_unknown_field_is_refused",
        "protocol/test_messages.py::test_a_control_frame_with_an_unknown_field_is_read_without_it",
    ),
    row(
        "envelope.integers",
        "3",
        "counts and versions are JSON integers within bounds",
        "protocol/test_messages.py::test_a_count_is_a_json_integer_within_its_bound",
    ),
    row(
        "envelope.signed-bytes",
        "3",
        "signed is `writ.v1`, a zero byte and the RFC 8785 form without `signature`",
        "protocol/test_envelope.py::"
        "test_signed_bytes_are_prefix_and_canonical_form_without_signature",
        "protocol/test_canonical.py::test_the_published_jcs_vectors_hold_byte_for_byte",
        "protocol/test_canonical.py::test_any_value_has_the_form_of_the_reference_or_none",
        "node/test_node_verifier.py::"
        "test_every_vector_is_judged_as_the_python_implementation_judges_it",
    ),
    row(
        "envelope.any-change",
        "3",
        "any changed bit of a sealed envelope is noticed",
        "protocol/test_envelope.py::test_every_flipped_bit_of_a_sealed_envelope_is_refused",
        "protocol/test_envelope.py::test_any_changed_byte_of_a_sealed_document_is_refused",
    ),
    row(
        "envelope.json-profile",
        "3",
        "JSON outside the profile (BOM, duplicate keys, NaN, surrogates, NUL, size) is `bad_json`",
        "protocol/test_strict_json.py::test_anything_outside_the_profile_is_bad_json",
        "protocol/test_vectors.py::test_the_json_profile",
    ),
    row(
        "envelope.json-depth",
        "3",
        "32 containers deep and 10,000 values pass, one more does not",
        "protocol/test_strict_json.py::test_thirty_two_containers_pass_and_one_more_does_not",
        "protocol/test_strict_json.py::test_ten_thousand_values_pass_and_one_more_does_not",
    ),
    row(
        "envelope.not-canonical",
        "3",
        "the bytes on the wire need not be canonical",
        "protocol/test_envelope.py::test_bytes_on_the_wire_need_not_be_canonical",
    ),
    row(
        "envelope.params-profile",
        "3",
        "params outside the profile or deeper than 24 are refused at submission",
        "interaction/test_orders.py::"
        "test_params_outside_the_json_profile_or_too_deep_are_refused_at_submission",
        "controlplane/test_orders_over_rest.py::test_params_deeper_than_24_are_refused",
    ),
    row(
        "checks.order",
        "3",
        "the rows are checked in their order and the first that fails decides",
        "protocol/test_verification.py::test_the_first_failing_row_of_a_document_wins",
        "protocol/test_verification.py::test_the_first_failing_row_of_a_control_frame_wins",
        "protocol/test_session_online.py::test_the_first_failing_row_wins",
    ),
    row(
        "checks.row-1",
        "3",
        "a binary frame closes 1003, one too large 1009, one that is not UTF-8 1007; no `error`",
        "protocol/test_session_online.py::test_row_1_closes_without_an_error_frame",
        "controlplane/hub/test_hostile.py::test_a_binary_frame_closes_1003",
        "controlplane/hub/test_hostile.py::test_text_that_is_not_utf8_closes_1007",
        "controlplane/hub/test_hostile.py::test_a_frame_over_the_limit_closes_1009",
    ),
    row(
        "checks.rows-2-3",
        "3",
        "`bad_json` and `bad_envelope` are told and close 4400",
        "protocol/test_session_online.py::test_rows_2_3_and_5_close_4400",
        "controlplane/hub/test_hostile.py::test_text_that_is_no_envelope_ends_the_connection_4400",
    ),
    row(
        "checks.control-frames",
        "3",
        "`wrong_key`, `bad_signature`, `wrong_audience`, `stale`, `future`, `wrong_session`, "
        "`replay` and `bad_sequence` of a control frame are told, then close 4400",
        "protocol/test_session_online.py::test_rows_4_to_8_close_4400",
        "controlplane/hub/test_hostile.py::"
        "test_a_control_frame_that_fails_its_rows_ends_the_connection_4400",
        "controlplane/hub/test_hostile.py::test_a_broken_signature_ends_the_connection_4400",
    ),
    row(
        "checks.documents",
        "3",
        "a document that fails its rows is answered by `error`, and the connection lives",
        "controlplane/hub/test_delivery.py::"
        "test_a_document_that_fails_its_rows_is_an_error_and_the_connection_stays",
        "agentd/test_orders.py::test_strangers_and_bad_documents_get_an_error_and_leave_nothing",
    ),
    row(
        "checks.rows-9-10",
        "3",
        "`unknown_type`, `forbidden_type` and `bad_payload` are answered, and the connection lives",
        "protocol/test_session_online.py::test_rows_9_and_10_answer_and_the_connection_lives",
        "controlplane/hub/test_hostile.py::"
        "test_a_proved_frame_that_asks_for_nothing_known_is_an_error_and_no_more",
    ),
    row(
        "checks.row-11",
        "3",
        "too many frames are `rate_limited`, and close 4429 when it goes on",
        "controlplane/hub/test_hostile.py::"
        "test_who_sends_faster_than_the_rate_is_told_and_in_the_end_closed_4429",
        "controlplane/hub/test_hostile.py::test_a_flood_of_refused_frames_counts_as_well",
    ),
    row(
        "checks.used-number",
        "3",
        "a control frame that passed row 8 has used its number, even if it is refused later",
        "protocol/test_session_online.py::test_rows_9_and_10_answer_and_the_connection_lives",
    ),
    row(
        "checks.second-register",
        "3",
        "a second `register` is `forbidden_type` and closes",
        "protocol/test_session_handshake.py::test_a_second_register_closes",
        "controlplane/hub/test_hostile.py::test_a_second_register_ends_the_connection",
    ),
    row(
        "checks.nothing-after",
        "3",
        "after the end nothing is read any more",
        "protocol/test_session_online.py::test_after_the_end_nothing_is_read",
        "controlplane/hub/test_hostile.py::test_frames_after_the_close_change_nothing",
    ),
    row(
        "checks.error",
        "3",
        "`error` names code, message and `inReplyTo` where an id could be read; it is not "
        "answered by an `error`",
        "protocol/test_session_online.py::test_rows_2_3_and_5_close_4400",
        "protocol/test_session_online.py::test_a_bad_error_is_not_answered_by_an_error",
    ),
    row(
        "checks.error-ends-intent",
        "3",
        "an agent's `error` about an order ends it at the hub as `refused` with that code",
        "controlplane/hub/test_delivery.py::test_an_error_about_an_order_ends_it_as_refused",
        "controlplane/hub/test_delivery.py::test_an_error_about_an_accepted_order_ends_nothing",
    ),
    row(
        "checks.freshness-control",
        "3",
        "a control frame is within the skew of the receiver's clock, both ends included",
        "protocol/test_verification.py::"
        "test_a_control_frame_is_fresh_within_the_skew_and_not_a_millisecond_beyond",
        "protocol/test_session_online.py::test_the_clock_skew_is_inclusive",
    ),
    row(
        "checks.freshness-document",
        "3",
        "a document is valid from a minute before its timestamp until it has `expired`",
        "protocol/test_verification.py::"
        "test_a_document_is_valid_from_a_minute_before_its_timestamp_until_it_expires",
        "protocol/test_verification.py::test_a_document_is_not_valid_a_millisecond_outside",
    ),
    row(
        "checks.replay-same",
        "3",
        "the same bytes of a document again are answered as the first time, never done again",
        "agentd/test_kill_points.py::test_the_same_order_again_gets_the_same_answer",
        "evil/test_evil_hub_orders.py::test_the_same_order_over_and_over",
        "evil/test_evil_hub_orders.py::test_the_same_order_under_a_new_session_and_a_new_process",
    ),
    row(
        "checks.replay-other",
        "3",
        "other bytes under a used id of the same signer are `id_reuse`",
        "protocol/test_verification.py::test_an_id_belongs_to_its_signer",
        "controlplane/hub/test_delivery.py::test_a_result_id_used_for_other_bytes_is_id_reuse",
        "evil/test_evil_hub_orders.py::test_a_used_id_for_other_work",
    ),
    row(
        "checks.clock",
        "3",
        "an agent keeps the highest clock it has seen on disk and judges expiry by the later",
        "agentd/test_state.py::test_time_never_runs_backwards",
    ),
    row(
        "checks.in-order",
        "3",
        "frames of one direction take effect in the order sent",
        "controlplane/hub/test_delivery.py::test_orders_arrive_in_the_order_they_were_given",
        "protocol/test_session_online.py::test_a_document_leaves_with_its_exact_bytes_and_in_order",
    ),
)
