//! `postern queue`: through the running server, or directly on the spool if none is running.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::ProgressBar;
use jiff::Timestamp;
use nix::unistd::geteuid;
use postern_spool::{Spool, SpoolError, SqliteSpool};
use serde_json::Value;

use crate::args::{FilterArgs, QueueArgs, QueueCommand, SelectArgs};
use crate::config::Written;
use crate::control::acts;
use crate::control::client::Client;
use crate::control::protocol::{
    Listing, MessageLine, MessageView, Operation, QueueChanged, RecipientView, RecoveredLine, Request,
    Status, Totals, Which,
};
use crate::control::queue::{self, OperationError};
use crate::exit::{Exit, Failure, chain};
use crate::{control, locate, output, visible};

/// Messages per listing request.
const PAGE: u32 = 1_000;

/// How long a command may take before a sign of life is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Does what was asked.
pub(crate) fn run(args: QueueArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    let written = super::written(&locate::existing(&args.config)?)?;
    // The caller is recorded, not the account that root becomes.
    let by = control::administrator(geteuid());
    let mut queue = Queue::open(&written, by)?;
    match args.command {
        QueueCommand::List {
            filter,
            limit,
            destinations: true,
            json,
        } => {
            let _ = (filter, limit);
            destinations(&mut queue, json.json)
        }
        QueueCommand::List {
            filter, limit, json, ..
        } => list(&mut queue, &filter, limit, json.json),
        QueueCommand::Show {
            id, message: true, ..
        } => queue.copy_content(&id),
        QueueCommand::Show { id, json, .. } => show(&mut queue, id, json.json),
        QueueCommand::Hold(select) => change(&mut queue, &select, Operation::Hold, "held"),
        QueueCommand::Release(select) => change(&mut queue, &select, Operation::Release, "released"),
        QueueCommand::Retry(select) => change(&mut queue, &select, Operation::Retry, "due now"),
        QueueCommand::Remove(select) => change(&mut queue, &select, Operation::Remove, "removed"),
        QueueCommand::Recover { dry_run, json } => recover(&mut queue, dry_run, json.json),
        QueueCommand::Flush { domain, json } => {
            let changed = queue.ask(Operation::Flush { domain })?;
            let changed: QueueChanged = read(changed)?;
            if json.json {
                output::print_json(&changed)
            } else {
                output::print(&counted(changed.changed, "recipient", "due now"))?;
                print_sandboxed(changed.sandboxed)
            }
        }
    }
}

/// Lists the part of the queue that the server shows to a local user.
pub(crate) fn list_for_user(client: Client) -> Result<(), Failure> {
    let all = FilterArgs {
        domain: None,
        sender: None,
        login: None,
        held: false,
        sandboxed: false,
    };
    list(&mut Queue::Server(client), &all, None, false)
}

/// The queue, however it is reached.
enum Queue {
    Server(Client),
    Spool {
        spool: SqliteSpool,
        runtime: tokio::runtime::Runtime,
        by: String,
        acts: (PathBuf, Duration),
    },
}

impl Queue {
    fn open(written: &Written, by: String) -> Result<Self, Failure> {
        if let Some(client) = super::reach(written)? {
            return Ok(Self::Server(client));
        }
        if !written.state_dir().exists() {
            return Err(Failure::new(
                Exit::No,
                format!(
                    "there is no queue: {} does not exist",
                    written.state_dir().display()
                ),
            ));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Failure::io("cannot start", &error))?;
        let _entered = runtime.enter();
        let spool = SqliteSpool::open(written.spool()).map_err(|error| spool_failure(&error))?;
        drop(_entered);
        Ok(Self::Spool {
            spool,
            runtime,
            by,
            acts: written.acts(),
        })
    }

    fn ask(&mut self, operation: Operation) -> Result<Value, Failure> {
        let _waiting = Waiting::begin();
        match self {
            Self::Server(client) => client.ask(&Request::Queue(operation)),
            Self::Spool {
                spool,
                runtime,
                by,
                acts,
            } => {
                let done = runtime
                    .block_on(queue::perform(spool, &operation, by))
                    .map_err(operation_failure)?;
                let changed = done.get("changed").and_then(Value::as_u64);
                if let Some((act, what)) = acts::of_queue(&operation)
                    && changed != Some(0)
                {
                    acts::record(acts, act, what, changed);
                }
                Ok(done)
            }
        }
    }

