//! `postern webhook`: the state of webhooks, and a test of one.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use postern_https::HttpClient;
use postern_webhook::{Settings, Status, post_once};
use serde_json::json;

use crate::args::{WebhookArgs, WebhookCommand};
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::{locate, output, visible};

/// Does what was asked.
pub(crate) fn run(args: &WebhookArgs) -> Result<(), Failure> {
    match &args.command {
        None => list(&locate::existing(&args.config)?, args.json.json),
        Some(WebhookCommand::Test { name, config, json }) => {
            test(&locate::existing(config)?, name, json.json)
        }
    }
}

fn list(path: &Path, json: bool) -> Result<(), Failure> {
    let written = super::written(path)?;
    let Some(mut client) = super::reach(&written)? else {
        return Err(Failure::new(
            Exit::Unavailable,
            format!("no server runs on {}", written.state_dir().display()),
        ));
    };
    let all: Vec<Status> = serde_json::from_value(client.ask(&Request::Webhooks)?).map_err(|error| {
        Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
    })?;
    let all_work = all.iter().all(|one| one.failing.is_none());
    if json {
        output::print_json(&all)?;
    } else if all.is_empty() {
        output::print("no webhooks: there is no [[webhook]] in the configuration")?;
    } else {
        let now = Timestamp::now();
        output::print_table(
            &["webhook", "host", "state", "delivered", "stored", "dropped"],
            &[3, 4, 5],
            &[],
            all.iter().map(|one| row(one, now)).collect(),
        )?;
        for one in &all {
            if let Some(failing) = &one.failing {
                let line = format!("{}: {}", one.webhook, failing.reason);
                output::print(&visible::line(&line))?;
            }
        }
    }
    match all_work {
        true => Ok(()),
        false => Err(Failure::silent(Exit::No)),
    }
}

fn row(one: &Status, now: Timestamp) -> Vec<String> {
    let state = match (&one.failing, one.taken_at) {
        (Some(failing), _) => {
            let seconds = now.as_second() - failing.since.as_second();
            format!("failing for {}", output::span(seconds))
        }
        (None, Some(_)) => "working".to_owned(),
        (None, None) => "not used yet".to_owned(),
    };
    vec![
        one.webhook.clone(),
        one.host.clone(),
        state,
        one.delivered.to_string(),
        one.waiting.to_string(),
        one.dropped.to_string(),
    ]
}

/// The webhook of this name.
fn named<'a>(all: &'a [Settings], name: &str) -> Result<&'a Settings, Failure> {
    all.iter().find(|one| one.name == name).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        let there = match names.as_slice() {
            [] => "there is no [[webhook]] in the configuration".to_owned(),
            _ => format!("there are: {}", names.join(", ")),
        };
        Failure::new(Exit::No, format!("there is no webhook {name:?}; {there}"))
    })
}

fn test(path: &Path, name: &str, as_json: bool) -> Result<(), Failure> {
    let config = super::checked(path)?;
    let settings = named(&config.webhooks, name)?;
    super::become_server(&super::written(path)?)?;
    let client = HttpClient::new(&settings.http)
        .map_err(|error| Failure::from_error(Exit::Config, "cannot tell whom to trust", &error))?;
    let id = format!("msg_test_{:016x}", rand::random::<u64>());
    let event = json!({
        "time": Timestamp::now(),
        "level": "info",
        "target": "postern::run",
        "message": "test",
        "webhook": name,
        "hostname": config.hostname,
    });
    let body = format!("{event}\n");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let begun = Instant::now();
    let sent = runtime.block_on(post_once(&client, settings, &id, body.as_bytes()));
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let host = settings.endpoint.host();
    if as_json {
        output::print_json(&json!({
            "webhook": name,
            "host": host,
            "taken": sent.is_ok(),
            "status": sent.as_ref().ok(),
            "error": sent.as_ref().err().map(|refused| &refused.reason),
            "latency_ms": milliseconds,
        }))?;
    }
    match sent {
        Ok(_) if as_json => Ok(()),
        Err(_) if as_json => Err(Failure::silent(Exit::No)),
        Ok(status) => output::print(&format!(
            "{name}: {host} accepted the test event {id} (status {status}, {milliseconds} ms)"
        )),
        Err(refused) => Err(Failure::new(
            Exit::No,
            format!(
                "{name}: {host} did not accept the test event: {}",
                visible::line(&refused.reason)
            ),
        )),
    }
}
