-- The queue, schema version 2: times of its own, and sums by which damage is found.
--
-- From now on `due_at` and `queued_at` are queue time: milliseconds as in `received_at`, which no change of the system clock moves.
-- Where the two clocks differ, `totals.wall_clock - totals.queue_clock` says by how much.

ALTER TABLE message ADD COLUMN queued_at   INTEGER; -- when it was accepted, in queue time; NULL: as received_at
ALTER TABLE message ADD COLUMN content_sum INTEGER; -- CRC-32 of prefix and content; NULL for mail of before
ALTER TABLE message ADD COLUMN seal        INTEGER; -- CRC-32 of the envelope, of content_sum, and of all that never changes
ALTER TABLE message ADD COLUMN damaged     TEXT;    -- what is wrong with it; such mail is held

ALTER TABLE totals ADD COLUMN queue_clock INTEGER NOT NULL DEFAULT 0; -- both clocks at the last commit
ALTER TABLE totals ADD COLUMN wall_clock  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN damaged     INTEGER NOT NULL DEFAULT 0; -- messages held as damaged
ALTER TABLE totals ADD COLUMN outcomes    INTEGER NOT NULL DEFAULT 0; -- recipients that have their outcome, kept as history

UPDATE totals SET outcomes = (SELECT count(*) FROM recipient WHERE state = 3);
