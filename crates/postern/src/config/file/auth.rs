//! `[auth]`.

use std::time::Duration;

use ipnet::IpNet;
use jiff::civil::Date;
use postern_receive::Plaintext;
use postern_sasl::Mechanism;

use super::provider::ProviderTable;
use super::words::{Fingerprint, HostName, MechanismName};
use crate::config::kinds::{Choice, Count, Day, Line, List, Network, OneOf, Sections, Switch, Time};
use crate::config::read::{At, table};

table! {
    /// Authentication of clients, and what happens to those who guess passwords.
    ///
    /// Failures are counted for each pair of network and user name, for each network, and for each user name over all networks from
    /// which it has not authenticated in the last 30 days. Nobody can lock users out from their usual networks. `postern auth lockouts`
    /// lists who is locked out, `postern auth unlock` ends a lockout; a restart does not.
    Auth {
        /// SASL mechanisms, in the order in which they are offered: PLAIN, LOGIN, CRAM-MD5, DIGEST-MD5, SCRAM-SHA-1, SCRAM-SHA-256,
        /// SCRAM-SHA-512, each SCRAM with `-PLUS` too, GSSAPI, NTLM, EXTERNAL, OAUTHBEARER, XOAUTH2. CRAM-MD5, DIGEST-MD5, NTLM and
        /// SCRAM need a key of the user, which own users get when their password is set, or when they next authenticate with PLAIN or LOGIN; for LDAP and SQL see `keys` there.
        mechanisms: Vec<At<Mechanism>> = List(MechanismName), default "[\"PLAIN\", \"LOGIN\"]";
        /// Where mechanisms that show the password to an eavesdropper are offered: inside TLS only (sendmail's
        /// AuthOptions `p`), or always, which is meant for networks on which nobody can eavesdrop.
        plaintext: Plaintext = OneOf::<Plaintext>::new(), default "\"tls-only\"";
        /// Least bits that protect a session, by TLS or by a mechanism's security layer. A mechanism that cannot reach them
        /// is not offered; an attempt without them is told `534 5.7.9`. With CRAM-MD5, DIGEST-MD5, NTLM and SCRAM an
        /// eavesdropper can try passwords offline: without this key they are offered inside TLS of at least 128 bits only, and
        /// everywhere if `plaintext` is `"always"`; `0` offers them outside TLS too, as old devices need it.
        least_bits: u64 = Count(0..=256), optional "128" else "those of TLS for mechanisms with a guessable proof, none for the others";
        /// Security layers that DIGEST-MD5 and GSSAPI may agree on outside TLS: `"auth-int"` shows changes (1 bit), `"auth-conf"`
        /// encrypts (DIGEST-MD5: 128 bits with RC4, 112 with triple DES, both weak beside TLS; GSSAPI: the bits of the ticket's
        /// key, 256 with AES-256).
        layers: Vec<At<LayerWord>> = List(OneOf::<LayerWord>::new()), default "[]";
        /// Whether mechanisms that end in `-PLUS` are offered under TLS 1.2 too. Most clients bind there by `tls-unique`, which
        /// Postern does not have, and fail.
        channel_binding_in_tls12: bool = Switch, default "false";
        /// Whether NTLM is refused if the client says that it has seen another TLS session, so that nobody in between can relay a
        /// login. Most clients say nothing and are accepted. Those of .NET bind by `tls-unique` under TLS 1.2, which cannot be
        /// checked here: `false` is for them.
        ntlm_channel_binding: bool = Switch, default "true";
        /// The realm of DIGEST-MD5. Stored keys are bound to it: after a change, users have to authenticate with PLAIN once before DIGEST-MD5 works again.
        realm: String = Line(255), optional "\"example.org\"" else "`hostname`";
        /// The domain of user names without one, with any mechanism: `ann` is then looked up as `ann@example.org`, and so
        /// counted, logged and compared with sender addresses. Accounts without a domain are no longer found by their names:
        /// `{local}` in filters and queries is the part before the `@`.
        default_domain: String = HostName, optional "\"example.org\"" else "user names stay as they are";
        /// Further names by which clients call this server in DIGEST-MD5 and NTLM, besides `hostname` and the names of its
        /// certificates. `"*"` accepts any name, and with it authentication that another server relays.
        service_names: Vec<At<String>> = List(Line(255)), default "[]";
        /// Iterations of new SCRAM keys. Authentication costs the client this many, and the server none.
        scram_iterations: u64 = Count(4_096..=1_000_000), default "16384";
        /// Conditions on single mechanisms.
        mechanism: Vec<At<MechanismTable>> = Sections::<MechanismTable>::new(), default "[]";
        /// Which user a client certificate belongs to, for EXTERNAL. The first match counts; certificates must be verified
        /// against `client_ca`, and the user name must be known to the own users, LDAP or SQL.
        certificate: Vec<At<CertificateLoginTable>> = Sections::<CertificateLoginTable>::new(), default "[]";
        /// How long a directory may go unused before its health is checked; `"0"` for never. One that is down is checked in any case,
        /// after 5 s at first and once a minute in the end.
        directory_check: Duration = Time("0", "1d"), default "\"1m\"";
        /// How often LDAP and SQL are asked, before a message, whether the user of an open session may still log in; a directory that is
        /// down ends no session. Own users are checked whenever their file has changed. Dovecot, PAM and saslauthd cannot be asked
        /// without a password: `login_lifetime` limits their sessions.
        recheck: Duration = Time("0", "1d"), default "\"1m\"";
        /// How long authentication is valid. The session then ends with 421 before the next message, and the client authenticates again;
        /// `"0"` for as long as the session. A token, a certificate and an app password may end it earlier.
        login_lifetime: Duration = Time("0", "365d"), default "\"1d\"";
        /// Providers of bearer tokens, for OAUTHBEARER and XOAUTH2. Clients are told the address and scope of the first.
        provider: Vec<At<ProviderTable>> = Sections::<ProviderTable>::new(), default "[]";
        /// Failures of a pair without a delay, since people mistype.
        free_failures: u64 = Count(0..=1_000), default "2";
        /// The delay after the next failure; it doubles with each further one.
        first_delay: Duration = Time("0", "1m"), default "\"1s\"";
        /// The longest delay.
        longest_delay: Duration = Time("0", "5m"), default "\"15s\"";
        /// Failures of a pair within `window` before it is locked out for `lockout_time`. An exchange that the client cancels after the
        /// challenge counts half.
        failures_until_lockout: u64 = Count(1..=100_000), default "10";
        /// How long a failure counts.
        window: Duration = Time("1s", "7d"), default "\"15m\"";
        /// How long a pair or a network is locked out. Its attempts are then told `454 4.7.0`, and the password is not checked. Each
        /// further lockout is twice as long, except for pairs that have succeeded in the last 30 days.
        lockout_time: Duration = Time("1s", "7d"), default "\"15m\"";
        /// The longest lockout.
        longest_lockout: Duration = Time("1s", "30d"), default "\"4h\"";
        /// Failures of one network, over all user names, from which attempts from there are checked one at a time and ever more slowly.
        /// User names that have succeeded from there are exempt, as from its lockout.
        network_failures: u64 = Count(1..=1_000_000), default "30";
        /// Failures of one network before it is locked out. An attempt that is refused because others are ahead of it counts half.
        network_failures_until_lockout: u64 = Count(1..=1_000_000), optional "100" else "100, or `network_failures` where that is more";
        /// Failures of one user name, over all networks from which it has not succeeded, from which its attempts from such networks are
        /// checked one at a time.
        login_failures: u64 = Count(1..=1_000_000), default "100";
        /// Pairs, and likewise networks, logins and pairs that have succeeded, that are remembered. Each costs about 150 octets.
        remembered: u64 = Count(100..=10_000_000), default "100000";
    }
}

