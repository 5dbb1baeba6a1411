//! `[[route]]`.

use std::path::PathBuf;

use postern_policy::route::{Hop, Protocol, TlsLevel, UnverifiedLogin};

use super::words::{DomainPattern, LoginPattern, NextHop, SenderPattern};
use crate::config::kinds::{Choice, FilePath, Line, List, OneOf, Switch};
use crate::config::read::{At, table};

table! {
    /// Where mail goes, by the domain of the recipient, and if wanted by user and sender too.
    RouteTable {
        /// Recipient domains; `"*.example.org"` stands for all names below it, `"*"` for all.
        domains: Vec<At<String>> = List(DomainPattern), required "[\"*\"]";
        /// Only mail from these senders, as the envelope has them: an address, `"@example.org"` for all of a domain,
        /// `"@*.example.org"` for all names below it, `"<>"` for bounces and other reports, which no other entry holds.
        senders: Vec<At<String>> = List(SenderPattern), optional "[\"@example.org\"]" else "from anyone";
        /// Only mail that these users have submitted: a user name, `"@example.org"` for all that end in it, `"*"` for all who
        /// have authenticated. A user name was proven; a sender is what the client claims, unless `senders` in [relay] is `"own"`.
        logins: Vec<At<String>> = List(LoginPattern), optional "[\"acaird\"]" else "with any login, or none";
        /// The hosts, tried in order. A name is looked up without MX records; `unix:/path` is a socket, for LMTP. The port
        /// is 25 unless given.
        via: Vec<At<Hop>> = List(NextHop), optional "[\"smarthost.example.org:25\"]" else "`to` says where";
        /// The target without `via`: the hosts of the MX records, or Maildirs.
        to: RouteTo = OneOf::<RouteTo>::new(), optional "\"mx\"" else "the hosts of `via`";
        /// The protocol of the hosts in `via`.
        protocol: Protocol = OneOf::<Protocol>::new(), default "\"smtp\"";
        /// Whether TLS is used: `none`, `opportunistic` where the host offers `STARTTLS`, `required`, or `implicit` from the first
        /// octet, as on port 465. With the last two mail waits until it is there.
        tls: TlsLevel = OneOf::<TlsLevel>::new(), default "\"opportunistic\"";
        /// Whether the host's certificate must be valid for the name that stands in `via`, or that the MX record gives. Mail waits
        /// while it is not. Needs `tls = "required"` or `"implicit"`; `false` keeps eavesdroppers out, but accepts any host.
        verify: bool = Switch, optional "false" else "`true` where TLS is always used";
        /// The `[[login]]` with the credentials for the hosts of `via`. Nothing is sent without authentication: mail waits while the host
        /// does not offer it, or refuses it.
        login: String = Line(64), optional "\"isp\"" else "without a login";
        /// What may be sent to a host whose certificate is not verified: nothing, proofs such as SCRAM's (with which a false host can try
        /// passwords offline), or the password itself. Loopback and Unix sockets are no exception: whoever can listen there
        /// gets it.
        login_to_unverified_host: UnverifiedLogin = OneOf::<UnverifiedLogin>::new(), default "\"refuse\"";
        /// The pattern of the Maildirs for `to = "maildir"`; see `maildir` in `[delivery]`.
        maildir: PathBuf = FilePath, optional "\"/var/mail/{domain}/{local}\"" else "that of `[delivery]`";
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
}

impl Choice for RouteTo {
    const WORDS: &'static [(&'static str, Self)] = &[("mx", Self::Mx), ("maildir", Self::Maildir)];
}

impl Choice for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[("smtp", Self::Smtp), ("lmtp", Self::Lmtp)];
}

impl Choice for TlsLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("opportunistic", Self::Opportunistic),
        ("required", Self::Required),
        ("implicit", Self::Implicit),
    ];
}
