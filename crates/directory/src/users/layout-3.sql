-- Keys for mechanisms that never show the password, each in the text form that names its mechanism.
CREATE TABLE keys (
    login     TEXT NOT NULL REFERENCES users (login) ON DELETE CASCADE,
    mechanism TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (login, mechanism)
) STRICT;
