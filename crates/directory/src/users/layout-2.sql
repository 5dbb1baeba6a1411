-- Layout 2: app passwords. Times are seconds since 1970.

CREATE TABLE app_passwords (
    id             INTEGER NOT NULL PRIMARY KEY,
    login          TEXT    NOT NULL REFERENCES users (login) ON DELETE CASCADE,
    label          TEXT    NOT NULL,
    digest         BLOB    NOT NULL UNIQUE,       -- SHA-256 over login and password
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,                       -- NULL: never
    networks       TEXT    NOT NULL DEFAULT '',   -- with blanks between; none: from everywhere
    last_used_at   INTEGER,
    last_used_from TEXT,
    UNIQUE (login, label)
) STRICT;
