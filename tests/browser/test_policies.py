"""The screen Policies: changed once its diff was seen, and obeyed by the agent from then on."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import check_accessible
from tests.browser.chromium import PHONE, SCHEMES, WIDE, screenshot
from tests.browser.conftest import Open
from tests.interaction.fixtures import Fleet

pytestmark = pytest.mark.usefixtures("packages")
SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])


def address(fleet: Fleet) -> str:
    return f"/policies/agents/{quote(fleet.helper.did, safe='')}"


def test_a_policy_is_changed_after_its_diff_was_seen(owned_fleet: Fleet, open_page: Open) -> None:
    system, helper = owned_fleet.system, owned_fleet.helper
    before = system.rest.get(f"/agents/{helper.did}/policy")["own"]
    rules = [
        {"id": "no-echo", "effect": "deny", "actions": ["echo"]},
        *({name: v for name, v in rule.items() if v is not None} for rule in before["rules"]),
    ]
    with open_page(address(owned_fleet)) as (page, _):
        page.get_by_label("Policy as JSON").fill(json.dumps({"rules": rules, "limits": {}}))
        page.get_by_label("Action").fill("echo")
        page.get_by_role("button", name="What would it say?").click()
        expect(page.get_by_text("refused", exact=True)).to_be_visible()
        page.get_by_role("button", name="Review the change").click()
        question = page.get_by_role("dialog", name="What changes")
        expect(question.get_by_role("region", name="Change of the policy")).to_contain_text(
            "no-echo"
        )
        screenshot(page, "policies-review")
        question.get_by_role("button", name="Put it in force").click()
        expect(page.get_by_text("The policy is in force")).to_be_visible()
        expect(page.get_by_role("listitem").filter(has_text="no-echo").first).to_be_visible()
    refused = system.run(helper, "echo", say="hello")
    assert refused["state"] == "refused"
    assert refused["result"]["error"]["code"] == "policy_denied"
    system.rest.send(
        "POST", "/policies", {"agent": helper.did, "rules": rules[1:], "limits": before["limits"]}
    )


def test_a_fault_is_shown_on_its_line(owned_fleet: Fleet, open_page: Open) -> None:
    with open_page(address(owned_fleet)) as (page, watch):
        watch.allowed.append("status of 422")
        text = page.get_by_label("Policy as JSON")
        typed = text.input_value()
        text.fill(typed.replace('"allow"', '"perhaps"', 1))
        page.get_by_role("button", name="Review the change").click()
        page.get_by_role("button", name="Put it in force").click()
        expect(page.get_by_role("alert")).to_contain_text("Line ")
        assert text.input_value() != typed  # what was typed is still there
        text.fill('{"rules": [')
        page.get_by_role("button", name="Review the change").click()
        expect(page.get_by_role("alert")).to_contain_text("not JSON")


@SIZES
@pytest.mark.parametrize("scheme", SCHEMES)
def test_everybody_can_use_it(
    owned_fleet: Fleet, open_page: Open, axe: str, size: dict[str, int], scheme: str
) -> None:
    with open_page("/policies", size=size, scheme=scheme) as (page, _):
        expect(page.get_by_role("table", name="Agents")).to_be_visible()
        check_accessible(page, axe)
        screenshot(page, f"policies-{size['width']}-{scheme}")
        page.goto(address(owned_fleet))
        expect(page.get_by_label("Policy as JSON")).to_be_visible()
        check_accessible(page, axe)
        screenshot(page, f"policies-agent-{size['width']}-{scheme}")
