//! The secret behind the answers to logins that do not exist.

use std::fmt;

use zeroize::Zeroizing;

/// A secret of this server from which salts for nonexistent accounts are derived.
///
/// A nonexistent account must look like an existing one, with the same salt each time. Generate 32 random octets once, keep them
/// in the state directory, and give all servers of one name the same ones.
#[derive(Clone)]
pub struct DecoySecret(Zeroizing<[u8; 32]>);

impl DecoySecret {
    /// Takes 32 random octets.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for DecoySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecoySecret")
    }
}
