"""The matrix of roles: one table for the check, the page, and who may hand out what."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from controlplane.access.authorize import Actor, may_grant, realms_with
from controlplane.access.permissions import LADDER, PERMISSIONS, ROLES, SIDE_ROLES, Reach
from controlplane.access.roles_page import roles_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "roles.md"


def actor(**fields: Any) -> Actor:
    return Actor(**{"kind": "user", "id": "u", "name": "n", **fields})


def member(role: str, realm: str = "lab", **fields: Any) -> Actor:
    return actor(realm_roles={realm: frozenset({role})}, **fields)


def everywhere(role: str, **fields: Any) -> Actor:
    return actor(roles=frozenset({role}), **fields)


def test_the_page_says_what_the_table_says() -> None:
    assert PAGE.read_text() == roles_page(), "python -m controlplane.access.roles_page > " + str(
        PAGE
    )


def test_each_rung_holds_what_the_rungs_below_it_hold() -> None:
    for lower, higher in pairwise(LADDER):
        assert ROLES[lower] < ROLES[higher]
    assert ROLES["owner"] == set(PERMISSIONS)


@pytest.mark.parametrize("own", LADDER)
@pytest.mark.parametrize("given", [*LADDER, *SIDE_ROLES])
def test_a_role_hands_out_only_what_is_below_it(own: str, given: str) -> None:
    """In a realm and everywhere; only owners make their like; side roles need somebody above."""
    rungs = {**{role: n for n, role in enumerate(LADDER)}, "approver": 1, "auditor": 1}
    below = rungs[given] < rungs[own] or own == given == "owner"
    # Nobody gives what they do not hold: the record of a realm is read by admins, so they name
    # its auditors.
    in_realm = {one for one in ROLES[given] if PERMISSIONS[one].reach is Reach.REALM}
    assert may_grant(member(own), given, "lab") is (below and in_realm <= ROLES[own])
    assert not may_grant(member(own), given, "plant")
    assert not may_grant(member(own), given, None)
    # The auditor's rights reach the hub, so a manager cannot give them away everywhere.
    held = ROLES[given] <= ROLES[own]
    assert may_grant(everywhere(own), given, None) is (below and held)


def test_a_key_never_hands_out_more_than_who_made_it() -> None:
    maker = member("manager")
    key = actor(kind="machine", roles=frozenset({"admin"}), issuer=maker)
    assert may_grant(key, "operator", "lab")
    assert not may_grant(key, "manager", "lab")
    assert not may_grant(key, "operator", None)
    assert realms_with(key, "agents.read") == {"lab"}
    assert realms_with(key, "policies.write") == frozenset()


def test_an_unknown_role_is_below_all_and_permits_nothing() -> None:
    nobody = everywhere("king")
    held = {one for one in PERMISSIONS if realms_with(nobody, one) != frozenset()}
    assert held == {one for one in PERMISSIONS if PERMISSIONS[one].reach is Reach.SELF}
    assert not may_grant(nobody, "member", None)
