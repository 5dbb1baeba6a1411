//! `postern login`: Postern's own credentials at smarthosts.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use postern_oauth::acquire::{Device, Grant, Poll, TokenSettings, TokenStore};

use crate::args::{LoginArgs, LoginCommand};
use crate::control::acts;
use crate::exit::{Exit, Failure, chain};
use crate::{locate, output, rights};

/// How often the remaining time is updated.
const TICK: Duration = Duration::from_millis(250);

/// Runs one of the subcommands.
pub(crate) fn run(args: LoginArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    let path = locate::existing(&args.config)?;
    let config = super::checked(&path)?;
    rights::enter(&config.state_dir)?;
    let LoginCommand::Authorize { name } = args.command;
    let names: Vec<&str> = config.tokens.iter().map(|one| one.login.as_str()).collect();
    let Some(settings) = config.tokens.iter().find(|one| one.login == name) else {
        let known = match names.as_slice() {
            [] => "none has [login.token]".to_owned(),
            names => format!("there is {}", names.join(", ")),
        };
        let text = format!("no [[login]] {name:?} uses tokens; {known}");
        return Err(Failure::new(Exit::No, text));
    };
    if settings.grant == Grant::ClientCredentials {
        let text = format!(
            "the login {name:?} uses client credentials, which nobody has to authorize; the server fetches its tokens by itself"
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start the runtime", &error))?;
    runtime.block_on(authorize(settings, &TokenStore::new(&config.state_dir)))?;
    acts::record(&config.acts, "login authorize", Some(name), None);
    Ok(())
}

async fn authorize(settings: &TokenSettings, store: &TokenStore) -> Result<(), Failure> {
    let refused = |error: &dyn std::error::Error| Failure::new(Exit::Unavailable, chain(error));
    let mut device = Device::begin(settings.clone())
        .await
        .map_err(|error| refused(&error))?;
    let mut text = format!(
        "Open {}\nand type the code {}",
        device.verification_uri, device.user_code
    );
    if let Some(complete) = &device.verification_uri_complete {
        text.push_str(&format!("\nor open {complete}"));
    }
    text.push_str(&format!(
        "\nas {}, and agree.",
        settings.scope.as_deref().map_or_else(
            || "the owner of the account".to_owned(),
            |scope| format!("the owner of the account (it will ask for {scope})")
        )
    ));
    output::print(&text)?;
    let end = Instant::now() + device.expires_in;
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    let fetched = loop {
        if Instant::now() >= end {
            bar.finish_and_clear();
            return Err(Failure::new(
                Exit::No,
                "the code expired before anyone authorized it: start again",
            ));
        }
        let left = end.saturating_duration_since(Instant::now()).as_secs();
        let left = output::span(i64::try_from(left).unwrap_or(i64::MAX));
        bar.set_message(format!("waiting for authorization; the code is valid for {left}"));
        tokio::time::sleep(device.interval).await;
        match device.poll().await {
            Ok(Poll::Pending) => {}
            Ok(Poll::Granted(fetched)) => break fetched,
            Err(error) => {
                bar.finish_and_clear();
                return Err(refused(&error));
            }
        }
    };
    bar.finish_and_clear();
    store
        .authorized(settings, fetched)
        .map_err(|error| refused(&error))?;
    output::print(&format!(
        "the login {:?} is authorized; a running server uses it from now on",
        settings.login
    ))
}
