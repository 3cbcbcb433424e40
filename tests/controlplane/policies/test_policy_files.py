"""Policy files: read strictly, every fault with its line and field, described by a schema."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.cli.main import writ
from controlplane.policies.files import (
    MAX_FILE_CHARS,
    PolicyFileError,
    parse_policy_file,
    policy_file_schema,
)

ROOT = Path(__file__).parents[3]
GOOD = """\
# who may read, and who must ask
name: workers
rules:
  - id: no-secrets
    description: nobody reads these
    effect: deny
    actions: ["files.*"]
    when: params.path.startsWith("secrets")
  - id: read
    effect: allow
    actions: [files.read, files.list]
  - id: shell
    effect: allow
    actions: [shell.exec]
    sandbox: isolated
    approval: {people: 2, from: [admin, operator], withinSeconds: 3600}
limits:
  ordersPerHour: 100
"""


def test_a_good_file_becomes_rules_in_wire_form() -> None:
    file = parse_policy_file(GOOD)
    assert file.name == "workers"
    assert file.content.limits == {"ordersPerHour": 100}
    assert [one["id"] for one in file.content.rules] == ["no-secrets", "read", "shell"]
    assert "description" not in file.content.rules[0]
    assert file.content.rules[2]["approval"]["from"] == ["admin", "operator"]
    assert parse_policy_file(json.dumps({"rules": []})).content.rules == []


@pytest.mark.parametrize(
    ("change", "line", "pointer", "said"),
    [
        (("effect: deny", "effect: maybe"), 6, "/rules/0/effect", "allow"),
        (("sandbox: isolated", "sandbx: isolated"), 15, "/rules/2/sandbx", "mean sandbox"),
        (("  - id: read\n", "  -\n"), 10, "/rules/1/id", "missing"),
        (("id: read", "id: no-secrets"), 9, "/rules/1/id", "there already"),
        (('startsWith("secrets")', "startsWith("), 8, "/rules/0/when", ""),
        (("ordersPerHour: 100", "ordersPerHour: many"), 18, "/limits/ordersPerHour", "integer"),
        (("ordersPerHour: 100", "ordersPerHour: null"), 18, "/limits/ordersPerHour", "null"),
        (("id: shell", "id: shell\n    effect: deny"), 14, "/rules/2/effect", "given twice"),
        (("name: workers", "name: &x workers"), 2, "", "aliases"),
        (
            ("actions: [files.read, files.list]", "actions: [Files.read]"),
            11,
            "/rules/1/actions/0",
            "",
        ),
        (("id: read", "id: yes"), 9, "/rules/1/id", "in quotes"),
        (
            ("    effect: deny\n", "    effect: deny\n    domains: [a.example]\n"),
            7,
            "/rules/0/domains",
            "deny",
        ),
        (("limits:\n", "limits:\n\t"), 18, "", "YAML"),
        (("people: 2, from", "people: 0, from"), 16, "/rules/2/approval/people", "1"),
    ],
)
def test_a_fault_names_line_and_field(
    change: tuple[str, str], line: int, pointer: str, said: str
) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    with pytest.raises(PolicyFileError) as caught:
        parse_policy_file(text, name="policy.yaml")
    fault = caught.value.faults[0]
    assert (fault.line, fault.pointer) == (line, pointer)
    assert said in fault.message
    assert caught.value.message.startswith(f"policy.yaml:{line}: {pointer}")


def test_every_fault_is_told_at_once() -> None:
    text = GOOD.replace("effect: deny", "effect: maybe").replace("people: 2", "people: two")
    with pytest.raises(PolicyFileError) as caught:
        parse_policy_file(text)
    assert [one.pointer for one in caught.value.faults] == [
        "/rules/0/effect",
        "/rules/2/approval/people",
    ]


@pytest.mark.parametrize("cut", range(30, len(GOOD) - 30, 7))
def test_a_file_broken_off_anywhere_is_whole_rules_or_refused(cut: int) -> None:
    # What is left may be a shorter policy that somebody could have meant; never a looser rule.
    try:
        file = parse_policy_file(GOOD[:cut])
    except PolicyFileError:
        return
    whole = {one.id: one for one in parse_policy_file(GOOD).rules}
    for rule in file.rules[:-1]:
        assert rule == whole[rule.id]


@settings(deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_policy_or_a_fault(text: str) -> None:
    with suppress(PolicyFileError):
        parse_policy_file(text)


def test_huge_and_deep_files_are_refused() -> None:
    with pytest.raises(PolicyFileError, match="larger"):
        parse_policy_file(" " * (MAX_FILE_CHARS + 1))
    for deep in (
        "[" * 5_000,
        "{" * 100_000,
        "a:\n" + " -" * 3_000,
        '{"rules":' * 200 + "1" + "}" * 200,
    ):
        with pytest.raises(PolicyFileError):
            parse_policy_file(deep)


def test_the_published_schema_is_that_of_the_code() -> None:
    published = ROOT / "docs/reference/policy-file.schema.json"
    assert json.loads(published.read_text()) == policy_file_schema()


def run(folder: Path, *words: str, text: str = GOOD) -> tuple[int, str, str]:
    (folder / "policy.yaml").write_text(text)
    layer = {"rules": [{"id": "f", "effect": "allow", "actions": ["files.*"]}]}
    (folder / "fleet.json").write_text(json.dumps(layer))
    files = [str(folder / word) if word.endswith((".yaml", ".json")) else word for word in words]
    done = CliRunner().invoke(writ, ["--json", "policies", *files], standalone_mode=False)
    code = getattr(done.exception, "exit_code", done.return_value)
    return code or 0, done.output, str(done.exception)


def test_test_needs_no_hub_and_names_the_rule(tmp_path: Path) -> None:
    order = ("--action", "files.read", "-p")
    code, out, _ = run(tmp_path, "test", "policy.yaml", *order, "path=a")
    assert (code, json.loads(out)["rule"]) == (0, "read")
    code, out, _ = run(tmp_path, "test", "policy.yaml", *order, "path=secrets/a")
    assert (code, json.loads(out)["rule"]) == (4, "no-secrets")
    shell = ("--action", "shell.exec")
    code, out, _ = run(tmp_path, "test", "policy.yaml", *shell)
    assert (code, json.loads(out)["approval"]["people"]) == (0, 2)
    code, out, _ = run(tmp_path, "test", "policy.yaml", *shell, "--layer", "fleet.json")
    assert (code, json.loads(out)["rule"]) == (4, None)


def test_a_bad_file_is_a_usage_error_before_any_hub_is_asked(tmp_path: Path) -> None:
    text = GOOD.replace("effect: deny", "effect: maybe")
    code, _, said = run(tmp_path, "apply", "policy.yaml", "--fleet", text=text)
    assert code == 2
    assert "policy.yaml:6: /rules/0/effect" in said
