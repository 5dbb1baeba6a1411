-- Postern's own users. Standard SQL but for STRICT; times are seconds since 1970.

CREATE TABLE users (
    login           TEXT    NOT NULL PRIMARY KEY,  -- lower case
    password        TEXT    NOT NULL,              -- PHC string
    enabled         INTEGER NOT NULL DEFAULT 1,
    created_at      INTEGER NOT NULL,
    password_set_at INTEGER NOT NULL
) STRICT;

-- Further addresses of a user; the login itself, where it is an address, is not repeated here.
CREATE TABLE addresses (
    address TEXT NOT NULL PRIMARY KEY,             -- lower case
    login   TEXT NOT NULL REFERENCES users (login) ON DELETE CASCADE
) STRICT;

CREATE INDEX addresses_by_login ON addresses (login);
