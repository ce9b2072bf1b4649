"""The one schema, in the subset that SQLite and Postgres share."""

from __future__ import annotations

VERSION = 2

TABLES = """
CREATE TABLE object (
  uid TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  generation INTEGER NOT NULL,
  version INTEGER NOT NULL,
  status TEXT NOT NULL,
  labels TEXT NOT NULL,
  created_at REAL NOT NULL,
  spec TEXT NOT NULL,
  UNIQUE (kind, name)
);
CREATE INDEX object_by_kind ON object (kind, uid);
CREATE TABLE label (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  uid TEXT NOT NULL,
  PRIMARY KEY (kind, key, value, uid)
);
CREATE INDEX label_by_object ON label (uid);
CREATE TABLE step (
  uid TEXT NOT NULL,
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  body TEXT NOT NULL,
  written INTEGER NOT NULL,
  PRIMARY KEY (uid, name)
);
CREATE INDEX step_by_written ON step (uid, written);
CREATE TABLE action (
  key TEXT PRIMARY KEY,
  uid TEXT NOT NULL,
  step TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  body TEXT NOT NULL,
  outcome TEXT,
  consumed INTEGER NOT NULL,
  asked INTEGER NOT NULL,
  created_at REAL NOT NULL,
  finished_at REAL NOT NULL,
  queue TEXT NOT NULL,
  batch TEXT NOT NULL,
  rank REAL NOT NULL,
  owner TEXT NOT NULL,
  token INTEGER NOT NULL
);
CREATE INDEX action_by_object ON action (uid, asked);
CREATE INDEX action_open ON action (uid, asked) WHERE consumed = 0;
CREATE INDEX action_unfinished ON action (queue, rank) WHERE outcome IS NULL;
CREATE INDEX action_under_way ON action (batch) WHERE outcome IS NULL AND batch <> '';
CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  stream TEXT NOT NULL,
  n INTEGER NOT NULL,
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  chain TEXT NOT NULL,
  time REAL NOT NULL,
  body BLOB NOT NULL,
  body_digest TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL,
  UNIQUE (stream, n)
);
CREATE INDEX event_by_chain ON event (chain, seq);
CREATE INDEX event_by_subject ON event (subject, seq);
CREATE INDEX event_by_type ON event (type, seq);
CREATE TABLE link (
  source TEXT NOT NULL,
  target TEXT NOT NULL,
  kind TEXT NOT NULL,
  PRIMARY KEY (source, target, kind)
);
CREATE INDEX link_by_target ON link (target);
CREATE TABLE head (stream TEXT PRIMARY KEY, n INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TABLE sample (
  uid TEXT NOT NULL,
  n INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (uid, n)
);
CREATE TABLE task (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  due REAL NOT NULL,
  ahead REAL NOT NULL,
  claimed_due REAL NOT NULL,
  owner TEXT NOT NULL,
  lease_until REAL NOT NULL,
  token INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
);
CREATE INDEX task_by_due ON task (due) WHERE lease_until = 0;
CREATE INDEX task_leased ON task (lease_until) WHERE lease_until > 0;
CREATE TABLE lease (
  name TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  token INTEGER NOT NULL,
  until REAL NOT NULL
);
CREATE TABLE bucket (name TEXT PRIMARY KEY, level REAL NOT NULL, at REAL NOT NULL);
CREATE TABLE dead_letter (
  queue TEXT NOT NULL,
  subject TEXT NOT NULL,
  error TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (queue, subject)
);
CREATE TABLE subscriber (
  name TEXT PRIMARY KEY,
  spec TEXT NOT NULL,
  cursor INTEGER NOT NULL,
  status TEXT NOT NULL
);
CREATE TABLE checkpoint (
  seq INTEGER PRIMARY KEY,
  time REAL NOT NULL,
  body TEXT NOT NULL,
  key_id TEXT NOT NULL,
  signature TEXT NOT NULL
);
CREATE TABLE segment (
  stream TEXT NOT NULL,
  first_n INTEGER NOT NULL,
  last_n INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  prev_hash TEXT NOT NULL,
  last_hash TEXT NOT NULL,
  digest TEXT NOT NULL,
  erased INTEGER NOT NULL,
  archived_at REAL NOT NULL,
  PRIMARY KEY (stream, first_n)
);
CREATE TABLE archived (id TEXT PRIMARY KEY, stream TEXT NOT NULL, n INTEGER NOT NULL);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL)
"""

LAST_DRAWN = (
    "SELECT MAX(token) FROM (SELECT token FROM task UNION ALL SELECT token FROM action"
    " UNION ALL SELECT token FROM lease UNION ALL SELECT 0) AS tokens"
)
"""From here on tokens are drawn, after a database was copied or moved forward."""


def statements() -> list[str]:
    """Return the statements that make an empty database ours."""
    return [part.strip() for part in TABLES.split(";") if part.strip()]


def tables_named(*names: str) -> list[str]:
    """Return the statements that make some of the tables, without their indexes."""
    return [one for one in statements() if one.split(" ")[2] in names]
