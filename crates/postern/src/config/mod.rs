//! The configuration: a TOML file as written ([`file`]), and as meant ([`checked`]).
//!
//! All mistakes of a file are found in one go. Syntax errors are recovered from, every key is looked at even after a
//! mistake, and only a file without any becomes a [`Config`].

pub(crate) mod checked;
mod distance;
pub(crate) mod file;
pub(crate) mod kinds;
pub(crate) mod manual;
pub(crate) mod problem;
pub(crate) mod read;
pub(crate) mod reference;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub(crate) use self::checked::{Config, Paths};
pub(crate) use self::problem::Report;

use self::file::Postern;
use self::problem::Problems;
use self::read::{Entries, Reader, Table};

/// Largest configuration file that is read.
const FILE_MAX: u64 = 4 << 20;

/// Reads and checks a configuration file. The report that comes with a configuration holds warnings only.
///
/// # Errors
///
/// A report with at least one error; nothing was changed anywhere.
pub(crate) fn load(path: &Path) -> Result<(Config, Report), Report> {
    Source::read(path)?.check(Libraries::Load)
}

/// Whether libraries that the file names are loaded, which runs what is in them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Libraries {
    /// As a server does.
    Load,
    /// They are left alone, and so is what they would say.
    Leave,
}

/// The text of a configuration file. It is read once, so that what is checked as one user and used as another is the same.
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no text.
    pub(crate) fn read(path: &Path) -> Result<Self, Report> {
        Ok(Self {
            path: path.to_owned(),
            text: read_text(path)?,
        })
    }

    /// What is written, not checked against the world: `user add` comes before the first start, when not all is there.
    ///
    /// # Errors
    ///
    /// What is wrong with the text itself.
    pub(crate) fn written(&self) -> Result<Written, Report> {
        let mut problems = Problems::default();
        let document = read(&self.text, &folder_of(&self.path), &mut problems);
        explain_stumbles(&self.text, &document.stumbles, &mut problems);
        let report = problems.into_report(&self.path, &self.text);
        if report.has_errors() {
            Err(report)
        } else {
            Ok(Written {
                path: self.path.clone(),
                file: document.file,
                named: document.paths,
            })
        }
    }

    /// What is meant, checked against the world as it looks to whoever runs this.
    ///
    /// # Errors
    ///
    /// See [`load`].
    pub(crate) fn check(&self, libraries: Libraries) -> Result<(Config, Report), Report> {
        let mut problems = Problems::default();
        let document = read(&self.text, &folder_of(&self.path), &mut problems);
        let checked = checked::check(&self.path, &document.file, libraries, &mut problems);
        explain_stumbles(&self.text, &document.stumbles, &mut problems);
        let report = problems.into_report(&self.path, &self.text);
        match checked {
            Some(config) if !report.has_errors() => Ok((config, report)),
            _ => Err(report),
        }
    }
}

/// A configuration that was read, but not checked against the world.
pub(crate) struct Written {
    path: PathBuf,
    file: Postern,
    /// Every path in it.
    named: Vec<PathBuf>,
}

impl Written {
    /// The state directory.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.file.state_dir
    }

    /// The places in the file system that the server uses.
    pub(crate) fn paths(&self) -> Paths {
        Paths::of(&self.path, &self.file, &self.named)
    }

    /// The file of Postern's own users.
    pub(crate) fn users_database(&self) -> PathBuf {
        checked::users_database(&self.file)
    }

    /// The directories behind PAM's helper.
    pub(crate) fn pam_directories(&self) -> Vec<postern_directory::PamSettings> {
        checked::pam_directories(&self.file)
    }

    /// The user that the server becomes.
    pub(crate) fn user(&self) -> Option<&str> {
        self.file.user.as_ref().map(|user| user.value.as_str())
    }

    /// The least characters of a password that `postern user` sets.
    pub(crate) fn password_length(&self) -> usize {
        checked::password_length(&self.file)
    }

    /// The keys that own users get with their password.
    pub(crate) fn key_policy(&self) -> postern_directory::KeyPolicy {
        checked::key_policy(&self.file, &checked::name_of_host(&self.file))
    }

    /// The mechanisms that are on somewhere.
    pub(crate) fn mechanisms(&self) -> Vec<postern_sasl::Mechanism> {
        checked::all_mechanisms(&self.file)
    }

    /// The settings of the queue.
    pub(crate) fn spool(&self) -> postern_spool::SpoolSettings {
        checked::spool(&self.file)
    }
}

