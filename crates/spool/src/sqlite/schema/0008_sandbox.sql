-- The queue, schema version 8: mail that is kept and never delivered.
--
-- A message is in the sandbox where `hold_rule` is 'sandbox.kept'. Its recipients are held, nobody releases them, and it is removed when
-- its time there is over.

ALTER TABLE totals ADD COLUMN sandboxed       INTEGER NOT NULL DEFAULT 0; -- messages in the sandbox; `held` counts them, too
ALTER TABLE totals ADD COLUMN sandboxed_bytes INTEGER NOT NULL DEFAULT 0; -- their octets

CREATE INDEX message_sandboxed ON message (queued_at) WHERE hold_rule = 'sandbox.kept';

DROP VIEW queue_size;
CREATE VIEW queue_size AS
    SELECT sum(messages) AS messages, sum(recipients) AS recipients, sum(held) AS held, sum(bytes) AS bytes,
           sum(damaged) AS damaged, sum(outcomes) AS outcomes, sum(sandboxed) AS sandboxed,
           sum(sandboxed_bytes) AS sandboxed_bytes
    FROM totals;
