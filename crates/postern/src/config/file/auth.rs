//! `[auth]`.

use std::time::Duration;

use postern_receive::Plaintext;
use postern_sasl::Mechanism;

use super::words::MechanismName;
use crate::config::kinds::{Choice, Count, List, OneOf, Time};
use crate::config::read::{At, table};

table! {
    /// How clients log in, and what becomes of those who guess.
    ///
    /// Failures count for the pair of network and login: nobody can lock a user out from elsewhere.
    Auth {
        /// SASL mechanisms, in the order in which they are offered.
        mechanisms: Vec<At<Mechanism>> = List(MechanismName), default "[\"PLAIN\", \"LOGIN\"]";
        /// Where mechanisms that show the password to an eavesdropper are open: inside TLS only (sendmail's
        /// AuthOptions `p`), or always, which is for networks that nobody can listen to.
        plaintext: Plaintext = OneOf::<Plaintext>::new(), default "\"tls-only\"";
        /// Failures of a pair that cost nothing, since people mistype.
        free_failures: u64 = Count(0..=1_000), default "2";
        /// The wait after the next failure; it doubles with each further one.
        first_delay: Duration = Time("0", "1m"), default "\"1s\"";
        /// The longest wait.
        longest_delay: Duration = Time("0", "5m"), default "\"15s\"";
        /// Failures of a pair within `window` until it is barred for `bar_time`.
        failures_until_bar: u64 = Count(1..=100_000), default "10";
        /// How long a failure counts.
        window: Duration = Time("1s", "7d"), default "\"15m\"";
        /// How long a pair is barred. Its logins are then told `454 4.7.0` without a look at the password.
        bar_time: Duration = Time("1s", "7d"), default "\"15m\"";
        /// Failures of one network, over all logins, from which on each login from there waits for `longest_delay`.
        /// It slows and never bars, since there may be many people behind one address.
        network_failures: u64 = Count(1..=1_000_000), default "50";
        /// Pairs, and likewise networks, that are remembered. Each costs about 150 octets.
        remembered: u64 = Count(100..=10_000_000), default "100000";
    }
}

impl Choice for Plaintext {
    const WORDS: &'static [(&'static str, Self)] = &[("tls-only", Self::TlsOnly), ("always", Self::Always)];
}
