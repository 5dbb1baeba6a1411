//! `[[route]]`.

use std::net::IpAddr;
use std::path::PathBuf;

use postern_policy::alias::RefusalText;
use postern_policy::route::{EntryForm, Family, Hop, Protocol, TlsLevel, UnverifiedLogin};

use postern_table::Reference;

use super::tables::TableReference;
use super::words::{
    DomainPattern, Fingerprint, HostName, LoginPattern, NextHop, RecipientPattern, RefusalWords,
    SenderPattern, SourceAddress,
};
use crate::config::kinds::{Choice, Count, FilePath, Line, List, Number, OneOf, OneOrList, Switch};
use crate::config::read::{At, table};

table! {
    /// Where mail goes, by recipient or domain, and optionally by user and sender.
    RouteTable {
        /// Recipient domains; `"*.example.org"` stands for all names below it, `"*"` for all.
        domains: Vec<At<String>> = List(DomainPattern), optional "[\"*\"]" else "those of `recipients`";
        /// Recipients: addresses, which take precedence over all domains and also match with a detail that is not written here,
        /// and `"@example.org"` for a whole domain.
        recipients: Vec<At<String>> = List(RecipientPattern), optional "[\"vip@example.org\"]" else "those of `domains`";
        /// Tables of routes, in place of `domains` and `recipients`: `"hash:/etc/postfix/transport"`,
        /// `"sendmail:/etc/mail/mailertable"`. Their left-hand sides are addresses, domains, `.example.org` for all names below
        /// one, and `*` (in a mailertable `.`); their right-hand sides are destinations, such as `smtp:[host]:port`,
        /// `lmtp:unix:/path`, `error:5.1.2 text`. The other settings of this [[route]] apply to all of them. Files are read into
        /// memory. Databases are queried with the same keys, in the order of Postfix's transport(5), patterns with the whole
        /// address; if one cannot be queried, its mail is deferred, and never takes another route.
        table: Vec<At<Reference>> = OneOrList(TableReference), optional "\"hash:/etc/postfix/transport\"" else "`domains` and `recipients` say whose mail";
        /// The format of `table`: Postfix's `transport` or sendmail's `mailertable`.
        form: EntryForm = OneOf::<EntryForm>::new(), optional "\"transport\"" else "`mailertable` for tables of sendmail's form, `transport` for others";
        /// The port of hosts in `table` without one.
        port: u64 = Count(1..=65_535), default "25";
        /// Only mail from these envelope senders: an address, `"@example.org"` for a whole domain, `"@*.example.org"` for all
        /// names below it, `"<>"` for bounces and other reports, which no other entry matches.
        senders: Vec<At<String>> = List(SenderPattern), optional "[\"@example.org\"]" else "from anyone";
        /// Only mail that these users have submitted: a user name, `"@example.org"` for all that end in it, `"*"` for all who
        /// have authenticated. A user name is authenticated; a sender is what the client claims, unless `senders` in [relay] is
        /// `"own"`.
        logins: Vec<At<String>> = List(LoginPattern), optional "[\"acaird\"]" else "with any login, or none";
        /// The hosts, tried in order. A name is looked up without MX records; `mx:name` stands for the hosts of its MX records;
        /// `unix:/path` is a socket, for LMTP. The port is 25 unless given.
        via: Vec<At<Hop>> = List(NextHop), optional "[\"smarthost.example.org:25\"]" else "`to` says where";
        /// The target without `via`: the hosts of the recipient domain's MX records; Maildirs; users of this machine (`"system"`,
        /// see [system_users]); a program (`"pipe"`); where mail for local domains goes; nowhere, as it is refused at `RCPT`;
        /// nowhere, as it is accepted and discarded.
        to: RouteTo = OneOf::<RouteTo>::new(), optional "\"mx\"" else "the hosts of `via`";
        /// The `[[pipe]]` for `to = "pipe"`.
        pipe: String = Line(64), optional "\"mailman\"" else "no program";
        /// The reply for such a recipient, for `to = "refuse"`: code, enhanced code and text.
        refuse: RefusalText = RefusalWords, optional "\"550 5.1.2 This company has closed\"" else "`550 5.7.1 Mail for this address is not taken`";
        /// The protocol of the hosts in `via`.
        protocol: Protocol = OneOf::<Protocol>::new(), default "\"smtp\"";
        /// Whether TLS is used: `none`, `opportunistic` where the host offers `STARTTLS`, `required`, or `implicit` from the
        /// first octet, as on port 465. With the last two, mail waits until TLS is available. `dane` is `opportunistic`, but if
        /// the host has TLSA records validated by DNSSEC, mail waits for a matching certificate; with `dane-only` it also waits
        /// if there are none. Both need `dnssec` in [dns].
        tls: TlsLevel = OneOf::<TlsLevel>::new(), default "\"opportunistic\"";
        /// Whether the host's certificate must be valid for the name in `via`, or in the MX record. Mail waits while it is not.
        /// Needs `tls = "required"` or `"implicit"`; `false` keeps eavesdroppers out, but accepts any host.
        verify: bool = Switch, optional "false" else "`true` where TLS is always used";
        /// Certificates of which the host must show one, by SHA-256 of the certificate or of its public key (in DER), for hosts
        /// whose certificate no authority has issued. Name, dates and issuer are then ignored; mail waits while the host shows
        /// another certificate. `postern probe HOST` and `postern cert show FILE` print them. Add the next one before the host
        /// changes its certificate. Needs `tls = "required"` or `"implicit"`.
        fingerprints: Vec<At<String>> = List(Fingerprint), optional "[\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]" else "any certificate that `verify` allows";
        /// The `[[login]]` with the credentials for the hosts of `via`. Nothing is sent without authentication: mail waits while the host
        /// does not offer it, or refuses it.
        login: String = Line(64), optional "\"isp\"" else "without a login";
        /// What may be sent to a host whose certificate is not verified: nothing, proofs such as SCRAM's (with which a false host
        /// can try passwords offline), or the password itself. Loopback and Unix sockets are no exception: any program that can
        /// listen there gets it.
        login_to_unverified_host: UnverifiedLogin = OneOf::<UnverifiedLogin>::new(), default "\"refuse\"";
        /// The pattern of the Maildirs for `to = "maildir"`; see `maildir` in `[delivery]`.
        maildir: PathBuf = FilePath, optional "\"/var/mail/{domain}/{local}\"" else "that of `[delivery]`";
        /// The addresses of this host from which the mail is sent: one for IPv4, one for IPv6, or both.
        source_address: Vec<At<IpAddr>> = List(SourceAddress), optional "[\"192.0.2.1\"]" else "that of `[delivery]`";
        /// The name given in `EHLO`.
        helo_name: String = HostName, optional "\"out2.example.org\"" else "that of `[delivery]`";
        /// Which addresses of hosts are tried: all in DNS order, only IPv4 or IPv6, or one of them first.
        ip: Family = OneOf::<Family>::new(), optional "\"v4\"" else "that of `[delivery]`";
        /// Concurrency limit of one next hop on this route; a route with limits has connections of its own.
        connections_per_destination: u64 = Count(1..=10_000), optional "2" else "that of `[delivery]`";
        /// Messages sent over one connection on this route.
        messages_per_connection: u64 = Count(1..=1_000_000), optional "20" else "that of `[delivery]`";
        /// Recipients in one transaction on this route.
        recipients_per_transaction: u64 = Count(1..=10_000), optional "1" else "that of `[delivery]`";
        /// Messages a second to one next hop on this route.
        rate_per_destination: f64 = Number(0.001..=1_000_000.0), optional "0.5" else "that of `[delivery]`";
    }
}

