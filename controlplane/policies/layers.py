"""One policy out of several: what the fleet, each realm and the agent itself all allow.

Pure. An agent holds one policy; the hub, or an operator who signs, merges the layers into one list
of rules first. The merged policy allows an order exactly when every layer that applies to it
allows it, and demands what they demand together. docs/explanation/policies.md says why.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from controlplane.policies.content import PolicyContent, read_content
from controlplane.policies.demands import (
    LayersError,
    both_actions,
    both_approvals,
    both_domains,
    both_limits,
    both_sandboxes,
)
from protocol.capabilities import covers_pattern
from protocol.conditions import compile_condition
from protocol.errors import ConditionError
from protocol.messages.policies import PolicyLimits, PolicyRule

AGENT: Final = "agent"
FLEET: Final = "fleet"
REALM_PREFIX: Final = "realm:"
MAX_RULES: Final = 256
MAX_PAIRS: Final = 100_000
"""Combinations looked at before giving up: the bound of time and memory of one merge."""
_MAX_ID_CHARS: Final = 63
_JOINT: Final = "--"


@dataclass(frozen=True, slots=True)
class Layer:
    """One policy as people wrote it. `name` is `agent`, `fleet` or `realm:<name>`."""

    name: str
    rules: tuple[PolicyRule, ...]
    limits: PolicyLimits = field(default_factory=PolicyLimits)

    @property
    def realm(self) -> str | None:
        """The realm whose orders it is about; None: all."""
        return self.name.removeprefix(REALM_PREFIX) if self.name.startswith(REALM_PREFIX) else None

    def label(self, rule: PolicyRule) -> str:
        """Return how a merged policy names one of its rules: the agent's own keep their ids."""
        return rule.id if self.name == AGENT else f"{self.name.replace(':', '-')}.{rule.id}"


@dataclass(frozen=True, slots=True)
class Source:
    """A rule somebody wrote, and the layer they wrote it in."""

    layer: str
    rule: str


