//! Who is locked out, or slowed, because of failed logins.

use postern_http::axum::response::Response;
use postern_web::{Cell, Field, Form, Input, Section, Table};

use super::fields::Fields;
use super::search::network;
use super::shown;
use super::visit::{Content, Failed, Posted, Visit, done};
use crate::control::protocol::{LockoutLine, Request};

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(list(&visit).await)
}

async fn list(visit: &Visit) -> Result<Content, Failed> {
    let all: Vec<LockoutLine> = visit.ask(Request::Lockouts).await?;
    let columns = [
        "login",
        "network",
        "#failed logins",
        "#lockouts in a row",
        "until",
    ];
    let mut table = Table::new("lockouts", "Locked out or slowed", &columns);
    table.empty = "Nobody is locked out.".to_owned();
    for line in &all {
        table.row(vec![
            line.login
                .as_deref()
                .unwrap_or("all that have not logged in from there")
                .into(),
            line.network
                .as_deref()
                .unwrap_or("wherever it has not logged in from")
                .into(),
            u64::from(line.failures).into(),
            u64::from(line.lockouts).into(),
            line.until
                .map_or_else(|| Cell::Text("slow only".to_owned()), shown::when),
        ]);
    }
    let mut sections = vec![Section::Table(table)];
    let lift = Request::Unlock {
        login: None,
        network: None,
    };
    if visit.may(&lift) {
        let fields = vec![
            Field::text("login", "Login"),
            Field::text("network", "An address of the network"),
            Field::new(Input::Tick, "everybody", "Everybody")
                .help("Lifts every lockout. Leave the fields above empty."),
            Field::text("reason", "Reason, for the history"),
        ];
        let mut form = Form::post("/lockouts/act", "Let in again", "Lift", fields);
        form.about = "All that is given has to match.".to_owned();
        sections.push(Section::Form(form));
    }
    Ok(Content::new("Lockouts", "/lockouts", sections))
}

pub(super) async fn act(Posted { visit, form }: Posted) -> Response {
    let address = form
        .some("network")
        .map(|text| network(&text).map(|network| network.addr()))
        .transpose();
    let address = match address {
        Ok(address) => address,
        Err(failed) => return visit.answer(Err(failed)),
    };
    if let Err(failed) = named(&form) {
        return visit.answer(Err(failed));
    }
    let request = Request::Unlock {
        login: form.some("login"),
        network: address,
    };
    match visit.act(&form, request).await {
        Ok(answer) => done("/lockouts", "unlock", &answer),
        Err(failed) => visit.answer(Err(failed)),
    }
}

/// Whether the form says whose lockouts are meant: an empty one is a slip, and lifts none.
fn named(form: &Fields) -> Result<(), Failed> {
    let names = form.some("login").is_some() || form.some("network").is_some();
    match (names, form.ticked("everybody")) {
        (true, false) | (false, true) => Ok(()),
        (false, false) => Err(Failed::bad("give a login or an address, or tick \"Everybody\"")),
        (true, true) => Err(Failed::bad(
            "give a login or an address, or tick \"Everybody\", not both",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_form_lifts_nothing() {
        #[rustfmt::skip]
        let cases = [
            // the form                              is done
            ("reason=x",                             false),
            ("login=&network=",                      false),
            ("login=anna",                           true),
            ("network=192.0.2.1&login=",             true),
            ("everybody=yes",                        true),
            ("everybody=yes&login=anna",             false),
        ];
        for (form, done) in cases {
            assert_eq!(named(&Fields::parse(form.as_bytes())).is_ok(), done, "{form}");
        }
    }
}
