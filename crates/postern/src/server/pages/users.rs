//! Logins, app passwords, and what they have used.

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use postern_http::axum::extract::Path;
use postern_http::axum::response::Response;
use postern_receive::AccountInfo;
use postern_web::{Cell, Field, Form, Link, Section, Table, path};
use serde_json::Value;

use super::accounts::counts_table;
use super::fields::Fields;
use super::shown;
use super::visit::{Content, Failed, Posted, Visit, done, see};
use crate::admin::requests::UserRequest;
use crate::admin::{Problem, Role};
use crate::control::protocol::Request;
use crate::usage::Line;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(list(&visit).await)
}

async fn list(visit: &Visit) -> Result<Content, Failed> {
    let users: Vec<Value> = visit.ask(Request::Users(UserRequest::List)).await?;
    let columns = [
        "login",
        "state",
        "password set",
        "mechanisms",
        "further addresses",
        "groups",
        "delegate of",
    ];
    let mut table = Table::new("users", "Postern's own users", &columns);
    table.empty = "There are no own users; `postern user add LOGIN` makes one.".to_owned();
    for user in &users {
        let login = shown::text(&user["login"]);
        let state = if user["enabled"] == true {
            "enabled"
        } else {
            "disabled"
        };
        table.row(vec![
            Link::new(path(&["users", &login]), login).into(),
            shown::badge(state),
            shown::any("password_set_at", &user["password_set_at"]),
            shown::text(&user["mechanisms"]).into(),
            shown::text(&user["addresses"]).into(),
            shown::text(&user["groups"]).into(),
            shown::text(&user["acts_for"]).into(),
        ]);
    }
    let mut sections = vec![Section::Table(table)];
    let asked = Request::Logins;
    if visit.may(&asked) {
        let used: Vec<Line> = visit.ask(asked).await?;
        sections.push(Section::Table(usage(&used, None)));
    }
    Ok(Content::new("Logins and app passwords", "/users", sections))
}

/// By which mechanism who has logged in, of one login or of all.
fn usage(used: &[Line], of: Option<&str>) -> Table {
    let columns = ["login", "mechanism", "#logins", "first", "last", "last from"];
    let mut table = Table::new("usage", "Logins by mechanism", &columns);
    table.empty = "Nobody has logged in yet.".to_owned();
    for line in used
        .iter()
        .filter(|line| of.is_none_or(|login| line.login == login))
    {
        table.row(vec![
            Link::new(path(&["users", &line.login]), line.login.as_str()).into(),
            line.mechanism.as_str().into(),
            line.count.into(),
            shown::when(line.first_at),
            shown::when(line.last_at),
            line.last_peer.map(|peer| peer.to_string()).into(),
        ]);
    }
    table
}

pub(super) async fn one(visit: Visit, Path(login): Path<String>) -> Response {
    visit.answer(show(&visit, &login, Vec::new()).await)
}

/// The page of whoever looks.
pub(super) async fn own(visit: Visit) -> Response {
    match visit.who.login.clone() {
        Some(login) => visit.answer(show(&visit, &login, Vec::new()).await),
        None => see("/"),
    }
}

fn area(visit: &Visit) -> (&'static str, String) {
    match visit.who.role {
        Role::Own => ("/passwords", "/passwords".to_owned()),
        _ => ("/users", String::new()),
    }
}

/// A user, with what was just made in front.
async fn show(visit: &Visit, login: &str, mut sections: Vec<Section>) -> Result<Content, Failed> {
    let asked = Request::Users(UserRequest::Show {
        login: login.to_owned(),
    });
    match visit.ask::<Value>(asked).await {
        Ok(user) => {
            let fields = user
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| *name != "login");
            sections.push(Section::Facts {
                title: "Facts".to_owned(),
                rows: fields
                    .map(|(name, value)| (shown::words(name), fact(name, value)))
                    .collect(),
            });
            sections.extend(passwords(visit, login).await?);
            sections.extend(switches(visit, login, user["enabled"] == true));
        }
        // A login of another directory has no app passwords here, and a history all the same.
        Err(Failed::Problem(Problem::NotFound(_) | Problem::Bad(_))) => {
            let text = "This login is not one of Postern's own users: another directory knows it, and app passwords are made there.";
            sections.push(Section::Note(text.to_owned()));
        }
        Err(failed) => return Err(failed),
    }
    sections.extend(budgets(visit, login).await?);
    if visit.may(&Request::Logins) {
        let used: Vec<Line> = visit.ask(Request::Logins).await?;
        sections.push(Section::Table(usage(&used, Some(login))));
    }
    sections.push(Section::Links(vec![
        Link::new(
            postern_web::query("/queue", &[("login", login)]),
            "Mail in the queue",
        ),
        Link::new(
            postern_web::query("/sessions", &[("login", login)]),
            "Open sessions",
        ),
        Link::new(postern_web::query("/history", &[("login", login)]), "History"),
    ]));
    let title = match visit.who.role {
        Role::Own => "My app passwords".to_owned(),
        _ => format!("Login {login}"),
    };
    Ok(Content::new(title, area(visit).0, sections))
}

fn fact(name: &str, value: &Value) -> Cell {
    match value {
        Value::Array(_) => shown::text(value).into(),
        _ => shown::any(name, value),
    }
}

async fn budgets(visit: &Visit, login: &str) -> Result<Vec<Section>, Failed> {
    let asked = Request::Account {
        account: login.to_owned(),
    };
    if !visit.may(&asked) {
        return Ok(Vec::new());
    }
    match visit.ask::<AccountInfo>(asked).await {
        Ok(info) => Ok(vec![Section::Table(counts_table(&info))]),
        Err(Failed::Problem(Problem::NotFound(_))) => Ok(Vec::new()),
        Err(failed) => Err(failed),
    }
}

