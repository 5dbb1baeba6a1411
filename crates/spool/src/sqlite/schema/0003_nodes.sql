-- The queue, schema version 3: several machines.
--
-- A message's id names the machine that took it: id / 8192 % 256. Recipients in state 0 are in the memory of that machine, and no
-- other touches them while it runs. `totals` has a row for each machine that has ever had the queue open, with machine + 1 as its id:
-- what the transactions of that machine have added and taken away, so that no two change the same row. A number in it may be
-- below 0, where one machine has delivered what others took. All rows together are the size of the queue:

CREATE VIEW queue_size AS
    SELECT sum(messages) AS messages, sum(recipients) AS recipients, sum(held) AS held, sum(bytes) AS bytes,
           sum(damaged) AS damaged, sum(outcomes) AS outcomes
    FROM totals;
