//! The result of an import: a configuration, files that belong to it, and a report.

use crate::Origin;
use crate::config::Config;
use crate::report::{Fate, Report, Weight};

/// The result of an import.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The main input file: `main.cf`, or sendmail's `.mc` or `.cf`.
    pub source: String,
    /// The configuration.
    pub config: Config,
    /// Files next to it.
    pub files: Vec<OutputFile>,
    /// The outcome for each line that was read.
    pub report: Report,
    /// Files for secrets that the old server did not have: generated when the files are written.
    pub new_secrets: Vec<String>,
}

impl Import {
    /// Reports that something does the same in the new configuration.
    pub(crate) fn carried(&mut self, at: &Origin, what: &str, to: impl Into<String>) {
        self.report.add(at, what, Fate::Carried { to: to.into() });
    }

    /// Reports that it does nearly the same, and who notices a difference.
    pub(crate) fn changed(
        &mut self,
        at: &Origin,
        what: &str,
        to: impl Into<String>,
        difference: impl Into<String>,
    ) {
        let fate = Fate::Changed {
            to: to.into(),
            difference: difference.into(),
        };
        self.report.add(at, what, fate);
    }

    /// Reports that there is nothing to carry over.
    pub(crate) fn meaningless(&mut self, at: &Origin, what: &str, why: impl Into<String>) {
        self.report.add(at, what, Fate::Meaningless { why: why.into() });
    }

    /// Reports that it is not carried over.
    pub(crate) fn missing(&mut self, at: &Origin, what: &str, weight: Weight, remedy: impl Into<String>) {
        let remedy = remedy.into();
        self.report.add(at, what, Fate::Missing { weight, remedy });
    }

    /// Adds a file with a secret. An existing one is not added again.
    pub(crate) fn secret(&mut self, path: &str, text: String) {
        self.file(path, text, true);
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, path: &str, text: String, secret: bool) {
        if self.files.iter().all(|file| file.path != path) {
            self.files.push(OutputFile {
                path: path.to_owned(),
                text,
                secret,
            });
        }
    }
}

/// The path of the file with a password for a host or under a name, the same whichever server it is from.
pub(crate) fn password_path(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    let file = name.replace(|letter| !is_plain(letter), "_");
    format!("secrets/{}.password", file.trim_start_matches('.'))
}

/// A file next to the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutputFile {
    /// Its path, relative to the configuration.
    pub path: String,
    /// Its content.
    pub text: String,
    /// Whether only its owner may read it.
    pub secret: bool,
}
