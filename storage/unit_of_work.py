"""Every repository, bound to one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, get_type_hints

from sqlalchemy import text

from storage.repositories.agents import Agents
from storage.repositories.api_keys import ApiKeys
from storage.repositories.approvals import Approvals
from storage.repositories.audit import Audit
from storage.repositories.ceremonies import Ceremonies, Identities, RateWindows
from storage.repositories.data_keys import DataKeys, WrappingKeys
from storage.repositories.delegations import Delegations
from storage.repositories.device_logins import DeviceLogins
from storage.repositories.documents import Documents
from storage.repositories.files import Files
from storage.repositories.idempotency import Idempotency
from storage.repositories.intents import Intents
from storage.repositories.invitations import Invitations
from storage.repositories.join_tokens import JoinTokens
from storage.repositories.notifications import Followers, Notifications
from storage.repositories.outbox import Outbox
from storage.repositories.passkeys import Passkeys
from storage.repositories.person_keys import PersonKeys
from storage.repositories.policies import Policies
from storage.repositories.processes import HubProcesses, Leases
from storage.repositories.realms import Realms
from storage.repositories.registrations import Registrations
from storage.repositories.revocations import Revocations
from storage.repositories.sealed_rows import SealedRows
from storage.repositories.sessions import Sessions
from storage.repositories.settings import Settings
from storage.repositories.tallies import Tallies
from storage.repositories.token_keys import TokenKeys
from storage.repositories.users import Users
from storage.repositories.webhooks import Deliveries, Webhooks
from storage.transaction import Transaction


class UnitOfWork:
    """What a unit may touch. Sync; used in the unit only, never kept.

    A repository is made when a unit first asks for it: most units touch three or four of them.
    """

    agents: Agents
    registrations: Registrations
    join_tokens: JoinTokens
    intents: Intents
    documents: Documents
    delegations: Delegations
    revocations: Revocations
    policies: Policies
    approvals: Approvals
    tallies: Tallies
    audit: Audit
    outbox: Outbox
    api_keys: ApiKeys
    users: Users
    realms: Realms
    settings: Settings
    idempotency: Idempotency
    files: Files
    sessions: Sessions
    invitations: Invitations
    device_logins: DeviceLogins
    passkeys: Passkeys
    person_keys: PersonKeys
    identities: Identities
    ceremonies: Ceremonies
    rate_windows: RateWindows
    hub_processes: HubProcesses
    leases: Leases
    wrapping_keys: WrappingKeys
    data_keys: DataKeys
    token_keys: TokenKeys
    sealed_rows: SealedRows
    webhooks: Webhooks
    deliveries: Deliveries
    notifications: Notifications
    followers: Followers

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction

    if not TYPE_CHECKING:  # or every name would be an attribute to the type checker

        def __getattr__(self, name: str) -> Any:
            kind = _REPOSITORIES.get(name)
            if kind is None:
                raise AttributeError(name)
            made = kind(self.transaction)
            setattr(self, name, made)
            return made

    @property
    def now(self) -> datetime:
        """When this transaction began, by the clock the database was opened with."""
        return self.transaction.now

    def alone(self, what: str) -> None:
        """Go on when no other unit, of any hub, is in the same place; held until the commit."""
        self.transaction.alone(what)

    def ping(self) -> None:
        """Return when the database has answered a statement."""
        self.transaction.core(text("SELECT 1")).scalar_one()

    def flush(self) -> None:
        """Write what is deferred; the end of the transaction does it too. The record comes last."""
        self.transaction.flush()
        if "audit" in self.__dict__:
            self.audit.number()


_REPOSITORIES = {
    name: kind for name, kind in get_type_hints(UnitOfWork).items() if name != "transaction"
}
