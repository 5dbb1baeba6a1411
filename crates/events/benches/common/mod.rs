//! The event that benchmarks emit, those of other crates too.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use postern_events::Accepted;
use postern_policy::Rule;

/// A message accepted in this session.
pub(crate) fn accepted(session: &str) -> Accepted<'_> {
    Accepted {
        session,
        queue: &"0CN5C1SH20000",
        listener: "submission",
        peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        login: None,
        acts_as: None,
        rule: Rule::LocalRecipient,
        reason: None,
        sender_rule: None,
        from: &"<ann@example.org>",
        recipients: 1,
        size: 4_096,
        message_id: Some("<1@example.org>"),
        milter: None,
        took: Some(Duration::from_millis(7)),
    }
}
