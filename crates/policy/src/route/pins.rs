//! Certificates that hosts of a route must show, by fingerprint.

use std::fmt;
use std::sync::Arc;

/// The fingerprints of a route: a host has to show a certificate that one of them names, by SHA-256 of the whole certificate or of
/// its public key (in DER). Its names, its dates and who issued it do not matter then. Without any, nothing is pinned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pins(Option<Arc<[[u8; 32]]>>);

impl Pins {
    /// Pins to these fingerprints.
    #[must_use]
    pub fn new(fingerprints: Vec<[u8; 32]>) -> Self {
        Self((!fingerprints.is_empty()).then(|| fingerprints.into()))
    }

    /// Whether nothing is pinned.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The fingerprints.
    #[must_use]
    pub fn fingerprints(&self) -> &[[u8; 32]] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// The first eight octets of each, which is enough to tell them apart: `9f86d081884c7d65,60303ae22b998861`.
impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fingerprint) in self.fingerprints().iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            for octet in fingerprint.iter().take(8) {
                write!(f, "{octet:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_shown_short() {
        let pins = Pins::new(vec![[0x9f; 32], [1; 32]]);
        assert_eq!(pins.to_string(), "9f9f9f9f9f9f9f9f,0101010101010101");
        assert_eq!(pins.fingerprints().len(), 2);
        assert!(!pins.is_empty());
        assert!(Pins::new(Vec::new()).is_empty() && Pins::default().fingerprints().is_empty());
    }
}
