//! The cryptography of every handshake.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

/// The cryptography provider of every handshake. The process-wide default of rustls is not touched.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    &PROVIDER
}
