//! `[[rewrite]]`, `[[header_check]]` and `[[copy]]`.

use postern_mail::Mailbox;
use postern_policy::header_check::Part;
use postern_policy::rewrite::{Class, When};
use postern_table::Reference;

use super::tables::{DomainOrTable, TableReference};
use super::words::{Address, HostName};
use crate::config::kinds::{Choice, Count, Line, List, OneOf, OneOrList, Switch};
use crate::config::read::{At, table};

table! {
    /// Rules that rewrite addresses: sendmail's masquerading and genericstable, Postfix's canonical, generic and masqueraded addresses, and
    /// domains for bare names. They stand in order: each is put to an address once, and sees what those before have made of it. A rule has one
    /// way to rewrite: `table`, `masquerade_domains`, `masquerade_as`, or `append_origin` with or without `append_domain`.
    ///
    /// In header fields nothing but the addresses changes: names, comments, groups and folds stay to the octet. Mail is rewritten when it is
    /// taken, after header checks, before mail filters see it and before it is signed; who may send as whom has been judged by then, by what
    /// the client said. While a table cannot be asked, mail is refused for now with `451 4.3.0`, or waits in the queue.
    RewriteTable {
        /// Its name in the log and in `postern explain`.
        name: String = Line(64), required "\"masquerade\"";
        /// When: `in`, as mail is taken; or `out`, as it leaves for another server by SMTP (Postfix's `smtp_generic_maps`), at the first attempt
        /// and at all others.
        at: When = OneOf::<When>::new(), default "\"in\"";
        /// Which addresses: those of `MAIL FROM` and `RCPT TO`, and those in fields that say who sends (`From`, `Sender`, `Reply-To`, and so
        /// on) or who receives (`To`, `Cc`, and so on).
        classes: Vec<At<Class>> = List(OneOf::<Class>::new()), required "[\"envelope_sender\", \"header_sender\"]";
        /// Whose mail: `"inside"`, which is `"local"` (programs of this machine, and connections from its own addresses), `"logins"` (who has
        /// authenticated) and `"relay"` (who may relay by network or certificate) together; networks; or `"all"`. With `at = "out"` there are no
        /// clients: all mail is meant.
        clients: Vec<At<String>> = List(Line(64)), optional "[\"local\", \"10.8.0.0/24\"]" else "`[\"inside\"]`";
        /// Names of listeners whose mail it is for.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"submission\"]" else "all";
        /// Domains whose addresses are meant. Tables may stand here as in `local_domains`.
        domains: Vec<At<String>> = List(DomainOrTable), optional "[\"gate.example.org\", \"*.example.org\"]" else "all";
        /// Addresses that are left alone, in the forms of `sender` in [[access]]: `"root@"` for a name in any domain (sendmail's
        /// EXPOSED_USER, Postfix's `masquerade_exceptions`), `"@pc.example.org"`, `".lab.example.org"`.
        exceptions: Vec<At<String>> = List(Line(320)), default "[]";
        /// Tables with addresses and what becomes of each: `user@domain`, `@domain` for the same user there, or `user`, which gets `origin`.
        table: Vec<At<Reference>> = OneOrList(TableReference), optional "\"hash:/etc/postfix/canonical\"" else "another way is named";
        /// How keys of `table` are written: `postfix` as in canonical(5) and generic(5): `user+detail@domain`, `user@domain`, `user` of
        /// local domains, `@domain`; `sendmail` as in genericstable, with `%1`.
        form: RewriteForm = OneOf::<RewriteForm>::new(), optional "\"postfix\"" else "`sendmail` for tables of sendmail's form, `postfix` for others";
        /// Whether a detail that the key does not have goes along (`ann+shop@` becomes `ann.keller+shop@`).
        keep_detail: bool = Switch, optional "false" else "`true` at `in`, `false` at `out`, as with Postfix";
        /// Whether what comes out is looked up again, until nothing is found, ten times at most.
        repeat: bool = Switch, optional "false" else "`true` at `in` for the form `postfix`, else `false`";
        /// Domains below which host names go away, as Postfix's `masquerade_domains`: `ann@pc.example.org` becomes `ann@example.org`. With `!`
        /// in front a domain is left alone. The first that an address is in or below decides.
        masquerade_domains: Vec<At<String>> = List(Line(256)), optional "[\"!lab.example.org\", \"example.org\"]" else "another way is named";
        /// The domain that all addresses in `domains` get, as sendmail's MASQUERADE_AS.
        masquerade_as: String = HostName, optional "\"example.org\"" else "another way is named";
        /// The domain of names without one in header fields. Those in the envelope get `origin`, see `bare_addresses` in [[listener]].
        append_origin: String = HostName, optional "\"example.org\"" else "names without a domain stay";
        /// What is put behind domains without a dot, as Postfix's `append_dot_mydomain`: `ann@pc` becomes `ann@pc.example.org`.
        append_domain: String = HostName, optional "\"example.org\"" else "domains without a dot stay";
        /// Whether header fields of signed mail are rewritten too, which may break its signatures. Without it, mail that bears a DKIM or ARC
        /// signature keeps its header, unless it comes in from inside.
        signed: bool = Switch, default "false";
    }
}

