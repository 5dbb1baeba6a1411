//! Tokens of the API, and the providers of bearer tokens.

use postern_http::axum::response::Response;
use postern_web::{Cell, Field, Form, Input, Section, Table};
use serde_json::Value;

use super::fields::Fields;
use super::shown;
use super::users::{last_of, networks};
use super::visit::{Content, Failed, Posted, Visit, done};
use crate::admin::Role;
use crate::admin::requests::{NewToken, TokenRequest};
use crate::control::protocol::{ProviderLine, Request};

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(show(&visit, Vec::new()).await)
}

async fn show(visit: &Visit, mut sections: Vec<Section>) -> Result<Content, Failed> {
    let tokens: Vec<Value> = visit.ask(Request::ApiTokens(TokenRequest::List)).await?;
    let columns = [
        "name",
        "role",
        "login",
        "networks",
        "scope",
        "made",
        "by",
        "expires",
        "last used",
        "act",
    ];
    let mut table = Table::new("tokens", "Tokens of the API", &columns);
    table.empty = "There are no tokens.".to_owned();
    for token in &tokens {
        let name = shown::text(&token["name"]);
        let button = Cell::Button {
            action: "/tokens".to_owned(),
            fields: vec![
                ("act".to_owned(), "revoke".to_owned()),
                ("name".to_owned(), name.clone()),
            ],
            label: "Revoke".to_owned(),
            about: name.clone(),
        };
        let plain = |key: &str| Cell::from(shown::text(&token[key]));
        table.row(vec![
            name.into(),
            plain("role"),
            plain("login"),
            plain("networks"),
            plain("scope"),
            shown::any("created_at", &token["created_at"]),
            plain("created_by"),
            shown::any("expires_at", &token["expires_at"]),
            plain("used_on"),
            button,
        ]);
    }
    sections.push(Section::Table(table));
    sections.push(Section::Form(new_form()));
    let providers: Vec<ProviderLine> = visit.ask(Request::Providers).await?;
    sections.push(Section::Table(provided(&providers)));
    Ok(Content::new("Tokens", "/tokens", sections))
}

fn new_form() -> Form {
    let roles = Role::ALL
        .iter()
        .map(|role| (role.name().to_owned(), role.name().to_owned()));
    let fields = vec![
        Field::text("name", "Name").help("What it is for").required(),
        Field::new(Input::OneOf(roles.collect()), "role", "Role").with(Role::Read.name()),
        Field::text("login", "Login").help("As whom it sends mail, and whose mail is its own"),
        Field::text("expires", "Expires").help("2026-12-31, its last day; empty for never"),
        Field::text("networks", "Networks").help("From where it may be used; empty for everywhere"),
        Field::text("scope", "Scope")
            .help("Requests that it is limited to, with commas between them: queue list, status"),
        Field::text("reason", "Reason, for the history"),
        Field::hidden("act", "create"),
    ];
    Form::post("/tokens", "Make a token", "Make it", fields)
}

fn provided(all: &[ProviderLine]) -> Table {
    let mut table = Table::new(
        "providers",
        "Providers of bearer tokens",
        &["issuer", "check", "state", "keys", "#age"],
    );
    table.empty = "No provider is configured.".to_owned();
    for one in all {
        table.row(vec![
            one.issuer.as_str().into(),
            one.check.as_str().into(),
            match &one.problem {
                Some(problem) => Cell::Badge(postern_web::Tone::Bad, problem.clone()),
                None => shown::badge("up"),
            },
            one.keys.clone().into(),
            one.age
                .map(|age| crate::output::span(i64::try_from(age).unwrap_or(i64::MAX)))
                .map_or(Cell::None, Cell::Number),
        ]);
    }
    table
}

pub(super) async fn act(Posted { visit, form }: Posted) -> Response {
    let request = match request(&form) {
        Ok(request) => request,
        Err(failed) => return visit.answer(Err(failed)),
    };
    let made = matches!(request, TokenRequest::Create(_));
    match visit.act(&form, Request::ApiTokens(request)).await {
        Ok(answer) if made => {
            let secret = Section::Secret {
                title: format!("Token {}", form.get("name")),
                lines: vec![shown::text(&answer["token"])],
                about: "Send it as `Authorization: Bearer TOKEN`. Copy it now: it is not shown again."
                    .to_owned(),
            };
            visit.answer(show(&visit, vec![secret]).await)
        }
        Ok(answer) => done("/tokens", "token-revoke", &answer),
        Err(failed) => visit.answer(Err(failed)),
    }
}

fn request(form: &Fields) -> Result<TokenRequest, Failed> {
    let name = form.get("name").to_owned();
    match form.get("act") {
        "create" => {}
        "revoke" => return Ok(TokenRequest::Revoke { name }),
        other => return Err(Failed::bad(format!("there is no act {other:?}"))),
    }
    let role = Role::ALL.into_iter().find(|role| role.name() == form.get("role"));
    let scope = form.get("scope").split(',').map(|one| one.trim().to_owned());
    Ok(TokenRequest::Create(NewToken {
        name,
        role: role.ok_or_else(|| Failed::bad("there is no such role"))?,
        login: form.some("login"),
        expires_at: form.some("expires").map(|text| last_of(&text)).transpose()?,
        networks: networks(form.get("networks"))?,
        scope: scope.filter(|one| !one.is_empty()).collect(),
    }))
}
