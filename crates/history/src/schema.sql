-- One file of the history: stories of one day and one class.

-- Names of fields, each with the number that stands for it in this file.
CREATE TABLE key (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

-- Texts that are said often, each with the number that stands for it. One may be there twice.
CREATE TABLE text (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL
);

-- What happened in a session, or to a message: a story. It has one row at least, and its number is that of its first row.
CREATE TABLE chunk (
    id    INTEGER PRIMARY KEY,
    story INTEGER,              -- NULL in the first row of a story
    at    INTEGER NOT NULL,     -- when its last event happened, in milliseconds since the day of the file began (UTC); never less
                                -- than in the row before
    body  BLOB NOT NULL         -- see chunk.rs
);
CREATE INDEX chunk_more ON chunk (story) WHERE story IS NOT NULL;

-- By what stories are found: see index.rs.
CREATE TABLE run (
    id    INTEGER PRIMARY KEY,
    level INTEGER NOT NULL,
    size  INTEGER NOT NULL      -- postings
);
CREATE TABLE block (
    id   INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);

-- By how much an event may be older than its row: how long rows lasted at most, and how far the clock was set back, in milliseconds.
CREATE TABLE clock (
    back INTEGER NOT NULL
);
INSERT INTO clock VALUES (0);
