//! `[[pipe]]`.

use postern_mda::{Field, Part};

use crate::config::kinds::{Choice, Line, List, OneOf, Size};
use crate::config::read::{At, table};

table! {
    /// A program that receives all mail of a route, as with Postfix's pipe(8): a list manager, a filter that returns mail through
    /// `sendmail`, a delivery agent for virtual mailboxes. `postern mailbox-helper` runs it, once for each recipient, without a
    /// shell and with the rights of `user`; after a change of this table `systemctl reload postern-mailbox`. The message is on
    /// standard input. `timeout` in [system_users] is its longest run. Exit code 0 is success; 67 and 68 mean that there is no
    /// such user, 65, 69, 76 and 77 that it refuses the message: it bounces. After any other code, a signal, or a timeout, the
    /// message is tried again.
    PipeTable {
        /// The name, for `pipe` in [[route]] and [delivery], and for `pipe:name` in tables of routes.
        name: String = Line(64), required "\"mailman\"";
        /// The program, with its absolute path, and its arguments. Words may contain `{recipient}`, `{user}` and `{detail}` (the
        /// name and the part after `tag_separator`), its `{local}` and `{domain}`, `{original}` (the recipient as the sender
        /// wrote it), `{sender}` (`MAILER-DAEMON` for reports), `{next_hop}` (the part after `pipe:name:` in a table, or the
        /// domain), `{queue}`, `{size}`, `{home}` and `{hostname}`. What strangers wrote always remains one word, which never
        /// begins with `-`.
        command: Vec<At<String>> = List(Line(1000)), required "[\"/usr/lib/mailman/bin/postfix-to-mailman.py\", \"{domain}\", \"{user}\"]";
        /// The user it runs as. Never root.
        user: String = Line(64), required "\"list\"";
        /// A group, in place of all groups of the user.
        group: String = Line(64), optional "\"list\"" else "those of the user";
        /// What is added before the message: the line `From `, `Return-Path`, `X-Original-To`, `Delivered-To`. Postfix's flags
        /// are `F`, `R`, `O` and `D`.
        add: Vec<At<Field>> = List(OneOf::<Field>::new()), default "[]";
        /// What is passed in lower case: `local`, the part of the recipient before the `@` (Postfix's flag `u`), and `domain`,
        /// the part behind it and the next hop (`h`). Fields added before the message contain the address unchanged.
        lowercase: Vec<At<Part>> = List(OneOf::<Part>::new()), default "[]";
        /// The largest message that it accepts; a larger one bounces.
        size_limit: u64 = Size("1 KiB", "1 TiB"), optional "\"10 MiB\"" else "any";
    }
}

impl Choice for Part {
    const WORDS: &'static [(&'static str, Self)] = &[("local", Self::Local), ("domain", Self::Domain)];
}

impl Choice for Field {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("from", Self::From),
        ("return-path", Self::ReturnPath),
        ("original-to", Self::OriginalTo),
        ("delivered-to", Self::DeliveredTo),
    ];
}
