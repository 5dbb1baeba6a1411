//! `[[milter]]`.

use std::time::Duration;

use ipnet::IpNet;
use postern_filter::Address as FilterAddress;
use postern_milter::DataSize;
use postern_policy::milter::OnFailure;

use super::words::MilterAddress;
use crate::config::kinds::{Choice, Count, Line, List, Network, OneOf, Section, Size, Switch, Time};
use crate::config::read::{At, table};

table! {
    /// Mail filters with the protocol of sendmail's `libmilter`, such as MIMEDefang, rspamd, opendkim or clamav-milter.
    ///
    /// They are asked while mail arrives, in this order; each sees the changes of earlier ones. `postern milters` asks each what
    /// it wants, and `postern milters try NAME FILE` shows what it does to a message.
    MilterTable {
        /// Its name in the log, in reasons and in commands.
        name: String = Line(64), required "\"rspamd\"";
        /// Its socket, as Postfix or sendmail write it: `unix:/run/x/x.sock` (or the path alone), `inet:localhost:11332`,
        /// `inet:11332@localhost` (or `localhost:11332` alone). Names are looked up when a connection is made.
        address: FilterAddress = MilterAddress, required "\"unix:/run/opendkim/opendkim.sock\"";
        /// The names of the listeners whose sessions it is asked about. A listener without a name is referred to by its address.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"submission\"]" else "all";
        /// Whether mail from clients that have authenticated skips it.
        skip_logins: bool = Switch, default "false";
        /// Whether mail from strangers skips it: from clients that have not authenticated, and may not relay by network or
        /// certificate.
        skip_strangers: bool = Switch, default "false";
        /// Networks whose clients it is not asked about.
        skip_networks: Vec<At<IpNet>> = List(Network), default "[]";
        /// Largest message that it is asked about. Of a larger one that did not say so (`SIZE`) it sees the beginning; then it is
        /// told to forget it.
        skip_above: u64 = Size("1", "2 GiB"), optional "\"10 MiB\"" else "any size";
        /// What happens to a message if the filter cannot be reached, does not answer in time, dies or sends nonsense: it
        /// continues without the filter (`accept`), is refused temporarily (`tempfail`, 451) or permanently (`reject`, 550), or
        /// is accepted and held until an administrator releases it (`hold`). This only affects this message; the next one is
        /// passed to the filter again.
        on_failure: OnFailure = OneOf::<OnFailure>::new(), default "\"tempfail\"";
        /// How long it may take.
        timeouts: MilterTimeouts = Section::<MilterTimeouts>::new(), default "{}";
        /// The newest version of the protocol that is offered to it. A filter that cannot answer an offer of 6 needs a lower one.
        version: u64 = Count(2..=6), default "6";
        /// Most data in one packet to it, if it agrees. A larger value shows it longer header fields whole, but takes that much
        /// memory in each session while a body passes.
        packet: DataSize = OneOf::<DataSize>::new(), default "\"64 KiB\"";
        /// Most that it may change in the header and the recipients of one message. More is a failure.
        changes_max: u64 = Size("1 KiB", "1 GiB"), default "\"4 MiB\"";
        /// Largest replacement body that it may send. More is a failure.
        body_max: u64 = Size("1 KiB", "2 GiB"), default "\"100 MiB\"";
        /// Most idle connections to it kept for the next session; 0 for none. It keeps a thread for each. Filters that do not
        /// support several sessions per connection are detected, and get a connection for each.
        idle_connections: u64 = Count(0..=1_000), default "32";
        /// Most connections to it for sessions of strangers at once; those of one network (a `/24` of IPv4, a `/56` of IPv6) have
        /// at most an eighth, and at least one. If none is free, the filter is only asked from `MAIL` on, which waits for one
        /// (`stranger_wait`); if there is still none, `MAIL` gets 451. Strangers, or those of that network, then have less time
        /// (`stress` in `[timeouts]`). Clients that have authenticated or may relay are not counted.
        stranger_connections: u64 = Count(1..=100_000), default "200";
        /// How long `MAIL` of a stranger waits for one of `stranger_connections`; `"0s"` for not at all. No more can wait at once
        /// than there are connections, and no more from one network than its share; further ones get 451 at once.
        stranger_wait: Duration = Time("0s", "2m"), default "\"10s\"";
        /// How long an idle connection is kept.
        idle_time: Duration = Time("1s", "1h"), default "\"30s\"";
    }
}

table! {
    /// How long a filter may take before it has failed.
    MilterTimeouts {
        /// To accept a connection, all addresses of its host together.
        connect: Duration = Time("10ms", "5m"), default "\"30s\"";
        /// To accept a command and answer it; negotiation is one.
        command: Duration = Time("10ms", "10m"), default "\"30s\"";
        /// From the end of a message to the answer. Each change and each progress message restarts it. Clients wait for 10
        /// minutes (RFC 5321 section 4.5.3.2.6).
        end_of_message: Duration = Time("10ms", "1h"), default "\"5m\"";
        /// Longest time to which changes and progress messages can extend one answer.
        progress: Duration = Time("10ms", "12h"), default "\"1h\"";
    }
}

impl Choice for OnFailure {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("tempfail", Self::Tempfail),
        ("accept", Self::Accept),
        ("reject", Self::Reject),
        ("hold", Self::Hold),
    ];
}

impl Choice for DataSize {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("64 KiB", Self::Usual),
        ("256 KiB", Self::Large),
        ("1 MiB", Self::Huge),
    ];
}
