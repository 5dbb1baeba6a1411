//! `[[listener]]` and `[extensions]`.

use std::net::SocketAddr;

use ipnet::IpNet;
use postern_receive::{AuthRule, BareAddresses, BareLineEndings, ListenerTls, Plaintext, Role};
use postern_sasl::Mechanism;

use super::words::MechanismName;
use crate::config::kinds::{Choice, Count, Line, List, Network, OneOf, Size, Socket, Switch};
use crate::config::read::{At, table};

table! {
    /// Addresses and ports to listen on, each with its role.
    Listener {
        /// Its name in the log.
        name: String = Line(64), optional "\"submission\"" else "the address is the name";
        /// Where to listen. Ports below 1024 need root or the capability `CAP_NET_BIND_SERVICE`.
        address: SocketAddr = Socket, required "\"0.0.0.0:25\"";
        /// `mx` is for other servers: strangers may reach `local_domains` and `relay_domains`. `submission` is for own
        /// users: nothing is accepted from strangers, and messages are completed (RFC 6409 section 8).
        role: Role = OneOf::<Role>::new(), default "\"mx\"";
        /// Whether clients can (`offer`) or must (`require`) authenticate.
        auth: AuthRule = OneOf::<AuthRule>::new(), optional "\"offer\"" else "`off` for mx, `require` for submission";
        /// Mechanisms offered here, in place of those of [auth].
        mechanisms: Vec<At<Mechanism>> = List(MechanismName), optional "[\"SCRAM-SHA-256-PLUS\", \"SCRAM-SHA-256\"]" else "those of [auth]";
        /// Least bits that protect a session here, in place of those of [auth].
        least_bits: u64 = Count(0..=256), optional "128" else "those of [auth]";
        /// How TLS starts: by `STARTTLS` (RFC 3207), at once (`implicit`, RFC 8314), or not at all.
        tls: ListenerTls = OneOf::<ListenerTls>::new(), optional "\"implicit\"" else "`starttls` where `[tls]` is given, else `off`";
        /// Where plaintext passwords are accepted here, in place of `plaintext` in [auth].
        plaintext: Plaintext = OneOf::<Plaintext>::new(), optional "\"always\"" else "as in [auth]";
        /// Networks that may relay here without authentication, in place of those of [relay].
        networks: Vec<At<IpNet>> = List(Network), optional "[\"192.0.2.0/24\"]" else "those of [relay]";
        /// The class of access rules that is evaluated here in place of the main list; `"off"` for none.
        access: String = Line(64), optional "\"submission\"" else "the main list";
        /// Whether strangers are checked here as [screen] says.
        screen: bool = Switch, default "true";
        /// Maximum message size here, in place of the general one.
        message_size_limit: u64 = Size("64 KiB", "2 GiB"), optional "\"100 MiB\"" else "the general one";
        /// Networks of load balancers whose connections start with a PROXY header, version 1 or 2. From there a connection
        /// without one is refused; from elsewhere the header is not understood.
        proxy_protocol: Vec<At<IpNet>> = List(Network), default "[]";
        /// Whether the after-queue filter (`filter` in `[delivery]`) returns mail here. Such mail has already been checked: it is
        /// delivered as it is, without aliases, access rules, strangers' checks and mail filters, to any domain. Only `networks`
        /// may send it.
        filtered: bool = Switch, default "false";
        /// Whether all mail that comes here is accepted as always, kept in the queue as `sandboxed`, and never delivered: for tests, see
        /// [mail_sandbox].
        sandbox: bool = Switch, default "false";
        /// What happens to an address without a domain in the envelope, such as `<cron>`: it gets `origin` (`complete`), or is
        /// refused (`refuse`). With `recipients`, a recipient is a local user, and gets `hostname`, while a sender is refused, as
        /// with sendmail.
        bare_addresses: BareAddresses = OneOf::<BareAddresses>::new(), optional "\"complete\"" else "`complete` for submission, `refuse` for mx";
        /// What happens to a message with a CR or LF that is not part of a pair: it is refused, or each becomes CRLF. It is never
        /// passed on, since servers disagree on where such a line ends, and mail is smuggled that way.
        bare_newlines: BareLineEndings = OneOf::<BareLineEndings>::new(), default "\"refuse\"";
    }
}

table! {
    /// SMTP extensions that can be disabled, for clients that cannot handle them in the reply to `EHLO`.
    Extensions {
        /// `CHUNKING` (RFC 3030). Without it `BINARYMIME` is not offered either.
        chunking: bool = Switch, default "true";
        /// `BINARYMIME` (RFC 3030).
        binarymime: bool = Switch, default "true";
        /// `SMTPUTF8` (RFC 6531).
        smtputf8: bool = Switch, default "true";
        /// `DSN` (RFC 3461). The privacy flag `noreceipts` switches it off too.
        dsn: bool = Switch, default "true";
    }
}

impl Choice for Role {
    const WORDS: &'static [(&'static str, Self)] = &[("mx", Self::Mx), ("submission", Self::Submission)];
}

impl Choice for AuthRule {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("offer", Self::Offer),
        ("require", Self::Require),
    ];
}

impl Choice for ListenerTls {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("starttls", Self::StartTls),
        ("implicit", Self::Implicit),
    ];
}

impl Choice for BareAddresses {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("complete", Self::Complete),
        ("recipients", Self::Recipients),
        ("refuse", Self::Refuse),
    ];
}

impl Choice for BareLineEndings {
    const WORDS: &'static [(&'static str, Self)] =
        &[("refuse", Self::Refuse), ("normalise", Self::Normalise)];
}
