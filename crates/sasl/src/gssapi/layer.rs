//! GSSAPI's security layers: each token preceded by its length (RFC 4752 section 3.3, RFC 4422 section
//! 3.7).

use super::{BUFFER_MAX, PIECE_MIN, Protection};
use crate::layer::{LayerError, SecurityLayer, each_buffer};
use crate::security_context::SecurityContext;

/// A layer of integrity or confidentiality.
pub(super) struct GssapiLayer {
    context: Box<dyn SecurityContext>,
    confidential: bool,
    bits: u32,
    /// Most octets of text in one token for the peer.
    piece_max: usize,
}

impl GssapiLayer {
    /// `None` for [`Protection::None`]. `peer_max` is the largest token that the peer accepts.
    pub(super) fn new(
        context: Box<dyn SecurityContext>,
        protection: Protection,
        peer_max: usize,
    ) -> Result<Option<Self>, &'static str> {
        let confidential = match protection {
            Protection::None => return Ok(None),
            Protection::Integrity => false,
            Protection::Confidentiality => true,
        };
        let piece_max = context
            .wrap_size_max(confidential, peer_max.min(BUFFER_MAX))
            .map_err(|_| "the layer is not available")?;
        if piece_max < PIECE_MIN {
            return Err("the peer takes too small messages for a layer");
        }
        Ok(Some(Self {
            bits: bits(context.as_ref(), protection),
            context,
            confidential,
            piece_max,
        }))
    }
}

/// Strength of a layer: 1 for integrity alone.
pub(super) fn bits(context: &dyn SecurityContext, protection: Protection) -> u32 {
    match protection {
        Protection::None => 0,
        Protection::Integrity => 1,
        Protection::Confidentiality => context.bits(),
    }
}

impl SecurityLayer for GssapiLayer {
    fn bits(&self) -> u32 {
        self.bits
    }

    fn wrap(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), LayerError> {
        for piece in plain.chunks(self.piece_max) {
            let token = self
                .context
                .wrap(piece, self.confidential)
                .map_err(|_| LayerError::Ended)?;
            let length = u32::try_from(token.len()).map_err(|_| LayerError::Ended)?;
            out.extend(length.to_be_bytes());
            out.extend(token);
        }
        Ok(())
    }

    fn unwrap(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, LayerError> {
        each_buffer(input, BUFFER_MAX, |token| {
            let opened = self.context.unwrap(token).map_err(|_| LayerError::Forged)?;
            // If encryption was agreed on, an unencrypted message was not sent by the peer.
            if self.confidential && !opened.confidential {
                return Err(LayerError::Forged);
            }
            out.extend(opened.plain);
            Ok(())
        })
    }
}
