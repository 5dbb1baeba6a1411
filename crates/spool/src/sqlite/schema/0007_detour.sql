-- The queue, schema version 7: messages that go a way of their own.
--
-- NULL for all others, and in rows of before. The seal covers it where it is there.

ALTER TABLE message ADD COLUMN detour TEXT; -- where it goes, whoever it is for, as transport(5) writes it: smtp:[127.0.0.1]:10024
