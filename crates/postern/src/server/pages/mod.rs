//! The web page: what a browser asks is put to the service that answers the control socket too, and its answers are made into pages.
//!
//! A handler says what stands on its page (`Content`); `visit` knows who looks, and writes the rest.

mod accounts;
mod acts;
mod configuration;
mod cookie;
mod explain;
mod factor;
mod fields;
mod lockouts;
mod log_in;
mod message;
mod neighbours;
mod next;
mod notice;
mod origin;
mod overview;
mod queue;
mod rules;
mod search;
mod served;
mod sessions;
mod shown;
mod story;
mod tokens;
mod users;
mod visit;

use std::sync::Arc;

use postern_http::axum::Router;
use postern_http::axum::extract::Path;
use postern_http::axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use postern_http::axum::middleware;
use postern_http::axum::response::{IntoResponse as _, Response};
use postern_http::axum::routing::{get, post};
use postern_web::assets;

use self::served::Pages;
use crate::admin::Service;

/// What a page may do: styles, scripts, pictures and requests of this server alone, and to stand in no frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The pages of a listener.
pub(in crate::server) fn router(service: Service) -> Router {
    let host = service.deps().settings.load().hostname.clone();
    let pages = Arc::new(Pages { service, host });
    Router::new()
        .route("/", get(overview::page))
        .route("/login", get(log_in::page).post(log_in::password))
        .route("/login/factor", post(log_in::code))
        .route("/login/link/{secret}", get(log_in::link))
        .route("/login/link", post(log_in::open_link))
        .route("/logout", post(log_in::out))
        .route("/queue", get(queue::page))
        .route("/queue/act", post(queue::act))
        .route("/queue/{id}", get(message::page))
        .route("/queue/{id}/content", get(message::content))
        .route("/sessions", get(sessions::page))
        .route("/sessions/end", post(sessions::end))
        .route("/sessions/{id}", get(sessions::one))
        .route("/users", get(users::page))
        .route("/users/{login}", get(users::one))
        .route("/users/{login}/act", post(users::act))
        .route("/passwords", get(users::own))
        .route("/factor", get(factor::page).post(factor::act))
        .route("/accounts", get(accounts::page))
        .route("/accounts/act", post(accounts::act))
        .route("/accounts/{account}", get(accounts::one))
        .route("/lockouts", get(lockouts::page))
        .route("/lockouts/act", post(lockouts::act))
        .route("/destinations", get(neighbours::destinations))
        .route(
            "/directories",
            get(neighbours::directories).post(neighbours::check),
        )
        .route("/filters", get(neighbours::filters))
        .route("/certificates", get(neighbours::certificates))
        .route("/tokens", get(tokens::page).post(tokens::act))
        .route("/refusals", get(rules::page))
        .route("/explain", get(explain::page))
        .route(
            "/configuration",
            get(configuration::page).post(configuration::act),
        )
        .route("/history", get(search::page))
        .route("/acts", get(acts::page))
        .route("/assets/{name}", get(asset))
        .fallback(visit::nothing)
        .layer(middleware::map_response(guarded))
        .with_state(pages)
}

/// A file that pages ask for. Its name changes with its content.
async fn asset(Path(name): Path<String>) -> Response {
    let Some(asset) = assets::find(&format!("/assets/{name}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut fields = HeaderMap::new();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    fields.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    (fields, asset.body).into_response()
}

/// What browsers are told of every answer.
async fn guarded(mut response: Response) -> Response {
    let fields = response.headers_mut();
    let told = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    ];
    for (name, value) in told {
        fields.entry(name).or_insert(HeaderValue::from_static(value));
    }
    fields
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