@dataclass(frozen=True, slots=True)
class Merged:
    """The one policy of an agent, and where each of its rules comes from (by rule id)."""

    rules: tuple[PolicyRule, ...]
    limits: PolicyLimits
    sources: Mapping[str, tuple[Source, ...]]

    @property
    def content(self) -> PolicyContent:
        """The same in wire form."""
        return PolicyContent(
            rules=[one.model_dump(mode="json", by_alias=True) for one in self.rules],
            limits=self.limits.model_dump(mode="json", by_alias=True),
        )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A rule of the merged policy before it has its id."""

    labels: tuple[str, ...]
    sources: tuple[Source, ...]
    rule: PolicyRule


def layer_of(name: str, content: PolicyContent) -> Layer:
    """Return the layer that `content` is.

    Raises:
        BadPayloadError: no agent would read it.
    """
    update = read_content(content, ("default",))
    return Layer(name, update.rules, update.limits)


def merge_layers(agent: Layer, others: Iterable[Layer], realms: Sequence[str]) -> Merged:
    """Return the policy that allows exactly what `agent` and every other layer allow.

    A realm's layer is about the orders of that realm only; its limits bind the whole agent, which
    counts all orders together.

    Args:
        agent: the agent's own layer; without it an agent has no policy at all.
        others: the fleet's and those of realms, at most one of each name.
        realms: the agent's.

    Raises:
        LayersError: no policy of one agent can say this; the message names the rules.
    """
    ordered = sorted(others, key=lambda layer: layer.name)
    applying = [layer for layer in ordered if layer.realm is None or layer.realm in realms]
    if not applying:
        # Nothing to merge: the agent gets its rules as they were written.
        sources_alone = {rule.id: (Source(agent.name, rule.id),) for rule in agent.rules}
        return Merged(agent.rules, agent.limits, sources_alone)
    drafts: list[_Draft] = []
    for layer in (*applying, agent):
        guard = _guard([layer.realm], realms) if layer.realm is not None else None
        drafts += _denials(layer, guard)
    for guard, group in _groups(applying, realms):
        drafts += _allowances((*group, agent), guard)
    if len(drafts) > MAX_RULES:
        raise LayersError(f"together they are {len(drafts)} rules, more than {MAX_RULES}")
    limits = reduce(both_limits, (layer.limits for layer in applying), agent.limits)
    rules: list[PolicyRule] = []
    sources: dict[str, tuple[Source, ...]] = {}
    for draft in drafts:
        id_ = _rule_id(draft.labels, sources)
        rules.append(draft.rule.model_copy(update={"id": id_}))
        sources[id_] = draft.sources
    return Merged(tuple(rules), limits, sources)


def _groups(
    layers: Sequence[Layer], realms: Sequence[str]
) -> Iterator[tuple[str | None, tuple[Layer, ...]]]:
    """Yield (guard, layers beside the agent's) so that each order meets exactly one group."""
    everywhere = tuple(layer for layer in layers if layer.realm is None)
    by_realm = {layer.realm: layer for layer in layers if layer.realm is not None}
    for realm, layer in by_realm.items():
        yield _guard([realm], realms), (*everywhere, layer)
    rest = [realm for realm in realms if realm not in by_realm]
    if rest or not by_realm:
        yield _guard(rest, realms) if by_realm else None, everywhere


def _guard(some: Sequence[str | None], realms: Sequence[str]) -> str | None:
    """Return the condition that an order is of one of these realms; None where it always is."""
    if set(realms) <= set(some):
        return None
    names = [f'"{realm}"' for realm in some]
    return f"realm == {names[0]}" if len(names) == 1 else f"realm in [{', '.join(names)}]"


def _denials(layer: Layer, guard: str | None) -> Iterator[_Draft]:
    for rule in layer.rules:
        if rule.effect != "deny":
            continue
        # A condition that cannot be read is in error each time it is asked, and so denies.
        when = rule.when if rule.when is not None and _is_readable(rule.when) else None
        source = Source(layer.name, rule.id)
        joined = _join_conditions([guard, when], [source])
        yield _Draft((layer.label(rule),), (source,), rule.model_copy(update={"when": joined}))


def _allowances(layers: Sequence[Layer], guard: str | None) -> Iterator[_Draft]:
    """Yield the rules for what all of `layers` allow, in the order of their first matches.

    Going through the combinations in dictionary order keeps the meaning of "the first that
    matches" in every layer at once: the first combination of which every part matches is the
    combination of every layer's first match.
    """
    choices = [[rule for rule in layer.rules if _may_allow(rule)] for layer in layers]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MAX_PAIRS:
        raise LayersError(f"together they have {count} combinations, more than {MAX_PAIRS}")
    always: list[tuple[str, ...]] = []
    for rules in itertools.product(*choices):
        actions = rules[0].actions
        for rule in rules[1:]:
            actions = both_actions(actions, rule.actions)
        # What an earlier rule takes in any case never gets this far.
        actions = tuple(
            one for one in actions if not any(covers_pattern(p, one) for t in always for p in t)
        )
        if not actions:
            continue
        sources = tuple(
            Source(layer.name, rule.id) for layer, rule in zip(layers, rules, strict=True)
        )
        labels = tuple(layer.label(rule) for layer, rule in zip(layers, rules, strict=True))
        merged = _merge_rules(rules, sources, guard)
        if all(rule.when is None for rule in rules):
            always.append(actions)
        yield _Draft(labels, sources, merged.model_copy(update={"actions": actions}))


def _merge_rules(
    rules: Sequence[PolicyRule], sources: Sequence[Source], guard: str | None
) -> PolicyRule:
    first, *rest = rules
    approval, sandbox, domains = first.approval, first.sandbox, first.domains
    try:
        for rule in rest:
            approval = both_approvals(approval, rule.approval)
            sandbox = both_sandboxes(sandbox, rule.sandbox)
            domains = both_domains(domains, rule.domains)
    except LayersError as exc:
        raise LayersError(f"{_named(sources)}: {exc.message}") from exc
    when = _join_conditions([guard, *(rule.when for rule in rules)], sources)
    return first.model_copy(
        update={"when": when, "approval": approval, "sandbox": sandbox, "domains": domains}
    )


def _join_conditions(parts: Sequence[str | None], sources: Sequence[Source]) -> str | None:
    """Return the condition that all of `parts` hold.

    Each part is readable by itself, so none can reach out of its brackets.
    """
    given = list(dict.fromkeys(part for part in parts if part is not None))
    if len(given) < 2:
        return given[0] if given else None
    joined = " && ".join(f"({part})" for part in given)
    try:
        compile_condition(joined)
    except ConditionError as exc:
        raise LayersError(f"{_named(sources)}: conditions too large together: {exc}") from exc
    return joined


def _may_allow(rule: PolicyRule) -> bool:
    # An unreadable condition of an allow never matches.
    return rule.effect == "allow" and (rule.when is None or _is_readable(rule.when))


def _is_readable(condition: str) -> bool:
    try:
        compile_condition(condition)
    except ConditionError:
        return False
    return True


def _named(sources: Sequence[Source]) -> str:
    return " and ".join(f"rule {one.rule} of {one.layer}" for one in sources)


def _rule_id(labels: Sequence[str], taken: Mapping[str, object]) -> str:
    """Return an id that reads like its sources; a long or taken one ends in a digest of them."""
    plain = _JOINT.join(labels)
    if len(plain) <= _MAX_ID_CHARS and plain not in taken:
        return plain
    for salt in itertools.count():
        digest = hashlib.sha256(f"{plain}\0{salt}".encode()).hexdigest()[:10]
        short = re.sub(r"[^A-Za-z0-9._-]", "-", plain)[: _MAX_ID_CHARS - 11] + f"-{digest}"
        if short not in taken:
            return short
    raise AssertionError("unreachable")
