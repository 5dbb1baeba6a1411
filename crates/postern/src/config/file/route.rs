//! `[[route]]`.

use std::path::PathBuf;

use postern_policy::route::{Hop, Protocol, TlsLevel};

use super::words::{DomainPattern, NextHop};
use crate::config::kinds::{Choice, FilePath, List, OneOf, Switch};
use crate::config::read::{At, table};

table! {
    /// Where mail goes, by the domain of the recipient.
    RouteTable {
        /// Recipient domains; `"*.example.org"` stands for all names below it, `"*"` for all.
        domains: Vec<At<String>> = List(DomainPattern), required "[\"*\"]";
        /// The hosts, tried in order. A name is looked up without MX records; `unix:/path` is a socket, for LMTP. The port
        /// is 25 unless given.
        via: Vec<At<Hop>> = List(NextHop), optional "[\"smarthost.example.org:25\"]" else "`to` says where";
        /// Where to without `via`: to the hosts of the MX records, or into Maildirs.
        to: RouteTo = OneOf::<RouteTo>::new(), optional "\"mx\"" else "the hosts of `via`";
        /// The protocol of the hosts in `via`.
        protocol: Protocol = OneOf::<Protocol>::new(), default "\"smtp\"";
        /// Whether TLS is used: never, where offered, or always; then mail waits until it is there.
        tls: TlsLevel = OneOf::<TlsLevel>::new(), default "\"opportunistic\"";
        /// Whether the host's certificate must be valid for the name that stands in `via`, or that the MX record gives. Mail waits
        /// while it is not. Needs `tls = "required"`; `false` keeps eavesdroppers out, but takes anyone for the host.
        verify: bool = Switch, optional "false" else "`true` where `tls = \"required\"`";
        /// The pattern of the Maildirs for `to = "maildir"`; see `maildir` in `[delivery]`.
        maildir: PathBuf = FilePath, optional "\"/var/mail/{domain}/{local}\"" else "that of `[delivery]`";
    }
}

impl RouteTable {
    /// Whether certificates are verified on this route.
    pub(crate) fn verifies(&self) -> bool {
        self.verify
            .as_ref()
            .map_or(*self.tls == TlsLevel::Required, |verify| verify.value)
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
    ];
}
