//! `[administration]`.

use crate::admin::FactorRule;
use crate::config::kinds::{Choice, Line, List, OneOf, Switch, Time};
use crate::config::read::{At, table};

table! {
    /// Who administers over HTTP, at the page or with the API (`serves` in [[http]]), by user name. The user names are those in
    /// the directories. Users of the control socket, root and the user that the server runs as, need no entry, nor do tokens
    /// (`postern api token`).
    AdministrationTable {
        /// Logins that may do everything that is possible on the command line.
        administer: Vec<At<String>> = List(Line(320)), default "[]";
        /// Logins that may manage queue, sessions, lockouts and accounts on hold, read the content of queued mail, and see
        /// everything else.
        operate: Vec<At<String>> = List(Line(320)), default "[]";
        /// Logins that may see everything but the content of mail, and change nothing.
        read: Vec<At<String>> = List(Line(320)), default "[]";
        /// Whether every other login of the directories may see its own mail and sessions at the page, and create and revoke its
        /// own app passwords.
        own: bool = Switch, default "false";
        /// Whether a login at the page requires a code of an authenticator program besides the password: never (`off`), for those
        /// who have set one up (`optional`), or for all who may see more than their own mail (`required`); those without one set
        /// it up at their first login.
        second_factor: FactorRule = OneOf::<FactorRule>::new(), default "\"optional\"";
        /// How long a session at the page may be unused before it ends. What the page asks on its own does not count.
        idle: std::time::Duration = Time("1m", "1d"), default "\"30m\"";
        /// The maximum duration of a session at the page.
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
