"""The ledger: every promise is a row with a source, every row has a test or a named gap."""

from __future__ import annotations

from tests.interaction.ledger import (
    authority,
    connection,
    delivery,
    documents,
    enrolment,
    envelope,
    identity,
    record,
    scripts,
)
from tests.interaction.ledger.row import Row

LEDGER: tuple[Row, ...] = (
    *identity.ROWS,
    *envelope.ROWS,
    *connection.ROWS,
    *enrolment.ROWS,
    *documents.ROWS,
    *authority.ROWS,
    *delivery.ROWS,
    *record.ROWS,
    *scripts.ROWS,
)
"""Every row, in the order of the sections."""
