-- Layout 4: groups, and who may send in whose name.
CREATE TABLE memberships (
    login TEXT NOT NULL REFERENCES users (login) ON DELETE CASCADE,
    name  TEXT NOT NULL,                           -- of the group, lower case
    PRIMARY KEY (login, name)
) STRICT;

CREATE TABLE delegates (
    owner    TEXT NOT NULL REFERENCES users (login) ON DELETE CASCADE,
    delegate TEXT NOT NULL REFERENCES users (login) ON DELETE CASCADE,
    PRIMARY KEY (owner, delegate)
) STRICT;

CREATE INDEX delegates_by_delegate ON delegates (delegate);
