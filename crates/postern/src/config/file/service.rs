//! `[spool]`, `[log]`, `[history]`, `[statistics]`, `[digest]`, `[dns]` and `[shutdown]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use postern_net::resolver::Dnssec;
use tracing::Level;

use crate::config::kinds::{Choice, Count, FilePath, Line, List, OneOf, Size, Socket, Switch, Time};
use crate::config::read::{At, table};
use crate::log::Format;

table! {
    /// The queue on disk. Changes need a restart.
    SpoolTable {
        /// The longest time that an outcome waits for a new message to share a sync with. A longer time saves syncs on a server
        /// with little mail, and a crash then repeats more deliveries.
        outcome_wait: Duration = Time("0", "1s"), default "\"5ms\"";
        /// How long the outcomes of finished messages are kept. Costs about 150 octets per recipient.
        history: Duration = Time("0", "365d"), default "\"3d\"";
        /// Most outcomes that are kept, whatever their age; the oldest go first.
        history_max: u64 = Count(1_000..=1_000_000_000), default "5000000";
        /// The largest body that is kept in memory while it arrives and then in the database; a larger one gets a file of its own.
        inline: u64 = Size("4 KiB", "1 MiB"), default "\"64 KiB\"";
        /// Most fresh messages in memory between acceptance and delivery; further ones are read back from disk. Half are kept
        /// for users' mail, a fifth for strangers', a tenth for reports.
        fresh: u64 = Count(1..=1_000_000), default "10000";
        /// Most octets of them.
        fresh_bytes: u64 = Size("1 MiB", "16 GiB"), default "\"64 MiB\"";
        /// The size of the write-ahead log at which it is moved into the database. Larger makes that rarer, and a start
        /// after a crash longer.
        log_size: u64 = Size("1 MiB", "1 GiB"), default "\"16 MiB\"";
        /// The size of the write-ahead log at which mail is refused with 452 until it is smaller. It only grows this large while
        /// another program keeps reading the database.
        log_max: u64 = Size("64 MiB", "64 GiB"), default "\"512 MiB\"";
        /// Space reserved on disk in a file, and freed when the disk is full, so that queued mail can still be
        /// delivered. Less than twice `log_size` plus 16 MiB is of no use; `"0"` reserves none.
        reserve: u64 = Size("0", "16 GiB"), default "\"48 MiB\"";
        /// Connections that read while one writes. Each costs up to 2 MiB.
        readers: u64 = Count(1..=64), default "4";
        /// The number of this machine among those of a site. Queue ids carry it: machines with different numbers never give out the
        /// same one.
        node: u64 = Count(0..=255), default "0";
    }
}

table! {
    /// One line for each event, with session id and queue id throughout.
    LogTable {
        /// The format of lines: for people, or JSON.
        format: Format = OneOf::<Format>::new(), default "\"readable\"";
        /// The minimum level that is logged.
        level: Level = OneOf::<Level>::new(), default "\"info\"";
        /// The file to append to. It is opened again at every reload, so that it can be rotated. `"/dev/stdout"` is standard
        /// output, where containers keep their log.
        file: PathBuf = FilePath, optional "\"/var/log/postern/postern.log\"" else "standard error, which systemd hands to the journal";
        /// Average lines per second about refused clients, failed authentication and TLS handshakes; fifty times as many in a
        /// burst, and a tenth of both for one network (`/24`, `/56`). Beyond that they are counted by rule, and one line gives
        /// the number. Successful authentication, accepted mail and its outcomes, and actions of administrators are always
        /// written.
        refusals_per_second: u64 = Count(1..=1_000_000), default "100";
    }
}

