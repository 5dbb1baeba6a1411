//! Who looks at a page, and how it is answered: the session of the cookie, the check of forms, the frame around the content.

use std::net::IpAddr;
use std::sync::Arc;

use postern_http::Peer;
use postern_http::axum::body::Bytes;
use postern_http::axum::extract::{FromRequest, FromRequestParts, Request as HttpRequest, State};
use postern_http::axum::http::request::Parts;
use postern_http::axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use postern_http::axum::response::{Html, IntoResponse, Response};
use postern_web::{Area, Frame, Link, Notice, Page, Section, Tone, Viewer};
use serde::de::DeserializeOwned;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::fields::Fields;
use super::origin::{self, Said};
use super::served::Pages;
use super::{cookie, notice};
use crate::admin::{Problem, Role, Service, Who, may};
use crate::control::protocol::{Operation, Request, Which, WhichSessions};

/// Longest reason that is kept with an act, in characters.
const REASON_MAX: usize = 500;

/// Somebody who has logged in, and what they ask for.
pub(super) struct Visit {
    pub(super) who: Who,
    pub(super) service: Service,
    /// The cookie's value.
    pub(super) id: String,
    /// Whether the connection has TLS.
    pub(super) tls: bool,
    /// The query of the address.
    pub(super) query: Fields,
    csrf: String,
    host: String,
    must_enrol: bool,
}

/// A form that somebody has sent who has logged in; it is one of ours.
pub(super) struct Posted {
    pub(super) visit: Visit,
    pub(super) form: Fields,
}

/// What stands on a page.
pub(super) struct Content {
    pub(super) title: String,
    /// The address of the area that it is in.
    pub(super) area: &'static str,
    pub(super) sections: Vec<Section>,
    /// Whether it is asked for again from time to time.
    pub(super) live: bool,
    pub(super) notice: Option<Notice>,
}

impl Content {
    pub(super) fn new(title: impl Into<String>, area: &'static str, sections: Vec<Section>) -> Self {
        Self {
            title: title.into(),
            area,
            sections,
            live: false,
            notice: None,
        }
    }
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Problem(#[from] Problem),
    #[error("cannot understand the answer: {0}")]
    Json(#[from] serde_json::Error),
}

impl Failed {
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::Problem(Problem::Bad(text.into()))
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Problem(Problem::NotFound(_)) => (StatusCode::NOT_FOUND, "Not found"),
            Self::Problem(Problem::Forbidden(_)) => (StatusCode::FORBIDDEN, "Not allowed"),
            Self::Problem(Problem::Bad(_)) => (StatusCode::BAD_REQUEST, "That does not work"),
            Self::Problem(Problem::Failed(_)) => (StatusCode::SERVICE_UNAVAILABLE, "That did not work"),
            Self::Json(_) => (StatusCode::INTERNAL_SERVER_ERROR, "That did not work"),
        }
    }
}

/// The pages, with a request that may be asked for each; a page that may not is not in the list.
fn areas(who: &Who) -> Vec<(&'static str, &'static str)> {
    let asks = |request: Request| may(who, &request);
    let list = || {
        Request::Queue(Operation::List {
            filter: Which::default(),
            after: None,
            limit: 1,
        })
    };
    let all = who.role > Role::Own;
    let is_own = who.login.is_some() && !all;
    let users = Request::Users(crate::admin::requests::UserRequest::List);
    let tokens = Request::ApiTokens(crate::admin::requests::TokenRequest::List);
    let directories = Request::Directories { check: false };
    let pages = [
        ("/", "Overview", asks(Request::Status)),
        ("/queue", if all { "Queue" } else { "My mail" }, asks(list())),
        (
            "/history",
            if all { "History" } else { "My history" },
            asks(Request::Trace(Default::default())),
        ),
        (
            "/sessions",
            if all { "Sessions" } else { "My sessions" },
            asks(Request::Sessions(WhichSessions::default())),
        ),
        ("/passwords", "My app passwords", is_own),
        ("/refusals", "Refusals by rule", all),
        ("/explain", "Explain", all),
        ("/users", "Logins and app passwords", asks(users)),
        ("/accounts", "Accounts and budgets", asks(Request::Accounts)),
        ("/lockouts", "Lockouts", asks(Request::Lockouts)),
        ("/destinations", "Destinations", asks(Request::Destinations)),
        ("/directories", "Directories", asks(directories)),
        ("/filters", "Filters", asks(Request::Configuration)),
        (
            "/certificates",
            "Certificates and keys",
            asks(Request::Certificates),
        ),
        ("/tokens", "Tokens", asks(tokens)),
        ("/configuration", "Configuration", asks(Request::Configuration)),
        ("/acts", "Acts", asks(Request::Acts(Default::default()))),
        ("/factor", "My second factor", who.login.is_some()),
    ];
    pages
        .into_iter()
        .filter(|(_, _, may)| *may)
        .map(|(href, label, _)| (href, label))
        .collect()
}

