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
    /// Rules that rewrite addresses: sendmail's masquerading and genericstable, Postfix's canonical, generic and masqueraded
    /// addresses, and domains for bare names. They are applied in order: each once to an address, as changed by earlier ones. A
    /// rule has one way to rewrite: `table`, `masquerade_domains`, `masquerade_as`, or `append_origin` with or without
    /// `append_domain`.
    ///
    /// In header fields only the addresses change: names, comments, groups and folds stay exactly the same. Mail is rewritten
    /// when it is accepted, after header checks, before mail filters see it and before it is signed; who may send as whom has
    /// been decided by then, using the client's addresses. While a table cannot be queried, mail is temporarily refused with `451
    /// 4.3.0`, or waits in the queue.
    RewriteTable {
        /// Its name in the log and in `postern explain`.
        name: String = Line(64), required "\"masquerade\"";
        /// When: `in`, as mail is accepted; or `out`, as it leaves for another server by SMTP (Postfix's `smtp_generic_maps`), at
        /// every attempt.
        at: When = OneOf::<When>::new(), default "\"in\"";
        /// Which addresses: those of `MAIL FROM` and `RCPT TO`, and those in fields that say who sends (`From`, `Sender`, `Reply-To`, and so
        /// on) or who receives (`To`, `Cc`, and so on).
        classes: Vec<At<Class>> = List(OneOf::<Class>::new()), required "[\"envelope_sender\", \"header_sender\"]";
        /// Whose mail: `"inside"`, which is `"local"` (programs on this machine, and connections from its own addresses),
        /// `"logins"` (authenticated clients) and `"relay"` (clients that may relay by network or certificate) together;
        /// networks; or `"all"`. With `at = "out"` there are no clients: it applies to all mail.
        clients: Vec<At<String>> = List(Line(64)), optional "[\"local\", \"10.8.0.0/24\"]" else "`[\"inside\"]`";
        /// Names of listeners whose mail it applies to.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"submission\"]" else "all";
        /// Domains whose addresses it applies to. Tables may be used as in `local_domains`.
        domains: Vec<At<String>> = List(DomainOrTable), optional "[\"gate.example.org\", \"*.example.org\"]" else "all";
        /// Addresses that are not changed, in the forms of `sender` in [[access]]: `"root@"` for a name in any domain (sendmail's
        /// EXPOSED_USER, Postfix's `masquerade_exceptions`), `"@pc.example.org"`, `".lab.example.org"`.
        exceptions: Vec<At<String>> = List(Line(320)), default "[]";
        /// Tables with addresses and their replacements: `user@domain`, `@domain` for the same user there, or `user`, which gets
        /// `origin`.
        table: Vec<At<Reference>> = OneOrList(TableReference), optional "\"hash:/etc/postfix/canonical\"" else "another way is named";
        /// The format of keys in `table`: `postfix` as in canonical(5) and generic(5): `user+detail@domain`, `user@domain`,
        /// `user` of local domains, `@domain`; `sendmail` as in genericstable, with `%1`.
        form: RewriteForm = OneOf::<RewriteForm>::new(), optional "\"postfix\"" else "`sendmail` for tables of sendmail's form, `postfix` for others";
        /// Whether a detail that the key does not have is kept (`ann+shop@` becomes `ann.keller+shop@`).
        keep_detail: bool = Switch, optional "false" else "`true` at `in`, `false` at `out`, as with Postfix";
        /// Whether the result is looked up again, until nothing is found, at most ten times.
        repeat: bool = Switch, optional "false" else "`true` at `in` for the form `postfix`, else `false`";
        /// Domains below which host names are removed, as with Postfix's `masquerade_domains`: `ann@pc.example.org` becomes
        /// `ann@example.org`. A domain with a leading `!` is not changed. The first that contains an address, or its parent,
        /// decides.
        masquerade_domains: Vec<At<String>> = List(Line(256)), optional "[\"!lab.example.org\", \"example.org\"]" else "another way is named";
        /// The domain that all addresses in `domains` get, as with sendmail's MASQUERADE_AS.
        masquerade_as: String = HostName, optional "\"example.org\"" else "another way is named";
        /// The domain of names without one in header fields. Those in the envelope get `origin`, see `bare_addresses` in [[listener]].
        append_origin: String = HostName, optional "\"example.org\"" else "names without a domain stay";
        /// What is appended to domains without a dot, as with Postfix's `append_dot_mydomain`: `ann@pc` becomes
        /// `ann@pc.example.org`.
        append_domain: String = HostName, optional "\"example.org\"" else "domains without a dot stay";
        /// Whether header fields of signed mail are also rewritten, which may break its signatures. Otherwise, mail with a DKIM
        /// or ARC signature keeps its header, unless it comes from inside.
        signed: bool = Switch, default "false";
    }
}