    /// Copies a message to standard output: unchanged, except that on a terminal, control characters are
    /// made harmless.
    fn copy_content(&mut self, id: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let mut shown = out.is_terminal().then(visible::Message::default);
        let mut write = |octets: &[u8]| {
            let written = match &mut shown {
                Some(message) => out.write_all(message.piece(octets).as_bytes()),
                None => out.write_all(octets),
            };
            written.map_err(|error| Failure::io("cannot write to standard output", &error))
        };
        let copied = self.read_content(id, &mut write);
        if let Some(message) = shown {
            // What could be read was shown; an error is reported below.
            let _ = out.write_all(message.rest().as_bytes());
        }
        copied
    }

    fn read_content(
        &mut self,
        id: &str,
        mut write: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self {
            Self::Server(client) => {
                let request = Request::Queue(Operation::Content { id: id.to_owned() });
                client.ask_for_content(&request, write).map(drop)
            }
            Self::Spool { spool, runtime, .. } => runtime.block_on(async {
                let mut body = queue::content(spool, id).await.map_err(operation_failure)?;
                while let Some(octets) = body.piece().await.map_err(|error| spool_failure(&error))? {
                    write(&octets)?;
                }
                Ok(())
            }),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Self::Spool { spool, runtime, .. } = self {
            let _ = runtime.block_on(spool.close());
        }
    }
}

fn operation_failure(error: OperationError) -> Failure {
    match error {
        OperationError::NotFound(message) => Failure::new(Exit::No, message),
        OperationError::Spool(error) => spool_failure(&error),
        OperationError::Json(_) => Failure::new(Exit::Software, error.to_string()),
    }
}

fn spool_failure(error: &SpoolError) -> Failure {
    let exit = match error {
        SpoolError::Locked { .. } => Exit::TryAgain,
        _ => Exit::InputOutput,
    };
    Failure::new(exit, chain(error))
}

/// A spinner on the terminal when a command takes long.
struct Waiting {
    done: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Waiting {
    fn begin() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                done: None,
                thread: None,
            };
        }
        let (done, ended) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner();
            bar.set_message("working");
            bar.enable_steady_tick(TICK);
            let _ = ended.recv();
            bar.finish_and_clear();
        });
        Self {
            done: Some(done),
            thread: Some(thread),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.done.take());
        // Later output comes after the spinner has been cleared.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot understand the server's answer", &error))
}

fn which(ids: &[String], filter: &FilterArgs) -> Which {
    Which {
        ids: ids.to_vec(),
        domain: filter.domain.clone(),
        sender: filter.sender.clone(),
        login: filter.login.clone(),
        held: filter.held,
        sandboxed: filter.sandboxed,
    }
}

/// Lists the queue a page at a time, whole unless there is a limit.
fn list(queue: &mut Queue, filter: &FilterArgs, limit: Option<u32>, json: bool) -> Result<(), Failure> {
    let columns = output::terminal_width();
    let mut lines = listing(columns);
    let (mut after, mut shown) = (None, 0_u32);
    let mut end = if json { "[" } else { "" };
    loop {
        let left = limit.map_or(PAGE, |limit| limit.saturating_sub(shown).min(PAGE));
        let operation = Operation::List {
            filter: which(&[], filter),
            after: after.take(),
            limit: left,
        };
        let page: Listing = read(queue.ask(operation)?)?;
        if json {
            for message in &page.messages {
                output::print_part(end, message)?;
                end = ",";
            }
        } else if !page.messages.is_empty() {
            let now = Timestamp::now();
            let rows: Vec<_> = page
                .messages
                .iter()
                .map(|message| row(message, now, columns))
                .collect();
            output::print(&lines.page(&rows))?;
        }
        shown = shown.saturating_add(u32::try_from(page.messages.len()).unwrap_or(u32::MAX));
        after = page.messages.last().map(|message| message.id.clone());
        let more = page.more && after.is_some();
        if more && limit.is_none_or(|limit| shown < limit) {
            continue;
        }
        if !json {
            return print_totals(&page.totals, u64::from(shown), more);
        }
        if more {
            eprintln!("postern: there are more messages than the limit of {shown}");
        }
        return output::print(if end == "[" { "[]" } else { "\n]" });
    }
}

/// The columns of the listing. In a pipe and on a wide terminal, the last reply is included.
fn listing(columns: Option<usize>) -> output::Lines {
    let head = ["id", "age", "size", "from", "to", "state", "last answer"];
    let cut = [(3, 12), (4, 12), (6, 12)];
    match has_answers(columns) {
        true => output::Lines::new(&head, &[1, 2], &cut, columns),
        false => output::Lines::new(&head[..6], &[1, 2], &cut[..2], columns),
    }
}

/// Columns of a terminal wide enough for hosts' replies.
const WIDE: usize = 120;