impl Visit {
    /// Asks the server for something.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, Failed> {
        let value = self.service.ask(&self.who, None, request).await?;
        Ok(serde_json::from_value(value)?)
    }

    /// Has the server do something, for the reason that the form gives.
    pub(super) async fn act(&self, form: &Fields, request: Request) -> Result<Value, Failed> {
        let reason = form
            .some("reason")
            .map(|text| text.chars().take(REASON_MAX).collect());
        Ok(self.service.ask(&self.who, reason, request).await?)
    }

    /// Whether this may be asked.
    pub(super) fn may(&self, request: &Request) -> bool {
        may(&self.who, request)
    }

    /// The page, or why there is none.
    pub(super) fn answer(&self, content: Result<Content, Failed>) -> Response {
        let (status, content) = match content {
            Ok(content) => (StatusCode::OK, content),
            Err(failed) => {
                let (status, title) = failed.status();
                let mut content = Content::new(
                    title,
                    "",
                    vec![Section::Links(vec![Link::new("/", "To the first page")])],
                );
                content.notice = Some(Notice {
                    tone: Tone::Bad,
                    text: failed.to_string(),
                });
                (status, content)
            }
        };
        let given = || notice::of(self.query.get("done"), self.query.get("changed"));
        let area = |(href, label): (&'static str, &str)| Area {
            href: href.to_owned(),
            label: label.to_owned(),
            current: href == content.area,
        };
        let areas = match self.must_enrol {
            true => Vec::new(),
            false => areas(&self.who).into_iter().map(area).collect(),
        };
        let frame = Frame {
            title: content.title,
            host: self.host.clone(),
            viewer: Some(Viewer {
                name: self.who.name.clone(),
                role: self.who.role.name().to_owned(),
                csrf: self.csrf.clone(),
            }),
            areas,
            notice: content.notice.or_else(given),
            live: content.live,
        };
        (status, html(&frame, &content.sections)).into_response()
    }
}

/// A page without a session.
pub(super) fn outside(
    pages: &Pages,
    status: StatusCode,
    title: &str,
    notice: Option<Notice>,
    sections: &[Section],
) -> Response {
    let frame = Frame {
        title: title.to_owned(),
        host: pages.host.clone(),
        notice,
        ..Frame::default()
    };
    (status, html(&frame, sections)).into_response()
}

fn html(frame: &Frame, sections: &[Section]) -> Response {
    match Page::new(frame, sections).html() {
        Ok(text) => Html(text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be made\n").into_response(),
    }
}

/// To another page of ours, which is asked for with GET.
pub(super) fn see(address: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, address.to_owned())]).into_response()
}

/// Back to a page after an act.
pub(super) fn done(address: &str, word: &str, answer: &Value) -> Response {
    let changed = answer.get("changed").and_then(Value::as_u64);
    let changed = changed.map_or_else(String::new, |changed| changed.to_string());
    see(&postern_web::query(
        address,
        &[("done", word), ("changed", &changed)],
    ))
}

/// Where a request comes from.
pub(super) struct Client {
    /// None for a socket of the file system.
    pub(super) address: Option<IpAddr>,
    pub(super) tls: bool,
}

impl Client {
    pub(super) fn of(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<Peer>();
        Self {
            address: peer.and_then(|peer| peer.address),
            tls: peer.is_some_and(|peer| peer.tls),
        }
    }
}

fn text<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    fields.get(name)?.to_str().ok()
}

/// Whether a request comes from a page of ours.
pub(super) fn is_ours(fields: &HeaderMap) -> bool {
    origin::is_ours(Said {
        site: text(fields, &HeaderName::from_static("sec-fetch-site")),
        origin: text(fields, &header::ORIGIN),
        host: text(fields, &header::HOST),
    })
}

/// Whether the page asks on its own, as its live part does every few seconds: nobody needs to sit before it.
fn is_on_its_own(fields: &HeaderMap) -> bool {
    text(fields, &HeaderName::from_static("hx-trigger")) == Some("live")
}

