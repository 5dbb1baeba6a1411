//! What answers over HTTP.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_net::tls::ServerTls;

use super::api::Api;
use super::web::Monitor;
use crate::admin::Service;

/// What answers.
pub(super) struct Answering {
    pub(super) monitor: Arc<Monitor>,
    pub(super) service: Service,
    pub(super) api: Api,
    /// The certificates in force.
    pub(super) tls: Arc<ArcSwap<Option<ServerTls>>>,
}
