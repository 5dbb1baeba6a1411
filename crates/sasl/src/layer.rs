//! Security layers: what a mechanism puts around everything that follows the login (RFC 4422 section 3.7).

/// A security layer in place. Each direction is a stream of its own.
///
/// It takes effect for the server right behind the reply `235`, for the client right behind reading it.
pub trait SecurityLayer: Send {
    /// Its strength, in bits; 1 for integrity alone.
    fn bits(&self) -> u32;

    /// Puts `plain` into as many buffers as the peer's limit makes necessary and appends them to `out`.
    ///
    /// # Errors
    ///
    /// [`LayerError::Exhausted`] when the sequence numbers of a session are used up, [`LayerError::Ended`] when its keys
    /// cannot be used any more. Close the connection.
    fn wrap(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), LayerError>;

    /// Takes the whole buffers at the start of `input`, appends what they hold to `out` and says how many octets of
    /// `input` were used. What is left is the start of a buffer that is not here yet; give it again with more behind it.
    ///
    /// # Errors
    ///
    /// [`LayerError::Forged`] and [`LayerError::TooLong`]. Nothing that comes after can be trusted: close the
    /// connection without a reply.
    fn unwrap(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, LayerError>;
}

/// A security layer that cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LayerError {
    /// A buffer was changed, repeated, left out or not made by the peer.
    #[error("a buffer of the security layer is not what the peer sent")]
    Forged,
    /// A buffer is longer than what was agreed on.
    #[error("a buffer of the security layer is over {limit} octets")]
    TooLong {
        /// The limit, in octets.
        limit: usize,
    },
    /// 2^32 buffers have been sent.
    #[error("the security layer has run out of sequence numbers")]
    Exhausted,
    /// The security context behind the layer has ended.
    #[error("the security layer has ended")]
    Ended,
}
