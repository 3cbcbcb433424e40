"""What a capability covers, and when one lies inside another (section 6)."""

from __future__ import annotations

import pytest

from protocol.capabilities import (
    capabilities_attenuate,
    covers_action,
    covers_order,
    covers_pattern,
    is_narrower,
)
from protocol.messages.delegations import Capability


@pytest.mark.parametrize(
    ("granted", "action", "covered"),
    [
        ("files.read", "files.read", True),
        ("files.read", "files.write", False),
        ("files.read", "files.read.raw", False),
        ("files.*", "files.read", True),
        ("files.*", "files.read.raw", True),
        ("files.*", "files", False),
        ("files.*", "filesystem.read", False),
        ("*", "files.read", True),
        ("*", "echo", True),
        ("*", "writ.policy", False),
        ("writ.*", "writ.policy", False),
        ("writ.policy", "writ.policy", True),
        ("writ.policy", "writ.policy.more", False),
        ("writ.policy.*", "writ.policy.more", False),
        ("*", "writ", True),
        ("*", "writing.text", True),
        ("*", "*", False),
        ("files.*", "files.*", False),
        ("*", "Files.read", False),
        ("*", "", False),
        ("", "files.read", False),
    ],
)
def test_a_name_or_pattern_covers_an_action(granted: str, action: str, covered: bool) -> None:
    assert covers_action(granted, action) is covered


@pytest.mark.parametrize(
    ("parent", "child", "inside"),
    [
        ("*", "*", True),
        ("*", "files.*", True),
        ("*", "files.read", True),
        ("*", "writ.*", False),
        ("*", "writ.policy", False),
        ("*", "writ.policy.*", False),
        ("files.*", "*", False),
        ("files.*", "files.*", True),
        ("files.*", "files.raw.*", True),
        ("files.raw.*", "files.*", False),
        ("files.*", "filesystem.*", False),
        ("files.read", "files.*", False),
        ("writ.policy", "writ.policy", True),
    ],
)
def test_a_pattern_lies_inside_another(parent: str, child: str, inside: bool) -> None:
    assert covers_pattern(parent, child) is inside


def capability(action="files.read", realms=None, agents=None) -> Capability:
    return Capability(action=action, realms=realms, agents=agents)


A = "did:key:z6Mk" + "A" * 44
B = "did:key:z6Mk" + "B" * 44


@pytest.mark.parametrize(
    ("child", "parent", "inside"),
    [
        (None, None, True),
        (("x",), None, True),
        (None, ("x",), False),
        (("x",), ("x", "y"), True),
        (("x", "z"), ("x", "y"), False),
        ((), ("x",), True),
        ((), (), True),
        (("x",), (), False),
        (None, (), False),
    ],
)
def test_a_list_must_be_a_subset_wherever_the_parent_names_one(child, parent, inside) -> None:
    assert is_narrower(capability(realms=child), capability(realms=parent)) is inside
    dids = {"x": A, "y": B, "z": A[:-1] + "C"}
    child, parent = (
        None if names is None else tuple(dids[name] for name in names) for names in (child, parent)
    )
    assert is_narrower(capability(agents=child), capability(agents=parent)) is inside


def test_each_child_lies_inside_one_single_parent() -> None:
    parents = [capability("files.*", realms=("x",)), capability("*", realms=("y",))]
    assert capabilities_attenuate([], parents)
    assert capabilities_attenuate([capability("files.read", realms=("x",))], parents)
    assert not capabilities_attenuate([capability("files.read", realms=("x", "y"))], parents)
    assert not capabilities_attenuate([capability("files.read")], [])


def test_absent_lists_cover_all_and_empty_ones_nothing() -> None:
    def covers(realms=None, agents=None, realm: str | None = "x") -> bool:
        granted = capability(realms=realms, agents=agents)
        return covers_order(granted, action="files.read", realm=realm, agent=A)

    assert covers()
    assert covers(realms=("x",), agents=(A,))
    assert not covers(realms=())
    assert not covers(agents=())
    assert not covers(realms=("y",))
    assert not covers(agents=(B,))
    assert covers(realm=None)
    assert not covers(realms=("x",), realm=None)
