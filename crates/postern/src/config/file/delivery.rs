//! `[retry]` and `[delivery]`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use postern_mail::Mailbox;
use postern_policy::route::{Family, Hop};
use postern_smtp::client::needs::EightBit;

use super::tls::ClientTlsTable;
use super::words::{Address, HostName, NextHop, SourceAddress};
use crate::config::kinds::{
    Choice, Count, FilePath, Line, List, Network, Number, OneOf, Section, Size, Switch, Time,
};
use crate::config::read::{At, table};

table! {
    /// When to try again, when to warn and when to give up, for mail that could not be delivered yet.
    Retry {
        /// The wait after the first, second, … failed attempt; the last one is repeated. Each varies by up to
        /// a tenth, so that messages that failed together are not retried together.
        intervals: Vec<At<Duration>> = List(Time("1s", "7d")), default "[\"5m\", \"10m\", \"20m\", \"30m\", \"1h\", \"2h\", \"4h\"]";
        /// When to give up and send a bounce, counted from the arrival. RFC 5321 section 4.5.4.1 asks for 4 to 5 days.
        expire_after: Duration = Time("1s", "60d"), default "\"5d\"";
        /// When to tell the sender of a delay, counted from the arrival. `"0"` for never.
        warn_after: Duration = Time("0", "60d"), default "\"4h\"";
    }
}

table! {
    /// How mail leaves.
    Delivery {
        /// Concurrency limit of one next hop: connections at once. A new destination starts with two and gets one more with every message
        /// that it accepts.
        connections_per_destination: u64 = Count(1..=10_000), default "20";
        /// Connections in total, not counting local delivery. Each costs a socket and about 20 KiB. Half are reserved for users' mail, a
        /// fifth for strangers', a tenth for reports; hosts that have not taken mail recently can have half of each share. Of fewer
        /// than four, none are reserved.
        connections: u64 = Count(1..=100_000), default "1000";
        /// Messages a second to one next hop.
        rate_per_destination: f64 = Number(0.001..=1_000_000.0), optional "10.0" else "no limit";
        /// Recipients in one transaction. Every server takes 100 (RFC 5321 section 4.5.3.1.8).
        recipients_per_transaction: u64 = Count(1..=10_000), default "100";
        /// Messages sent over one connection before a new one is opened.
        messages_per_connection: u64 = Count(1..=1_000_000), default "1000";
        /// Deliveries on one connection whose outcome is not on disk yet. A crash repeats at most this many for each
        /// connection; more of them hide the time that a sync takes.
        unsettled_per_connection: u64 = Count(1..=100), default "4";
        /// Messages of one next hop and one kind of mail (users', strangers', reports) held in memory; the rest wait on disk.
        waiting_per_destination: u64 = Count(1..=1_000_000), default "1000";
        /// Deferred messages held in memory in all, without their bodies, kept for kinds of mail as connections are. Fresh ones are
        /// bounded by `[spool]`.
        waiting: u64 = Count(1..=10_000_000), default "20000";
        /// Hosts and addresses tried in one attempt.
        addresses_per_attempt: u64 = Count(1..=100), default "10";
        /// The addresses of this host from which mail is sent: one for IPv4, one for IPv6, or both. A [[route]] may say otherwise.
        source_address: Vec<At<IpAddr>> = List(SourceAddress), default "[]";
        /// The name given in `EHLO`.
        helo_name: String = HostName, optional "\"out.example.org\"" else "the host name";
        /// Which addresses of hosts are tried: all in DNS order, only IPv4 or IPv6, or one of them first.
        ip: Family = OneOf::<Family>::new(), default "\"any\"";
        /// An after-queue filter, such as amavis: all mail is sent to it by SMTP first, and comes back through a listener with
        /// `filtered = true`. Reports of this server do not pass it. `"lmtp:host:port"` speaks LMTP to it.
        filter: String = Line(300), optional "\"127.0.0.1:10024\"" else "mail goes its way at once";
        /// Dead-host back-off: the longest pause after no host of a destination could be reached.
        dead_pause: Duration = Time("1s", "1d"), default "\"10m\"";
        /// The port of hosts in MX records. Change it only in a lab.
        mx_port: u64 = Count(1..=65_535), default "25";
        /// Networks that mail may reach by MX records and address literals although they are of loopback, of the link, or of this
        /// host itself: `["127.0.0.0/8"]` in a laboratory. Otherwise a domain whose mail hosts have no other address bounces with
        /// `5.4.6` or `5.4.4`, since whoever writes its DNS could talk to services that are meant for this host alone. Hosts in
        /// `via` and `lmtp` may have any address.
        mx_networks: Vec<At<IpNet>> = List(Network), default "[]";
        /// Whether `BDAT` is used with hosts that offer `CHUNKING` (RFC 3030).
        chunking: bool = Switch, default "true";
        /// What happens to a message with 8-bit content if the host does not offer `8BITMIME`. `convert` encodes it part by part
        /// as quoted-printable or base64 (RFC 6152 section 3, RFC 2045); what cannot be encoded bounces with `5.6.3` and the
        /// reason: 8-bit octets in header fields, in signed parts, and in parts that say they are encoded already. `bounce` lets
        /// all of it bounce, for a site whose messages carry signatures of others that must arrive whole: those over 8-bit
        /// content do not hold any more once it is converted, and `converted` in the log counts them as `broken`. `send` sends it
        /// as it is, which nearly every host takes. `convert` also encodes binary content for a host without `BINARYMIME`.
        eight_bit: EightBit = OneOf::<EightBit>::new(), default "\"convert\"";
        /// Further names of this server. MX records that point to one of them, or to `hostname`, are not followed.
        own_names: Vec<At<String>> = List(HostName), default "[]";
        /// Where the Maildir of a recipient in `local_domains` is. `{local}` and `{domain}` stand for the parts of the address,
        /// in lower case, with characters that are special in a path written as `%XX`. A detail after `tag_separator` is left
        /// out.
        maildir: PathBuf = FilePath, optional "\"/var/mail/{domain}/{local}\"" else "`mail/{local}` in `state_dir`; `mail/{domain}/{local}` where `local_domains` has more than one";
        /// Hosts that get mail routed by MX records if its hosts cannot be found, or all of them fail temporarily: Postfix's
        /// `smtp_fallback_relay`. The route's TLS settings apply to them, too. Mail for a domain with a null MX bounces as
        /// before.
        fallback: Vec<At<Hop>> = List(NextHop), default "[]";
        /// Hosts that accept mail for `local_domains` by LMTP, tried in order, instead of Maildirs.
        lmtp: Vec<At<Hop>> = List(NextHop), default "[]";
        /// The `[[pipe]]` that receives mail for `local_domains`, instead of Maildirs.
        pipe: String = Line(64), optional "\"dovecot\"" else "no program";
        /// Whether mail for `local_domains` goes to the users of this machine, as [system_users] says, instead of Maildirs of the server's own.
        system_users: bool = Switch, default "false";
        /// The largest message returned whole in a bounce, where that was asked for; of a larger one only the header is returned.
        return_size: u64 = Size("0", "100 MiB"), default "\"50 KiB\"";
        /// Who is notified of a bounce that cannot be delivered itself.
        double_bounce_to: Mailbox = Address, optional "\"postmaster@example.org\"" else "nobody; it is recorded in the log and the history";
        /// How long to wait for a next hop.
        timeouts: DeliveryTimeouts = Section::<DeliveryTimeouts>::new(), default "{}";
        /// TLS to next hops.
        tls: ClientTlsTable = Section::<ClientTlsTable>::new(), default "{}";
    }
}

