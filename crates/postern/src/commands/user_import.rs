//! `postern user import`.

use std::io::{IsTerminal, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use postern_directory::UserStore;
use postern_directory::users::import::{self, Entry, Imported, Line, Problem};
use serde::Serialize;
use zeroize::Zeroizing;

use super::user_outcome::failure;
use crate::args::ImportArgs;
use crate::exit::{Exit, Failure};
use crate::{output, visible};

/// Largest file, in octets.
const FILE_MAX: u64 = 256 * 1_024 * 1_024;

/// How many users go into one transaction.
const BATCH: usize = 64;

/// The result of importing a file.
#[derive(Default, Serialize)]
struct Summary {
    dry_run: bool,
    added: usize,
    replaced: usize,
    /// Existing users.
    kept: usize,
    /// Of the added and replaced ones, those that may not log in.
    disabled: usize,
    /// Accounts without a password, such as those of system services.
    without_password: usize,
    /// Lines that should have been imported but were not.
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Failed {
    line: usize,
    login: String,
    reason: String,
}

/// Imports a file; everything possible is imported, and the rest is reported by line.
pub(crate) fn run(store: &UserStore, args: &ImportArgs, text: &[u8]) -> Result<(), Failure> {
    let lines = import::read(args.format.into(), text, args.domain.as_deref(), Timestamp::now());
    if lines.is_empty() {
        let message = format!("there are no accounts in {}", args.file.display());
        return Err(Failure::new(Exit::No, message));
    }
    let mut summary = Summary {
        dry_run: args.dry_run,
        ..Summary::default()
    };
    let bar = progress(lines.len());
    let mut lines = lines.into_iter();
    loop {
        let batch: Vec<Line> = lines.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        let len = batch.len();
        summary.import(store, batch, args)?;
        if let Some(bar) = &bar {
            bar.inc(len as u64);
        }
    }
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    if args.json.json {
        output::print_json(&summary)?;
    } else {
        output::print(&summary.told())?;
    }
    if summary.failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::silent(Exit::No))
    }
}

impl Summary {
    fn import(&mut self, store: &UserStore, batch: Vec<Line>, args: &ImportArgs) -> Result<(), Failure> {
        let mut places = Vec::with_capacity(batch.len());
        let mut entries: Vec<Entry> = Vec::with_capacity(batch.len());
        for line in batch {
            match line.entry {
                Ok(entry) => {
                    places.push((line.number, line.name));
                    entries.push(entry);
                }
                Err(Problem::NoPassword) => self.without_password += 1,
                Err(problem) => self.fail(line.number, line.name, problem.to_string()),
            }
        }
        if args.dry_run {
            return self.foresee(store, &entries, args.replace);
        }
        let results = store
            .import(&entries, args.replace)
            .map_err(|error| failure(&error))?;
        for ((result, entry), (number, name)) in results.into_iter().zip(&entries).zip(places) {
            match result {
                Ok(imported) => self.count(imported, entry),
                Err(error) => self.fail(number, name, crate::exit::chain(&error)),
            }
        }
        Ok(())
    }

    fn foresee(&mut self, store: &UserStore, entries: &[Entry], replace: bool) -> Result<(), Failure> {
        for entry in entries {
            let there = store
                .get(&entry.login)
                .map_err(|error| failure(&error))?
                .is_some();
            let imported = match (there, replace) {
                (false, _) => Imported::Added,
                (true, true) => Imported::Replaced,
                (true, false) => Imported::Kept,
            };
            self.count(imported, entry);
        }
        Ok(())
    }

    fn count(&mut self, imported: Imported, entry: &Entry) {
        match imported {
            Imported::Added => self.added += 1,
            Imported::Replaced => self.replaced += 1,
            Imported::Kept => {
                self.kept += 1;
                return;
            }
        }
        self.disabled += usize::from(!entry.enabled);
    }

    fn fail(&mut self, line: usize, login: String, reason: String) {
        self.failed.push(Failed { line, login, reason });
    }

    fn told(&self) -> String {
        let mut out = String::new();
        for failed in &self.failed {
            let name = if failed.login.is_empty() {
                String::new()
            } else {
                format!("{}: ", visible::line(&failed.login))
            };
            out.push_str(&format!(
                "line {}: {name}{}\n",
                failed.line,
                visible::line(&failed.reason)
            ));
        }
        let done = if self.dry_run { "would be added" } else { "added" };
        out.push_str(&format!("{} {done}", self.added));
        let others = [
            (self.replaced, "replaced"),
            (self.kept, "kept as they were"),
            (self.disabled, "of them disabled"),
            (self.without_password, "without a password left out"),
            (self.failed.len(), "not imported"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            out.push_str(&format!(", {count} {what}"));
        }
        out
    }
}

/// The whole file, wiped after use: it holds hashes or passwords.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let doing = format!("cannot read {}", path.display());
    let failed = |error: std::io::Error| Failure::io(&doing, &error);
    let from: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let mut octets = Zeroizing::new(Vec::new());
    from.take(FILE_MAX + 1).read_to_end(&mut octets).map_err(failed)?;
    if octets.len() as u64 > FILE_MAX {
        let message = format!("{} is larger than {}", path.display(), output::size(FILE_MAX));
        return Err(Failure::new(Exit::No, message));
    }
    Ok(octets)
}

fn progress(count: usize) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} users, {eta} left") {
        bar.set_style(style);
    }
    Some(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        let mut summary = Summary {
            added: 3,
            ..Summary::default()
        };
        assert_eq!(summary.told(), "3 added");
        summary.kept = 2;
        summary.without_password = 20;
        summary.disabled = 1;
        summary.fail(7, "b\x1bob".into(), "is not user:hash".into());
        summary.fail(9, String::new(), "is cut off".into());
        assert_eq!(
            summary.told(),
            "line 7: b\\u{1b}ob: is not user:hash\nline 9: is cut off\n3 added, 2 kept as they were, 1 of them disabled, \
             20 without a password left out, 2 not imported"
        );
    }
}
