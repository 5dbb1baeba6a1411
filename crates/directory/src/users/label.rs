//! The name of a login with one app password: `ann@relay.test#phone`.

/// Login and label.
pub(super) fn split(login: &str) -> Option<(&str, &str)> {
    let parts = login.rsplit_once('#');
    parts.filter(|(login, label)| !login.is_empty() && !label.is_empty())
}

/// The name to log in with.
pub(super) fn join(login: &str, label: &str) -> String {
    format!("{login}#{label}")
}
