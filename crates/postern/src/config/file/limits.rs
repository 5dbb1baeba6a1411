//! `[limits]` and `[timeouts]` of clients.

use std::time::Duration;

use crate::config::kinds::{Count, Size, Time};
use crate::config::read::table;

table! {
    /// Limits for clients (RFC 5321 section 4.5.3.1). Each has its own reply.
    Limits {
        /// Recipients in one transaction; further ones are told `452 4.5.3`. The RFC asks for at least 100.
        recipients: u64 = Count(100..=100_000), default "1000";
        /// `Received` fields of a message before it counts as a mail loop and is told `554 5.4.6`. The RFC asks for at least 100.
        received_fields: u64 = Count(100..=1_000), default "100";
        /// The longest command line with its parameters, CRLF included; a longer one is told `500 5.5.2`. The RFC asks for at least 512.
        command_line: u64 = Size("512 B", "64 KiB"), default "\"2 KiB\"";
        /// The longest line in an `AUTH` exchange; a longer one is told `500 5.5.6`. RFC 4954 section 4 asks for at least 12,288 octets.
        auth_line: u64 = Size("12 KiB", "64 KiB"), default "\"12 KiB\"";
        /// The longest line of a message, CRLF included; a message with a longer one is told `554 5.6.0`. `"0"` for no limit: the
        /// RFC allows a limit of 1,000 octets, but much legitimate mail has longer lines.
        text_line: u64 = Size("0", "64 MiB"), default "\"0\"";
        /// The largest header section of a message; a larger one is told `552 5.3.4`.
        header: u64 = Size("4 KiB", "16 MiB"), default "\"256 KiB\"";
        /// The longest local part of an address.
        local_part: u64 = Size("64 B", "255 B"), default "\"64 B\"";
        /// The longest domain of an address.
        domain: u64 = Size("64 B", "255 B"), default "\"255 B\"";
        /// The longest path, an address with its angle brackets.
        path: u64 = Size("256 B", "1 KiB"), default "\"256 B\"";
        /// Errors (unknown commands, wrong order, bad syntax) in one session before it ends with `421 4.7.0`.
        mistakes: u64 = Count(1..=100_000), default "25";
        /// Commands without effect (`NOOP`, `RSET`, `HELP`, `VRFY` and such) between two messages before the session ends with `421 4.7.0`.
        idle_commands: u64 = Count(10..=1_000_000), default "100";
        /// Recipients refused permanently in one session before it ends with `421 4.7.0`: the client is guessing names.
        refused_recipients: u64 = Count(1..=1_000_000), default "100";
        /// Unknown recipients in one hour from one network that has not authenticated and may not relay. Beyond it each
        /// answer about a local recipient waits a second, 20 when it has asked for many at once, so that nobody can harvest the
        /// directory; `0` for no limit.
        unknown_recipients: u64 = Count(0..=1_000_000), default "100";
        /// Recipients of such a network that are looked up in a minute. Beyond it answers wait as well; `0` for no limit.
        recipient_lookups: u64 = Count(0..=1_000_000), default "1000";
        /// Replies of `4xx` and `5xx` of any kind in one session before it ends with `421 4.7.0`. Clients that have authenticated or may relay
        /// have ten times as many, and an accepted message makes up for ten.
        errors: u64 = Count(1..=1_000_000), default "100";
        /// Failed authentication attempts in one session before it ends with `421 4.7.0`.
        failed_logins: u64 = Count(1..=100), default "3";
    }
}

table! {
    /// How long a client may take (RFC 5321 section 4.5.3.2). Exceeding one ends the session with `421 4.4.2`.
    Timeouts {
        /// The longest silence between commands. The RFC recommends at least 5 minutes; a shorter one frees sessions but cuts off
        /// slow but legitimate clients.
        command: Duration = Time("1s", "1h"), default "\"5m\"";
        /// The longest time from the start of a session to authentication, where that is required, whatever the client sends meanwhile.
        login: Duration = Time("1s", "1d"), default "\"3m\"";
        /// The longest time without an accepted message, counted from the start, from authentication or from the last message. `NOOP`,
        /// `RSET`, and commands that are refused do not extend it; while a message is being sent it does not count.
        idle: Duration = Time("1s", "1d"), default "\"10m\"";
        /// The limit on all silences of clients that have not authenticated while sessions are scarce; for `login` and
        /// `idle` it is six times as long. Sessions are scarce when three quarters are taken of those that strangers can have, until half
        /// of them are free. It also holds for a minute after there was no room for a stranger's message.
        stress: Duration = Time("1s", "1h"), default "\"10s\"";
        /// How much longer each reply of `4xx` or `5xx` waits than the one before, from the 21st in a session on, or the 201st where the
        /// client is known; up to a second.
        error_delay: Duration = Time("0", "1s"), default "\"10ms\"";
        /// The longest silence while a message is being sent. The RFC gives the client 3 minutes for a block.
        data_block: Duration = Time("1s", "1h"), default "\"5m\"";
        /// The longest time for a whole message.
        data_total: Duration = Time("10s", "2d"), default "\"2h\"";
        /// The longest silence in an `AUTH` exchange.
        auth: Duration = Time("1s", "1h"), default "\"2m\"";
        /// The longest TLS handshake.
        tls_handshake: Duration = Time("1s", "10m"), default "\"30s\"";
        /// The longest wait until a client reads a reply.
        write: Duration = Time("1s", "1h"), default "\"1m\"";
        /// The longest wait for the name of a client's address; `"0"` asks for no names.
        reverse_lookup: Duration = Time("0", "1m"), default "\"5s\"";
        /// The longest wait for a PROXY header.
        proxy_header: Duration = Time("100ms", "1m"), default "\"5s\"";
        /// How long the greeting is held back on listeners of the role `mx`, to catch clients that talk too early; those get `554
        /// 5.7.1`. Sendmail's `greet_pause`.
        greeting_delay: Duration = Time("0", "1m"), default "\"0s\"";
    }
}
