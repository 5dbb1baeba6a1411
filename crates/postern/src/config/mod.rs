//! The configuration: a TOML file as written ([`file`]), and as meant ([`checked`]).
//!
//! All mistakes of a file are found in one go. Syntax errors are recovered from, every key is checked even after a mistake, and
//! only a file without mistakes becomes a [`Config`].

pub(crate) mod checked;
mod distance;
mod document;
pub(crate) mod file;
mod include;
mod keys;
pub(crate) mod kinds;
mod libraries;
pub(crate) mod manual;
pub(crate) mod place;
pub(crate) mod problem;
pub(crate) mod read;
pub(crate) mod reference;
mod renamed;
mod shown;
mod sources;
mod span;
mod stumbles;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::checked::{Config, JudgeSettings, Paths};
pub(crate) use self::include::{Gate, Refusal};
pub(crate) use self::libraries::Libraries;
pub(crate) use self::problem::Report;
pub(crate) use self::reference::meaning;
pub(crate) use self::shown::{Shown, ShownKey};

use self::document::Document;
use self::file::Postern;
use self::include::Gathered;
use self::problem::Problems;
use crate::rights;

/// Reads and checks a configuration file. The report that comes with a configuration only contains warnings.
///
/// # Errors
///
/// A report with at least one error; nothing was changed anywhere.
pub(crate) fn load(path: &Path) -> Result<(Config, Report), Report> {
    Source::read(path)?.check(Libraries::Load)
}

/// The texts of a configuration. They are read only once, so that the text checked as one user is the same that is used as
/// another.
pub(crate) struct Source {
    gathered: Gathered,
    /// The folder that relative paths start at, in fragments too: a table means the same in each file.
    base: PathBuf,
}

impl Source {
    /// Reads the file and what it includes. Root does not read fragments, just as it does not read files, that others can write.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not text.
    pub(crate) fn read(path: &Path) -> Result<Self, Report> {
        Self::read_by(path, &believed)
    }

    /// The same, if `gate` permits each fragment and folder of fragments.
    ///
    /// # Errors
    ///
    /// As [`Source::read`].
    pub(crate) fn read_by(path: &Path, gate: Gate<'_>) -> Result<Self, Report> {
        let base = folder_of(path);
        let gathered = include::gather(path, &base, gate)?;
        Ok(Self { gathered, base })
    }

    /// What is written, not checked against the system: `user add` comes before the first start, when some things do not exist
    /// yet.
    ///
    /// # Errors
    ///
    /// What is wrong with the text itself.
    pub(crate) fn written(&self) -> Result<Written, Report> {
        let (document, mut problems) = self.document();
        self.explain(&document, &mut problems);
        let report = problems.into_report(&self.gathered.sources);
        if report.has_errors() {
            return Err(report);
        }
        let sources = &self.gathered.sources;
        Ok(Written {
            path: sources.main().to_owned(),
            file: document.file,
            named: document.paths.into_iter().map(|at| at.value).collect(),
            fragments: sources.paths().skip(1).map(Path::to_owned).collect(),
            folders: self.gathered.folders.clone(),
            shown: document.shown.located(sources),
        })
    }

    /// What is meant, checked against the system as seen by the calling user.
    ///
    /// # Errors
    ///
    /// See [`load`].
    pub(crate) fn check(&self, libraries: Libraries) -> Result<(Config, Report), Report> {
        let sources = &self.gathered.sources;
        let (document, mut problems) = self.document();
        let shown = document.shown.clone().located(sources);
        let checked = checked::check(
            (sources.main(), &self.base),
            &document,
            &shown,
            libraries,
            &mut problems,
        );
        self.explain(&document, &mut problems);
        let report = problems.into_report(sources);
        match checked {
            Some(mut config) if !report.has_errors() => {
                config.shown = document.shown.located(sources);
                config.locate_rules();
                Ok((config, report))
            }
            _ => Err(report),
        }
    }

    /// The budgets alone, whatever else is written or missing.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, or with the budgets.
    pub(crate) fn budgets(&self) -> Result<Arc<postern_receive::BudgetSettings>, Report> {
        let (document, mut problems) = self.document();
        let sources = &self.gathered.sources;
        // A draft need not be a whole configuration.
        problems.only_within_the_text();
        let budgets = checked::budgets_alone(&self.base, &document, &mut problems);
        self.explain(&document, &mut problems);
        let report = problems.into_report(sources);
        match report.has_errors() {
            true => Err(report),
            false => Ok(budgets),
        }
    }

