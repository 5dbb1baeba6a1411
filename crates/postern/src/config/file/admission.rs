//! `[admission]`.

use std::time::Duration;

use crate::config::kinds::{Count, Number, Size, Time};
use crate::config::read::table;

table! {
    /// When new connections wait or are refused, and when mail is accepted but not delivered at once.
    ///
    /// Every refusal names its reason in the log.
    Admission {
        /// New connections in one second, over all listeners of one role; more wait. Sendmail's ConnectionRateThrottle.
        connections_per_second: u64 = Count(1..=1_000_000), optional "500" else "no limit";
        /// Concurrent sessions; more are told `421 4.3.2`. Each costs a file descriptor and some 20 KiB.
        sessions: u64 = Count(1..=1_000_000), default "10000";
        /// Percentage of the sessions reserved for strangers on listeners of the role `mx`. What is not reserved goes to the
        /// first to come. A share that no listener can use is available to the others.
        mx_percent: u64 = Count(0..=100), default "20";
        /// The same for clients on listeners of the role `submission` that have not authenticated yet.
        submission_percent: u64 = Count(0..=100), default "20";
        /// The same for clients that have authenticated, and for hosts that may relay by `networks` or `[[relay.certificate]]`.
        known_percent: u64 = Count(0..=100), default "40";
        /// Concurrent sessions of strangers from one network, on listeners of one role; more are told `421 4.7.0`.
        sessions_per_network: u64 = Count(1..=1_000_000), default "100";
        /// The same for a `/24` of IPv4 and a `/56` of IPv6; a `/48` may have twice as many. Never less than `sessions_per_network`.
        sessions_per_wide_network: u64 = Count(1..=1_000_000), default "400";
        /// Concurrent sessions of one user name, or of one host of `networks`, that count as known; further ones count as strangers'.
        sessions_per_login: u64 = Count(1..=1_000_000), default "100";
        /// Prefix length of a client's network in IPv4, here and for failed authentication.
        network_bits_v4: u64 = Count(8..=32), default "32";
        /// Prefix length of a client's network in IPv6, here and for failed authentication.
        network_bits_v6: u64 = Count(16..=128), default "64";
        /// The load average from which mail is accepted and delivered later. Sendmail's QueueLA.
        queue_only_load: f64 = Number(0.0..=100_000.0), optional "8.0" else "off";
        /// The load average from which every command waits for `delay`. Sendmail's DelayLA.
        delay_load: f64 = Number(0.0..=100_000.0), optional "10.0" else "off";
        /// The load average from which new connections are told `421 4.3.2`. Sendmail's RefuseLA.
        refuse_load: f64 = Number(0.0..=100_000.0), optional "12.0" else "off";
        /// How long a command waits under `delay_load`.
        delay: Duration = Time("0", "1m"), default "\"1s\"";
        /// Free space that is kept on the disk of `state_dir`. A message that would use it is told `452 4.3.1`. Space is reserved
        /// as octets arrive; incoming messages of strangers get at most half of what is free, and leave half as much again. The
        /// disks of Maildirs keep the same amount free: mail that would use it waits in the queue, with the status 4.3.1.
        min_free: u64 = Size("0", "1 TiB"), default "\"100 MiB\"";
        /// Most memory for incoming messages. When it is short, bodies go to files early; beyond it, the reply is `452`.
        /// Strangers get at most half.
        memory: u64 = Size("1 MiB", "1 TiB"), default "\"128 MiB\"";
        /// Most incoming messages whose bodies are in files; more are told `452 4.3.1`. Strangers get at most half.
        bodies: u64 = Count(2..=1_000_000), default "2000";
        /// Most of them from one network of strangers (`/24`, `/56`), or of one login; more are told `452 4.7.0`.
        bodies_per_network: u64 = Count(1..=1_000_000), default "100";
    }
}
