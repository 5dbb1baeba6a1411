//! `[[device]]`.

use ipnet::IpNet;

use crate::config::kinds::{Count, Line, List, Network, Size, Switch};
use crate::config::read::{At, table};

table! {
    /// Lanes for devices that cannot authenticate: scanners, printers, alarm systems, old programs. Clients in these networks may send from these
    /// senders to these recipients wherever they are, and to nobody else. The first lane that is about a client counts. A client in
    /// `networks` of [relay] needs no lane and has none. [[limit]] and [[budget]] per network hold besides.
    ///
    /// A lane is never an open relay: each list has to name something, `"*"` and top-level domains are refused, and so are public networks larger
    /// than a /24 (IPv6: /48) and private ones larger than a /8. `postern check` tries each lane with strangers.
    DeviceTable {
        /// Its name in the log.
        name: String = Line(64), required "\"scanners\"";
        /// The networks that the devices are in.
        networks: Vec<At<IpNet>> = List(Network), required "[\"10.1.20.0/24\"]";
        /// The names of the listeners that they come to; none of them may have `auth = "require"`, as `submission` has unless set otherwise.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"devices\"]" else "all";
        /// The senders of the envelope that they use: addresses, or domains (`"@devices.example.org"`).
        senders: Vec<At<String>> = List(Line(320)), required "[\"scanner@example.org\"]";
        /// The recipients that they may name, likewise.
        recipients: Vec<At<String>> = List(Line(320)), required "[\"@example.org\"]";
        /// Messages an hour that the lane takes from each client address (IPv6: each /64); further ones are told `450 4.7.1`. It takes the place of a
        /// [[limit]]. 0 sets no limit.
        messages: u64 = Count(0..=1_000_000), default "60";
        /// Maximum message size, where the general one is larger.
        message_size_limit: u64 = Size("1 KiB", "2 GiB"), optional "\"10 MiB\"" else "the general one";
        /// Whether a `From` that is not one of the senders becomes the sender of the envelope; what it was is kept in `X-Original-From`, and in
        /// `Reply-To` where there is none. Otherwise such a message is refused (`550 5.7.1`).
        rewrite_from: bool = Switch, default "false";
    }
}