fn has_answers(columns: Option<usize>) -> bool {
    columns.is_none_or(|columns| columns >= WIDE)
}

fn print_totals(totals: &Totals, shown: u64, more: bool) -> Result<(), Failure> {
    if totals.messages == 0 && shown == 0 {
        return output::print("the queue is empty");
    }
    if shown == 0 {
        return output::print(&format!(
            "none of the {} in the queue",
            plural(totals.messages, "message")
        ));
    }
    let mut held = if totals.held > 0 {
        format!(", {} held", totals.held)
    } else {
        String::new()
    };
    if totals.damaged > 0 {
        held.push_str(&format!(", {} damaged", totals.damaged));
    }
    if totals.sandboxed > 0 {
        held.push_str(&format!(", {} sandboxed", totals.sandboxed));
    }
    let part = match (more, shown < totals.messages) {
        (true, _) => format!("the first {shown} of "),
        (false, true) => format!("{shown} of "),
        (false, false) => String::new(),
    };
    output::print(&format!(
        "{part}{} for {}, {}{held}",
        plural(totals.messages, "message"),
        plural(totals.recipients, "recipient"),
        output::size(totals.size),
    ))?;
    if more {
        output::print("there are more: leave out --limit to list them all")?;
    }
    if totals.unreadable > 0 {
        output::print(&format!(
            "the queue's database could not be read {}: see the log, and look at the disk",
            plural(totals.unreadable, "time")
        ))?;
    }
    Ok(())
}

fn row(message: &MessageLine, now: Timestamp, columns: Option<usize>) -> Vec<String> {
    let more = match message.open {
        0 | 1 => String::new(),
        open => format!(" +{}", open - 1),
    };
    let mut row = vec![
        message.id.clone(),
        output::brief(now.as_second() - message.received_at.as_second()),
        output::size(message.size),
        if message.sender.is_empty() {
            "<>".to_owned()
        } else {
            message.sender.clone()
        },
        format!("{}{more}", message.first_recipient),
        state(message, now),
    ];
    if has_answers(columns) {
        let answer = message.hold.as_deref().unwrap_or(&message.last_reply);
        row.push(answer.lines().collect::<Vec<_>>().join(" "));
    }
    row
}

/// `held`, `damaged`, `sandboxed`, `new`, `due`, or the time of the next attempt.
fn state(message: &MessageLine, now: Timestamp) -> String {
    match (&message.hold, message.next_due.as_second() - now.as_second()) {
        (Some(_), _) if message.damaged.is_some() => "damaged".to_owned(),
        (Some(_), _) if message.is_sandboxed() => "sandboxed".to_owned(),
        (Some(_), _) => "held".to_owned(),
        (None, ..=0) if message.attempts == 0 => "new".to_owned(),
        (None, ..=0) => "due".to_owned(),
        (None, wait) => format!("deferred {}", output::brief(wait)),
    }
}

fn show(queue: &mut Queue, id: String, json: bool) -> Result<(), Failure> {
    let value = queue.ask(Operation::Show { id })?;
    if json {
        return output::print_json(&value);
    }
    let view: MessageView = read(value)?;
    let now = Timestamp::now();
    output::print(&facts(&view, now))?;
    output::print("")?;
    let rows = view
        .all_recipients
        .iter()
        .map(|one| recipient_row(one, view.line.is_sandboxed(), now))
        .collect();
    output::print_table(
        &["recipient", "state", "tries", "next try", "last answer"],
        &[2],
        &[1, 2, 3],
        rows,
    )
}

