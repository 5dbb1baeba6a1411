//! The API, at `/api/v1`.

use postern_http::axum::Router;

use crate::admin::Service;

/// The routes of the API.
pub(in crate::server) fn router(_service: &Service) -> Router {
    Router::new()
}
