//! `[relay]`.

use ipnet::IpNet;
use postern_policy::identity::{MachineRule, SenderRule};
use postern_sasl::Mechanism;

use super::words::{Fingerprint, MechanismName};
use crate::config::kinds::{Choice, Count, Line, List, Network, OneOf, Sections, Switch};
use crate::config::read::{At, table};

table! {
    /// No rule matches by omission: clients that are not named here and have not authenticated
    /// reach only `local_domains` and `relay_domains`.
    Relay {
        /// Whether authenticated users may relay.
        logins: bool = Switch, default "true";
        /// Mechanisms whose users may relay, and whose `AUTH=` of `MAIL` is heeded (sendmail's TRUST_AUTH_MECH). Users of others can
        /// authenticate, but reach only `local_domains` and `relay_domains`. An empty list means all.
        login_mechanisms: Vec<At<Mechanism>> = List(MechanismName), default "[]";
        /// Minimum bits that protect a session, by TLS or a mechanism's layer, for its user to relay.
        login_least_bits: u64 = Count(0..=256), default "0";
        /// Networks that may relay without authentication.
        networks: Vec<At<IpNet>> = List(Network), default "[]";
        /// Whether mail goes to address literals, as `user@[192.0.2.1]`, for who may relay; others never reach them. Off, `RCPT` is
        /// answered `550 5.1.2`, and a message for one that is in the queue bounces. A literal of the address that the client is
        /// connected to is taken for this server's own domain either way (RFC 5321 section 4.1.3).
        address_literals: bool = Switch, default "false";
        /// Client certificates that may relay. They must be verified against `client_ca`.
        certificate: Vec<At<CertificateTable>> = Sections::<CertificateTable>::new(), default "[]";
        /// Which sender addresses users may use: any, or only their own, as [identity] defines them. `own` looks at the sender of the
        /// envelope (`553 5.7.1`), and in the message at `From`, `Sender`, `Resent-From` and `Resent-Sender` (`550 5.7.1`).
        senders: SenderRule = OneOf::<SenderRule>::new(), default "\"any\"";
        /// Which sender addresses a client may use that relays by `networks` or `certificate`, where `senders` is `"own"`: those in
        /// `local_domains`, `relay_domains` and domains below them, or any. Its mail for `local_domains` and `relay_domains` is not
        /// looked at, since there it may pass on what others wrote. Looks at the same places as `senders`.
        machine_senders: MachineRule = OneOf::<MachineRule>::new(), default "\"domains\"";
        /// Whether trace fields leave out address, name and user name of an authenticated client.
        hide_submitter: bool = Switch, default "false";
        /// Whether the trace field names the user.
        show_login: bool = Switch, default "false";
    }
}

table! {
    /// All keys that are given have to match, and at least one must be.
    CertificateTable {
        /// The name of the rule in the log.
        name: String = Line(64), required "\"branch office\"";
        /// The distinguished name of the issuer.
        issuer: String = Line(1_024), optional "\"CN=Example CA,O=Example\"" else "any that `client_ca` verifies";
        /// The distinguished name of the subject.
        subject: String = Line(1_024), optional "\"CN=mail.example.org\"" else "any";
        /// SHA-256 of the certificate in hexadecimal digits; `postern cert show` prints it.
        fingerprint: String = Fingerprint, optional "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"" else "any";
    }
}

impl Choice for MachineRule {
    const WORDS: &'static [(&'static str, Self)] = &[("domains", Self::Domains), ("any", Self::Any)];
}

impl Choice for SenderRule {
    const WORDS: &'static [(&'static str, Self)] = &[("any", Self::Any), ("own", Self::Own)];
}
