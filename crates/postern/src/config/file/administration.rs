//! `[administration]`.

use crate::admin::FactorRule;
use crate::config::kinds::{Choice, Line, List, OneOf, Switch, Time};
use crate::config::read::{At, table};

table! {
    /// Who administers over HTTP, at the page or with the API (`serves` in [[http]]), by user name. Names are those of the directories. Users of the
    /// control socket, root and the user that the server runs as, need no entry, nor do tokens (`postern api token`).
    AdministrationTable {
        /// Logins that may do everything that the command line can.
        administer: Vec<At<String>> = List(Line(320)), default "[]";
        /// Logins that work with queue, sessions, lockouts and accounts on hold, read the content of queued mail, and see all else.
        operate: Vec<At<String>> = List(Line(320)), default "[]";
        /// Logins that see everything but the content of mail, and change nothing.
        read: Vec<At<String>> = List(Line(320)), default "[]";
        /// Whether every other login of the directories may see its own mail and sessions at the page, and make and revoke its own app passwords.
        own: bool = Switch, default "false";
        /// Whether a login at the page takes a code of an authenticator program besides the password: never (`off`), of those who have set one up
        /// (`optional`), or of all who see more than their own mail (`required`); who has none then sets it up at the first login.
        second_factor: FactorRule = OneOf::<FactorRule>::new(), default "\"optional\"";
        /// After how much time without a request a login at the page ends.
        idle: std::time::Duration = Time("1m", "1d"), default "\"30m\"";
        /// How long a login at the page lasts at most.
        longest: std::time::Duration = Time("5m", "30d"), default "\"12h\"";
    }
}

impl Choice for FactorRule {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("optional", Self::Optional),
        ("required", Self::Required),
    ];
}
