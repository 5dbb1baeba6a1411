//! `postern budgets try`: what the budgets of a file would have caught, by the history.

mod deeds;
mod moment;
mod show;

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use postern_history::{Archive, Class};
use postern_policy::budget::rules::{Who, network_name};
use postern_policy::budget::trial::{Trial, count};
use postern_policy::budget::{Counted, Deed, RecipientKey, Terms};
use postern_receive::BudgetSettings;

use self::deeds::{Past, Reader, What};
use crate::args::{BudgetsTryArgs, ConfigArg};
use crate::config::Source;
use crate::exit::{Exit, Failure};
use crate::{locate, output, visible};

/// Does it.
pub(crate) fn run(args: &BudgetsTryArgs, config: &ConfigArg) -> Result<(), Failure> {
    let path = match &args.file {
        Some(file) => file.clone(),
        None => locate::existing(config)?,
    };
    let settings = Source::read(&path)
        .and_then(|source| source.budgets())
        .map_err(|report| super::refused(&report, &path))?;
    if settings.budgets.is_empty() {
        let text = format!("no [[budget]] stands in {}", path.display());
        return Err(Failure::new(Exit::No, text));
    }
    let written = super::written(&locate::existing(config)?)?;
    let mut archive = super::trace::open(&written)?;
    let mut trial = Trial::new(terms(&settings));
    let mut reader = Reader::new(args.times.since, args.times.until);
    if trial.knows_recipients() {
        reader.key = Some(RecipientKey::new(rand::random()));
    }
    let unreadable = play(&mut archive, &mut reader, &mut trial, &settings, args)?;
    for file in &unreadable {
        eprintln!("postern: cannot read {}", visible::line(file));
    }
    let shown = show::Shown::of(&trial, args, unreadable);
    match args.json.json {
        true => output::print_json(&shown),
        false => show::print(&shown, &settings.budgets),
    }
}

fn terms(settings: &BudgetSettings) -> Terms<'_> {
    Terms {
        held: settings.held,
        pace: (settings.delay.as_secs().max(1), settings.delay_most.as_secs()),
        ..Terms::new(&settings.budgets)
    }
}

/// Has all that happened happen again, in order of time.
fn play(
    archive: &mut Archive,
    reader: &mut Reader,
    trial: &mut Trial<'_>,
    settings: &BudgetSettings,
    args: &BudgetsTryArgs,
) -> Result<Vec<String>, Failure> {
    let failed = |error| super::trace::cannot(&error);
    let strangers = count(
        &settings.budgets,
        &[Counted::FailedLogins, Counted::RefusedRecipients],
    );
    let classes: &[Class] = match strangers {
        true => &Class::ALL,
        false => &[Class::Users, Class::Incoming],
    };
    let bar = progress(archive, classes)?;
    let mut unreadable = Vec::new();
    // What began on one day may go on over the next ones.
    let mut waiting: Vec<Past> = Vec::new();
    for day in archive.days().map_err(failed)? {
        if args
            .times
            .until
            .is_some_and(|until| begin(day) > until.as_millisecond())
        {
            break;
        }
        let of_day = archive.each_of(day, classes, |story| {
            if let Some(bar) = &bar {
                bar.inc(1);
            }
            reader.read(&story, &mut |past| waiting.push(past));
        });
        unreadable.extend(of_day.map_err(failed)?);
        waiting.sort_by_key(|past| past.at);
        let end = day.tomorrow().map_or(i64::MAX, begin);
        let later = waiting.split_off(waiting.partition_point(|past| past.at < end));
        for past in std::mem::replace(&mut waiting, later) {
            replay(&past, trial, settings);
        }
    }
    for past in waiting {
        replay(&past, trial, settings);
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(unreadable)
}

/// The first moment of a day by UTC, in milliseconds since 1970.
fn begin(day: Date) -> i64 {
    let day = day.to_zoned(jiff::tz::TimeZone::UTC);
    day.map_or(i64::MAX, |day| day.timestamp().as_millisecond())
}

fn replay(past: &Past, trial: &mut Trial<'_>, settings: &BudgetSettings) {
    let who = Who {
        login: past.login.as_deref(),
        peer: past.peer,
        sender_domain: past.domain.as_deref(),
    };
    let now = u64::try_from(past.at / 1_000).unwrap_or(0);
    let network = past.peer.map(network_name);
    let countries = settings.countries.as_deref();
    let deed = Deed {
        network: network.as_deref(),
        country: past.peer.and_then(|peer| countries?.of(peer)),
        ..Deed::default()
    };
    let one = |change: fn(&mut Deed<'_>)| {
        let mut deed = Deed::default();
        change(&mut deed);
        deed
    };
    // Mail that comes back was sent, if before the time that is looked at.
    if matches!(
        past.what,
        What::Login | What::Bounce | What::ReturnedBounce | What::Complaint
    ) {
        trial.begin(&who, now);
    }
    match &past.what {
        What::Login => {}
        What::Message {
            named,
            octets,
            recipients,
        } => {
            let deed = Deed {
                messages: 1,
                named: *named,
                octets: *octets,
                recipients,
                ..deed
            };
            trial.message(&who, &deed, now);
        }
        What::RefusedRecipient => trial.happened(&who, &one(|deed| deed.refused_recipients = 1), now),
        What::Bounce => trial.happened(&who, &one(|deed| deed.bounces = 1), now),
        What::ReturnedBounce => trial.happened(&who, &one(|deed| deed.returned_bounces = 1), now),
        What::Complaint => trial.happened(&who, &one(|deed| deed.complaints = 1), now),
        What::FailedLogin => trial.happened(&who, &one(|deed| deed.failed_logins = 1), now),
    }
}

/// A bar for who waits at a terminal.
fn progress(archive: &mut Archive, classes: &[Class]) -> Result<Option<ProgressBar>, Failure> {
    if !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    let (usage, _) = archive.usage().map_err(|error| super::trace::cannot(&error))?;
    let wanted = |class: &str| classes.iter().any(|one| one.name() == class);
    let stories = usage
        .iter()
        .filter(|one| wanted(one.class))
        .map(|one| one.stories);
    let bar = ProgressBar::new(stories.sum());
    bar.enable_steady_tick(Duration::from_millis(200));
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} of the history, {eta} left") {
        bar.set_style(style);
    }
    Ok(Some(bar))
}
