//! `[[alias]]`.

use postern_policy::alias::RefusalText;
use postern_table::Reference;

use super::tables::TableReference;
use super::words::{AliasPattern, RefusalWords};
use crate::config::kinds::{Choice, Line, List, OneOf, OneOrList, Switch};
use crate::config::read::{At, table};

table! {
    /// Aliases by address and domain: sendmail's virtusertable, Postfix's virtual aliases. They apply to every address for which
    /// mail is accepted: in `local_domains`, `relay_domains` and `alias_domains`, and in any domain for clients that may relay.
    /// They take precedence over the aliases file and mailboxes. Of all entries, the most specific one counts:
    /// `user+detail@domain`, `user++@domain` (any detail), `user+*@domain` (any or none), `user@domain`, `++@domain`,
    /// `+*@domain`, `@domain`; among equals the earlier one. The target of an entry is looked up again; an entry that leads to
    /// itself ends there, at the mailbox.
    AliasTable {
        /// The addresses, each a separate entry; `"@example.org"` for all addresses of a domain without another entry.
        from: Vec<At<String>> = List(AliasPattern), optional "[\"info@example.org\"]" else "`table` has the entries";
        /// Tables whose entries are aliases, in place of `from`: `"hash:/etc/postfix/virtual"`,
        /// `"sendmail:/etc/mail/virtusertable"`, or `"table:NAME"` for a [[table]]. Entries in this file take precedence over
        /// equally specific ones in tables.
        table: Vec<At<Reference>> = OneOrList(TableReference), optional "\"hash:/etc/postfix/virtual\"" else "`from` has the entries";
        /// The format of the entries of `table`: `postfix` as in virtual(5); `sendmail` as in virtusertable, with `%1` and
        /// `error:`; `own` with the keys of both; `relocated` for Postfix's relocated(5), whose right-hand sides are new
        /// addresses.
        form: AliasForm = OneOf::<AliasForm>::new(), optional "\"postfix\"" else "`sendmail` for tables of sendmail's form, `postfix` for others";
        /// Where their mail goes: addresses, names of users here, `"@example.net"` for the same name in another domain,
        /// `"/dev/null"` for nowhere. `%1` stands for the name, `%2` for the detail after it, `%3` for the detail with its
        /// separator.
        to: Vec<At<String>> = List(Line(1_024)), optional "[\"ann@example.org\"]" else "`refuse` or `moved_to` decides";
        /// The reply to mail for these addresses: code, enhanced code and text.
        refuse: RefusalText = RefusalWords, optional "\"550 5.7.1 No applications by mail\"" else "mail is taken";
        /// Their new address; mail for the old one is refused with `551 5.1.6` and the new one. An entry with `to` takes
        /// precedence over this.
        moved_to: String = Line(300), optional "\"ann@example.net\"" else "the address has not moved";
        /// Whether a detail that the entry does not have is kept (`ann+shop@` becomes `bob+shop@`), if `to` uses no part of the
        /// address with `%`.
        keep_detail: bool = Switch, optional "false" else "`true`, but for entries of sendmail's form";
    }
}

/// How the entries of a table are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AliasForm {
    /// As those of this file.
    Own,
    /// virtual(5).
    Postfix,
    /// virtusertable.
    Sendmail,
    /// relocated(5).
    Relocated,
}

impl Choice for AliasForm {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("postfix", Self::Postfix),
        ("sendmail", Self::Sendmail),
        ("own", Self::Own),
        ("relocated", Self::Relocated),
    ];
}