fn read_text(path: &Path) -> Result<String, Report> {
    let unreadable = |title: String, remedy: &str| Report::unreadable(path, title, remedy);
    let size = std::fs::metadata(path).map(|metadata| metadata.len());
    if size.is_ok_and(|size| size > FILE_MAX) {
        return Err(unreadable(
            "the file is larger than 4 MiB".into(),
            "this is no configuration file",
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| {
        let (what, remedy) = match error.kind() {
            std::io::ErrorKind::NotFound => {
                ("not found".to_owned(), "`postern init` makes one; --config FILE names another")
            }
            std::io::ErrorKind::PermissionDenied => (
                "permission denied".to_owned(),
                "run this as root or as the user of the server, or let this user read the file and enter its folders",
            ),
            _ => (error.to_string(), "name the configuration file with --config FILE"),
        };
        unreadable(format!("cannot read the configuration: {what}"), remedy)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        unreadable(format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

/// The folder that relative paths start at.
fn folder_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    absolute
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

/// A text that was read against the tables of keys.
struct Document {
    file: Postern,
    /// Every path in it, as it is opened.
    paths: Vec<PathBuf>,
    /// Where it is no TOML.
    stumbles: Vec<toml::de::Error>,
}

/// Reads the text against the tables of keys; where it is no TOML, reading goes on behind it.
fn read(text: &str, base: &Path, problems: &mut Problems) -> Document {
    let (document, stumbles) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        base,
        problems,
        everywhere,
        paths: Vec::new(),
    };
    let file = Entries::new(document.get_ref(), None, String::new(), &mut reader).read_all();
    Document {
        file,
        paths: reader.paths,
        stumbles,
    }
}

/// Adds what is no TOML to the problems, in place of the problems that come from it.
fn explain_stumbles(text: &str, errors: &[toml::de::Error], problems: &mut Problems) {
    let broken: Vec<_> = errors.iter().filter_map(toml::de::Error::span).collect();
    problems.without_consequences(text, &broken);
    for (error, lines) in first_of_each_run(text, errors) {
        let more = match lines {
            1 => String::new(),
            _ => format!("; {} lines below it make no sense because of that", lines - 1),
        };
        problems.error(
            error.span(),
            format!("not TOML: {}", error.message()),
            format!("here{more}"),
            "texts stand in quotes, lists in brackets: `key = \"text\"`, `key = [\"a\", \"b\"]`",
        );
    }
}

/// The first syntax error of each line, and of lines that follow one another the first one, with their number: a quote or
/// bracket that is left open makes all below it wrong.
fn first_of_each_run<'e>(text: &str, errors: &'e [toml::de::Error]) -> Vec<(&'e toml::de::Error, usize)> {
    let line_of = |error: &toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count()
    };
    let mut sorted: Vec<_> = errors.iter().map(|error| (line_of(error), error)).collect();
    sorted.sort_by_key(|(line, error)| (*line, error.span().map_or(0, |span| span.start)));
    let mut runs: Vec<(&toml::de::Error, usize)> = Vec::new();
    let mut last = None;
    for (line, error) in sorted {
        match (last, runs.last_mut()) {
            (Some(before), Some(_)) if line == before => {}
            (Some(before), Some((_, lines))) if line == before + 1 => *lines += 1,
            _ => runs.push((error, 1)),
        }
        last = Some(line);
    }
    runs
}

/// Every key with the table that it belongs to.
fn everywhere() -> Vec<(&'static str, String)> {
    fn collect(keys: Vec<read::KeyInfo>, header: &str, into: &mut Vec<(&'static str, String)>) {
        for key in keys {
            into.push((key.name, header.to_owned()));
            let Some(below) = key.below else { continue };
            let place = read::Place {
                table: header.to_owned(),
                key: key.name.to_owned(),
                example: String::new(),
                element: false,
            };
            let inner = place.header(below.repeated);
            for shape in below.shapes {
                let inner = match shape.chosen_by {
                    Some(word) => format!("{inner} of kind {word:?}"),
                    None => inner.clone(),
                };
                collect(shape.keys, &inner, into);
            }
        }
    }
    let mut all = Vec::new();
    collect(Postern::keys(), "", &mut all);
    all
}

#[cfg(test)]
mod tests;
