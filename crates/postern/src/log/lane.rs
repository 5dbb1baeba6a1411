//! Which lines are important, and which are caused by strangers.

use std::fmt;
use std::net::IpAddr;

use postern_events::{Event as Fact, Key, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

/// What a line is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Logins, accepted mail and its outcome, actions of administrators, the server itself. Never dropped in favour
    /// of others.
    Matters,
    /// What strangers can cause at any rate: refusals, handshakes. Limited by a budget.
    Strangers,
    /// Debug output, and what libraries log.
    Detail,
}

/// Decided from the call site alone, so that it costs nothing.
pub(super) fn kind(metadata: &Metadata<'_>) -> Kind {
    if *metadata.level() > Level::INFO || !metadata.target().starts_with("postern") {
        return Kind::Detail;
    }
    let has = |name| metadata.fields().field(name).is_some();
    match metadata.target() {
        "postern::refuse" => Kind::Strangers,
        // Events of deliveries have no peer.
        "postern::tls" if has("peer") => Kind::Strangers,
        // A successful login has no reason.
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
    /// The same for an event.
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
