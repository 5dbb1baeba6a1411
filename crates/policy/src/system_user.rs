//! Which local users have a mailbox, and the names under which they are looked up.

/// Longest name that the name service is asked about, in octets.
const NAME_MAX: usize = 128;

/// The user id of `nobody`.
const NOBODY: u32 = 65_534;

/// Whether a user with this id has a mailbox: never root, whose mail follows an alias, and never `nobody`.
#[must_use]
pub const fn has_mailbox(uid: u32, min_uid: u32) -> bool {
    uid != 0 && uid != NOBODY && uid != u32::MAX && uid >= min_uid
}

/// The names to ask the name service about for the local part of an address: in lower case, as in other servers, then as written.
/// None for what cannot be a user's name.
#[must_use]
pub fn names(local: &str) -> Vec<String> {
    if !is_name(local) {
        return Vec::new();
    }
    let lower = local.to_lowercase();
    match lower == local {
        true => vec![lower],
        false => vec![lower, local.to_owned()],
    }
}

/// Whether a text can be a user's name: without characters that have a meaning in a path, an option, or a line of `/etc/passwd`.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    let starts = text.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    text.len() <= NAME_MAX && starts && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_mailbox() {
        #[rustfmt::skip]
        let cases = [
            ("a person",              1_000,      true),
            ("a daemon",              999,        false),
            ("root",                  0,          false),
            ("nobody",                65_534,     false),
            ("no number at all",      u32::MAX,   false),
            ("of a directory",        70_000_001, true),
        ];
        for (shows, uid, has) in cases {
            assert_eq!(has_mailbox(uid, 1_000), has, "{shows}");
        }
        assert!(!has_mailbox(0, 0), "root, whatever the least number is");
    }

    #[test]
    fn names_of_users() {
        #[rustfmt::skip]
        let cases: [(&str, &str, &[&str]); 12] = [
            ("plain",                       "ann",          &["ann"]),
            ("in other letters",            "Ann",          &["ann", "Ann"]),
            ("with a dot",                  "ann.b",        &["ann.b"]),
            ("a way up",                    "..",           &[]),
            ("a hidden one",                ".ssh",         &[]),
            ("a path",                      "a/b",          &[]),
            ("an option",                   "-oops",        &[]),
            ("a field of /etc/passwd",      "a:b",          &[]),
            ("a blank",                     "a b",          &[]),
            ("a line feed",                 "a\nb",         &[]),
            ("nothing",                     "",             &[]),
            ("beyond ASCII",                "jürgen",       &["jürgen"]),
        ];
        for (shows, local, want) in cases {
            assert_eq!(names(local), want, "{shows}");
        }
        assert!(names(&"a".repeat(129)).is_empty());
    }
}
