//! Security layers: what a mechanism puts around everything that follows the login (RFC 4422 section 3.7).

use std::sync::{Mutex, PoisonError};

use bytes::{Buf as _, BytesMut};

/// A security layer in place. Each direction is a stream of its own.
///
/// It takes effect for the server right after the reply `235`, for the client right after reading it.
pub trait SecurityLayer: Send {
    /// Its strength, in bits; 1 for integrity alone.
    fn bits(&self) -> u32;

    /// Wraps `plain` in as many buffers as the peer's limit requires and appends them to `out`.
    ///
    /// # Errors
    ///
    /// [`LayerError::Exhausted`] if the sequence numbers of a session are used up, [`LayerError::Ended`] if its keys cannot be
    /// used any more. Close the connection.
    fn wrap(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), LayerError>;

    /// Takes the whole buffers at the start of `input`, appends their content to `out` and returns how many octets of `input`
    /// were used. The rest is the beginning of an incomplete buffer; pass it again with more data.
    ///
    /// # Errors
    ///
    /// [`LayerError::Forged`] and [`LayerError::TooLong`]. Nothing that follows can be trusted: close the connection without a
    /// reply.
    fn unwrap(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, LayerError>;
}

/// An active layer, with received octets that are not yet a whole buffer.
pub struct Layered {
    /// Never locked: a layer need not be `Sync`, but a session's future must be.
    layer: Mutex<Box<dyn SecurityLayer>>,
    bits: u32,
    sealed: BytesMut,
    opened: Vec<u8>,
}

impl Layered {
    /// Puts a layer around a connection. `sealed` has been read already and is inside the layer.
    #[must_use]
    pub fn new(layer: Box<dyn SecurityLayer>, sealed: BytesMut) -> Self {
        Self {
            bits: layer.bits(),
            layer: Mutex::new(layer),
            sealed,
            opened: Vec::new(),
        }
    }

    /// The strength of the layer, in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Where octets from the peer go, before [`open`](Self::open).
    pub fn sealed(&mut self) -> &mut BytesMut {
        &mut self.sealed
    }

    /// Whether the beginning of a buffer has arrived.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Wraps `plain` in buffers and appends them to `out`.
    ///
    /// # Errors
    ///
    /// As [`SecurityLayer::wrap`].
    pub fn wrap(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), LayerError> {
        self.layer().wrap(plain, out)
    }

    /// Opens the complete buffers and appends their content to `input`.
    ///
    /// # Errors
    ///
    /// As [`SecurityLayer::unwrap`].
    pub fn open(&mut self, input: &mut BytesMut) -> Result<(), LayerError> {
        let (sealed, mut opened) = (std::mem::take(&mut self.sealed), std::mem::take(&mut self.opened));
        let used = self.layer().unwrap(&sealed, &mut opened);
        self.sealed = sealed;
        self.sealed.advance(used?);
        input.extend_from_slice(&opened);
        opened.clear();
        self.opened = opened;
        Ok(())
    }

    fn layer(&mut self) -> &mut dyn SecurityLayer {
        let layer = self.layer.get_mut();
        &mut **layer.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the whole buffers at the start of `input`, each preceded by its length in four octets (RFC 4422 section 3.7), and says
/// how many octets were used.
pub(crate) fn each_buffer(
    input: &[u8],
    limit: usize,
    mut open: impl FnMut(&[u8]) -> Result<(), LayerError>,
) -> Result<usize, LayerError> {
    let mut used = 0;
    while let Some((length, rest)) = input[used..].split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > limit {
            return Err(LayerError::TooLong { limit });
        }
        let Some(buffer) = rest.get(..length) else {
            break;
        };
        open(buffer)?;
        used += 4 + length;
    }
    Ok(used)
}

/// A security layer that cannot continue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LayerError {
    /// A buffer was changed, repeated, left out or not made by the peer.
    #[error("a buffer of the security layer is not what the peer sent")]
    Forged,
    /// A buffer is longer than agreed.
    #[error("a buffer of the security layer is longer than {limit} octets")]
    TooLong {
        /// The limit, in octets.
        limit: usize,
    },
    /// 2^32 buffers have been sent.
    #[error("the security layer has run out of sequence numbers")]
    Exhausted,
    /// The security context of the layer has ended.
    #[error("the security layer has ended")]
    Ended,
}
