//! Answers: JSON, or problem details (RFC 9457).

use postern_http::axum::extract::rejection::BytesRejection;
use postern_http::axum::http::{HeaderValue, StatusCode, header};
use postern_http::axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::admin::Problem;

/// Why a request fails, as the client is told.
#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    detail: String,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
    /// Further members.
    more: Map<String, Value>,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
            more: Map::new(),
        }
    }

    /// The request is not valid.
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The same, with the seconds after which to try again.
    pub(super) fn later(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// With a further member.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    pub(super) fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests are worked on; try again",
        )
        .later(1)
    }

    pub(super) fn late() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no answer in time")
    }

    /// The body could not be read: it is too large, or was cut short.
    pub(super) fn body(rejected: &BytesRejection) -> Self {
        Self::new(rejected.status(), rejected.body_text())
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        let status = match &problem {
            Problem::NotFound(_) => StatusCode::NOT_FOUND,
            Problem::Forbidden(_) => StatusCode::FORBIDDEN,
            Problem::Bad(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, problem.to_string())
    }
}

/// The response to a request, successful or not.
pub(super) fn ended(result: Result<Response, Trouble>) -> Response {
    let trouble = match result {
        Ok(response) => return response,
        Err(trouble) => trouble,
    };
    let mut problem = json!({
        "title": trouble.status.canonical_reason().unwrap_or("error"),
        "status": trouble.status.as_u16(),
        "detail": trouble.detail,
    });
    if let Value::Object(fields) = &mut problem {
        fields.extend(trouble.more);
    }
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    let mut response = (trouble.status, kind, problem.to_string()).into_response();
    let fields = response.headers_mut();
    if let Some(seconds) = trouble.retry_after {
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if trouble.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"postern\"");
        fields.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
