//! `[admission]`.

use std::time::Duration;

use crate::config::kinds::{Count, Number, Size, Time};
use crate::config::read::table;

table! {
    /// When new connections wait or are sent away, and when mail is taken but not delivered at once.
    ///
    /// Every refusal names its reason in the log.
    Admission {
        /// New connections in one second, over all listeners; more wait. Sendmail's ConnectionRateThrottle.
        connections_per_second: u64 = Count(1..=1_000_000), optional "500" else "no limit";
        /// Sessions at once; more are told `421 4.3.2`. Each costs a file descriptor and some 50 KiB.
        sessions: u64 = Count(1..=1_000_000), default "10000";
        /// Sessions at once from one network; more are told `421 4.7.0`.
        sessions_per_network: u64 = Count(1..=1_000_000), default "100";
        /// Bits of an IPv4 address that name its network, here and for failed logins.
        network_bits_v4: u64 = Count(8..=32), default "32";
        /// Bits of an IPv6 address that name its network, here and for failed logins.
        network_bits_v6: u64 = Count(16..=128), default "64";
        /// The load average from which on mail is taken and delivered later. Sendmail's QueueLA.
        queue_only_load: f64 = Number(0.0..=100_000.0), optional "8.0" else "off";
        /// The load average from which on every command waits for `delay`. Sendmail's DelayLA.
        delay_load: f64 = Number(0.0..=100_000.0), optional "10.0" else "off";
        /// The load average from which on new connections are told `421 4.3.2`. Sendmail's RefuseLA.
        refuse_load: f64 = Number(0.0..=100_000.0), optional "12.0" else "off";
        /// How long a command waits under `delay_load`.
        delay: Duration = Time("0", "1m"), default "\"1s\"";
        /// Free space that the disk of `state_dir` keeps. A message that would take of it is told `452 4.3.1`.
        min_free: u64 = Size("0", "1 TiB"), default "\"100 MiB\"";
    }
}
