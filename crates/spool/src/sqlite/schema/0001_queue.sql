-- The queue, schema version 1. Standard SQL, so that other engines can use it: for PostgreSQL read INTEGER as BIGINT, BLOB as
-- BYTEA, and leave WITHOUT ROWID away.
--
-- Times are milliseconds since 1970, UTC. A message's id is the number behind the 13 characters of its queue id; it grows
-- with time. Look with `sqlite3 'file:queue.db?mode=ro'`, never change anything by hand while a server runs.

-- One row a queued message; gone as soon as its last recipient has an outcome.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    sender      TEXT    NOT NULL,   -- without angle brackets; empty for <>
    received_at INTEGER NOT NULL,
    size        INTEGER NOT NULL,   -- octets, prefix and body
    recipients  INTEGER NOT NULL,   -- in all
    unfinished  INTEGER NOT NULL,   -- without an outcome
    hold        TEXT,               -- why it is held, and by whom
    body_kind   INTEGER NOT NULL,   -- 0 7BIT, 1 8BITMIME, 2 BINARYMIME
    smtputf8    INTEGER NOT NULL,   -- 0 or 1
    ret         INTEGER,            -- 0 HDRS, 1 FULL
    envid       TEXT,
    auth        TEXT,               -- AUTH= of MAIL; empty for <>
    login       TEXT,
    session     TEXT,
    origin      INTEGER NOT NULL,   -- 0 SMTP from who may relay, 1 report, 2 local, 3 SMTP from others
    body_file   TEXT,               -- path below bodies/ of a body too large for the database
    body_size   INTEGER             -- its octets
);

-- What is sent: prefix, then content. Apart, so that listing messages does not read it.
CREATE TABLE body (
    message_id INTEGER PRIMARY KEY,
    prefix     BLOB NOT NULL,       -- trace fields and what a submission lacked
    content    BLOB                 -- NULL when it lies in a file
);

-- One row a recipient. It stays as history after its message is finished, until its retention ends.
CREATE TABLE recipient (
    message_id INTEGER NOT NULL,
    idx        INTEGER NOT NULL,    -- place in the envelope, from 0
    state      INTEGER NOT NULL,    -- 0 in delivery's memory, 1 queued, 2 held, 3 done
    due_at     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    warned     INTEGER NOT NULL,    -- 1 once a report of the delay was sent
    domain     TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    notify     INTEGER NOT NULL,    -- 0 nothing said, 16 so by a stranger, 1 NEVER, else the sum of 2 SUCCESS, 4 FAILURE, 8 DELAY
    orcpt      TEXT,
    relay      TEXT,                -- host of the last attempt
    status     TEXT,                -- its enhanced status code
    reply      TEXT,                -- its reply
    outcome    TEXT,                -- delivered, bounced, expired, removed; NULL as long as there is none
    settled_at INTEGER,             -- when the outcome was recorded
    removed_by TEXT,                -- the administrator who removed it
    PRIMARY KEY (message_id, idx)
) WITHOUT ROWID;

-- What is due, by domain. Messages in delivery's memory, held and finished ones are not in it.
CREATE INDEX recipient_due ON recipient (domain, due_at, message_id, idx) WHERE state = 1;

-- One row: the size of the queue, changed in the transaction that changes the queue.
CREATE TABLE totals (
    id         INTEGER PRIMARY KEY,
    messages   INTEGER NOT NULL,
    recipients INTEGER NOT NULL,    -- without an outcome
    held       INTEGER NOT NULL,    -- messages
    bytes      INTEGER NOT NULL,
    fresh_from INTEGER NOT NULL     -- no recipient of a message below this id is in state 0
);

INSERT INTO totals (id, messages, recipients, held, bytes, fresh_from) VALUES (1, 0, 0, 0, 0, 0);