table! {
    /// How long to wait for a next hop (RFC 5321 section 4.5.3.2). Shorter ones than the RFC's give up on slow but honest hosts.
    DeliveryTimeouts {
        /// For the connection to one address.
        connect: Duration = Time("100ms", "10m"), default "\"30s\"";
        /// For the greeting.
        greeting: Duration = Time("1s", "1h"), default "\"5m\"";
        /// For the answer to `EHLO`, `LHLO` or `STARTTLS`.
        hello: Duration = Time("1s", "1h"), default "\"5m\"";
        /// For the TLS handshake.
        tls: Duration = Time("1s", "1h"), default "\"1m\"";
        /// For each answer during authentication.
        login: Duration = Time("1s", "1h"), default "\"5m\"";
        /// For the answer to `MAIL`.
        mail: Duration = Time("1s", "1h"), default "\"5m\"";
        /// For the answer to each `RCPT`.
        recipient: Duration = Time("1s", "1h"), default "\"5m\"";
        /// For `354` after `DATA`.
        data: Duration = Time("1s", "1h"), default "\"2m\"";
        /// For the host to take one block of the body.
        block: Duration = Time("1s", "1h"), default "\"3m\"";
        /// For the answer to the final dot or last chunk. A short one causes duplicates.
        end_of_data: Duration = Time("1s", "2h"), default "\"10m\"";
        /// For the answer to `QUIT`.
        quit: Duration = Time("100ms", "10m"), default "\"5s\"";
        /// How long a connection without work is kept for the next message.
        idle: Duration = Time("0", "10m"), default "\"5s\"";
        /// For finding the addresses of one name.
        resolve: Duration = Time("1s", "10m"), default "\"30s\"";
        /// For a host that has not taken mail recently to be ready for mail, and for each answer after that except the one to the end of
        /// the data, while others wait for its connection. Greetings that keep clients waiting take 5 or 6 seconds.
        crowded: Duration = Time("1s", "10m"), default "\"8s\"";
    }
}

impl Choice for EightBit {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("convert", Self::Convert),
        ("bounce", Self::Bounce),
        ("send", Self::SendAnyway),
    ];
}
