"""Every repository, bound to one transaction."""

from __future__ import annotations

from datetime import datetime

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
    """What a unit may touch. Sync; used in the unit only, never kept."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.agents = Agents(transaction)
        self.registrations = Registrations(transaction)
        self.join_tokens = JoinTokens(transaction)
        self.intents = Intents(transaction)
        self.documents = Documents(transaction)
        self.delegations = Delegations(transaction)
        self.revocations = Revocations(transaction)
        self.policies = Policies(transaction)
        self.approvals = Approvals(transaction)
        self.tallies = Tallies(transaction)
        self.audit = Audit(transaction)
        self.outbox = Outbox(transaction)
        self.api_keys = ApiKeys(transaction)
        self.users = Users(transaction)
        self.realms = Realms(transaction)
        self.settings = Settings(transaction)
        self.idempotency = Idempotency(transaction)
        self.files = Files(transaction)
        self.sessions = Sessions(transaction)
        self.invitations = Invitations(transaction)
        self.device_logins = DeviceLogins(transaction)
        self.passkeys = Passkeys(transaction)
        self.person_keys = PersonKeys(transaction)
        self.identities = Identities(transaction)
        self.ceremonies = Ceremonies(transaction)
        self.rate_windows = RateWindows(transaction)
        self.hub_processes = HubProcesses(transaction)
        self.leases = Leases(transaction)
        self.wrapping_keys = WrappingKeys(transaction)
        self.data_keys = DataKeys(transaction)
        self.token_keys = TokenKeys(transaction)
        self.sealed_rows = SealedRows(transaction)
        self.webhooks = Webhooks(transaction)
        self.deliveries = Deliveries(transaction)
        self.notifications = Notifications(transaction)
        self.followers = Followers(transaction)

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
        """Write what is deferred; the end of the transaction does it too."""
        self.audit.flush()
        self.transaction.flush()