/// Where forms about a login are sent.
fn target(login: &str) -> String {
    path(&["users", login, "act"])
}

async fn passwords(visit: &Visit, login: &str) -> Result<Vec<Section>, Failed> {
    let asked = Request::Users(UserRequest::AppPasswords {
        login: login.to_owned(),
    });
    let all: Vec<Value> = visit.ask(asked).await?;
    let columns = ["label", "made", "expires", "networks", "last use", "from", ""];
    let mut table = Table::new("app-passwords", "App passwords", &columns);
    table.empty = "There are no app passwords.".to_owned();
    let revoke = |label: &str| {
        let request = Request::Users(UserRequest::RevokeAppPassword {
            login: login.to_owned(),
            label: label.to_owned(),
        });
        let fields = [("act", "revoke"), ("label", label)];
        let button = Cell::Button {
            action: target(login),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            label: "Revoke".to_owned(),
            about: label.to_owned(),
        };
        if visit.may(&request) { button } else { Cell::None }
    };
    for one in &all {
        let label = shown::text(&one["label"]);
        let expires = match &one["expires_at"] {
            Value::Null => Cell::Text("never".to_owned()),
            at => shown::any("expires_at", at),
        };
        let used = match &one["last_used_at"] {
            Value::Null => Cell::Text("never".to_owned()),
            at => shown::any("last_used_at", at),
        };
        let button = revoke(&label);
        let networks = match &one["networks"] {
            Value::Array(all) if all.is_empty() => Cell::Text("everywhere".to_owned()),
            all => shown::text(all).into(),
        };
        table.row(vec![
            label.into(),
            shown::any("created_at", &one["created_at"]),
            expires,
            networks,
            used,
            shown::text(&one["last_used_from"]).into(),
            button,
        ]);
    }
    if let Some(column) = table.columns.last_mut() {
        column.title = "act".to_owned();
    }
    let add = Request::Users(UserRequest::AddAppPassword {
        login: login.to_owned(),
        label: String::new(),
        expires_at: None,
        networks: Vec::new(),
    });
    let mut sections = vec![Section::Table(table)];
    if visit.may(&add) {
        let fields = vec![
            Field::text("label", "Label")
                .help("What it is for: the telephone, the scanner")
                .required(),
            Field::text("expires", "Expires").help("2026-12-31, its last day; empty for never"),
            Field::text("networks", "Networks").help("From where it may be used; empty for everywhere"),
            Field::hidden("act", "add"),
        ];
        let mut form = Form::post(target(login), "Make an app password", "Make it", fields);
        form.about = "A password of its own for one program or device. It is shown once.".to_owned();
        sections.push(Section::Form(form));
    }
    Ok(sections)
}

fn switches(visit: &Visit, login: &str, enabled: bool) -> Option<Section> {
    let (act, title, button, request) = match enabled {
        true => (
            "disable",
            "Keep from logging in",
            "Disable",
            UserRequest::Disable {
                login: login.to_owned(),
            },
        ),
        false => (
            "enable",
            "Let log in again",
            "Enable",
            UserRequest::Enable {
                login: login.to_owned(),
            },
        ),
    };
    let fields = vec![
        Field::hidden("act", act),
        Field::text("reason", "Reason, for the history"),
    ];
    let form = Form {
        danger: enabled,
        ..Form::post(target(login), title, button, fields)
    };
    visit.may(&Request::Users(request)).then_some(Section::Form(form))
}

pub(super) async fn act(Path(login): Path<String>, Posted { visit, form }: Posted) -> Response {
    let word = form.get("act").to_owned();
    let request = match request(&login, &form) {
        Ok(request) => Request::Users(request),
        Err(failed) => return visit.answer(Err(failed)),
    };
    let answer = match visit.act(&form, request).await {
        Ok(answer) => answer,
        Err(failed) => return visit.answer(Err(failed)),
    };
    if word == "add" {
        // It is shown once, so the answer itself is the page.
        let lines = vec![shown::text(&answer["password"])];
        let secret = Section::Secret {
            title: format!("App password {}", form.get("label")),
            lines,
            about: format!("The user name is {login}. Copy the password now: it is not shown again."),
        };
        return visit.answer(show(&visit, &login, vec![secret]).await);
    }
    let back = match area(&visit) {
        (_, own) if !own.is_empty() => own,
        _ => path(&["users", &login]),
    };
    done(&back, &word, &answer)
}

fn request(login: &str, form: &Fields) -> Result<UserRequest, Failed> {
    let login = login.to_owned();
    let label = form.get("label").to_owned();
    Ok(match form.get("act") {
        "add" => UserRequest::AddAppPassword {
            login,
            label,
            expires_at: form.some("expires").map(|text| last_of(&text)).transpose()?,
            networks: networks(form.get("networks"))?,
        },
        "revoke" => UserRequest::RevokeAppPassword { login, label },
        "disable" => UserRequest::Disable { login },
        "enable" => UserRequest::Enable { login },
        other => return Err(Failed::bad(format!("there is no act {other:?}"))),
    })
}

/// The end of a day, in UTC.
pub(super) fn last_of(text: &str) -> Result<Timestamp, Failed> {
    let at = text
        .parse::<Date>()
        .and_then(|day| day.at(23, 59, 59, 0).to_zoned(TimeZone::UTC));
    at.map(|at| at.timestamp())
        .map_err(|_| Failed::bad(format!("{text:?} is not a day: write 2026-12-31")))
}

/// Networks with blanks or commas between them.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, Failed> {
    let all = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|one| !one.is_empty());
    all.map(super::search::network).collect()
}
