-- Layout 5: keys of app passwords for mechanisms that never show the password; the login is then LOGIN#LABEL.
CREATE TABLE app_password_keys (
    app_password INTEGER NOT NULL REFERENCES app_passwords (id) ON DELETE CASCADE,
    mechanism    TEXT    NOT NULL,
    value        TEXT    NOT NULL,
    PRIMARY KEY (app_password, mechanism)
) STRICT;
