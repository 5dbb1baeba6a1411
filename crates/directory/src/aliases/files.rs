//! Reads the aliases file and what it includes, with care: anyone who can write to one of them can read others' mail.
//!
//! Programs and files among the targets are skipped, since they are never run or written to here; the rest of an alias works, and
//! an alias with no other target refuses its mail.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use postern_mail::Status;
use postern_policy::alias::RefusalText;

use super::parse::{self, Goal, Written};
use super::target::AliasMistake;

/// Largest file, in octets.
const FILE_MAX: u64 = 64 * 1_024 * 1_024;

/// Deepest nesting of included files.
const INCLUDE_DEPTH_MAX: usize = 5;

/// Most targets from included files in total: a file may be included by many aliases.
const INCLUDED_MAX: usize = 1_000_000;

/// One alias, with included files expanded in place.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) targets: Vec<Goal>,
}

/// Reads the file and what it includes; errors go into `mistakes`, skipped targets into `warnings`.
pub(crate) fn read(
    path: &Path,
    mistakes: &mut Vec<AliasMistake>,
    warnings: &mut Vec<AliasMistake>,
) -> Vec<Entry> {
    let (text, owner) = match read_trusted(path, None) {
        Ok(read) => read,
        Err(message) => {
            mistakes.push(AliasMistake {
                file: path.to_owned(),
                line: 0,
                message,
            });
            return Vec::new();
        }
    };
    let (lines, wrong) = parse::aliases(&text);
    mistakes.extend(wrong.into_iter().map(|(line, message)| AliasMistake {
        file: path.to_owned(),
        line,
        message,
    }));
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let mut reader = Includes {
        folder,
        owner,
        stack: Vec::new(),
        count: 0,
        mistakes,
        warnings,
    };
    lines
        .into_iter()
        .map(|line| {
            let mut targets = Vec::with_capacity(line.targets.len());
            let before = reader.warnings.len();
            for target in line.targets {
                reader.add(path, line.number, target, &mut targets);
            }
            // Any other outcome is in the mistakes.
            if targets.is_empty() && reader.warnings.len() > before {
                targets.push(Goal::Refuse(only_a_program()));
            }
            Entry {
                line: line.number,
                name: line.name,
                targets,
            }
        })
        .collect()
}

struct Includes<'a> {
    /// The base of relative paths: the aliases file's folder.
    folder: PathBuf,
    /// Owner of the aliases file, who, besides root, may own the files it includes.
    owner: u32,
    /// The files being read, each included by the previous one.
    stack: Vec<PathBuf>,
    /// Targets read so far.
    count: usize,
    mistakes: &'a mut Vec<AliasMistake>,
    warnings: &'a mut Vec<AliasMistake>,
}

/// The reply for an alias that has only programs and files.
fn only_a_program() -> RefusalText {
    RefusalText {
        code: 550,
        status: Status(5, 3, 3),
        text: "The mail of this address went to a program or a file, which this server does not do".into(),
    }
}

impl Includes<'_> {
    fn add(&mut self, file: &Path, line: usize, target: Written, targets: &mut Vec<Goal>) {
        let path = match target {
            Written::Goal(goal) => return targets.push(goal),
            Written::Program(text) => return self.take_out(file, line, &text),
            Written::Include(path) => path,
        };
        if let Err(message) = self.include(&self.folder.join(path), targets) {
            self.mistakes.push(AliasMistake {
                file: file.to_owned(),
                line,
                message,
            });
        }
    }

    fn take_out(&mut self, file: &Path, line: usize, text: &str) {
        let what = match text.strip_prefix('|') {
            Some(_) => format!("the program {text:?} is not run"),
            None => format!("the file {text:?} is not written to"),
        };
        self.warnings.push(AliasMistake {
            file: file.to_owned(),
            line,
            message: format!(
                "{what}, and left out of the alias; for programs, run a server of LMTP that takes the mail and name it by a [[route]] \
                 with `via` and `protocol = \"lmtp\"`"
            ),
        });
    }

    fn include(&mut self, path: &Path, targets: &mut Vec<Goal>) -> Result<(), String> {
        if self.stack.iter().any(|open| open == path) {
            return Err(format!("{} includes itself", path.display()));
        }
        if self.stack.len() >= INCLUDE_DEPTH_MAX {
            return Err(format!(
                "{}: over {INCLUDE_DEPTH_MAX} files included in one another",
                path.display()
            ));
        }
        let (text, _) = read_trusted(path, Some(self.owner))?;
        let (found, wrong) = parse::included(&text);
        self.mistakes
            .extend(wrong.into_iter().map(|(line, message)| AliasMistake {
                file: path.to_owned(),
                line,
                message,
            }));
        self.count += found.len();
        if self.count > INCLUDED_MAX {
            return Err(format!(
                "{}: the included files have over {INCLUDED_MAX} targets together",
                path.display()
            ));
        }
        self.stack.push(path.to_owned());
        for (line, target) in found {
            self.add(path, line, target, targets);
        }
        self.stack.pop();
        Ok(())
    }
}

/// Reads a file that only its owner can have written, who is root or, for an included file, the owner of the aliases file.
fn read_trusted(path: &Path, owner: Option<u32>) -> Result<(String, u32), String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    // Checked before it is opened, since opening a FIFO would wait for its other end; and again afterwards, in case it was
    // replaced.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{} is not a regular file", path.display()));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check_owner_and_mode(path, &metadata, owner)?;
    check_folder(path)?;
    let mut text = String::new();
    file.take(FILE_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > FILE_MAX {
        return Err(format!("{} is over 64 MiB", path.display()));
    }
    Ok((text, metadata.uid()))
}

fn check_owner_and_mode(path: &Path, metadata: &Metadata, owner: Option<u32>) -> Result<(), String> {
    let shown = path.display();
    if metadata.mode() & 0o022 != 0 {
        let mode = metadata.mode() & 0o777;
        return Err(format!(
            "{shown} is writable by others (mode {mode:03o}): chmod go-w {shown}"
        ));
    }
    match owner {
        Some(owner) if metadata.uid() != owner && metadata.uid() != 0 => Err(format!(
            "{shown} belongs to user {}, must be root's or the aliases file's owner's",
            metadata.uid()
        )),
        _ => Ok(()),
    }
}

/// Anyone who can write to the folder can replace this file, unless the folder is sticky, as `/tmp` is.
fn check_folder(path: &Path) -> Result<(), String> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mode = fs::metadata(folder)
        .map_err(|error| format!("cannot look at {}: {error}", folder.display()))?
        .mode();
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        let shown = folder.display();
        return Err(format!(
            "the folder {shown} is writable by others: chmod go-w {shown}"
        ));
    }
    Ok(())
}
