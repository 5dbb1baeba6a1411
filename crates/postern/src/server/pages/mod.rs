//! The page.

use postern_http::axum::Router;

use crate::admin::Service;
use crate::config::checked::HttpConfig;

/// The routes of the page on one listener.
pub(in crate::server) fn router(_service: Service, _place: &HttpConfig) -> Router {
    Router::new()
}
