-- The queue, schema version 6: notes that are committed together with messages.
--
-- What a note says is the affair of who writes it: budgets count what was accepted, and whatever of it is not in state.db yet is counted
-- again from here after a crash. A note outlives its message, and goes when its writer says so.

CREATE TABLE note (
    node   INTEGER NOT NULL, -- the machine that has written it
    number INTEGER NOT NULL, -- in the order in which its writer has made them
    text   TEXT    NOT NULL, -- a line of JSON
    PRIMARY KEY (node, number)
) WITHOUT ROWID;
