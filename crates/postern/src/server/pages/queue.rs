//! The queue: found, chosen, held, released, tried again, removed.

use postern_http::axum::response::Response;
use postern_web::{Act, Cell, Field, Form, Input, Link, Method, Row, Section, Select, Table, Tone, query};

use super::fields::Fields;
use super::shown;
use super::visit::{Content, Failed, Posted, Visit, done, see};
use crate::admin::Role;
use crate::control::protocol::{Listing, MessageLine, Operation, Request, Which};

/// Messages on a page.
const PAGE: u32 = 100;

/// Ids that a question names one by one.
const NAMED: usize = 10;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(content(&visit).await)
}

/// What is looked for, as the form says it.
fn filter(fields: &Fields) -> Which {
    Which {
        ids: Vec::new(),
        domain: fields.some("domain"),
        sender: fields.some("sender"),
        login: fields.some("login"),
        held: fields.ticked("held"),
        sandboxed: fields.ticked("sandboxed"),
    }
}

/// The same as names and values.
fn pairs(which: &Which) -> [(&'static str, &str); 5] {
    [
        ("domain", which.domain.as_deref().unwrap_or_default()),
        ("sender", which.sender.as_deref().unwrap_or_default()),
        ("login", which.login.as_deref().unwrap_or_default()),
        ("held", if which.held { "yes" } else { "" }),
        ("sandboxed", if which.sandboxed { "yes" } else { "" }),
    ]
}

async fn content(visit: &Visit) -> Result<Content, Failed> {
    let which = filter(&visit.query);
    let after = visit.query.some("after");
    let asked = Request::Queue(Operation::List {
        filter: which.clone(),
        after: after.clone(),
        limit: PAGE,
    });
    let listing: Listing = visit.ask(asked).await?;
    let own = visit.who.role == Role::Own;
    let mut fields = vec![
        Field::text("domain", "Recipient domain").with(which.domain.clone().unwrap_or_default()),
        Field::text("sender", "Sender").with(which.sender.clone().unwrap_or_default()),
    ];
    if !own {
        fields.push(Field::text("login", "Login").with(which.login.clone().unwrap_or_default()));
    }
    let held = Field::new(Input::Tick, "held", "On hold only");
    fields.push(held.with(if which.held { "yes" } else { "" }));
    let sandboxed = Field::new(Input::Tick, "sandboxed", "In the sandbox only");
    fields.push(sandboxed.with(if which.sandboxed { "yes" } else { "" }));
    let form = Form {
        target: Some("messages".to_owned()),
        ..Form::get("/queue", "", "Find", fields)
    };
    let mut sections = vec![
        Section::Form(form),
        Section::Table(table(visit, &listing, &which, after.is_some())),
    ];
    if listing.totals.messages > 0 && visit.may(&Request::Queue(Operation::Flush { domain: None })) {
        let domain = Field::text("domain", "Recipient domain").help("Leave it empty for the whole queue.");
        let mut flush = Form::post(
            "/queue/act",
            "Try again now",
            "Try again",
            vec![domain, Field::hidden("act", "flush")],
        );
        flush.about = "What waits for its next try is tried at once.".to_owned();
        sections.push(Section::Form(flush));
    }
    Ok(Content::new(
        if own { "My mail" } else { "Queue" },
        "/queue",
        sections,
    ))
}

fn table(visit: &Visit, listing: &Listing, which: &Which, later: bool) -> Table {
    let columns = [
        "message",
        "received",
        "from",
        "to",
        "#size",
        "state",
        "last reply",
    ];
    let mut table = Table::new("messages", "Messages in the queue", &columns);
    table.empty = "No message in the queue fits.".to_owned();
    table.status = status(listing, visit.who.role == Role::Own);
    table.rows = listing.messages.iter().map(row).collect();
    if later {
        table
            .pages
            .push(Link::new(query("/queue", &pairs(which)), "From the beginning"));
    }
    if let Some(last) = listing.messages.last().filter(|_| listing.more) {
        let mut next = pairs(which).to_vec();
        next.push(("after", &last.id));
        table
            .pages
            .push(Link::new(query("/queue", &next), format!("The next {PAGE}")));
    }
    let hold = Request::Queue(Operation::Hold(Which::default()));
    if visit.may(&hold) {
        table.select = Some(select(which, listing));
    }
    table
}

/// How much is shown; of the whole queue nobody hears who sees his own mail alone.
fn status(listing: &Listing, own: bool) -> String {
    let shown = listing.messages.len();
    let more = if listing.more {
        ", and more behind them"
    } else {
        ""
    };
    let shown = format!("{} shown{more}.", counted(shown as u64, "message"));
    if own {
        return shown;
    }
    let totals = &listing.totals;
    let sandboxed = match totals.sandboxed {
        0 => String::new(),
        many => format!(", {many} in the sandbox"),
    };
    format!(
        "{shown} In the queue: {} for {}, {} on hold{sandboxed}.",
        counted(totals.messages, "message"),
        counted(totals.recipients, "recipient"),
        totals.held,
    )
}

/// `1 message`, `2 messages`.
fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

fn select(which: &Which, listing: &Listing) -> Select {
    let act = |value: &str, label: &str, danger| Act {
        value: value.to_owned(),
        label: label.to_owned(),
        danger,
    };
    let is_all = pairs(which).iter().all(|(_, value)| value.is_empty());
    Select {
        action: "/queue/act".to_owned(),
        fields: pairs(which)
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        acts: vec![
            act("hold", "Hold", false),
            act("release", "Release", false),
            act("retry", "Try again now", false),
            act("remove", "Remove …", true),
        ],
        all: Some(match is_all {
            true => format!(
                "All of the queue, on whatever page: {}",
                counted(listing.totals.messages, "message")
            ),
            false => "All that fit what is looked for, on whatever page".to_owned(),
        }),
    }
}

fn row(message: &MessageLine) -> Row {
    let more = message.open.saturating_sub(1);
    let to = match more {
        0 => message.first_recipient.clone(),
        more => format!("{} and {more} more", message.first_recipient),
    };
    let reply = match &message.hold {
        Some(hold) => hold.clone(),
        None => message.last_reply.clone(),
    };
    Row {
        key: Some(message.id.clone()),
        cells: vec![
            shown::message(&message.id),
            shown::when(message.received_at),
            from(message),
            to.into(),
            shown::size(message.size),
            state(message),
            reply.into(),
        ],
    }
}

/// The sender, and the login where that is another name.
fn from(message: &MessageLine) -> Cell {
    let login = message.login.as_ref().filter(|login| **login != message.sender);
    let sender = shown::sender(&message.sender);
    match login {
        Some(login) => Cell::Many(vec![sender, Cell::Text(format!("login {login}"))]),
        None => sender,
    }
}

pub(super) fn state(message: &MessageLine) -> Cell {
    if message.damaged.is_some() {
        return Cell::Badge(Tone::Bad, "damaged".to_owned());
    }
    if message.is_sandboxed() {
        return Cell::Badge(Tone::Plain, "sandbox".to_owned());
    }
    if message.hold.is_some() {
        return Cell::Badge(Tone::Warn, "on hold".to_owned());
    }
    let next = Cell::Many(vec![
        Cell::Text(format!("tries: {}, next", message.attempts)),
        shown::when(message.next_due),
    ]);
    match message.attempts {
        0 => Cell::Badge(Tone::Plain, "new".to_owned()),
        _ => next,
    }
}

/// What a form wants done, and with which messages.
struct Wish {
    act: String,
    which: Which,
    /// Whether all are meant that fit.
    all: bool,
}

fn wish(form: &Fields) -> Wish {
    let all = form.ticked("all");
    let ids = if all { Vec::new() } else { form.all("id") };
    Wish {
        act: form.get("act").to_owned(),
        which: Which { ids, ..filter(form) },
        all,
    }
}

/// Does it, or asks first where that cannot be undone or is about more than the page shows.
pub(super) async fn act(Posted { visit, form }: Posted) -> Response {
    let wish = wish(&form);
    let back = form
        .some("back")
        .unwrap_or_else(|| query("/queue", &pairs(&filter(&form))));
    let back = match super::next::safe(&back) {
        "" => "/queue",
        safe => safe,
    };
    if wish.act == "flush" {
        let flush = Request::Queue(Operation::Flush {
            domain: form.some("domain"),
        });
        return match visit.act(&form, flush).await {
            Ok(answer) => done("/queue", "retry", &answer),
            Err(failed) => visit.answer(Err(failed)),
        };
    }
    if wish.which.ids.is_empty() && !wish.all {
        return see(&query(back, &[("done", "none")]));
    }
    let is_sure = form.ticked("sure");
    if (wish.act == "remove" || wish.all) && !is_sure {
        return visit.answer(Ok(question(&wish, &form, back)));
    }
    let (request, word) = match operation(&wish) {
        Ok(found) => found,
        Err(failed) => return visit.answer(Err(failed)),
    };
    match visit.act(&form, Request::Queue(request)).await {
        // A removed message has no page any more.
        Ok(answer) if word == "remove" && back.starts_with("/queue/") => done("/queue", word, &answer),
        Ok(answer) => done(back, word, &answer),
        Err(failed) => visit.answer(Err(failed)),
    }
}

fn operation(wish: &Wish) -> Result<(Operation, &'static str), Failed> {
    let which = wish.which.clone();
    Ok(match wish.act.as_str() {
        "hold" => (Operation::Hold(which), "hold"),
        "release" => (Operation::Release(which), "release"),
        "retry" => (Operation::Retry(which), "retry"),
        "remove" => (Operation::Remove(which), "remove"),
        other => return Err(Failed::bad(format!("there is no act {other:?}"))),
    })
}

/// The page that asks whether it is meant.
fn question(wish: &Wish, form: &Fields, back: &str) -> Content {
    let verb = match wish.act.as_str() {
        "remove" => "Remove for good",
        "hold" => "Hold",
        "release" => "Release",
        _ => "Try again now",
    };
    let what = match (wish.all, wish.which.ids.as_slice()) {
        (true, _) => {
            let given = pairs(&wish.which)
                .into_iter()
                .filter(|(_, value)| !value.is_empty());
            let given: Vec<String> = given.map(|(name, value)| format!("{name} {value}")).collect();
            match given.is_empty() {
                true => "all messages of the queue".to_owned(),
                false => format!("all messages with {}", given.join(", ")),
            }
        }
        (false, ids) if ids.len() > NAMED => format!("{} messages", ids.len()),
        (false, ids) => ids.join(", "),
    };
    let mut fields: Vec<Field> = wish
        .which
        .ids
        .iter()
        .map(|id| Field::hidden("id", id.as_str()))
        .collect();
    fields.extend(
        pairs(&wish.which)
            .into_iter()
            .map(|(name, value)| Field::hidden(name, value)),
    );
    fields.push(Field::hidden("act", wish.act.as_str()));
    fields.push(Field::hidden("back", back));
    fields.push(Field::hidden("sure", "yes"));
    if wish.all {
        fields.push(Field::hidden("all", "yes"));
    }
    fields.push(Field::text("reason", "Reason, for the history").with(form.get("reason")));
    let about = match wish.act.as_str() {
        "remove" => format!("{verb}: {what}? Senders are told nothing of it, and it cannot be undone."),
        _ => format!("{verb}: {what}?"),
    };
    let form = Form {
        about,
        danger: wish.act == "remove",
        method: Method::Post,
        ..Form::post("/queue/act", "", verb, fields)
    };
    let sections = vec![
        Section::Form(form),
        Section::Links(vec![Link::new(back, "No, back")]),
    ];
    Content::new(format!("{verb}?"), "/queue", sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_wants() {
        type Row<'a> = (&'a str, &'a str, &'a [&'a str], bool, Option<&'a str>);
        #[rustfmt::skip]
        let cases: [Row<'_>; 5] = [
            // what the case shows        the form                                    ids          all    domain
            ("chosen rows",               "act=hold&id=A&id=B",                       &["A", "B"], false, None),
            ("nothing chosen",            "act=hold&domain=d.example",                &[],         false, Some("d.example")),
            ("all that fit",              "act=remove&all=yes&domain=d.example",      &[],         true,  Some("d.example")),
            ("all, and rows",             "act=remove&all=yes&id=A",                  &[],         true,  None),
            ("empty fields",              "act=remove&id=A&domain=&sender=&login=",   &["A"],      false, None),
        ];
        for (shows, form, ids, all, domain) in cases {
            let wish = wish(&Fields::parse(form.as_bytes()));
            assert_eq!(
                (wish.which.ids.as_slice(), wish.all),
                (
                    ids.iter()
                        .map(|id| (*id).to_owned())
                        .collect::<Vec<_>>()
                        .as_slice(),
                    all
                ),
                "{shows}"
            );
            assert_eq!(wish.which.domain.as_deref(), domain, "{shows}");
        }
        let unknown = wish(&Fields::parse(b"act=explode&id=A"));
        assert!(operation(&unknown).is_err());
    }
}
