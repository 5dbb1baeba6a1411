//! "Where did my setting go": the tables of the imports as a document, `docs/settings.md`.

mod goes;
mod times;

use std::fmt::Write as _;

use crate::{postfix, sendmail};

pub(crate) use goes::{EMPTY, Line, row};
pub use goes::{Goes, Row, Special};
pub(crate) use times::Time;

/// Macros of `.mc` files, and where they go.
const MACROS: &[(&str, &str)] = &[
    ("CLIENT_OPTIONS", "`source_address` in `[delivery]`"),
    ("DAEMON_OPTIONS", "`[[listener]]`"),
    (
        "EXPOSED_USER, EXPOSED_USER_FILE",
        "`exceptions` of the `[[rewrite]]`",
    ),
    (
        "GENERICS_DOMAIN, GENERICS_DOMAIN_FILE",
        "`domains` of the `[[rewrite]]`",
    ),
    ("INPUT_MAIL_FILTER, MAIL_FILTER", "`[[milter]]`"),
    ("LOCAL_DOMAIN", "`local_domains`"),
    (
        "MAILER(local), MAILER(procmail)",
        "`[[directory]] kind = \"system\"`, `[system_users]`",
    ),
    ("MAILER(smtp)", "delivery by SMTP"),
    (
        "MASQUERADE_AS, MASQUERADE_DOMAIN, MASQUERADE_DOMAIN_FILE",
        "`[[rewrite]] masquerade_as`, `origin`",
    ),
    (
        "MASQUERADE_EXCEPTION, MASQUERADE_EXCEPTION_FILE",
        "`exceptions` of the `[[rewrite]]`",
    ),
    (
        "OSTYPE, DOMAIN, VERSIONID",
        "nothing: they are about sendmail's own templates",
    ),
    (
        "RELAY_DOMAIN",
        "`relay_domains`; networks: `networks` in `[relay]`",
    ),
    ("TRUST_AUTH_MECH", "`login_mechanisms` in `[relay]`"),
    ("VIRTUSER_DOMAIN, VIRTUSER_DOMAIN_FILE", "`alias_domains`"),
];

/// Lines of the access table, and where they go.
const TAGS: &[(&str, &str)] = &[
    ("CERTIssuer:, CERTSubject:", "`[[relay.certificate]]`"),
    ("ClientConn:", "`[[limit]] sessions`"),
    ("ClientRate:", "`[[limit]] connections`"),
    (
        "Connect: RELAY",
        "`networks` in `[relay]`; names of clients: not carried over, name their networks",
    ),
    ("Connect:, From:", "`[[access]]` rules with a table of their own"),
    (
        "GreetPause:",
        "`greeting_delay` in `[timeouts]`; 0: `except` in `[screen]`",
    ),
    ("Spam: FRIEND", "an `[[access]]` rule that accepts"),
    ("To: RELAY", "`relay_domains`"),
    (
        "To:",
        "`[[access]]` rules, with FEATURE(blocklist_recipients); without it nothing: it has no effect",
    ),
    (
        "TLS_Srv:, Try_TLS:",
        "`always`, `verified`, `never` in `[delivery.tls]`",
    ),
];

/// The document.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "<!-- Made by `postern settings-reference` from the tables of crates/migrate; a test compares both. -->\n\n\
         # Where did my setting go\n\n\
         What `postern import` makes of each setting of sendmail and Postfix. `[section] key` names a key of\n\
         [configuration.md](configuration.md); \"not carried over\" says what to do instead. The report of an import says the same\n\
         line by line, with what is different and for whom.\n",
    );
    table(&mut text, "sendmail: options", "`define`", shown(sendmail::ROWS));
    table(
        &mut text,
        "sendmail: features",
        "`FEATURE`",
        shown(sendmail::FEATURES),
    );
    let fixed = |rows: &'static [(&'static str, &'static str)]| {
        rows.iter().map(|(name, to)| (*name, (*to).to_owned()))
    };
    table(&mut text, "sendmail: macros", "Macro", fixed(MACROS));
    table(&mut text, "sendmail: the access table", "Line", fixed(TAGS));
    table(
        &mut text,
        "Postfix: parameters",
        "Parameter",
        shown(postfix::ROWS),
    );
    text
}

fn shown<Own: Special>(rows: &'static [Row<Own>]) -> impl Iterator<Item = (&'static str, String)> {
    rows.iter().map(|row| (row.name, row.goes.shown()))
}

fn table(text: &mut String, title: &str, head: &str, rows: impl Iterator<Item = (&'static str, String)>) {
    let mut rows: Vec<(&str, String)> = rows.collect();
    rows.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    let _ = write!(text, "\n## {title}\n\n| {head} | Postern |\n| --- | --- |\n");
    for (name, to) in rows {
        let _ = writeln!(text, "| `{name}` | {} |", to.replace('|', "\\|"));
    }
}

/// A key of a section, as in the document.
pub(crate) fn key(section: &str, key: &str) -> String {
    format!("`{}`", path(section, key))
}

/// `[section] key`, or the key of the top level.
pub(crate) fn path(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("[{section}] {key}")
    }
}

/// What is not carried over, and what to do instead.
fn missing(remedy: &str) -> String {
    format!("not carried over: {remedy}")
}

/// That there is nothing to carry over, and why.
fn nothing(why: &str) -> String {
    format!("nothing: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo run -p postern -- settings-reference > docs/settings.md` fixes a failure.
    #[test]
    fn the_document_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == document(),
            "docs/settings.md is out of date: make it anew with `postern settings-reference`"
        );
    }
}
