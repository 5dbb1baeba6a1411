//! `[[auth_socket]]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use postern_receive::SocketProtocol;
use postern_sasl::Mechanism;

use super::words::MechanismName;
use crate::config::kinds::{Choice, Count, FileMode, FilePath, Line, List, Network, OneOf, Socket, Switch};
use crate::config::read::{At, table};

table! {
    /// Sockets on which other servers, such as Postfix, Dovecot or Cyrus, authenticate users against these directories.
    ///
    /// Guesses there are slowed and locked out together with those over SMTP, by the client address that the other server gives.
    AuthSocketTable {
        /// Its name in the log.
        name: String = Line(64), optional "\"postfix\"" else "the path or address is the name";
        /// The protocol. `dovecot`: the one that Postfix (`smtpd_sasl_type = dovecot`) and Dovecot's login
        /// processes use for authentication, with all mechanisms. `dovecot-master`: the one by which Dovecot's mail processes then ask
        /// for the user. `saslauthd`: passwords only, for programs built with Cyrus SASL.
        protocol: SocketProtocol = OneOf::<SocketProtocol>::new(), required "\"dovecot\"";
        /// The socket. One that a killed server left behind is replaced. It is created before root privileges are dropped, so at
        /// start it can be in a place where only root can create it; a reload can only create it where `user` can.
        path: PathBuf = FilePath, optional "\"/var/spool/postfix/private/postern\"" else "`address` is needed";
        /// A loopback port instead, for `protocol = "dovecot"`. Anyone who can run programs here can connect to it,
        /// try passwords and claim any client address, which could lock others out: a `path` is better.
        address: SocketAddr = Socket, optional "\"127.0.0.1:12345\"" else "`path` is needed";
        /// Who may connect, as in chmod. Anyone who can connect can try passwords, and claim any client address.
        mode: u64 = FileMode, default "\"0660\"";
        /// The owner of the socket.
        owner: String = Line(32), optional "\"postfix\"" else "the user that Postern runs as";
        /// The group of the socket.
        group: String = Line(32), optional "\"postfix\"" else "the group that Postern runs as";
        /// Mechanisms offered here, in place of those of [auth]. Those that end in `-PLUS` are never offered: the TLS session
        /// ends elsewhere. `saslauthd` stands for PLAIN, which must be among them.
        mechanisms: Vec<At<Mechanism>> = List(MechanismName), optional "[\"PLAIN\", \"SCRAM-SHA-256\"]" else "those of [auth]";
        /// Least bits that protect a session, in place of those of [auth]. The other server's statement counts; 128 bits are assumed if it
        /// says only that TLS is used.
        least_bits: u64 = Count(0..=256), optional "128" else "those of [auth]";
        /// Networks whose clients may authenticate through the other server. Not with `saslauthd`, which gives no addresses.
        networks: Vec<At<IpNet>> = List(Network), default "[]";
        /// Whether the other server is trusted to say which user a client's certificate belongs to, for EXTERNAL.
        trust_certificates: bool = Switch, default "false";
        /// With `saslauthd`: whether the realm, which Cyrus SASL splits off, is appended to the user name again.
        join_realm: bool = Switch, default "true";
        /// With `dovecot-master`: the user that mail processes run as.
        mail_user: String = Line(32), optional "\"vmail\"" else "needed with `dovecot-master`";
        /// With `dovecot-master`: the home folder of each user. `{login}`, `{local}` and `{domain}` are filled in.
        home: String = Line(1_024), optional "\"/var/vmail/{domain}/{local}\"" else "needed with `dovecot-master`";
        /// Most connections at once; further ones wait. Postfix takes one for each of its `smtpd` processes. A change needs a restart.
        connections: u64 = Count(1..=10_000), default "500";
    }
}

impl Choice for SocketProtocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("dovecot", Self::Dovecot),
        ("dovecot-master", Self::DovecotMaster),
        ("saslauthd", Self::Saslauthd),
    ];
}
