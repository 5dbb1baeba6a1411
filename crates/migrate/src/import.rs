//! What an import gives: a configuration, files that belong to it, and a report.

use crate::Origin;
use crate::config::Config;
use crate::report::{Fate, Report, Weight};

/// The result of an import.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The file that was read first: `main.cf`, or sendmail's `.mc` or `.cf`.
    pub source: String,
    /// The configuration.
    pub config: Config,
    /// Files beside it.
    pub files: Vec<OutputFile>,
    /// What became of each line that was read.
    pub report: Report,
    /// Files for secrets that the old server did not have: whoever writes the files makes them up.
    pub new_secrets: Vec<String>,
}

impl Import {
    /// Says that something does the same in the new configuration.
    pub(crate) fn carried(&mut self, at: &Origin, what: &str, to: impl Into<String>) {
        self.report.add(at, what, Fate::Carried { to: to.into() });
    }

    /// Says that it does nearly the same, and who notices a difference.
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

    /// Says that there is nothing to carry over.
    pub(crate) fn meaningless(&mut self, at: &Origin, what: &str, why: impl Into<String>) {
        self.report.add(at, what, Fate::Meaningless { why: why.into() });
    }

    /// Says that it is not carried over.
    pub(crate) fn missing(&mut self, at: &Origin, what: &str, weight: Weight, remedy: impl Into<String>) {
        let remedy = remedy.into();
        self.report.add(at, what, Fate::Missing { weight, remedy });
    }

    /// A file with a secret. One that is there already is not added again.
    pub(crate) fn secret(&mut self, path: &str, text: String) {
        self.file(path, text, true);
    }

    /// A file.
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

/// A file beside the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutputFile {
    /// Its path, relative to the configuration.
    pub path: String,
    /// What it says.
    pub text: String,
    /// Whether only its owner may read it.
    pub secret: bool,
}