table! {
    /// Header and body checks, as Postfix's `header_checks`: what happens to a field, or to its message, depending on its
    /// content. They are applied in order; the first that matches a field decides. Patterns that would take more than linear time
    /// are mistakes.
    ///
    /// They are applied when mail is accepted, before it is rewritten and before mail filters see it, including the fields that
    /// this server adds on top, such as `Received`. Removing something breaks existing signatures that cover it.
    HeaderCheckTable {
        /// Its name in the log.
        name: String = Line(64), required "\"no trackers\"";
        /// When: `in`, as mail is accepted; or `out`, as it leaves for another server by SMTP (Postfix's `smtp_header_checks`),
        /// where fields can be changed but nothing else can be done.
        at: When = OneOf::<When>::new(), default "\"in\"";
        /// Whose mail, as in [[rewrite]].
        clients: Vec<At<String>> = List(Line(64)), optional "[\"logins\"]" else "`[\"all\"]`";
        /// Names of listeners whose mail it applies to.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"submission\"]" else "all";
        /// What is checked: `header`, the message's own header; `mime`, its MIME fields and the headers of all parts; `nested`,
        /// the headers of messages within the message; `body`, the lines of the body, the first 50 KiB of each part. Postfix's
        /// `header_checks` are the first three, unless `mime_header_checks` and `nested_header_checks` are set.
        parts: Vec<At<Part>> = List(OneOf::<Part>::new()), default "[\"header\"]";
        /// A table of patterns in Postfix's format, matched against `Name: value` with its folds. Values are verdicts as in
        /// header_checks(5): `REJECT`, `DISCARD`, `HOLD`, `IGNORE`, `STRIP`, `REPLACE`, `PREPEND`, `REDIRECT`, `BCC`, `FILTER`,
        /// `WARN`, `INFO`, `DUNNO`.
        table: Reference = TableReference, optional "\"regexp:/etc/postfix/header_checks\"" else "`verdict` says what is done";
        /// Names of fields, in any case; `"*"` for all. Not with `body`.
        fields: Vec<At<String>> = List(Line(80)), optional "[\"User-Agent\", \"X-Mailer\"]" else "`table` has the patterns";
        /// What the value must match, as one line: a Perl regular expression, case-insensitive. With `body`: what the line must
        /// match.
        pattern: String = Line(2_000), optional "\"\\\\[TEST MAIL\\\\]\"" else "any value";
        /// What is done. `remove`, `replace`, `prepend`: the field or line is removed, replaced by another, or preceded by
        /// another. `refuse`, `defer`: the message is refused, permanently or temporarily. `discard`: it is accepted and
        /// discarded. `hold`: it is held in the queue. `redirect`: it goes to another address in place of its recipients. `copy`:
        /// it also goes to another address. `detour`: it goes to `way` for all recipients (Postfix's `FILTER`). `note`: a line in
        /// the log. `keep`: nothing, and no other check is applied to the field.
        verdict: CheckWord = OneOf::<CheckWord>::new(), optional "\"remove\"" else "`table` has the verdicts";
        /// With `replace` and `prepend`: the new field or line. `$1` is the text matched by the first parentheses of `pattern`.
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
    /// Copies of mail for somebody else, as with Postfix's `always_bcc`, `sender_bcc_maps` and `recipient_bcc_maps`. A copy is
    /// one more envelope recipient, once, which is not disclosed: the sender gets no report about it, and the header does not
    /// contain it. Mail returned by the after-queue filter, and this server's reports, are not copied.
    CopyTable {
        /// Its name in the log.
        name: String = Line(64), required "\"archive\"";
        /// Whose mail, as in [[rewrite]].
        clients: Vec<At<String>> = List(Line(64)), optional "[\"inside\"]" else "`[\"all\"]`";
        /// Names of listeners whose mail it applies to.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"submission\"]" else "all";
        /// The recipients of copies.
        to: Vec<At<Mailbox>> = List(Address), optional "[\"archive@example.org\"]" else "`table` says it";
        /// Only mail from these senders, in the forms of `sender` in [[access]].
        senders: Vec<At<String>> = List(Line(320)), optional "[\"@example.org\"]" else "any";
        /// Only mail to these recipients, as given by the client, before aliases.
        recipients: Vec<At<String>> = List(Line(320)), optional "[\"office@example.org\"]" else "any";
        /// Tables with the recipients of copies, with keys as in canonical(5). Several addresses are separated by commas.
        table: Vec<At<Reference>> = OneOrList(TableReference), optional "\"hash:/etc/postfix/sender_bcc\"" else "`to` says it";
        /// What is looked up in `table`.
        look_up: CopyOfWord = OneOf::<CopyOfWord>::new(), optional "\"sender\"" else "needed with `table`";
    }
}

/// The format of keys in rewriting tables.
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

/// What is looked up in a table of copies.
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
