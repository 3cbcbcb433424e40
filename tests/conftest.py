"""Fixtures that more than one folder of tests uses: the real servers, and whole systems."""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.nats",
    "tests.servers.s3",
    "tests.servers.oidc",
    "tests.interaction.fixtures",
]


LONG = (
    "tests/browser/test_account.py::test_what_was_typed_outlives",
    "tests/browser/test_fleet.py::test_a_request_is_turned_down",
    "tests/browser/test_fleet.py::test_hostile_labels",
    "tests/browser/test_shell.py::test_below_a_path_everything_is_found[path left on]",
    "tests/cluster/test_killed_processes.py::test_agents_of_a_dead",
    "tests/cluster/test_killed_processes.py::test_another_hubs",
    "tests/controlplane/cli/test_commands.py::test_a_hub_is_examined_backed_up",
    "tests/controlplane/rest/test_fuzz.py::",
    "tests/controlplane/test_notifications.py::test_mail_that_is_not_taken",
    "tests/controlplane/test_secrets_at_rest.py::test_a_rotation_killed",
    "tests/controlplane/test_secrets_at_rest.py::test_the_same_on_postgres",
    "tests/faults/test_bad_network.py::",
    "tests/faults/test_clock_jumps.py::",
    "tests/faults/test_kill_agent.py::test_after_all_that_nothing_is_open_and_the_record_holds[p",
    "tests/faults/test_kill_agent.py::test_an_agent_that_dies_while_it_goes_over_to_a_new_key_stays_the_same_agent[p",
    "tests/faults/test_kill_agent.py::test_every_order_ends_once_whatever_the_agent_was_doing[p",
    "tests/faults/test_kill_hub.py::test_after_all_that_nothing_is_open_and_the_record_holds[p",
    "tests/faults/test_kill_hub.py::test_every_order_ends_once_whatever_the_hub_was_doing[p",
    "tests/faults/test_kill_hub_webhooks.py::",
    "tests/faults/test_loss.py::",
    "tests/interaction/test_canaries.py::test_no_secret_is_found_in_plain_wherever_it_was_put_in[p",
    "tests/interaction/test_continuity.py::",
    "tests/interaction/test_delegations.py::test_console_command_line",
    "tests/interaction/test_delegations.py::test_one_command_stops_the_tools_and_the_hub_alone_cannot_undo_it[how1]",
    "tests/interaction/test_delegations.py::test_one_command_stops_the_tools_and_the_hub_alone_cannot_undo_it[how2]",
    "tests/interaction/test_enrolment.py::test_a_request_outlives",
    "tests/interaction/test_key_changes.py::",
    "tests/interaction/test_peers.py::test_a_",
    "tests/interaction/test_peers.py::test_an_order_that_expired_unseen",
    "tests/interaction/test_people.py::test_two_of_three",
    "tests/interaction/test_policies.py::test_a_broken_file",
    "tests/interaction/test_policies.py::test_a_days_limit",
    "tests/interaction/test_policies.py::test_a_layer_set_while",
    "tests/interaction/test_policies.py::test_every_version_is_acknowledged",
    "tests/interaction/test_policies.py::test_over_concurrent",
    "tests/interaction/test_witness.py::",
    "tests/node/test_node_agent.py::test_nothing_is_lost",
    "tests/simulator/",
    "tests/smoke/",
    "tests/soak/",
)
"""What `make test` leaves to `make long`, so that it keeps within its time: each stands for a
promise of which shorter tests show a part. Both belong to a release."""


LOOKS = ("[light-390]", "[dark-1280]", "[dark-390]")
"""Of a page's four looks `make test` has the first, `make looks` and `make long` the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the long tests; put long files first, so that no worker is left alone at the end."""
    first = (
        "tests/browser/",
        "tests/cluster/",
        "tests/faults/",
        "tests/interaction/",
        "tests/smoke/",
    )
    for item in items:
        # What the hub does is tried on Postgres in full in tests/storage, and here by `make long`.
        twice = item.nodeid.startswith("tests/controlplane/") and item.nodeid.endswith("[postgres]")
        if item.nodeid.startswith(LONG) or item.nodeid.endswith(LOOKS) or twice:
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: not item.nodeid.startswith(first))
