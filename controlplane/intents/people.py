"""Orders on behalf of a person: the hub gives none that no grant of that person covers.

The agent checks the same again, offline, with every condition (SPEC section 7, step 4). Here the
action, realm and agent are compared; conditions are the agent's to judge.
"""

from __future__ import annotations

from collections.abc import Sequence

from controlplane import clock
from controlplane.access.authorize import Actor, authorize
from controlplane.context import Hub
from controlplane.errors import PersonNotCoveredError
from controlplane.intents.targets import Recipient
from protocol.capabilities import covers_action
from storage.records import DelegationRecord, IntentRecord


def person_of(actor: Actor) -> str | None:
    """Return on whose behalf an order is when nobody is named: the person who gives it.

    Who holds `admin` or `owner` everywhere speaks for the hub itself, and a machine for nobody.
    """
    return actor.subject if actor.kind == "user" and not actor.is_global_admin else None


def in_whose_name(record: IntentRecord, actor: Actor) -> dict[str, str]:
    """Return what the record says of an order in the name of another than who gives it."""
    person = record.on_behalf_of
    return {} if person in (None, actor.subject) else {"onBehalfOf": str(person)}


async def check_person(
    hub: Hub, actor: Actor, person: str, action: str, recipients: Sequence[Recipient]
) -> None:
    """Return when every recipient is covered by some grant to `person`.

    Raises:
        AccessDeniedError: the caller is another person, and may not represent others.
        PersonNotCoveredError: some recipient is not covered.
    """
    own = actor.kind == "user" and person == actor.subject
    for recipient in recipients:
        if not own:
            authorize(actor, "intents.represent", realm=recipient.realm)
    now = clock.now()
    grants = await hub.database.read(lambda uow: uow.delegations.for_subject(person, now))
    if not _cover_all(grants, action, recipients):
        raise PersonNotCoveredError(f"no grant of {person} covers {action}")


def _cover_all(
    grants: Sequence[DelegationRecord], action: str, recipients: Sequence[Recipient]
) -> bool:
    return all(any(_covers(grant, action, one) for grant in grants) for one in recipients)


def _covers(grant: DelegationRecord, action: str, recipient: Recipient) -> bool:
    for capability in grant.capabilities:
        realms, agents = capability.get("realms"), capability.get("agents")
        if (
            covers_action(str(capability.get("action")), action)
            and (realms is None or recipient.realm in realms)
            and (agents is None or recipient.agent.did in agents)
        ):
            return True
    return False