    fn document(&self) -> (Document, Problems) {
        let mut problems = self.gathered.problems.clone();
        let document = document::read(&self.gathered.sources, &self.base, &mut problems);
        (document, problems)
    }

    fn explain(&self, document: &Document, problems: &mut Problems) {
        stumbles::explain(self.gathered.sources.whole(), &document.stumbles, problems);
    }
}

/// Whether the calling user may trust a fragment.
pub(crate) fn believed(fragment: &Path) -> Result<(), Refusal> {
    rights::believe(fragment).map_err(|failure| {
        let (title, remedy) = failure.message.split_once('\n').unwrap_or((&failure.message, ""));
        Refusal {
            title: title.to_owned(),
            remedy: remedy.to_owned(),
        }
    })
}

/// A configuration that was read, but not checked against the system.
pub(crate) struct Written {
    path: PathBuf,
    file: Postern,
    /// Every path in it.
    named: Vec<PathBuf>,
    /// The included files, and the folders included as a whole.
    fragments: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    shown: Shown,
}

impl Written {
    /// The domain of addresses without one, if that is written.
    pub(crate) fn origin(&self) -> String {
        match &self.file.origin {
            Some(origin) => origin.value.clone(),
            None => self.hostname(),
        }
    }

    /// The name of this host.
    pub(crate) fn hostname(&self) -> String {
        checked::name_of_host(&self.file)
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.file.state_dir
    }

    /// The paths that the server uses.
    pub(crate) fn paths(&self) -> Paths {
        let mut paths = Paths::of(&self.path, &self.file, &self.named);
        let real = self
            .fragments
            .iter()
            .filter_map(|file| file.canonicalize().ok())
            .map(|file| folder_of(&file));
        paths.read.extend(self.folders.iter().cloned().chain(real));
        paths
    }

    /// Every key with its value.
    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// The file of Postern's own users.
    pub(crate) fn users_database(&self) -> PathBuf {
        checked::users_database(&self.file)
    }

    /// The directories that use the PAM helper.
    pub(crate) fn pam_directories(&self) -> Vec<postern_directory::PamSettings> {
        checked::pam_directories(&self.file)
    }

    /// How the helper delivers to the users of this machine; where it listens, how many deliveries run at once, and the largest
    /// message.
    pub(crate) fn system_users(&self) -> (postern_mda::Settings, &Path, u64, u64) {
        let table = &self.file.system_users;
        let size = *self.file.message_size_limit;
        (
            checked::system_users(&self.file),
            &table.socket.value,
            *table.deliveries,
            size,
        )
    }

    /// The user that the server becomes.
    pub(crate) fn user(&self) -> Option<&str> {
        self.file.user.as_ref().map(|user| user.value.as_str())
    }

    /// The minimum length of a password set by `postern user`.
    pub(crate) fn password_length(&self) -> usize {
        checked::password_length(&self.file)
    }

    /// The keys that own users get with their password.
    pub(crate) fn key_policy(&self) -> postern_directory::KeyPolicy {
        checked::key_policy(&self.file, &checked::name_of_host(&self.file))
    }

    /// The mechanisms enabled anywhere.
    pub(crate) fn mechanisms(&self) -> Vec<postern_sasl::Mechanism> {
        checked::all_mechanisms(&self.file)
    }

    /// The settings of the queue.
    pub(crate) fn spool(&self) -> postern_spool::SpoolSettings {
        checked::spool(&self.file)
    }

    /// The folder of the history.
    pub(crate) fn history_folder(&self) -> PathBuf {
        checked::history_folder(&self.file)
    }

    /// Whether the server keeps sessions and messages there.
    pub(crate) fn keeps_history(&self) -> bool {
        *self.file.history.enabled
    }

    /// Where actions of administrators are recorded, and how long they are kept.
    pub(crate) fn acts(&self) -> (PathBuf, std::time::Duration) {
        checked::acts(&self.file)
    }
}

/// The folder that relative paths start at.
fn folder_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    absolute
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

#[cfg(test)]
mod tests;
