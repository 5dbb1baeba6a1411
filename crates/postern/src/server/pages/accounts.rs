//! Accounts on hold, budgets and their use, and the evidence on one account.

use postern_http::axum::extract::Path;
use postern_http::axum::response::Response;
use postern_receive::AccountInfo;
use postern_web::{Cell, Field, Form, Input, Link, Section, Table, Tone, path};

use super::shown;
use super::visit::{Content, Failed, Posted, Visit, done};
use crate::admin::Problem;
use crate::control::accounts::{AccountLine, BudgetLine};
use crate::control::protocol::Request;
use crate::control::wishes::AccountWish;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(list(&visit).await)
}

async fn list(visit: &Visit) -> Result<Content, Failed> {
    let held: Vec<AccountLine> = visit.ask(Request::Accounts).await?;
    let budgets: Vec<BudgetLine> = visit.ask(Request::Budgets).await?;
    let mut sections = vec![Section::Table(on_hold(&held)), Section::Table(in_force(&budgets))];
    sections.push(Section::Table(most_used(&budgets)));
    sections.extend(hold_form(visit, ""));
    Ok(Content::new("Accounts and budgets", "/accounts", sections))
}

fn on_hold(held: &[AccountLine]) -> Table {
    let columns = ["account", "since", "reason", "by", "#messages held", "#size"];
    let mut table = Table::new("on-hold", "Accounts on hold", &columns);
    table.empty = "No account is on hold.".to_owned();
    for line in held {
        let hold = &line.hold;
        let by = hold
            .by
            .clone()
            .or_else(|| hold.budget.as_ref().map(|budget| format!("the budget {budget}")));
        table.row(vec![
            shown::account(&line.account),
            shown::when(hold.since),
            hold.reason.as_str().into(),
            by.into(),
            hold.messages.into(),
            shown::size(hold.octets),
        ]);
    }
    table
}

fn in_force(budgets: &[BudgetLine]) -> Table {
    let mut table = Table::new("budgets", "Budgets in force", &["budget", "per", "bounds"]);
    table.empty = "There is no budget; `[[budget]]` in the configuration makes one.".to_owned();
    for budget in budgets {
        table.row(vec![
            budget.budget.as_str().into(),
            budget.per.as_str().into(),
            Cell::Many(budget.bounds.iter().map(|bound| bound.as_str().into()).collect()),
        ]);
    }
    table
}

fn most_used(budgets: &[BudgetLine]) -> Table {
    let columns = ["account", "budget", "#share", "counted", "#now", "#most", "in"];
    let mut table = Table::new("use", "Who has used most of a budget", &columns);
    table.empty = "No budget has been used.".to_owned();
    for budget in budgets {
        for used in &budget.top {
            table.row(vec![
                shown::account(&used.account),
                budget.budget.as_str().into(),
                Cell::Number(format!("{} %", used.share)),
                used.bound.counted.as_str().into(),
                used.bound.total.into(),
                used.bound.most.map_or(Cell::None, Cell::from),
                used.bound.span.as_str().into(),
            ]);
        }
    }
    table
}

/// What counts of an account, and how much there may be.
pub(super) fn counts_table(info: &AccountInfo) -> Table {
    let mut table = Table::new(
        "counts",
        "What counts now",
        &["what", "in", "#now", "#most", "beyond that"],
    );
    table.empty = "Nothing is counted.".to_owned();
    for count in &info.counts {
        table.row(vec![
            count.counted.as_str().into(),
            count.span.as_str().into(),
            count.total.into(),
            count.most.map_or(Cell::None, Cell::from),
            count.action.clone().into(),
        ]);
    }
    table
}

pub(super) async fn one(visit: Visit, Path(account): Path<String>) -> Response {
    visit.answer(show(&visit, &account).await)
}

async fn show(visit: &Visit, account: &str) -> Result<Content, Failed> {
    let asked = Request::Account {
        account: account.to_owned(),
    };
    let mut sections = match visit.ask::<AccountInfo>(asked).await {
        Ok(info) => evidence(&info),
        Err(Failed::Problem(Problem::NotFound(why))) => vec![Section::Note(why)],
        Err(failed) => return Err(failed),
    };
    sections.push(Section::Links(vec![
        Link::new(path(&["users", account]), "Login and app passwords"),
        Link::new(
            postern_web::query("/queue", &[("login", account)]),
            "Mail in the queue",
        ),
        Link::new(postern_web::query("/history", &[("login", account)]), "History"),
    ]));
    sections.extend(release_form(visit, account));
    sections.extend(hold_form(visit, account));
    Ok(Content::new(format!("Account {account}"), "/accounts", sections))
}

