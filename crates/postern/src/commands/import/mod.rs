//! `postern import`: an old server's files become a configuration, and a report says what became of each line.

mod check;
mod differences;
mod files;
mod report;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use postern_migrate::config::Value;
use postern_migrate::import::Import;
use postern_migrate::{FileError, Files, postfix, sendmail};

use crate::args::{ImportFrom, ImportOutputArgs, ImportPostfixArgs, ImportSendmailArgs, ImportSiteArgs};
use crate::exit::{Exit, Failure};
use crate::{output, visible};

use self::files::{CONFIGURATION, REPORT};
use self::report::Shown;

/// Largest file of the old server that is read, in octets.
const FILE_MAX: u64 = 64 * 1_024 * 1_024;

/// Imports a site.
pub(crate) fn run(args: &ImportSiteArgs) -> Result<(), Failure> {
    match &args.from {
        ImportFrom::Sendmail(args) => from_sendmail(args),
        ImportFrom::Postfix(args) => from_postfix(args),
        ImportFrom::Check(args) => check::run(args),
    }
}

fn from_postfix(args: &ImportPostfixArgs) -> Result<(), Failure> {
    let root = Root(args.root.clone());
    let import = postfix::import(&args.main, &root)
        .map_err(|error| unreadable(&root.path(&args.main), &error, "/etc/postfix", "--main"))?;
    finish(&import, "postfix", &root.path(&import.source), &args.output)
}

fn from_sendmail(args: &ImportSendmailArgs) -> Result<(), Failure> {
    let root = Root(args.root.clone());
    let import = sendmail::import(&args.mc, &root)
        .map_err(|error| unreadable(&root.path(&args.mc), &error, "/etc/mail", "--mc"))?;
    finish(&import, "sendmail", &root.path(&import.source), &args.output)
}

fn unreadable(path: &Path, error: &FileError, folder: &str, option: &str) -> Failure {
    let remedy = format!("name the folder that has {folder} below it, and the file with {option}");
    let message = format!("cannot read {}: {error}; {remedy}", path.display());
    Failure::new(Exit::InputOutput, message)
}

/// Writes what was made, and shows what has to be read now.
fn finish(import: &Import, from: &str, file: &Path, args: &ImportOutputArgs) -> Result<(), Failure> {
    let top = format!(
        "Made by `postern import {from}` from {}.\nRead {REPORT} before you use it, then `postern check`.",
        file.display()
    );
    write(import, &top, args)?;
    hand_over(import, &args.output)?;
    let shown = Shown::of(import);
    if args.json.json {
        output::print_json(&shown)
    } else {
        output::print(&shown.summary(&args.output))
    }
}

/// Writes all that an import gives into the folder.
fn write(import: &Import, top: &str, args: &ImportOutputArgs) -> Result<(), Failure> {
    let folder = &args.output;
    let report = Shown::of(import).text();
    let mut files = vec![
        (CONFIGURATION, import.config.text(top), false),
        (REPORT, report, false),
    ];
    files.extend(
        import
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.text.clone(), file.secret)),
    );
    for path in &import.new_secrets {
        files.push((path.as_str(), format!("{}\n", new_secret()), true));
    }
    if !args.force
        && let Some((there, _, _)) = files
            .iter()
            .find(|(path, _, _)| folder.join(path).symlink_metadata().is_ok())
    {
        let message = format!(
            "{} is there already; use another folder, or --force to replace it",
            folder.join(there).display()
        );
        return Err(Failure::new(Exit::CannotCreate, message));
    }
    make_folder(folder, 0o755)?;
    for (path, text, is_secret) in &files {
        put(&folder.join(path), text, *is_secret)?;
    }
    if args.force {
        let left = others(folder, &|path| {
            files.iter().any(|(own, _, _)| Path::new(own) == path)
        });
        tell_of(folder, &left);
    }
    Ok(())
}

/// Most files that are named.
const NAMED_MAX: usize = 10;

/// Says which files were there before: whether one is of an earlier import or somebody's own, nobody can tell here.
fn tell_of(folder: &Path, left: &[PathBuf]) {
    if left.is_empty() {
        return;
    }
    let mut names: Vec<String> = left
        .iter()
        .take(NAMED_MAX)
        .map(|path| path.display().to_string())
        .collect();
    if left.len() > NAMED_MAX {
        names.push(format!("and {} more", left.len() - NAMED_MAX));
    }
    let text = format!(
        "{} also has files that this import has not written: {}; remove those of an earlier import",
        folder.display(),
        names.join(", ")
    );
    eprintln!("{}", visible::line(&text));
}

/// The files in the folder and in the folders in it that are not `ours`, by their paths below it.
fn others(folder: &Path, ours: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = |at: &Path| fs::read_dir(folder.join(at)).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries(Path::new("")) {
        let path = PathBuf::from(entry.file_name());
        // A link leads elsewhere and is not followed.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                found.extend(entries(&path).map(|inner| path.join(inner.file_name())))
            }
            _ => found.push(path),
        }
    }
    found.retain(|path| !ours(path));
    found.sort();
    found
}

/// Secrets that root has written belong to the account that the server will run as, if it is there: it reads them again at a reload.
fn hand_over(import: &Import, folder: &Path) -> Result<(), Failure> {
    let named = import.config.sections("").find_map(|top| match top.get("user") {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    });
    let account = named.and_then(|name| User::from_name(&name).ok().flatten());
    let Some(account) = account.filter(|_| Uid::effective().is_root()) else {
        return Ok(());
    };
    let secrets = import.files.iter().filter(|file| file.secret);
    let secrets = secrets.map(|file| file.path.as_str());
    let mut paths: Vec<PathBuf> = secrets
        .chain(import.new_secrets.iter().map(String::as_str))
        .map(|path| folder.join(path))
        .collect();
    paths.extend(
        paths
            .iter()
            .filter_map(|path| path.parent().map(Path::to_owned))
            .collect::<Vec<_>>(),
    );
    for path in paths {
        lchown(&path, Some(account.uid.as_raw()), Some(account.gid.as_raw())).map_err(|error| {
            Failure::io(
                &format!("cannot give {} to {}", path.display(), account.name),
                &error,
            )
        })?;
    }
    Ok(())
}

/// A secret that nobody can guess, in hexadecimal digits.
fn new_secret() -> String {
    let octets: [u8; 24] = rand::random();
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn put(path: &Path, text: &str, is_secret: bool) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        make_folder(folder, if is_secret { 0o700 } else { 0o755 })?;
    }
    let failed = |error: &io::Error| {
        let failure = Failure::io(&format!("cannot write {}", path.display()), error);
        Err(failure)
    };
    // A link of that name is replaced, never followed.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return failed(&error),
        _ => {}
    }
    let mode = if is_secret { 0o600 } else { 0o644 };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .or_else(|error| failed(&error))
}

fn make_folder(folder: &Path, mode: u32) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(folder)
        .map_err(|error| Failure::io(&format!("cannot make {}", folder.display()), &error))
}

/// The files below a folder.
struct Root(PathBuf);

impl Root {
    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

impl Files for Root {
    fn read(&self, path: &str) -> Result<String, FileError> {
        let path = self.path(path);
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => FileError::Missing,
            _ => FileError::Unreadable(error.to_string()),
        };
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > FILE_MAX {
            return Err(FileError::Unreadable(
                "no plain file of 64 MiB at most".to_owned(),
            ));
        }
        let octets = fs::read(&path).map_err(unreadable)?;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }
}
