//! `postern import check --log`: the new configuration repeats the old server's decisions.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use postern_migrate::log::{Decision, Left, Reader, Seen};
use postern_policy::access::Action;
use postern_receive::{AccessSettings, Role};

use super::differences::{Asked, Differences};
use crate::args::{ConfigArg, ExplainSessionArgs, ImportCheckArgs};
use crate::commands::explain::{self, NOT_ASKED, Sources};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::{locate, output, rights};

/// Concurrent decisions: most of the time is spent waiting for answers.
const AT_ONCE: usize = 64;

/// Replays logs.
pub(crate) fn run(args: &ImportCheckArgs) -> Result<(), Failure> {
    let path = locate::existing(&args.config)?;
    let mut config = crate::commands::checked(&path)?;
    let (decisions, left, lines) = read(&args.log)?;
    if lines.1 == 0 {
        let message = "no line of these files is one of sendmail's or Postfix's about mail; name its log, such as /var/log/mail.log";
        return Err(Failure::new(Exit::No, message));
    }
    without_services(&mut config);
    rights::enter(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let mut differences = Differences::new(lines, left);
    runtime.block_on(judge(&config, &args.config, decisions, &mut differences))?;
    if args.json.json {
        output::print_json(&differences.shown())?;
    } else {
        output::print(&differences.text())?;
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(Failure::silent(Exit::No))
    }
}

type Replay = (HashMap<Decision, Seen>, HashMap<Left, u64>, (u64, u64));

/// Reads all files.
fn read(files: &[std::path::PathBuf]) -> Result<Replay, Failure> {
    let mut reader = Reader::new();
    let bar = spinner();
    for path in files {
        reader.file(&path.display().to_string());
        let failed = |error: &io::Error| Failure::io(&format!("cannot read {}", path.display()), error);
        let mut from = BufReader::with_capacity(1 << 20, open(path).map_err(|error| failed(&error))?);
        let mut line = Vec::new();
        let mut count = 0_u64;
        loop {
            if !next_line(&mut from, &mut line).map_err(|error| failed(&error))? {
                break;
            }
            reader.line(String::from_utf8_lossy(&line).trim_end());
            count += 1;
            if count.is_multiple_of(10_000)
                && let Some(bar) = &bar
            {
                bar.set_message(format!("{}: {count} lines", path.display()));
                bar.tick();
            }
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(reader.finish())
}

/// Octets of a line that are read: the rest of a longer one is skipped.
const LINE_MAX: u64 = 16 * 1_024;

/// Reads the next line; `false` at the end.
fn next_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if from.by_ref().take(LINE_MAX + 1).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() != Some(&b'\n') {
        from.skip_until(b'\n')?;
    }
    Ok(true)
}

/// A log, decompressed if its name says that it is compressed.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    match path.extension().and_then(|end| end.to_str()) {
        Some("gz") => Ok(Box::new(MultiGzDecoder::new(File::open(path)?))),
        Some("xz" | "bz2" | "zst") => Err(io::Error::other(format!(
            "unpack it yourself: for example `xz -dc {} | postern import check --log -`",
            path.display()
        ))),
        _ => Ok(Box::new(File::open(path)?)),
    }
}

/// Policy services are left out: a greylist would remember the request. A note replaces each.
fn without_services(config: &mut Config) {
    let quiet = |access: &Arc<AccessSettings>| {
        let mut access = AccessSettings::clone(access);
        let classes = access.rules.classes.iter_mut().flat_map(|class| &mut class.rules);
        for rule in access.rules.rules.iter_mut().chain(classes) {
            silence(&mut rule.action);
        }
        access.rules.prepare();
        Arc::new(access)
    };
    config.receive.access = quiet(&config.receive.access);
    for listener in &mut config.listeners {
        if let Some(access) = &listener.settings.access {
            listener.settings.access = Some(quiet(access));
        }
    }
}

fn silence(action: &mut Action) {
    match action {
        Action::Service(_) => *action = Action::Note(NOT_ASKED.into()),
        Action::Several(actions) => actions.iter_mut().for_each(silence),
        _ => {}
    }
}

async fn judge(
    config: &Config,
    named: &ConfigArg,
    decisions: HashMap<Decision, Seen>,
    differences: &mut Differences,
) -> Result<(), Failure> {
    let sources = Sources::open(config).await?;
    let bar = progress(decisions.len());
    let mut decisions: Vec<(Decision, Seen)> = decisions.into_iter().collect();
    // In the order of the log, so that examples are the same each time.
    decisions.sort_by(|a, b| {
        (&a.1.place.file, a.1.place.line)
            .cmp(&(&b.1.place.file, b.1.place.line))
            .then_with(|| a.0.recipient.cmp(&b.0.recipient))
    });
    let mut judged = stream::iter(decisions)
        .map(|(decision, seen)| {
            let sources = &sources;
            async move {
                let listener = listener_of(config, &decision);
                let helo = decision.helo.clone().unwrap_or_else(|| literal(decision.client));
                let args = ExplainSessionArgs::of_client(
                    named.clone(),
                    (decision.client, &listener, &helo),
                    decision.login.as_deref(),
                    (&decision.sender, &decision.recipient),
                );
                let brief = match args {
                    Ok(args) => Some(explain::brief(config, sources, &args).await),
                    Err(_) => None,
                };
                (decision, seen, (listener, helo), brief)
            }
        })
        .buffered(AT_ONCE);
    while let Some((decision, seen, (listener, helo), brief)) = judged.next().await {
        let at = Asked {
            config: named.config.as_deref(),
            listener: &listener,
            helo: &helo,
        };
        match brief {
            Some(brief) => differences.judged(&decision, &seen, &at, &brief?),
            None => differences.unreadable(seen.count),
        }
        if let Some(bar) = &bar {
            bar.inc(1);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(())
}

/// An unobjectionable `HELO` name, if the log has none.
fn literal(client: IpAddr) -> String {
    match client {
        IpAddr::V4(client) => format!("[{client}]"),
        IpAddr::V6(client) => format!("[IPv6:{client}]"),
    }
}

/// The listener that replaces the old service: the one with its name, or the first for such clients.
fn listener_of(config: &Config, decision: &Decision) -> String {
    let by_name = |name: &str| {
        let found = config
            .listeners
            .iter()
            .find(|listener| listener.settings.name.eq_ignore_ascii_case(name));
        found.map(|listener| listener.settings.name.clone())
    };
    let role = if decision.login.is_some() {
        Role::Submission
    } else {
        Role::Mx
    };
    let usable = config
        .listeners
        .iter()
        .filter(|listener| !listener.settings.filtered);
    let by_role = usable
        .clone()
        .find(|listener| listener.settings.role == role)
        .or_else(|| usable.clone().next());
    by_name(&decision.service)
        .filter(|_| !decision.service.is_empty())
        .or_else(|| by_role.map(|listener| listener.settings.name.clone()))
        .unwrap_or_default()
}

fn progress(count: usize) -> Option<ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} decisions, {eta} left") {
        bar.set_style(style);
    }
    Some(bar)
}

fn spinner() -> Option<ProgressBar> {
    io::stderr().is_terminal().then(ProgressBar::new_spinner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut() {
        let text = format!("{}\nshort\nlast", "x".repeat(100_000));
        let mut from = text.as_bytes();
        let mut line = Vec::new();
        let mut lengths = Vec::new();
        while next_line(&mut from, &mut line).unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [16_385, 6, 4]);
    }
}
