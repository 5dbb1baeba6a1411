//! `[[alias]]`.

use postern_policy::alias::RefusalText;
use postern_table::Reference;

use super::tables::TableReference;
use super::words::{AliasPattern, RefusalWords};
use crate::config::kinds::{Choice, Line, List, OneOf, OneOrList, Switch};
use crate::config::read::{At, table};

table! {
    /// Aliases by address and domain: sendmail's virtusertable, Postfix's virtual aliases. They hold for every address that mail
    /// is taken for: in `local_domains`, `relay_domains` and `alias_domains`, and for who may relay in any. They go before the aliases
    /// file and before mailboxes. Of all entries the one that names the address most closely counts: `user+detail@domain`, `user++@domain`
    /// (any detail), `user+*@domain` (any or none), `user@domain`, `++@domain`, `+*@domain`, `@domain`; among equals the earlier one.
    /// What an entry leads to is looked for again; one that leads to itself ends there, at the mailbox.
    AliasTable {
        /// The addresses, each an entry of its own; `"@example.org"` for all of a domain that no other entry names.
        from: Vec<At<String>> = List(AliasPattern), optional "[\"info@example.org\"]" else "`table` has the entries";
        /// Tables whose entries are aliases, in place of `from`: `"hash:/etc/postfix/virtual"`, `"sendmail:/etc/mail/virtusertable"`, or
        /// `"table:NAME"` for a [[table]]. Entries that stand in this file go before those of tables that are as close.
        table: Vec<At<Reference>> = OneOrList(TableReference), optional "\"hash:/etc/postfix/virtual\"" else "`from` has the entries";
        /// How the entries of `table` are written: `postfix` as in virtual(5); `sendmail` as in virtusertable, with `%1` and `error:`; `own`
        /// with the keys of both; `relocated` for Postfix's relocated(5), whose right sides are new addresses.
        form: AliasForm = OneOf::<AliasForm>::new(), optional "\"postfix\"" else "`sendmail` for tables of sendmail's form, `postfix` for others";
        /// Where their mail goes: addresses, names of users here, `"@example.net"` for the same name in another domain, `"/dev/null"` for
        /// nowhere. `%1` stands for the name, `%2` for the detail behind it, `%3` for the detail with its separator.
        to: Vec<At<String>> = List(Line(1_024)), optional "[\"ann@example.org\"]" else "`refuse` or `moved_to` says what becomes of it";
        /// What who writes to them is told: code, enhanced code and text.
        refuse: RefusalText = RefusalWords, optional "\"550 5.7.1 No applications by mail\"" else "mail is taken";
        /// The address that they have now; who writes to the old one is told `551 5.1.6` with it. An entry with `to` goes before this.
        moved_to: String = Line(300), optional "\"ann@example.net\"" else "nobody has moved";
        /// Whether a detail that the entry does not have goes along (`ann+shop@` becomes `bob+shop@`), where `to` takes no part of the
        /// address by `%`.
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
