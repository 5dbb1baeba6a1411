//! How strangers are checked, and how senders of forwarded mail are rewritten.

use std::sync::Arc;

use postern_policy::DomainSet;
use postern_policy::screen::ScreenSettings;
use postern_policy::screen::finding::{Act, Demand};
use postern_policy::screen::list::DnsList;
use postern_policy::screen::score::Thresholds;
use postern_policy::srs::Srs;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Checking, clamp, files, values};
use crate::config::file;
use crate::config::read::At;

/// Most lists: each means a query for each stranger that connects.
const LISTS_MAX: usize = 50;

/// Largest file of secrets, in octets.
const SECRETS_MAX: u64 = 64 * 1_024;

/// Shortest secret, in octets.
const SECRET_MIN: usize = 16;

const DAY_SECONDS: u64 = 86_400;

pub(super) fn check(c: &mut Checking<'_>) -> ScreenSettings {
    let written = &c.file.screen;
    let score = |at: &Option<At<u64>>| at.as_ref().map(|at| clamp_score(at.value));
    let mut acts = [Act::Off; Demand::ALL.len()];
    for (demand, act) in [
        (Demand::HeloSyntax, *written.helo_syntax),
        (Demand::HeloForeign, *written.helo_own),
        (Demand::HeloKnown, *written.helo_unknown),
        (Demand::ClientNamed, *written.client_nameless),
        (Demand::ClientConfirmed, *written.client_unconfirmed),
        (Demand::SenderKnown, *written.sender_unknown),
    ] {
        acts[demand.index()] = act;
    }
    let settings = ScreenSettings {
        lists: c.file.dns_list.iter().filter_map(dns_list).collect(),
        thresholds: Thresholds {
            refuse: score(&written.refuse),
            hold: score(&written.hold),
            tag: score(&written.tag),
        },
        early_talk_score: score(&written.early_talk),
        except: values(&written.except.value),
        acts,
        timeout: *written.timeout,
        lookups: clamp(*written.lookups),
    };
    warn_of_lists(c, &settings);
    let mut settings = settings;
    if settings.thresholds == Thresholds::default() {
        // Their answers have no effect unless an access rule uses them.
        settings.lists.clear();
    }
    warn_of_early_talk(c);
    settings
}

fn clamp_score(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn dns_list(written: &At<file::DnsList>) -> Option<DnsList> {
    let zone = written.zone.as_ref()?.value.clone();
    Some(DnsList {
        name: written
            .name
            .as_ref()
            .map_or_else(|| zone.clone(), |name| name.value.clone()),
        zone,
        subject: *written.subject,
        answers: written
            .answers
            .as_ref()
            .map_or_else(Vec::new, |list| values(&list.value)),
        score: *written.score,
        text: written.text.as_ref().map(|text| text.value.clone()),
    })
}

fn warn_of_lists(c: &mut Checking<'_>, settings: &ScreenSettings) {
    let Some(first) = c.file.dns_list.first() else {
        return;
    };
    let by_rule = c.file.access.iter().any(|rule| rule.dns_list.is_some());
    let Thresholds { refuse, hold, tag } = settings.thresholds;
    let least = [refuse, hold, tag].into_iter().flatten().min();
    let highest: i32 = settings
        .lists
        .iter()
        .map(|list| list.score.max(0))
        .chain(settings.early_talk_score)
        .sum();
    match least {
        None if by_rule => {}
        None => c.problems.warning(
            first.span.clone(),
            "[[dns_list]] without a score that has an effect",
            "never used",
            "add `refuse`, `hold` or `tag` to [screen], or name it in `dns_list` of an [[access]] rule",
        ),
        Some(least) if highest < least => c.problems.warning(
            first.span.clone(),
            format!("all lists together reach a score of {highest}, and the first threshold in [screen] is {least}"),
            "never reached",
            "raise `score` in [[dns_list]], or lower `refuse`, `hold` or `tag`",
        ),
        Some(_) => {}
    }
    if settings.lists.len() > LISTS_MAX {
        c.problems.error(
            c.file.dns_list.last().and_then(|last| last.span.clone()),
            format!("more than {LISTS_MAX} [[dns_list]] tables"),
            "each is a question for each stranger",
            "keep those that decide something",
        );
    }
}

fn warn_of_early_talk(c: &mut Checking<'_>) {
    if let Some(early) = &c.file.screen.early_talk
        && c.file.timeouts.greeting_delay.is_zero()
    {
        c.problems.warning(
            early.span.clone(),
            "`early_talk` in [screen] without `greeting_delay`",
            "nobody talks before a greeting that comes at once",
            "add `greeting_delay = \"5s\"` to [timeouts]",
        );
    }
}

/// How senders are rewritten, if there is an `[srs]`.
pub(super) fn srs(c: &mut Checking<'_>) -> Option<Arc<Srs>> {
    let written = c.file.srs.as_ref()?;
    let domain = written.domain.as_ref()?;
    let parsed: postern_mail::Domain = domain.value.parse().ok()?;
    if !c.local_domains.contains_by_name(&parsed) {
        c.problems.error(
            domain.span.clone(),
            format!("`domain` in [srs] is not in `local_domains`: {}", domain.value),
            "bounces would not come back",
            format!(
                "add {:?} to `local_domains`, or choose one of those there",
                domain.value
            ),
        );
    }
    let secrets = secrets(written.secret_file.as_ref()?, c)?;
    Some(Arc::new(Srs {
        domain: parsed,
        secrets,
        hash_length: clamp(*written.hash_length),
        max_age_days: clamp(written.max_age.as_secs().div_ceil(DAY_SECONDS)),
        own: own_domains(c),
    }))
}

/// Domains whose mail is not forwarded.
fn own_domains(c: &Checking<'_>) -> DomainSet {
    let mut own = c.local_domains.clone();
    own.extend(&c.relay_domains);
    own.extend(&c.alias_domains);
    own
}

fn secrets(file: &At<std::path::PathBuf>, c: &mut Checking<'_>) -> Option<Vec<SecretString>> {
    if !files::secret(file, "the secret file", c.problems) {
        return None;
    }
    let text = match postern_trust::read_bounded(&file.value, SECRETS_MAX) {
        Ok(octets) => Zeroizing::new(octets),
        Err(error) => {
            c.problems.error(
                file.span.clone(),
                error.to_string(),
                "no secret",
                files::SECRET_REMEDY,
            );
            return None;
        }
    };
    let lines = std::str::from_utf8(&text).unwrap_or_default().lines();
    let secrets: Vec<SecretString> = lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect();
    let shortest = secrets.iter().map(length).min();
    if shortest.is_none_or(|shortest| shortest < SECRET_MIN) {
        c.problems.error(
            file.span.clone(),
            format!("a secret in {} has less than {SECRET_MIN} octets", file.display()),
            "could be guessed",
            format!("make one: openssl rand -base64 24 > {}", file.display()),
        );
        return None;
    }
    Some(secrets)
}

fn length(secret: &SecretString) -> usize {
    use secrecy::ExposeSecret as _;
    secret.expose_secret().len()
}
