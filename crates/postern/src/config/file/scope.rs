//! `[[scope]]`.

use ipnet::IpNet;
use postern_sasl::Mechanism;

use super::words::{LoginPattern, MechanismName};
use crate::config::kinds::{Line, List, Network};
use crate::config::read::{At, table};

table! {
    /// What users may do with their logins: where, when and how they may be used, and with which senders and for which recipients. The first
    /// that is about a user counts; one that limits nothing is an exception from those behind it. For a user who acts as another, that of
    /// either counts. It only takes away: all other rules hold besides. An app password can have a scope of its own (`postern user app-password add`).
    ///
    /// Who authenticates outside of the scope is told the same as with a wrong password, and it counts as one: whoever guesses does not learn that a
    /// guess was right. When the hours end, so do sessions, before their next message.
    ScopeTable {
        /// Its name in the log.
        name: String = Line(64), required "\"scanner\"";
        /// The user names that it is about; `@example.org` for all that end in it, `"*"` for all. A table gives them by its keys: `"table:NAME"`.
        logins: Vec<At<String>> = List(LoginPattern), required "[\"scanner\"]";
        /// The names of the [[listener]] and [[auth_socket]] tables where the login may be used; `api` is submission over HTTP,
        /// `web` the page.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"submission\"]" else "all";
        /// The mechanisms with which. One stands for its form with `-PLUS`, too. A token over HTTP is none, and is not limited by them.
        mechanisms: Vec<At<Mechanism>> = List(MechanismName), optional "[\"SCRAM-SHA-256\"]" else "all";
        /// The networks of clients from which.
        networks: Vec<At<IpNet>> = List(Network), optional "[\"192.0.2.0/24\"]" else "all";
        /// Days of the week and times at which; a time that ends before it begins goes past midnight.
        hours: Vec<At<String>> = List(Line(64)), optional "[\"Mon-Fri 07:00-19:00\"]" else "always";
        /// The time zone of `hours`.
        zone: String = Line(64), optional "\"Europe/Berlin\"" else "that of the server";
        /// The senders with which, in the envelope and in `From`, `Sender` and their `Resent-` forms: an address, `name@` for a name in any domain,
        /// `@example.org` for a domain, `.example.org` for all below it, `<>`, or a table.
        senders: Vec<At<String>> = List(Line(320)), optional "[\"scanner@example.org\"]" else "all";
        /// The recipients to whom, likewise. Counted is the address that the client names, not where its aliases lead.
        recipients: Vec<At<String>> = List(Line(320)), optional "[\"@example.org\"]" else "all";
    }
}