table! {
    /// Conditions on one mechanism: if one of them is not met, it is not offered. `postern auth report` shows who still
    /// uses it.
    MechanismTable {
        /// The mechanism.
        name: Mechanism = MechanismName, required "\"NTLM\"";
        /// The last day on which it is offered, in UTC.
        until: Date = Day, optional "2027-03-31" else "no end";
        /// The networks to which it is offered.
        networks: Vec<At<IpNet>> = List(Network), default "[]";
        /// Whether it is offered inside TLS only.
        tls: TlsWord = OneOf::<TlsWord>::new(), default "\"optional\"";
    }
}

table! {
    /// Which user a kind of certificate belongs to. All given keys must match.
    CertificateLoginTable {
        /// The user name; `"{email}"` stands for the mail address in the certificate.
        login: String = Line(255), required "\"acaird\"";
        /// The mail address that the certificate names (`rfc822Name`): one, or `"*@example.org"` for all of a domain.
        email: String = Line(320), optional "\"*@example.org\"" else "any";
        /// The distinguished name of the issuer.
        issuer: String = Line(1_024), optional "\"CN=Example CA,O=Example\"" else "any that `client_ca` verifies";
        /// The distinguished name of the subject.
        subject: String = Line(1_024), optional "\"CN=laptop.example.org\"" else "any";
        /// SHA-256 of the certificate in hexadecimal digits; `postern cert show` prints it.
        fingerprint: String = Fingerprint, optional "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"" else "any";
    }
}

/// A security layer of DIGEST-MD5 or GSSAPI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LayerWord {
    Integrity,
    Confidentiality,
}

/// Whether a mechanism wants TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TlsWord {
    Optional,
    Required,
}

impl Choice for Plaintext {
    const WORDS: &'static [(&'static str, Self)] = &[("tls-only", Self::TlsOnly), ("always", Self::Always)];
}

impl Choice for LayerWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auth-int", Self::Integrity),
        ("auth-conf", Self::Confidentiality),
    ];
}

impl Choice for TlsWord {
    const WORDS: &'static [(&'static str, Self)] =
        &[("optional", Self::Optional), ("required", Self::Required)];
}
