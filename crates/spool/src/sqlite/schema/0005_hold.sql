-- The queue, schema version 5: who has a message held, beside the words in `hold`.
--
-- NULL where an administrator holds it, where it is damaged, and in rows of before.

ALTER TABLE message ADD COLUMN hold_rule   TEXT; -- the rule by which it is held, as `milter.hold`, `screen.held`: docs/log.md has them all
ALTER TABLE message ADD COLUMN hold_milter TEXT; -- the mail filter that has it held, or whose failure has, by its name