impl RouteTable {
    /// Whether certificates are verified on this route.
    pub(crate) fn verifies(&self) -> bool {
        self.verify
            .as_ref()
            .map_or_else(|| self.tls.is_always(), |verify| verify.value)
    }
}

/// Where mail goes that has no `via`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RouteTo {
    /// The hosts of the MX records.
    Mx,
    /// A mailbox on this machine.
    Maildir,
    /// A user of this machine.
    System,
    /// To a program.
    Pipe,
    /// Where mail for local domains goes.
    Local,
    /// Nowhere: it is refused.
    Refuse,
    /// Nowhere: it is thrown away.
    Discard,
}

impl Choice for RouteTo {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mx", Self::Mx),
        ("maildir", Self::Maildir),
        ("system", Self::System),
        ("pipe", Self::Pipe),
        ("local", Self::Local),
        ("refuse", Self::Refuse),
        ("discard", Self::Discard),
    ];
}

impl Choice for Family {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("any", Self::Any),
        ("v4", Self::V4),
        ("v6", Self::V6),
        ("prefer-v4", Self::PreferV4),
        ("prefer-v6", Self::PreferV6),
    ];
}

impl Choice for EntryForm {
    const WORDS: &'static [(&'static str, Self)] =
        &[("transport", Self::Transport), ("mailertable", Self::Mailertable)];
}

impl Choice for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[("smtp", Self::Smtp), ("lmtp", Self::Lmtp)];
}

impl Choice for TlsLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("opportunistic", Self::Opportunistic),
        ("dane", Self::Dane),
        ("dane-only", Self::DaneOnly),
        ("required", Self::Required),
        ("implicit", Self::Implicit),
    ];
}
