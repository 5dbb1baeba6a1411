//! `postern import`: an old server's files become a configuration, and a report gives the outcome for each line.

mod check;
mod differences;
mod files;
mod folder;
mod report;

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{Uid, User};
use postern_migrate::config::Value;
use postern_migrate::import::Import;
use postern_migrate::{FileError, Files, postfix, sendmail};

use super::recorded;
use crate::args::{ImportFrom, ImportOutputArgs, ImportPostfixArgs, ImportSendmailArgs, ImportSiteArgs};
use crate::control::acts;
use crate::exit::{Exit, Failure};
use crate::{output, visible};

use self::files::{CONFIGURATION, REPORT};
use self::folder::{Folder, Readers, make_folder};
use self::report::Shown;

/// Largest file of the old server that is read, in octets.
const FILE_MAX: u64 = 64 * 1_024 * 1_024;

/// Imports a site.
pub(crate) fn run(args: &ImportSiteArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    let acts = recorded::acts_here();
    let (act, output) = match &args.from {
        ImportFrom::Sendmail(args) => {
            from_sendmail(args)?;
            ("import sendmail", &args.output.output)
        }
        ImportFrom::Postfix(args) => {
            from_postfix(args)?;
            ("import postfix", &args.output.output)
        }
        ImportFrom::Check(args) => return check::run(args),
    };
    if let Some(acts) = acts {
        recorded::record_here(&acts, act, output.display().to_string());
    }
    Ok(())
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

/// Writes the results, and shows what must be read now.
fn finish(import: &Import, from: &str, file: &Path, args: &ImportOutputArgs) -> Result<(), Failure> {
    let top = format!(
        "Made by `postern import {from}` from {}.\nRead {REPORT} before you use it, then `postern check`.",
        file.display()
    );
    write(import, &top, args)?;
    let shown = Shown::of(import);
    if args.json.json {
        output::print_json(&shown)
    } else {
        output::print(&shown.summary(&args.output))
    }
}

/// Writes all results of an import into the folder.
fn write(import: &Import, top: &str, args: &ImportOutputArgs) -> Result<(), Failure> {
    let folder = &args.output;
    let report = Shown::of(import).text();
    let mut files = vec![
        (CONFIGURATION, import.config.text(top), Readers::Group),
        (REPORT, report, Readers::Root),
    ];
    files.extend(
        import
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.text.clone(), Readers::of(file.secret))),
    );
    for path in &import.new_secrets {
        files.push((path.as_str(), format!("{}\n", new_secret()), Readers::Server));
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
    make_folder(folder)?;
    let account = account_of(import);
    let output = Folder::open(folder)?;
    for (path, text, readers) in &files {
        let (inner, name) = path.rsplit_once('/').unwrap_or(("", path));
        let inner = match inner {
            "" => None,
            SECRETS => Some(output.folder(inner, 0o700)?),
            _ => Some(output.folder(inner, 0o755)?),
        };
        if let (Some(inner), Some(account)) = (&inner, &account)
            && path.starts_with(SECRETS_BELOW)
        {
            inner.open_to_group(account)?;
        }
        inner
            .as_ref()
            .unwrap_or(&output)
            .put(name, text, *readers, account.as_ref())?;
    }
    if args.force {
        let left = others(folder, &|path| {
            files.iter().any(|(own, _, _)| Path::new(own) == path)
        });
        tell_of(folder, &left);
    }
    Ok(())
}

/// Most files listed by name.
const NAMED_MAX: usize = 10;

/// Reports which files already existed: whether one is from an earlier import or somebody's own is unknown here.
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
        "{} also has files that this import has not written, and has left as they are: {}. Remove those that an earlier import made and \
         the new {CONFIGURATION} does not name",
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
        // A link may lead elsewhere and is not followed.
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

/// The folder of passwords and keys.
const SECRETS: &str = "secrets";

/// The path prefix of files in it.
const SECRETS_BELOW: &str = "secrets/";

/// The account that the server will run as, if it exists and files can be given to it.
fn account_of(import: &Import) -> Option<User> {
    let name = import.config.sections("").find_map(|top| match top.get("user") {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    })?;
    let account = User::from_name(&name).ok().flatten()?;
    Uid::effective().is_root().then_some(account)
}

/// An unguessable secret, in hexadecimal digits.
fn new_secret() -> String {
    let octets: [u8; 24] = rand::random();
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
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
        self.text(path, OFlag::empty())
    }

    fn read_unlinked(&self, path: &str) -> Result<String, FileError> {
        self.text(path, OFlag::O_NOFOLLOW)
    }

    fn is_private(&self, path: &str) -> bool {
        fs::metadata(self.path(path)).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 == 0)
    }
}

impl Root {
    fn text(&self, path: &str, flags: OFlag) -> Result<String, FileError> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => FileError::Missing,
            _ if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
                FileError::Unreadable("a link, which is not followed".to_owned())
            }
            _ => FileError::Unreadable(error.to_string()),
        };
        // Does not wait on a FIFO.
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags((flags | OFlag::O_NONBLOCK).bits())
            .open(self.path(path))
            .map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > FILE_MAX {
            return Err(FileError::Unreadable(
                "not a regular file of at most 64 MiB".to_owned(),
            ));
        }
        let mut octets = Vec::new();
        (&mut file)
            .take(FILE_MAX)
            .read_to_end(&mut octets)
            .map_err(unreadable)?;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn lists_are_not_read_through_links() {
        let folder = std::env::temp_dir().join(format!("postern-import-{}", rand::random::<u64>()));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("shadow"), "root:x\n").unwrap();
        fs::set_permissions(folder.join("shadow"), Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("shadow", folder.join("members")).unwrap();
        let root = Root(folder.clone());
        assert!(root.read("/members").is_ok());
        assert!(matches!(
            root.read_unlinked("/members"),
            Err(FileError::Unreadable(_))
        ));
        assert_eq!(root.read_unlinked("/shadow").unwrap(), "root:x\n");
        assert!(root.is_private("/shadow"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
