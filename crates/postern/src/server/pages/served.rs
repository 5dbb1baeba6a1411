//! What all pages are made with.

use crate::admin::Service;

/// Whom all pages ask, and what they are about.
pub(super) struct Pages {
    pub(super) service: Service,
    /// The name of the server.
    pub(super) host: String,
}
