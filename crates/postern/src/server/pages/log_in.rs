//! In and out: password, second factor, one-time link.

use std::sync::Arc;

use postern_http::axum::body::Bytes;
use postern_http::axum::extract::{FromRequest, Path, Request as HttpRequest, State};
use postern_http::axum::http::{StatusCode, header};
use postern_http::axum::response::{IntoResponse as _, Response};
use postern_web::{Field, Form, Input, Notice, Section, Tone};
use secrecy::SecretString;

use super::cookie;
use super::fields::Fields;
use super::next::safe;
use super::served::Pages;
use super::visit::{Client, Posted, is_ours, outside, see};
use crate::admin::login::{LoggedIn, LoginProblem, LoginTry};
use crate::admin::sessions::NewSession;

/// The form for name and password.
pub(super) async fn page(State(pages): State<Arc<Pages>>, request: HttpRequest) -> Response {
    let query = Fields::parse(request.uri().query().unwrap_or_default().as_bytes());
    ask(&pages, StatusCode::OK, None, ("", query.get("next")))
}

fn ask(pages: &Pages, status: StatusCode, notice: Option<Notice>, (login, next): (&str, &str)) -> Response {
    let password = Field::new(Input::Password, "password", "Password");
    let form = Form::post(
        "/login",
        "",
        "Log in",
        vec![
            Field::text("login", "User name")
                .with(login)
                .required()
                .autocomplete("username"),
            password.required().autocomplete("current-password"),
            Field::hidden("next", safe(next)),
        ],
    );
    outside(pages, status, "Log in", notice, &[Section::Form(form)])
}

/// A form that was sent without a session: where it comes from, and what it says.
struct Bare {
    client: Client,
    form: Fields,
}

async fn bare(request: HttpRequest, pages: &Arc<Pages>) -> Result<Bare, Response> {
    let (parts, body) = request.into_parts();
    let client = Client::of(&parts);
    if !is_ours(&parts.headers) {
        let told = Notice {
            tone: Tone::Bad,
            text: "This did not come from the page for logging in. Try it here.".to_owned(),
        };
        return Err(ask(pages, StatusCode::FORBIDDEN, Some(told), ("", "")));
    }
    let request = HttpRequest::from_parts(parts, body);
    let body = Bytes::from_request(request, pages).await;
    let body = body.map_err(|error| error.into_response())?;
    Ok(Bare {
        client,
        form: Fields::parse(&body),
    })
}

/// Name and password were given.
pub(super) async fn password(State(pages): State<Arc<Pages>>, request: HttpRequest) -> Response {
    let Bare { client, form } = match bare(request, &pages).await {
        Ok(bare) => bare,
        Err(response) => return response,
    };
    let (login, next) = (form.get("login"), form.get("next"));
    let asked = LoginTry {
        login: login.to_owned(),
        password: SecretString::from(form.raw("password").to_owned()),
        client: client.address,
        tls: client.tls,
    };
    match pages.service.log_in(asked).await {
        Ok(LoggedIn::Session(made)) => enter(&made, client.tls, safe(next)),
        Ok(LoggedIn::MustEnrol(made)) => enter(&made, client.tls, "/factor"),
        Ok(LoggedIn::SecondFactor { pending }) => ask_code(&pages, StatusCode::OK, None, &pending, next),
        Err(problem) => {
            let (status, notice) = told(&problem);
            ask(&pages, status, Some(notice), (login, next))
        }
    }
}

fn told(problem: &LoginProblem) -> (StatusCode, Notice) {
    let status = match problem {
        LoginProblem::LockedOut => StatusCode::TOO_MANY_REQUESTS,
        LoginProblem::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        LoginProblem::Wrong | LoginProblem::WrongCode | LoginProblem::Again | LoginProblem::NotAllowed(_) => {
            StatusCode::FORBIDDEN
        }
    };
    let notice = Notice {
        tone: Tone::Bad,
        text: sentence(&problem.to_string()),
    };
    (status, notice)
}

/// A message of an error as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// The cookie of a new session, and on to a page.
fn enter(made: &NewSession, tls: bool, next: &str) -> Response {
    let mut response = see(if next.is_empty() { "/" } else { next });
    if let Ok(value) = cookie::set(Some(&made.id), tls).parse() {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

fn ask_code(
    pages: &Pages,
    status: StatusCode,
    notice: Option<Notice>,
    pending: &str,
    next: &str,
) -> Response {
    let code = Field::new(Input::Code, "code", "Code")
        .help("The six digits that your authenticator shows now, or one of your recovery codes.")
        .required()
        .autocomplete("one-time-code");
    let form = Form::post(
        "/login/factor",
        "",
        "Log in",
        vec![
            code,
            Field::hidden("pending", pending),
            Field::hidden("next", safe(next)),
        ],
    );
    outside(pages, status, "Second factor", notice, &[Section::Form(form)])
}

/// The code of the second factor was given.
pub(super) async fn code(State(pages): State<Arc<Pages>>, request: HttpRequest) -> Response {
    let Bare { client, form } = match bare(request, &pages).await {
        Ok(bare) => bare,
        Err(response) => return response,
    };
    let (pending, next) = (form.get("pending"), form.get("next"));
    match pages
        .service
        .second_factor(pending, form.get("code"), client.address)
        .await
    {
        Ok(made) => enter(&made, client.tls, safe(next)),
        Err(problem @ LoginProblem::Again) => {
            let (status, notice) = told(&problem);
            ask(&pages, status, Some(notice), ("", next))
        }
        Err(problem) => {
            let (status, notice) = told(&problem);
            ask_code(&pages, status, Some(notice), pending, next)
        }
    }
}

/// A one-time link is opened by a button: who only looks at the address in advance uses nothing up.
pub(super) async fn link(State(pages): State<Arc<Pages>>, Path(secret): Path<String>) -> Response {
    let mut form = Form::post(
        "/login/link",
        "",
        "Open the page",
        vec![Field::hidden("secret", secret)],
    );
    form.about =
        "This link works once. Whoever opens it can administer this server until they log out.".to_owned();
    outside(
        &pages,
        StatusCode::OK,
        "Log in by a link",
        None,
        &[Section::Form(form)],
    )
}

/// The button was pressed.
pub(super) async fn open_link(State(pages): State<Arc<Pages>>, request: HttpRequest) -> Response {
    let Bare { client, form } = match bare(request, &pages).await {
        Ok(bare) => bare,
        Err(response) => return response,
    };
    match pages.service.open_link(form.get("secret")) {
        Some(made) => enter(&made, client.tls, "/"),
        None => {
            let notice = Notice {
                tone: Tone::Bad,
                text: "This link does not work: it was used before, or its time is over. `postern api link` makes another.".to_owned(),
            };
            ask(&pages, StatusCode::FORBIDDEN, Some(notice), ("", ""))
        }
    }
}

/// The end of a session.
pub(super) async fn out(Posted { visit, .. }: Posted) -> Response {
    visit.service.log_out(&visit.id);
    let mut response = see("/login");
    if let Ok(value) = cookie::set(None, visit.tls).parse() {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
