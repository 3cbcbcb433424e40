"""Section 4: who connects, what is believed, what is bounded, and how it ends."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "connection.subprotocol",
        "4",
        "`/ws/agent` wants the subprotocol `writ.v1`, else it is HTTP 400",
        "controlplane/hub/test_handshake.py::test_a_socket_without_the_subprotocol_is_answered_400",
        "controlplane/hub/test_handshake.py::test_plain_http_is_answered_400",
    ),
    row(
        "connection.deflate",
        "4",
        "permessage-deflate is off",
        "controlplane/hub/test_time_ends_orders.py::test_compression_is_never_agreed",
    ),
    row(
        "connection.sizes",
        "4",
        "64 KiB a frame before `register_ack`, which itself may be larger, 1 MiB after it",
        "protocol/test_session_handshake.py::"
        "test_before_registration_frames_are_small_but_register_ack_may_be_large",
        "controlplane/hub/test_hostile.py::"
        "test_a_frame_over_the_limit_before_registration_closes_1009",
        "controlplane/hub/test_hostile.py::test_a_message_in_endless_crumbs_closes_1009",
    ),
    row(
        "connection.tls",
        "4",
        "an agent refuses plain `ws://` except to loopback, unless told `--insecure`",
        "agentd/test_connections.py::test_addresses_are_websockets_and_plain_only_to_this_machine",
    ),
    row(
        "connection.handshake",
        "4",
        "`hello`, `register`, `register_ack`: both ends are online",
        "protocol/test_session_handshake.py::test_hello_register_ack_brings_both_ends_online",
        "protocol/test_independent_agent.py::"
        "test_an_agent_written_from_the_spec_registers_and_reports",
    ),
    row(
        "connection.pending",
        "4",
        "an unknown key is `registration_pending`; the request outlives the socket, keeps its id",
        "controlplane/hub/test_handshake.py::test_an_unknown_key_waits_until_an_admin_approves_it",
        "controlplane/hub/test_handshake.py::test_a_request_outlives_its_socket_and_keeps_its_id",
        "interaction/test_enrolment.py::test_a_request_outlives_both_processes_and_keeps_its_id",
    ),
    row(
        "connection.rejected",
        "4",
        "a rejected key is told `registration_rejected` with the reason, then closed 4403",
        "controlplane/hub/test_handshake.py::test_a_rejected_agent_is_told_why_and_closed_4403",
        "interaction/test_enrolment.py::test_a_rejected_agent_is_told_why_and_never_gets_work",
    ),
    row(
        "connection.pin",
        "4",
        "an agent pins the root before it trusts a byte, and believes no hub of another root",
        "agentd/test_connections.py::test_it_believes_no_hub_of_another_root",
        "interaction/test_enrolment.py::"
        "test_an_agent_with_another_root_pinned_believes_no_word_of_the_hub",
        "agentd/test_state.py::test_a_root_is_pinned_once",
    ),
    row(
        "connection.tofu",
        "4",
        "trust on first use only with `--trust-first-hub`, and loudly",
        "interaction/test_enrolment.py::test_trust_on_first_use_is_asked_for_and_loud",
        "agentd/test_connections.py::test_trust_on_first_use_pins_and_says_so",
    ),
    row(
        "connection.hub-delegation",
        "4",
        "a hub is believed only through one valid delegation straight from the root, `writ.route`",
        "protocol/test_session_handshake.py::test_a_hub_without_a_good_delegation_is_refused",
        "agentd/test_connections.py::test_it_believes_no_hub_whose_delegation_does_not_route",
    ),
    row(
        "connection.seen-session",
        "4",
        "a session id seen before is refused, over a restart too",
        "protocol/test_session_handshake.py::"
        "test_another_root_a_seen_session_and_a_revoked_hub_are_refused",
        "node/test_node_agent_refuses.py::test_a_session_is_believed_once_even_over_a_restart",
    ),
    row(
        "connection.false-hello",
        "4",
        "a false `hello` makes the agent close 4401",
        "protocol/test_session_handshake.py::test_a_hub_without_a_good_delegation_is_refused",
        "node/test_node_agent_refuses.py::test_a_false_hello_is_answered_by_4401",
    ),
    row(
        "connection.one-per-key",
        "4",
        "a second connection of a live key is closed 4409 and `key_conflict` recorded; else the "
        "newer one wins",
        "controlplane/hub/test_handshake.py::"
        "test_a_second_connection_of_a_live_key_is_closed_4409_and_recorded",
        "controlplane/hub/test_handshake.py::test_a_newer_connection_wins_when_the_older_one_is_dead",
    ),
    row(
        "connection.register-deadline",
        "4",
        "who does not register in time is closed 4408",
        "controlplane/hub/test_handshake.py::test_who_does_not_register_in_time_is_closed_4408",
    ),
    row(
        "connection.nothing-written",
        "4",
        "before registration the hub writes nothing but a request with a valid signature",
        "controlplane/hub/test_handshake.py::"
        "test_garbage_before_registration_is_auth_failed_and_leaves_nothing",
    ),
    row(
        "connection.bound-sockets",
        "4",
        "an address has a bound on unregistered sockets; over it the upgrade is HTTP 429",
        "controlplane/hub/test_handshake.py::test_one_address_has_a_bound_on_unregistered_sockets",
    ),
    row(
        "connection.bound-pending",
        "4",
        "an address, and all together, have a bound on pending requests; over it `rate_limited` "
        "and close 4429",
        "controlplane/hub/test_handshake.py::test_one_address_has_a_bound_on_pending_requests",
        "cluster/test_two_hubs.py::test_who_signs_in_or_joins_is_counted_by_both_together",
        gap="the bound over all addresses is the same line of code; tests speak from one address",
    ),
    row(
        "connection.bound-joins",
        "4",
        "an address has a bound on join tokens that are no good; over it `rate_limited` and close "
        "4429, for whichever process it asks",
        "controlplane/hub/test_handshake.py::"
        "test_an_address_that_guesses_join_tokens_is_turned_away_and_enrolled_agents_are_not",
        "cluster/test_two_hubs.py::test_who_signs_in_or_joins_is_counted_by_both_together",
    ),
    row(
        "connection.pending-lifetime",
        "4",
        "a pending request expires",
        "storage/test_agents.py::test_pending_requests_are_counted_by_address_and_expire",
    ),
    row(
        "connection.slow-reader",
        "4",
        "the send queue is bounded and a slow reader is closed 4429; its orders wait",
        "controlplane/hub/test_hostile.py::test_a_slow_reader_is_closed_4429_and_its_orders_wait",
    ),
    row(
        "connection.generic-answer",
        "4",
        "before registration every failure is the same `auth_failed` and close 4401",
        "protocol/test_session_handshake.py::test_every_bad_register_gets_the_same_answer",
        "protocol/test_session_handshake.py::test_junk_before_registration_gets_the_generic_answer",
        "controlplane/hub/test_hostile.py::test_a_heartbeat_before_register_is_auth_failed",
        "controlplane/hub/test_hostile.py::test_another_challenge_is_auth_failed",
    ),
    row(
        "connection.revoked-key",
        "4",
        "a revoked key that proves itself is closed 4403",
        "controlplane/hub/test_handshake.py::test_a_revoked_key_that_proves_itself_is_closed_4403",
        "interaction/test_continuity.py::test_a_revoked_agent_that_is_online_is_thrown_out",
    ),
    row(
        "connection.pings",
        "4",
        "who never answers WebSocket pings is closed",
        "controlplane/hub/test_hostile.py::test_a_reader_that_never_answers_pings_is_closed_4408",
    ),
    row(
        "connection.heartbeats",
        "4",
        "`heartbeat` is answered by `pong`, pending too; two missed intervals close, either side",
        "controlplane/hub/test_handshake.py::test_a_pending_agent_is_answered_its_heartbeats",
        "controlplane/hub/test_delivery.py::test_heartbeats_reach_the_record_of_the_agent",
        "controlplane/hub/test_hostile.py::test_an_agent_without_heartbeats_is_closed_4408",
        "agentd/test_connections.py::test_it_shows_that_it_lives_and_leaves_a_silent_hub",
    ),
    row(
        "connection.reconnect",
        "4",
        "an agent comes back after a random, growing, bounded delay, and never gives up",
        "agentd/test_connections.py::test_delays_have_full_jitter",
        "agentd/test_connections.py::test_it_comes_back_after_a_lost_connection",
    ),
    row(
        "connection.ask-again",
        "4",
        "after a rejection it asks again rarely, and says so",
        "agentd/test_connections.py::test_a_rejected_agent_says_so_and_asks_again_rarely",
    ),
    row(
        "connection.drain",
        "4",
        "`drain` tells when to come back, then closes 4503; the agent stays away that long",
        "controlplane/hub/test_hostile.py::"
        "test_drain_tells_every_agent_when_to_come_back_and_closes_4503",
        "agentd/test_connections.py::test_it_stays_away_while_a_hub_drains",
        "interaction/test_continuity.py::"
        "test_a_hub_that_stops_drains_and_its_agents_come_back_by_themselves",
    ),
    row(
        "frames.register",
        "4",
        "`register` wishes a name, offers actions and says what it holds; it is told what it lacks",
        "controlplane/hub/test_handshake.py::test_an_agent_is_told_only_what_it_does_not_hold",
        "controlplane/hub/test_delivery.py::test_register_ack_brings_the_delegations_the_agent_lacks",
        "agentd/executors/test_registry.py::test_the_built_in_actions_are_those_of_the_surface",
    ),
    row(
        "frames.register-ack",
        "4",
        "`register_ack` is for this agent; what it carries is taken and answered one by one",
        "protocol/test_session_handshake.py::test_a_register_ack_for_another_agent_is_not_believed",
        "agentd/test_orders.py::test_everything_in_register_ack_is_answered",
    ),
    row(
        "frames.intent-ack",
        "4",
        "`intent_ack` says `accepted` or `duplicate`, once it is on disk; a quick result may "
        "stand for it",
        "agentd/test_kill_points.py::test_the_same_order_again_gets_the_same_answer",
        "controlplane/hub/test_delivery.py::test_a_result_alone_stands_for_the_acknowledgement",
    ),
    row(
        "frames.intent-progress",
        "4",
        "`intent_progress` counts from 0 and is kept once; a long order says `started`",
        "controlplane/hub/test_delivery.py::test_progress_makes_the_order_running_and_is_kept_once",
        "agentd/test_orders.py::test_a_long_order_says_that_it_started",
    ),
    row(
        "frames.result-ack",
        "4",
        "`result_ack` comes after the result is on the hub's disk, several in one",
        "controlplane/hub/test_delivery.py::test_many_results_share_few_acknowledgements",
        "faults/test_kill_hub.py::test_every_order_ends_once_whatever_the_hub_was_doing",
    ),
    row(
        "frames.document-ack",
        "4",
        "`document_ack` answers every document that is no intent: accepted, or refused with a code",
        "agentd/test_orders.py::test_everything_in_register_ack_is_answered",
        "agentd/test_orders.py::test_versions_only_go_up",
        "agentd/test_orders.py::test_unreadable_documents_inside_a_frame_are_answered",
        "storage/test_intents.py::test_the_newest_ack_of_a_document_counts",
    ),
    row(
        "frames.tool-approval-request",
        "4",
        "`tool_approval_request` names the exact call; one with another digest is never shown",
        "controlplane/hub/test_delivery.py::test_a_request_for_approval_is_kept_once",
        "controlplane/hub/test_delivery.py::"
        "test_people_are_never_asked_about_another_call_than_the_digest_names",
    ),
    row(
        "frames.delegation-update",
        "4",
        "`delegation_update` brings delegations before the order that needs them",
        "controlplane/hub/test_delivery.py::"
        "test_delegations_come_in_an_update_before_the_order_that_needs_them",
    ),
    row(
        "frames.channel-message",
        "4",
        "`channel_message_send` is context and never work",
        "protocol/test_messages.py::test_a_message_has_the_id_of_the_side_that_sends_it",
        gap="the shape is tested; channels are not delivered yet",
    ),
    row(
        "frames.peers",
        "4",
        "`peer_intent` reaches the peer unchanged, its delegations first; `peer_result` comes back",
        "controlplane/hub/test_peers.py::"
        "test_a_peers_order_arrives_unchanged_and_its_result_comes_back",
        "controlplane/hub/test_peers.py::test_the_delegations_of_a_peers_order_come_before_it",
        "controlplane/hub/test_peers.py::test_a_peers_order_that_may_not_pass_is_an_error",
    ),
    row(
        "frames.uploads",
        "4",
        "an output over 256 KiB goes by `upload_request` and `upload_grant`, and is named by its "
        "result",
        "controlplane/hub/test_uploads.py::"
        "test_a_big_output_goes_by_upload_and_its_result_names_it",
        "controlplane/hub/test_uploads.py::"
        "test_other_bytes_than_were_named_are_refused_and_not_kept",
        "agentd/test_uploads.py::test_a_big_output_is_uploaded",
    ),
    row(
        "frames.tokens",
        "4",
        "`token_request` about an order that is open gets a `token_grant` for a service of its "
        "realm, which the service checks without asking the hub",
        "controlplane/test_tokens.py::"
        "test_an_agent_shows_a_service_which_order_it_works_on_and_for_whom",
        "controlplane/test_tokens.py::test_no_token_for_the_order_of_somebody_who_is_gone",
        "agentd/test_tokens.py::test_each_answer_goes_to_the_order_and_the_service_it_is_for",
        "agentd/test_tokens.py::test_what_the_hub_refuses_fails_the_one_who_asked",
        "interaction/test_tokens.py::"
        "test_an_agent_calls_a_service_and_the_service_knows_for_which_order_and_for_whom",
    ),
    row(
        "frames.error-sides",
        "4",
        "each side sends only what is its own, in the states that allow it",
        "protocol/test_session_online.py::test_each_side_sends_only_what_is_its_own",
        "protocol/test_session_handshake.py::"
        "test_work_before_register_ack_is_refused_by_a_pending_hub",
    ),
    row(
        "connection.tokens",
        "4",
        "a `token_request` about an order the agent holds is answered by a `token_grant`: an "
        "audience-bound token that lives a minute, or by an error",
        "controlplane/test_tokens.py::"
        "test_an_agent_shows_a_service_which_order_it_works_on_and_for_whom",
        "controlplane/test_tokens.py::test_no_token_for_the_order_of_somebody_who_is_gone",
        "interaction/test_tokens.py::"
        "test_an_agent_calls_a_service_and_the_service_knows_for_which_order_and_for_whom",
    ),
)
