-- The queue, schema version 4: what kind of failure the last attempt ended with, beside its text.
--
-- NULL where the attempt succeeded, where there was none, and in rows of before.

ALTER TABLE recipient ADD COLUMN failure TEXT; -- the kind, as `refused`, `dns.no-answer`, `tls.handshake`: docs/log.md has them all
ALTER TABLE recipient ADD COLUMN stage   TEXT; -- what the host was asked for or had to answer, as `RCPT`, `end of data`
