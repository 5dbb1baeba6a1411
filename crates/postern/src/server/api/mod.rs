//! The API, at `/api/v1`: a table of routes, each of which is a request to the one service.

mod answer;
mod described;
mod failures;
mod input;
mod keys;
mod messages;
mod parts;
mod routes;
mod shared;
mod who;

use std::time::Duration;

use postern_http::Peer;
use postern_http::axum::Router;
use postern_http::axum::body::Body;
use postern_http::axum::extract::{DefaultBodyLimit, Extension, RawPathParams, RawQuery, Request, State};
use postern_http::axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use postern_http::axum::response::{IntoResponse as _, Response};
use postern_http::axum::routing::{MethodFilter, get, on, post};

pub(crate) use self::described::document;
pub(in crate::server) use self::shared::Api;

use self::answer::{Trouble, ended};
use self::input::Input;
use self::routes::{ROUTES, Route, Verb};
use self::shared::body_of;
use self::who::who;

/// Largest body of a request, in octets; submissions have that of mail.
const BODY_MAX: usize = 1 << 20;

/// The header field with the reason for an action.
const REASON: &str = "postern-reason";

/// How long a request may take.
const TIME_MAX: Duration = Duration::from_secs(120);

/// The routes of the API. A message may have `message_max` octets, and one and a half times as many in Base64.
pub(in crate::server) fn router(api: &Api, message_max: usize) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let path = format!("/api/v1{}", route.path);
        let handler = move |state, peer, parts, request| handle(route, state, peer, parts, request);
        router = router.route(&path, on(filter(route.method), handler));
    }
    let submission =
        post(messages::take).layer(DefaultBodyLimit::max(message_max + message_max / 2 + BODY_MAX));
    router
        .route("/api/v1/queue/{id}/content", get(content))
        .route("/api/v1/openapi.json", get(openapi))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .route("/api/v1/messages", submission)
        .route("/api/v1/{*rest}", postern_http::axum::routing::any(nothing))
        .with_state(api.clone())
}

const fn filter(verb: Verb) -> MethodFilter {
    match verb {
        Verb::Get => MethodFilter::GET,
        Verb::Post => MethodFilter::POST,
        Verb::Put => MethodFilter::PUT,
        Verb::Delete => MethodFilter::DELETE,
    }
}

/// What a request has besides its body.
type Parts = (RawPathParams, RawQuery, HeaderMap);

/// Any request of the table.
async fn handle(
    route: &'static Route,
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    (path, RawQuery(query), header): Parts,
    request: Request,
) -> Response {
    ended(answer_to(route, &api, peer, (&path, query.as_deref(), &header), request).await)
}

async fn answer_to(
    route: &Route,
    api: &Api,
    peer: Peer,
    (path, query, header): (&RawPathParams, Option<&str>, &HeaderMap),
    request: Request,
) -> Result<Response, Trouble> {
    // Before the body is read: unknown clients must not cost memory.
    let who = who(api, peer, header)?;
    let _place = api.places.try_acquire().map_err(|_| Trouble::busy())?;
    let body = body_of(request).await?;
    let input = Input::new(path, query, header, &body)?;
    let reason = header.get(REASON).map(reason_of);
    let request = (route.ask)(&input)?;
    let asked = api.service.ask(&who, reason, request);
    let value = match tokio::time::timeout(TIME_MAX, asked).await {
        Ok(answered) => answered?,
        Err(_) => return Err(Trouble::late()),
    };
    Ok((
        route.status,
        [(header::CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
        .into_response())
}

/// A reason as it was sent. What is not UTF-8 is replaced: a reason is not lost because of one octet.
fn reason_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The content of a message, as it was accepted.
async fn content(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    (path, _, header): Parts,
) -> Response {
    let opened = async {
        let who = who(&api, peer, &header)?;
        let id = path
            .iter()
            .find(|(name, _)| *name == "id")
            .map(|(_, id)| id.to_owned());
        let body = api.service.content(&who, &id.unwrap_or_default()).await?;
        Ok::<_, Trouble>(body)
    };
    let body = match opened.await {
        Ok(body) => body,
        Err(trouble) => return ended(Err(trouble)),
    };
    let pieces = futures_util::stream::try_unfold(body, |mut body| async move {
        let piece = body.piece().await.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(piece.map(|octets| (octets, body)))
    });
    (
        [(header::CONTENT_TYPE, "message/rfc822")],
        Body::from_stream(pieces),
    )
        .into_response()
}

/// The description of the API. It is the same everywhere, and needs no authentication.
async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document()).into_response()
}

async fn nothing() -> Response {
    ended(Err(Trouble::new(
        StatusCode::NOT_FOUND,
        "there is nothing at this path; /api/v1/openapi.json describes what there is",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_keep_their_letters() {
        for (sent, reason) in [
            (&b"a leaked password"[..], "a leaked password"),
            ("gestohlenes Gerät".as_bytes(), "gestohlenes Gerät"),
            (b"Ger\xe4t", "Ger\u{fffd}t"),
        ] {
            let value = HeaderValue::from_bytes(sent).unwrap();
            assert_eq!(reason_of(&value), reason);
        }
    }
}