table! {
    /// What happened in sessions and to messages: on disk for `postern trace`, and of the last sessions in memory, in more
    /// detail, for `postern explain --session`. Half of either is kept for users and others who may relay, a quarter for
    /// strangers' mail to local recipients, a quarter for everything else that strangers did: so strangers only displace
    /// strangers.
    HistoryTable {
        /// Whether sessions and messages are kept on disk. Actions of administrators always are. Needs a restart.
        enabled: bool = Switch, default "true";
        /// How long they are kept: whole days (UTC), plus the current one.
        keep: Duration = Time("1d", "3650d"), default "\"14d\"";
        /// Most disk space; the oldest go first. A message with its session takes about 650 octets.
        max_size: u64 = Size("16 MiB", "16 TiB"), optional "\"8 GiB\"" else "2 GiB, or a tenth of the disk where that is less";
        /// The folder. One outside `state_dir` must exist, and belong to the user that the server runs as. Needs a restart.
        path: PathBuf = FilePath, optional "\"/srv/postern/history\"" else "`history` in `state_dir`";
        /// Average sessions of strangers recorded per second; fifty times as many in a burst. Beyond that they are only counted.
        strangers_per_second: u64 = Count(1..=1_000_000), default "100";
        /// How long actions of administrators are kept.
        keep_acts: Duration = Time("1d", "36500d"), default "\"365d\"";
        /// Most sessions in memory; `0` remembers none. A restart forgets these.
        sessions: u64 = Count(0..=10_000_000), default "10000";
        /// Most memory for all of them. A session takes up to 32 KiB, of which half is for the outcomes of its mail; most take
        /// less than 1 KiB.
        memory: u64 = Size("64 KiB", "16 GiB"), default "\"8 MiB\"";
    }
}

table! {
    /// Statistics, for `postern stats` and [digest]: how much mail there was by hour, login, listener, and domain of senders and
    /// recipients. Kept across restarts, in UTC like the log.
    StatisticsTable {
        /// How many days are kept.
        days: u64 = Count(1..=400), default "35";
        /// How many of the most frequent names of each kind are distinguished in a day; all others are added up. A name takes
        /// about 150 octets; 0 disables statistics.
        names: u64 = Count(0..=10_000), default "100";
    }
}

table! {
    /// A mail each day with the statistics of the day before, and of waiting mail. Sent from `<>`, through the queue like any
    /// report.
    DigestTable {
        /// Its recipients. Without any, it is not sent.
        to: Vec<At<String>> = List(Line(320)), default "[]";
        /// The hour at which it is sent, in UTC.
        hour: u64 = Count(0..=23), default "5";
        /// How many of the most frequent names of each kind it shows.
        names: u64 = Count(1..=1_000), default "10";
    }
}

table! {
    /// DNS look-ups. A change by reload empties the cache.
    ///
    /// With DNSSEC, the DNS data of a next hop is known to be signed (`secure`), unsigned (`insecure`) or tampered with
    /// (`bogus`); mail to a bogus one waits. `tls = "dane"` in [[route]] needs it.
    Dns {
        /// The servers to ask.
        nameservers: Vec<At<SocketAddr>> = List(Socket), optional "[\"127.0.0.1:53\"]" else "those of /etc/resolv.conf, or 127.0.0.1 where that names none";
        /// The wait for one server's answer.
        attempt_timeout: Duration = Time("100ms", "1m"), default "\"3s\"";
        /// The longest look-up in all.
        timeout: Duration = Time("100ms", "5m"), default "\"15s\"";
        /// Maximum memory of the cache.
        cache: u64 = Size("64 KiB", "4 GiB"), default "\"8 MiB\"";
        /// How far answers are proven by DNSSEC: `off`; `ad`, as far as the name servers say, which is only meaningful if they
        /// validate and are on this host, as unbound with its defaults is; `validate`, by checking every signature here, at the
        /// cost of further queries, and without names below a DNAME record, which count as tampered with.
        dnssec: Dnssec = OneOf::<Dnssec>::new(), default "\"off\"";
        /// A file of trust anchors for `validate`, DNSKEY records as in a zone file, for zones without a chain of trust from the
        /// root. Those of the root are built in; root keys in the file replace them.
        trust_anchors: PathBuf = FilePath, optional "\"/etc/postern/anchors\"" else "those of the root";
    }
}

table! {
    /// How the server stops.
    Shutdown {
        /// How long current transactions and deliveries may continue. Sessions without a transaction end at once with `421`.
        grace: Duration = Time("0", "1h"), default "\"20s\"";
    }
}

impl Choice for Dnssec {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("ad", Self::Ad), ("validate", Self::Validate)];
}

impl Choice for Format {
    const WORDS: &'static [(&'static str, Self)] = &[("readable", Self::Readable), ("json", Self::Json)];
}

impl Choice for Level {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("info", Self::INFO),
        ("error", Self::ERROR),
        ("warning", Self::WARN),
        ("debug", Self::DEBUG),
        ("trace", Self::TRACE),
    ];
}