fn evidence(info: &AccountInfo) -> Vec<Section> {
    let mut sections = Vec::new();
    if let Some(hold) = &info.hold {
        sections.push(Section::Verdict {
            tone: Tone::Warn,
            text: format!("On hold: {}", hold.reason),
        });
        sections.push(Section::Facts {
            title: String::new(),
            rows: vec![
                ("Since".to_owned(), shown::when(hold.since)),
                (
                    "By".to_owned(),
                    hold.by.clone().or_else(|| hold.budget.clone()).into(),
                ),
                ("Messages held".to_owned(), hold.messages.into()),
                ("Size".to_owned(), crate::output::size(hold.octets).into()),
            ],
        });
    }
    sections.push(Section::Table(counts_table(info)));
    let mut networks = Table::new(
        "networks",
        "From where it has sent within a day",
        &["network", "last"],
    );
    networks.empty = "It has sent nothing within a day.".to_owned();
    for network in &info.networks {
        networks.row(vec![
            network.network.as_str().into(),
            shown::when(network.last_at),
        ]);
    }
    sections.push(Section::Table(networks));
    let recent: Vec<serde_json::Value> = info
        .recent
        .iter()
        .filter_map(|one| serde_json::to_value(one).ok())
        .collect();
    let mut names: Vec<&str> = Vec::new();
    if let Some(fields) = recent.first().and_then(serde_json::Value::as_object) {
        names.extend(fields.keys().map(String::as_str).filter(|name| *name != "queue"));
    }
    let mut columns = vec![("queue", "message")];
    let titles: Vec<(&str, String)> = names.iter().map(|name| (*name, shown::words(name))).collect();
    columns.extend(titles.iter().map(|(name, title)| (*name, title.as_str())));
    let mut messages = shown::list("recent", "Its last messages", &recent, &columns);
    messages.empty = "It has sent no message lately.".to_owned();
    for (row, one) in messages.rows.iter_mut().zip(&recent) {
        row.cells[0] = shown::message(&shown::text(&one["queue"]));
    }
    sections.push(Section::Table(messages));
    sections
}

fn wish(account: &str, remove: bool) -> AccountWish {
    AccountWish {
        account: account.to_owned(),
        reason: None,
        remove,
    }
}

fn hold_form(visit: &Visit, account: &str) -> Option<Section> {
    let named = match account.is_empty() {
        true => Field::text("account", "Account")
            .help("A login, or the network of clients without one")
            .required(),
        false => Field::hidden("account", account),
    };
    let fields = vec![
        named,
        Field::text("reason", "Reason"),
        Field::hidden("act", "hold"),
    ];
    let mut form = Form::post("/accounts/act", "Put on hold", "Hold", fields);
    form.about =
        "What it sends is taken and held, with what waits in the queue. It is told nothing.".to_owned();
    let may = visit.may(&Request::HoldAccount(wish(account, false)));
    may.then_some(Section::Form(form))
}

fn release_form(visit: &Visit, account: &str) -> Option<Section> {
    let choices = [("release", "let it go on"), ("remove", "remove it for good")];
    let choices = choices
        .into_iter()
        .map(|(value, words)| (value.to_owned(), words.to_owned()));
    let fields = vec![
        Field::hidden("account", account),
        Field::new(Input::OneOf(choices.collect()), "act", "Its held mail"),
        Field::text("reason", "Reason, for the history"),
    ];
    let form = Form::post("/accounts/act", "Release", "Release the account", fields);
    let may = visit.may(&Request::ReleaseAccount(wish(account, false)));
    may.then_some(Section::Form(form))
}

pub(super) async fn act(Posted { visit, form }: Posted) -> Response {
    let account = form.get("account").to_owned();
    let wish = AccountWish {
        reason: form.some("reason"),
        ..wish(&account, form.get("act") == "remove")
    };
    let (request, word) = match form.get("act") {
        "hold" => (Request::HoldAccount(wish), "account-hold"),
        "release" => (Request::ReleaseAccount(wish), "account-release"),
        "remove" => (Request::ReleaseAccount(wish), "account-remove"),
        other => return visit.answer(Err(Failed::bad(format!("there is no act {other:?}")))),
    };
    if account.is_empty() {
        return visit.answer(Err(Failed::bad("no account is named")));
    }
    match visit.act(&form, request).await {
        Ok(answer) => done(&path(&["accounts", &account]), word, &answer),
        Err(failed) => visit.answer(Err(failed)),
    }
}
