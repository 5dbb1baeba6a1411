//! Which lines matter, and which are about what strangers do.

use std::fmt;
use std::net::IpAddr;

use postern_events::{Event as Fact, Key, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

/// What a line is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Logins, mail that was taken and what became of it, acts of administrators, the server itself. Never gives way.
    Matters,
    /// What strangers cause at their own pace: refusals, handshakes. They have a budget.
    Strangers,
    /// What was asked for by a level of detail, and what libraries say.
    Detail,
}

/// Tells by what stands in the source alone, so that it costs nothing.
pub(super) fn kind(metadata: &Metadata<'_>) -> Kind {
    if *metadata.level() > Level::INFO || !metadata.target().starts_with("postern") {
        return Kind::Detail;
    }
    let has = |name| metadata.fields().field(name).is_some();
    match metadata.target() {
        "postern::refuse" => Kind::Strangers,
        // What a delivery has met has no peer.
        "postern::tls" if has("peer") => Kind::Strangers,
        // A login that succeeded has no reason.
        "postern::login" if has("reason") => Kind::Strangers,
        _ => Kind::Matters,
    }
}

/// Whom a line is about, and which rule decided.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) peer: Option<IpAddr>,
    pub(super) rule: String,
}

impl About {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut about = Self::default();
        event.record(&mut about);
        if about.rule.is_empty() {
            about
                .rule
                .push_str(event.metadata().target().trim_start_matches("postern::"));
        }
        about
    }
}

impl About {
    /// The same of an event.
    pub(super) fn of_fact(fact: &Fact<'_>) -> Self {
        let mut about = Self::default();
        fact.fields(&mut |key, value| match (key, value) {
            (Key::Peer, Value::Address(peer)) => about.peer = Some(peer),
            (Key::Rule, Value::Rule(rule)) => rule.name().clone_into(&mut about.rule),
            _ => {}
        });
        if about.rule.is_empty() {
            about
                .rule
                .push_str(fact.area().target().trim_start_matches("postern::"));
        }
        about
    }
}

impl Visit for About {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "rule" => value.clone_into(&mut self.rule),
            "peer" => self.peer = value.parse().ok(),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), "rule" | "peer") {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}