/// Facts about the message as a whole, one per line.
fn facts(view: &MessageView, now: Timestamp) -> String {
    let line = &view.line;
    let age = output::span(now.as_second() - line.received_at.as_second());
    let mut facts = vec![
        ("id", line.id.clone()),
        ("from", format!("<{}>", line.sender)),
        ("accepted", format!("{:.0}, {age} ago", line.received_at)),
        ("size", output::size(line.size)),
    ];
    let optional = [
        ("login", &line.login),
        (if line.is_sandboxed() { "sandboxed" } else { "held" }, &line.hold),
        ("by rule", &line.hold_rule),
        ("by filter", &line.hold_milter),
        ("damaged", &line.damaged),
        ("session", &view.session),
        ("envelope id", &view.envid),
    ];
    facts.extend(
        optional
            .into_iter()
            .filter_map(|(name, fact)| Some((name, fact.clone()?))),
    );
    let line = |(name, fact): &(&str, String)| format!("{name:<12} {}", visible::line(fact));
    facts.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn recipient_row(recipient: &RecipientView, sandboxed: bool, now: Timestamp) -> Vec<String> {
    let next = match recipient.due_at.map(|due| due.as_second() - now.as_second()) {
        None => String::new(),
        Some(_) if sandboxed => String::new(),
        Some(..=0) => "now".to_owned(),
        Some(wait) => format!("in {}", output::span(wait)),
    };
    let said = [&recipient.relay, &recipient.status, &recipient.reply];
    let mut said: Vec<String> = said.into_iter().flatten().cloned().collect();
    said.extend(recipient.by.as_ref().map(|by| format!("by {by}")));
    vec![
        recipient.address.clone(),
        match sandboxed && recipient.state == "held" {
            true => "sandboxed".to_owned(),
            false => recipient.state.clone(),
        },
        recipient.attempts.to_string(),
        next,
        said.join(" "),
    ]
}

fn recover(queue: &mut Queue, dry_run: bool, json: bool) -> Result<(), Failure> {
    let value = queue.ask(Operation::Recover { import: !dry_run })?;
    if json {
        return output::print_json(&value);
    }
    let found: Vec<RecoveredLine> = read(value)?;
    if found.is_empty() {
        return output::print("nothing was put aside that the queue does not have");
    }
    let row = |one: &RecoveredLine| {
        let first = one.recipients.first().cloned().unwrap_or_default();
        let more = match one.recipients.len() {
            0 | 1 => String::new(),
            all => format!(" +{}", all - 1),
        };
        let sender = if one.sender.is_empty() { "<>" } else { &one.sender };
        vec![
            one.id.clone(),
            output::size(one.size),
            sender.to_owned(),
            format!("{first}{more}"),
            one.found_in.clone(),
        ]
    };
    output::print_table(
        &["id", "size", "from", "to", "found in"],
        &[1],
        &[0, 1, 4],
        found.iter().map(row).collect(),
    )?;
    let count = found.len() as u64;
    output::print(&if dry_run {
        format!("{} can be recovered", plural(count, "message"))
    } else {
        format!(
            "{}: look at them, then release or remove them",
            counted(count, "message", "recovered and held")
        )
    })
}

fn destinations(queue: &mut Queue, json: bool) -> Result<(), Failure> {
    let Queue::Server(client) = queue else {
        return Err(Failure::new(
            Exit::Unavailable,
            "the server does not run, so there are no connections to show",
        ));
    };
    let value = client.ask(&Request::Destinations)?;
    if json {
        return output::print_json(&value);
    }
    let now = Timestamp::now();
    let rows: Vec<_> = value
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| destination_row(one, now))
        .collect();
    if rows.is_empty() {
        return output::print("nothing was delivered recently");
    }
    output::print_table(
        &[
            "destination",
            "connections",
            "allowed",
            "waiting",
            "delivered",
            "waits",
            "dns",
            "login",
            "last error",
        ],
        &[1, 2, 3, 4],
        &[1, 2, 3, 4],
        rows,
    )?;
    let status: Status = read(client.ask(&Request::Status)?)?;
    output::print(&format!(
        "\nconnections in use:\n{}",
        super::status::connections(&status.connections)
    ))
}