table! {
    /// Header and body checks, as Postfix's `header_checks`: what becomes of a field, or of its message, by what stands in it. They stand in
    /// order; the first that matches a field decides about it. Patterns that would take more than linear time are mistakes.
    ///
    /// They are made when mail is taken, before it is rewritten and before mail filters see it, and in the fields that this server puts on top,
    /// its `Received` among them. What is taken out of a message cannot be covered by a signature that it had.
    HeaderCheckTable {
        /// Its name in the log.
        name: String = Line(64), required "\"no trackers\"";
        /// When: `in`, as mail is taken; or `out`, as it leaves for another server by SMTP (Postfix's `smtp_header_checks`), where fields can be
        /// changed and nothing else is done.
        at: When = OneOf::<When>::new(), default "\"in\"";
        /// Whose mail, as in [[rewrite]].
        clients: Vec<At<String>> = List(Line(64)), optional "[\"logins\"]" else "`[\"all\"]`";
        /// Names of listeners whose mail it is for.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"submission\"]" else "all";
        /// What is looked at: `header`, the message's own header; `mime`, the fields of MIME there and the headers of all parts; `nested`, the
        /// headers of messages within the message; `body`, the lines of the body, the first 50 KiB of each part. Postfix's `header_checks` are
        /// the first three, unless `mime_header_checks` and `nested_header_checks` are set.
        parts: Vec<At<Part>> = List(OneOf::<Part>::new()), default "[\"header\"]";
        /// A table of patterns in Postfix's form, put to `Name: value` with its folds. Values are verdicts as in header_checks(5): `REJECT`,
        /// `DISCARD`, `HOLD`, `IGNORE`, `STRIP`, `REPLACE`, `PREPEND`, `REDIRECT`, `BCC`, `FILTER`, `WARN`, `INFO`, `DUNNO`.
        table: Reference = TableReference, optional "\"regexp:/etc/postfix/header_checks\"" else "`verdict` says what is done";
        /// Names of fields, in any case; `"*"` for all. Not with `body`.
        fields: Vec<At<String>> = List(Line(80)), optional "[\"User-Agent\", \"X-Mailer\"]" else "`table` has the patterns";
        /// What the value must match, as one line: a regular expression of Perl's, in which case does not matter. With `body`: what the line must match.
        pattern: String = Line(2_000), optional "\"\\\\[TEST MAIL\\\\]\"" else "any value";
        /// What is done. `remove`, `replace`, `prepend`: the field or line goes, another takes its place, or another comes before it.
        /// `refuse`, `defer`: the message is refused, for good or for now. `discard`: it is taken and thrown away. `hold`: it is held in
        /// the queue. `redirect`: it goes to another address in place of its recipients. `copy`: it goes to another address, too. `detour`: all of it goes
        /// `way`, whoever it is for (Postfix's `FILTER`). `note`: a line in
        /// the log. `keep`: nothing, and no other check looks at the field.
        verdict: CheckWord = OneOf::<CheckWord>::new(), optional "\"remove\"" else "`table` has the verdicts";
        /// With `replace` and `prepend`: the field as it is to be, or the line. `$1` is what the first parentheses of `pattern` hold.
        with: String = Line(900), optional "\"X-Client: hidden\"" else "nothing";
        /// With `redirect` and `copy`: the address.
        to: Mailbox = Address, optional "\"moderator@example.org\"" else "none";
        /// With `detour`: where the message goes, as in a table of routes.
        way: String = Line(1_000), optional "\"smtp:[127.0.0.1]:10024\"" else "where routes lead";
        /// With `refuse` and `defer`: the reply code.
        code: u64 = Count(400..=599), optional "554" else "550, or 450";
        /// The enhanced status code (RFC 3463).
        status: String = Line(11), optional "\"5.7.1\"" else "5.7.1, or 4.7.1";
        /// The text.
        text: String = Line(400), optional "\"no executables\"" else "\"message content rejected\"";
        /// With `hold`, `discard` and `note`: the reason, for the log.
        reason: String = Line(200), optional "\"looks odd\"" else "the name of the check";
    }
}

