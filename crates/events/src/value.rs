//! The values of event fields.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use postern_mail::FailureKind;
use postern_policy::Rule;

/// The value of a field. Everything in it is borrowed.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// The event has no such field this time.
    Absent,
    /// A text.
    Text(&'a str),
    /// Something displayed as text.
    Shown(&'a dyn fmt::Display),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// An address of a peer.
    Address(IpAddr),
    /// A rule.
    Rule(Rule),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Text(text) => text.fmt(f),
            Self::Shown(shown) => shown.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::Rule(rule) => fmt::Display::fmt(rule, f),
        }
    }
}

/// Something displayable, as a value.
pub fn shown(text: &dyn fmt::Display) -> Value<'_> {
    Value::Shown(text)
}

/// A type that can be a field's value.
pub trait Valued {
    /// As a value.
    fn value(&self) -> Value<'_>;
}

impl Valued for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Valued for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Valued for Value<'_> {
    fn value(&self) -> Value<'_> {
        *self
    }
}

impl Valued for dyn fmt::Display + '_ {
    fn value(&self) -> Value<'_> {
        Value::Shown(self)
    }
}

impl Valued for bool {
    fn value(&self) -> Value<'_> {
        Value::Flag(*self)
    }
}

impl Valued for IpAddr {
    fn value(&self) -> Value<'_> {
        Value::Address(*self)
    }
}

impl Valued for Rule {
    fn value(&self) -> Value<'_> {
        Value::Rule(*self)
    }
}

impl Valued for FailureKind {
    fn value(&self) -> Value<'_> {
        Value::Text(self.name())
    }
}

/// Whole milliseconds.
impl Valued for Duration {
    fn value(&self) -> Value<'_> {
        Value::Number(u64::try_from(self.as_millis()).unwrap_or(u64::MAX))
    }
}

impl<T: Valued + ?Sized> Valued for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

impl<T: Valued> Valued for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Absent, Valued::value)
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => {
        $(impl Valued for $kind {
            fn value(&self) -> Value<'_> {
                Value::Number(u64::try_from(*self).unwrap_or(u64::MAX))
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, usize);