/// One next hop; the value is a [`postern_deliver::DestinationStatus`].
fn destination_row(one: &Value, now: Timestamp) -> Vec<String> {
    let text = |name: &str| match &one[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let paused = one["paused_until"]
        .as_str()
        .and_then(|until| until.parse::<Timestamp>().ok());
    let paused = paused
        .map(|until| until.as_second() - now.as_second())
        .filter(|wait| *wait > 0);
    let error = one["last_error"][1]
        .as_str()
        .map(|error| output::brief_text(error, 60));
    let login = login_text(&one["login"], now);
    vec![
        text("destination"),
        text("connections"),
        text("window"),
        text("waiting"),
        text("delivered"),
        match paused {
            Some(wait) => format!("for {}", output::span(wait)),
            None if one["in_line"] == true => "in line".to_owned(),
            None => String::new(),
        },
        one["proof"].as_str().unwrap_or_default().to_owned(),
        login,
        error.unwrap_or_default(),
    ]
}

/// `isp: works, SCRAM-SHA-256, token for 55 min`; the value is a [`postern_deliver::LoginStatus`], or null.
fn login_text(login: &Value, now: Timestamp) -> String {
    let Some(name) = login["name"].as_str() else {
        return String::new();
    };
    let mut text = match login["state"].as_str() {
        Some("works") => format!(
            "{name}: works, {}",
            login["mechanism"].as_str().unwrap_or_default()
        ),
        Some("fails") => {
            let since = login["since"]
                .as_str()
                .and_then(|at| at.parse::<Timestamp>().ok());
            let since = since.map(|at| output::span(now.as_second() - at.as_second()));
            format!("{name}: fails for {}", since.unwrap_or_default())
        }
        _ => format!("{name}: not tried"),
    };
    let token = &login["token"];
    let expiry = token["expires_at"]
        .as_str()
        .and_then(|at| at.parse::<Timestamp>().ok());
    match expiry.map(|at| at.as_second() - now.as_second()) {
        Some(left) if left > 0 => text.push_str(&format!(", token for {}", output::span(left))),
        Some(_) => text.push_str(", token over"),
        None if token.is_object() => text.push_str(", no token"),
        None => {}
    }
    if let Some(problem) = token["problem"].as_str() {
        text.push_str(&format!(" ({})", output::brief_text(problem, 60)));
    }
    text
}

/// Applies an operation to messages. If an id is not queued, the exit status says so.
fn change(
    queue: &mut Queue,
    select: &SelectArgs,
    operation: fn(Which) -> Operation,
    verb: &str,
) -> Result<(), Failure> {
    let ids: Vec<String> = select.ids.iter().map(|id| id.to_uppercase()).collect();
    let distinct: HashSet<&String> = ids.iter().collect();
    let changed: QueueChanged = read(queue.ask(operation(which(&ids, &select.filter)))?)?;
    if select.json.json {
        output::print_json(&changed)?;
    } else {
        output::print(&counted(changed.changed, "message", verb))?;
        print_sandboxed(changed.sandboxed)?;
    }
    if changed.changed < distinct.len() as u64 {
        return Err(Failure::silent(Exit::No));
    }
    Ok(())
}

/// Why some of what was meant stays as it is.
fn print_sandboxed(sandboxed: u64) -> Result<(), Failure> {
    match sandboxed {
        0 => Ok(()),
        _ => output::print(&format!(
            "{} in the sandbox: mail of test accounts is never delivered, it can only be removed",
            plural(sandboxed, "message")
        )),
    }
}

/// `3 messages held`.
fn counted(count: u64, what: &str, verb: &str) -> String {
    format!("{} {verb}", plural(count, what))
}

fn plural(count: u64, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(hold: Option<&str>, damaged: bool, wait: i64, attempts: u32) -> MessageLine {
        let now = Timestamp::from_second(1_000_000).unwrap();
        MessageLine {
            id: "0CN5C48CM0000".into(),
            sender: "somebody.with-a-long-name@sender.example".into(),
            received_at: Timestamp::from_second(1_000_000 - 90_000).unwrap(),
            size: 10_200_000,
            recipients: 3,
            open: 3,
            first_recipient: "somebody-else.with-a-long-name@recipient.example".into(),
            next_due: now.checked_add(jiff::SignedDuration::from_secs(wait)).unwrap(),
            attempts,
            last_reply: "451 4.7.1 greylisted\nplease come back later".into(),
            failure: Some("refused".into()),
            stage: Some("RCPT".into()),
            hold: hold.map(str::to_owned),
            hold_rule: None,
            hold_milter: None,
            damaged: damaged.then(|| "sum".to_owned()),
            login: None,
        }
    }

    #[test]
    fn states() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        #[rustfmt::skip]
        let cases = [
            // what the case shows       the message                                  state
            ("never tried",              message(None, false, 0, 0),                  "new"),
            ("tried, and due again",     message(None, false, -5, 2),                 "due"),
            ("tried again later",        message(None, false, 400, 2),                "deferred 6m"),
            ("held",                     message(Some("by root"), false, 400, 0),      "held"),
            ("never delivered",          MessageLine { hold_rule: Some("sandbox.kept".into()), ..message(Some("sandbox.kept: x"), false, 400, 0) }, "sandboxed"),
            ("held for its damage",      message(Some("by Postern"), true, 0, 0),      "damaged"),
        ];
        for (shows, message, want) in cases {
            assert_eq!(state(&message, now), want, "{shows}");
        }
    }

    /// 80 columns hold a message on one line; a pipe gets everything.
    #[test]
    fn a_message_is_one_line() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let page = |columns| {
            let rows = [row(&message(None, false, 86_400 * 40, 2), now, columns)];
            listing(columns).page(&rows)
        };
        for columns in [80, 100, 120, 200] {
            let text = page(Some(columns));
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
            assert!(text.contains("deferred 40d"), "{text}");
        }
        let piped = page(None);
        for whole in [
            "somebody.with-a-long-name@sender.example",
            "somebody-else.with-a-long-name@recipient.example +2",
            "451 4.7.1 greylisted please come back later",
        ] {
            assert!(piped.contains(whole), "{piped}");
        }
    }
}
