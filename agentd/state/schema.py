"""The tables of the agent's state, one per noun. Times are milliseconds since 1970, UTC."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
APPLICATION_ID: Final = 0x57524954
"""`WRIT` in the file's header: another program's database is not ours to open."""

TABLES: Final = """
CREATE TABLE facts (          -- single values: the highest clock, the log key, the checkpoint ...
    name TEXT PRIMARY KEY, value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (       -- connection ids that a hello has used
    id TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (      -- every document acted on, until it expires; and the answer it got
    signer TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, type TEXT NOT NULL,
    expires_ms INTEGER NOT NULL, answer TEXT NOT NULL, code TEXT,
    PRIMARY KEY (signer, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_by_expiry ON documents (expires_ms);

CREATE TABLE delegations (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL, expires_ms INTEGER NOT NULL, wire BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE standing (       -- the one document in force of each kind, with its version or epoch
    kind TEXT PRIMARY KEY, number INTEGER NOT NULL, digest TEXT NOT NULL, wire BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (         -- the inbox
    id TEXT PRIMARY KEY, signer TEXT NOT NULL, digest TEXT NOT NULL, wire BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('held', 'waiting', 'accepted', 'started', 'finished')),
    received_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, started_ms INTEGER,
    cancelled INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_open ON orders (received_ms) WHERE state <> 'finished';

CREATE TABLE results (        -- the outbox: signed bytes, until the hub has acked and a replay is
    intent_id TEXT PRIMARY KEY, result_id TEXT NOT NULL, wire BLOB NOT NULL, -- no longer possible
    expires_ms INTEGER NOT NULL, stored_ms INTEGER NOT NULL, acked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX results_open ON results (stored_ms) WHERE acked = 0;

CREATE TABLE peer_orders (    -- what this agent has ordered from others, until it expires; `cause`
    id TEXT PRIMARY KEY, cause TEXT NOT NULL, ordinal INTEGER NOT NULL, -- is the order it did
    peer TEXT NOT NULL, digest TEXT NOT NULL, wire BLOB NOT NULL,       -- this for
    delegations TEXT NOT NULL, expires_ms INTEGER NOT NULL,
    answer BLOB, code TEXT, message TEXT, UNIQUE (cause, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (      -- questions put to people
    request_id TEXT PRIMARY KEY, intent_id TEXT NOT NULL, call_digest TEXT NOT NULL,
    request TEXT NOT NULL, rule TEXT NOT NULL, expires_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'approved', 'denied', 'expired', 'void'))
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_by_intent ON approvals (intent_id);

CREATE TABLE decisions (      -- their answers that counted, and when they did
    request_id TEXT NOT NULL, document_id TEXT NOT NULL, at_ms INTEGER NOT NULL,
    wire BLOB NOT NULL, PRIMARY KEY (request_id, document_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (          -- accepted orders and what they used, against the policy's limits
    intent_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, tokens INTEGER NOT NULL DEFAULT 0,
    cents REAL NOT NULL DEFAULT 0, delegations TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_time ON usage (at_ms);
"""