table! {
    /// Copies of mail for somebody else, as Postfix's `always_bcc`, `sender_bcc_maps` and `recipient_bcc_maps`. A copy is one more recipient
    /// of the envelope, once, whom nobody is told of: no report on it goes to the sender, and the header does not name it. There is none of what
    /// the filter behind the queue hands back, nor of this server's reports.
    CopyTable {
        /// Its name in the log.
        name: String = Line(64), required "\"archive\"";
        /// Whose mail, as in [[rewrite]].
        clients: Vec<At<String>> = List(Line(64)), optional "[\"inside\"]" else "`[\"all\"]`";
        /// Names of listeners whose mail it is for.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"submission\"]" else "all";
        /// To whom copies go.
        to: Vec<At<Mailbox>> = List(Address), optional "[\"archive@example.org\"]" else "`table` says it";
        /// Of mail from these senders alone, in the forms of `sender` in [[access]].
        senders: Vec<At<String>> = List(Line(320)), optional "[\"@example.org\"]" else "any";
        /// Of mail to these recipients alone, as the client names them, before aliases.
        recipients: Vec<At<String>> = List(Line(320)), optional "[\"office@example.org\"]" else "any";
        /// Tables that say to whom copies go, by the keys of canonical(5). Several addresses are parted by commas.
        table: Vec<At<Reference>> = OneOrList(TableReference), optional "\"hash:/etc/postfix/sender_bcc\"" else "`to` says it";
        /// What is looked for in `table`.
        look_up: CopyOfWord = OneOf::<CopyOfWord>::new(), optional "\"sender\"" else "needed with `table`";
    }
}

/// How keys of rewriting tables are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RewriteForm {
    /// canonical(5), generic(5).
    Postfix,
    /// genericstable.
    Sendmail,
}

/// What a header check does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CheckWord {
    Remove,
    Replace,
    Prepend,
    Refuse,
    Defer,
    Discard,
    Hold,
    Redirect,
    Copy,
    Detour,
    Note,
    Keep,
}

/// By what a table says who gets copies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CopyOfWord {
    Sender,
    Recipient,
}

impl Choice for When {
    const WORDS: &'static [(&'static str, Self)] = &[("in", Self::In), ("out", Self::Out)];
}

impl Choice for Class {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("envelope_sender", Self::EnvelopeSender),
        ("envelope_recipient", Self::EnvelopeRecipient),
        ("header_sender", Self::HeaderSender),
        ("header_recipient", Self::HeaderRecipient),
    ];
}

impl Choice for Part {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("header", Self::Header),
        ("mime", Self::Mime),
        ("nested", Self::Nested),
        ("body", Self::Body),
    ];
}

impl Choice for RewriteForm {
    const WORDS: &'static [(&'static str, Self)] =
        &[("postfix", Self::Postfix), ("sendmail", Self::Sendmail)];
}

impl Choice for CheckWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("remove", Self::Remove),
        ("replace", Self::Replace),
        ("prepend", Self::Prepend),
        ("refuse", Self::Refuse),
        ("defer", Self::Defer),
        ("discard", Self::Discard),
        ("hold", Self::Hold),
        ("redirect", Self::Redirect),
        ("copy", Self::Copy),
        ("detour", Self::Detour),
        ("note", Self::Note),
        ("keep", Self::Keep),
    ];
}

impl Choice for CopyOfWord {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sender", Self::Sender), ("recipient", Self::Recipient)];
}
