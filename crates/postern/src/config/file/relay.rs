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
        /// Mechanisms whose users may relay, and whose `AUTH=` parameter of `MAIL` is honoured (sendmail's TRUST_AUTH_MECH).
        /// Users of other mechanisms can authenticate, but reach only `local_domains` and `relay_domains`. An empty list means
        /// all.
        login_mechanisms: Vec<At<Mechanism>> = List(MechanismName), default "[]";
        /// Minimum bits that protect a session, by TLS or a mechanism's layer, for its user to relay.
        login_least_bits: u64 = Count(0..=256), default "0";
        /// Networks that may relay without authentication.
        networks: Vec<At<IpNet>> = List(Network), default "[]";
        /// Whether mail is delivered to address literals, such as `user@[192.0.2.1]`, for clients that may relay; others never
        /// reach them. If off, the reply to `RCPT` is `550 5.1.2`, and a queued message for one bounces. A literal with the
        /// address to which the client is connected counts as this server's own domain either way (RFC 5321 section 4.1.3).
        address_literals: bool = Switch, default "false";
        /// Client certificates that may relay. They must be verified against `client_ca`.
        certificate: Vec<At<CertificateTable>> = Sections::<CertificateTable>::new(), default "[]";
        /// Which sender addresses users may use: any, or only their own, as [identity] defines them. `own` checks the sender of
        /// the envelope (`553 5.7.1`), and in the message at `From`, `Sender`, `Resent-From` and `Resent-Sender` (`550 5.7.1`).
        senders: SenderRule = OneOf::<SenderRule>::new(), default "\"any\"";
        /// Which sender addresses a client that relays by `networks` or `certificate` may use, if `senders` is `"own"`: those in
        /// `local_domains`, `relay_domains` and domains below them, or any. Its mail for `local_domains` and `relay_domains` is
        /// not checked, since it may pass on other people's mail there. Checks the same fields as `senders`.
        machine_senders: MachineRule = OneOf::<MachineRule>::new(), default "\"domains\"";
        /// Whether trace fields omit the address, name and user name of an authenticated client.
        hide_submitter: bool = Switch, default "false";
        /// Whether the trace field names the user.
        show_login: bool = Switch, default "false";
    }
}

table! {
    /// All given keys must match, and at least one must be given.
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