/// Who is not logged in is led to the login, and from there back.
fn log_in_first(parts: &Parts) -> Response {
    if parts.headers.contains_key("hx-request") {
        return (StatusCode::UNAUTHORIZED, "the login has ended\n").into_response();
    }
    let wanted = |uri: &Uri| uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let next = match parts.method.as_str() {
        "GET" | "HEAD" if parts.uri.path() != "/" => wanted(&parts.uri),
        _ => String::new(),
    };
    see(&postern_web::query("/login", &[("next", &next)]))
}

impl FromRequestParts<Arc<Pages>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, pages: &Arc<Pages>) -> Result<Self, Response> {
        let client = Client::of(parts);
        let given = text(&parts.headers, &header::COOKIE);
        let id = given.and_then(|field| cookie::value(field, client.tls));
        let session = match id {
            Some(id) => pages
                .service
                .session(id, client.address, !is_on_its_own(&parts.headers))
                .await
                .map(|session| (id, session)),
            None => None,
        };
        let Some((id, session)) = session else {
            return Err(log_in_first(parts));
        };
        if session.must_enrol && !matches!(parts.uri.path(), "/factor" | "/logout") {
            return Err(see("/factor"));
        }
        Ok(Self {
            who: session.who,
            service: pages.service.clone(),
            id: id.to_owned(),
            tls: client.tls,
            query: Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            csrf: session.csrf,
            host: pages.host.clone(),
            must_enrol: session.must_enrol,
        })
    }
}

impl FromRequest<Arc<Pages>> for Posted {
    type Rejection = Response;

    async fn from_request(request: HttpRequest, pages: &Arc<Pages>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let mut visit = Visit::from_request_parts(&mut parts, pages).await?;
        // An address may not say what a form has to.
        visit.query = Fields::default();
        let ours = is_ours(&parts.headers);
        let request = HttpRequest::from_parts(parts, body);
        let body = Bytes::from_request(request, pages)
            .await
            .map_err(IntoResponse::into_response)?;
        let form = Fields::parse(&body);
        if ours && is_same(form.raw("csrf"), &visit.csrf) {
            return Ok(Self { visit, form });
        }
        let text = "this did not come from a form of this page, or the form is of an earlier login: go back, load the page again, and repeat it";
        Err(visit.answer(Err(Problem::Forbidden(text.into()).into())))
    }
}

/// Compares without telling by the time how much is right.
fn is_same(given: &str, wanted: &str) -> bool {
    !wanted.is_empty() && bool::from(given.as_bytes().ct_eq(wanted.as_bytes()))
}

/// There is no such page.
pub(super) async fn nothing(State(pages): State<Arc<Pages>>) -> Response {
    let links = [Section::Links(vec![Link::new("/", "To the first page")])];
    outside(
        &pages,
        StatusCode::NOT_FOUND,
        "There is no such page",
        None,
        &links,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::By;

    #[test]
    fn tokens_of_forms() {
        #[rustfmt::skip]
        let cases = [("abc", "abc", true), ("abd", "abc", false), ("ab", "abc", false), ("", "abc", false), ("", "", false)];
        for (given, wanted, same) in cases {
            assert_eq!(is_same(given, wanted), same, "{given:?}, {wanted:?}");
        }
    }

    #[test]
    fn what_a_page_asks_on_its_own() {
        for (trigger, on_its_own) in [(None, false), (Some("messages"), false), (Some("live"), true)] {
            let mut fields = HeaderMap::new();
            if let Some(trigger) = trigger {
                fields.insert("HX-Trigger", trigger.parse().unwrap());
            }
            assert_eq!(is_on_its_own(&fields), on_its_own, "{trigger:?}");
        }
    }

    #[test]
    fn which_pages_a_role_is_shown() {
        let shown = |role| {
            let who = Who {
                name: "anna".into(),
                role,
                by: By::Session,
                login: Some("anna".into()),
                uid: None,
                scope: None,
            };
            areas(&who).into_iter().map(|(href, _)| href).collect::<Vec<_>>()
        };
        let own = ["/queue", "/history", "/sessions", "/passwords", "/factor"];
        assert_eq!(shown(Role::Own), own);
        assert!(!shown(Role::Read).contains(&"/tokens"));
        assert!(shown(Role::Administer).contains(&"/tokens"));
    }
}
