//! The second factor of whoever looks: set up with an authenticator, removed with a code of it.

use postern_http::axum::response::Response;
use postern_web::{Cell, Field, Form, Input, Link, Qr, Section, Table};
use serde_json::Value;

use super::shown;
use super::visit::{Content, Failed, Posted, Visit, done};
use crate::admin::Problem;
use crate::admin::requests::FactorRequest;
use crate::control::protocol::Request;

/// Letters of a secret that stand together, so that it can be typed.
const GROUP: usize = 4;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(offer(&visit).await)
}

fn login(visit: &Visit) -> Result<String, Failed> {
    let login = visit.who.login.clone();
    let missing = || Problem::Bad("whoever came by a link has no login, and so no second factor".to_owned());
    Ok(login.ok_or_else(missing)?)
}

fn code() -> Field {
    Field::new(Input::Code, "code", "Code")
        .required()
        .autocomplete("one-time-code")
}

async fn offer(visit: &Visit) -> Result<Content, Failed> {
    let login = login(visit)?;
    let mut sections = Vec::new();
    if visit.service.admin().has_factor(&login) {
        let mut form = Form::post(
            "/factor",
            "Remove it",
            "Remove the second factor",
            vec![
                code().help("A code that your authenticator shows now, or a recovery code"),
                Field::hidden("act", "remove"),
            ],
        );
        form.danger = true;
        sections.push(Section::Note(
            "Your login takes a second factor: after the password you are asked for a code.".to_owned(),
        ));
        sections.push(Section::Form(form));
    } else {
        let mut form = Form::post(
            "/factor",
            "Set it up",
            "Begin",
            vec![Field::hidden("act", "begin")],
        );
        form.about = "After the password you are asked for a code of an authenticator program on your telephone or computer \
                      (TOTP, RFC 6238). Mail programs are not asked for it: they use app passwords."
            .to_owned();
        sections.push(Section::Form(form));
    }
    sections.extend(all(visit).await?);
    Ok(Content::new("My second factor", "/factor", sections))
}

/// Whose logins have one, for those who administer.
async fn all(visit: &Visit) -> Result<Option<Section>, Failed> {
    let asked = Request::Factors(FactorRequest::List);
    if !visit.may(&asked) {
        return Ok(None);
    }
    let lines: Vec<Value> = visit.ask(asked).await?;
    let mut table = Table::new(
        "factors",
        "Logins with a second factor",
        &["login", "since", "#recovery codes left", "act"],
    );
    table.empty = "No login has a second factor.".to_owned();
    for line in &lines {
        let login = shown::text(&line["login"]);
        let own = visit.who.is(&login);
        let fields = vec![
            ("act".to_owned(), "remove-of".to_owned()),
            ("login".to_owned(), login.clone()),
        ];
        let button = Cell::Button {
            action: "/factor".to_owned(),
            fields,
            label: "Remove".to_owned(),
            about: login.clone(),
        };
        table.row(vec![
            login.into(),
            shown::any("since", &line["since"]),
            shown::any("recovery_codes", &line["recovery_codes"]),
            if own { Cell::None } else { button },
        ]);
    }
    Ok(Some(Section::Table(table)))
}

pub(super) async fn act(Posted { visit, form }: Posted) -> Response {
    let login = match login(&visit) {
        Ok(login) => login,
        Err(failed) => return visit.answer(Err(failed)),
    };
    let given = form.some("code");
    match form.get("act") {
        "begin" => visit.answer(begin(&visit, login).await),
        "confirm" => {
            let asked = FactorRequest::Confirm {
                login,
                code: given.unwrap_or_default(),
            };
            match visit.act(&form, Request::Factors(asked)).await {
                Ok(answer) => {
                    visit.service.enrolled(&visit.id);
                    visit.answer(Ok(recovery(&answer)))
                }
                Err(failed) => visit.answer(Err(failed)),
            }
        }
        "remove" => remove(&visit, &form, login, given).await,
        // Of somebody else, which the role has to allow.
        "remove-of" => remove(&visit, &form, form.get("login").to_owned(), None).await,
        other => visit.answer(Err(Failed::bad(format!("there is no act {other:?}")))),
    }
}

async fn remove(
    visit: &Visit,
    form: &super::fields::Fields,
    login: String,
    code: Option<String>,
) -> Response {
    let asked = Request::Factors(FactorRequest::Remove { login, code });
    match visit.act(form, asked).await {
        Ok(answer) => done("/factor", "factor-remove", &answer),
        Err(failed) => visit.answer(Err(failed)),
    }
}

/// The code for the telephone, and the form for the first code that it shows.
async fn begin(visit: &Visit, login: String) -> Result<Content, Failed> {
    let made: Value = visit
        .ask(Request::Factors(FactorRequest::Begin { login }))
        .await?;
    let secret = grouped(&shown::text(&made["secret"]));
    let qr = Qr::new(&shown::text(&made["uri"]), secret).map_err(|error| Failed::bad(error.to_string()))?;
    let form = Form::post(
        "/factor",
        "Then give the first code",
        "Finish",
        vec![
            code().help("The six digits that your authenticator shows now"),
            Field::hidden("act", "confirm"),
        ],
    );
    let sections = vec![
        Section::Note("Read this code with your authenticator program.".to_owned()),
        Section::Code(qr),
        Section::Form(form),
    ];
    Ok(Content::new("Set up the second factor", "/factor", sections))
}

fn recovery(answer: &Value) -> Content {
    let codes = answer["recovery_codes"].as_array().into_iter().flatten();
    let secret = Section::Secret {
        title: "Recovery codes".to_owned(),
        lines: codes.map(shown::text).collect(),
        about: "Each logs you in once in place of a code, when you have lost the authenticator. Keep them where you keep other secrets: \
                they are not shown again."
            .to_owned(),
    };
    let links = Section::Links(vec![Link::new("/", "I have kept them")]);
    Content::new("The second factor is set up", "/factor", vec![secret, links])
}

/// A secret in groups of letters.
fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    let groups = letters
        .chunks(GROUP)
        .map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_can_be_typed() {
        assert_eq!(grouped("ABCDEFGHIJ"), "ABCD EFGH IJ");
        assert_eq!(grouped(""), "");
    }
}
