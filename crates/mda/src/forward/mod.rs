//! `~/.forward`: where a user wants mail sent, under sendmail's rules.
//!
//! It counts if it is owned by the user or root and nobody else can have written it: neither the file nor a folder above it may
//! be writable by group or others. The order of several names is sendmail's too. An untrusted one is ignored, and the
//! administrator is told; the mail goes to the mailbox. The same holds for a list that it includes (`:include:/path`).

mod entry;
mod trust;

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

pub use self::entry::{Entry, parse};
use self::trust::{Facts, distrust};
use crate::rights::Account;
use crate::trouble::{Kind, Trouble};

/// Most octets of a file that are read. A longer one is ignored.
const SIZE_MAX: u64 = 64 << 10;

/// Octets of a `.forward` and the lists that it includes, together.
const TOGETHER_MAX: usize = 256 << 10;

/// Most lists that are read for one `.forward`, those that lists include among them.
const LISTS_MAX: usize = 50;

/// The result of looking for a `.forward`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// There is none.
    None,
    /// There is one that does not count, for this reason.
    PassedBy(String),
    /// Its entries.
    Entries(Vec<Entry>),
}

/// The file names to look for, in sendmail's order.
fn names(detail: &str, hostname: &str) -> Vec<String> {
    // It becomes part of a name, and comes from strangers.
    let fits = |text: &&str| {
        !text.is_empty() && text.len() <= 100 && !text.starts_with('.') && !text.contains(['/', '\0'])
    };
    let detail = Some(detail).filter(fits);
    let host = Some(hostname).filter(fits);
    let mut names = Vec::new();
    if let (Some(host), Some(detail)) = (host, detail) {
        names.push(format!(".forward.{host}+{detail}"));
    }
    names.extend(detail.map(|detail| format!(".forward+{detail}")));
    names.extend(host.map(|host| format!(".forward.{host}")));
    names.push(".forward".to_owned());
    names
}

/// Reads the user's `.forward`, with the user's rights.
///
/// # Errors
///
/// It cannot be found out now whether there is one: the mail is deferred.
pub fn find(account: &Account, detail: &str, hostname: &str) -> Result<Found, Trouble> {
    for name in names(detail, hostname) {
        let path = account.home.join(&name);
        match read(account, &path) {
            Ok(None) => {}
            Ok(Some(Ok(text))) => {
                let entries = with_lists(account, &text);
                // An empty one changes nothing.
                return Ok(if entries.is_empty() {
                    Found::None
                } else {
                    Found::Entries(entries)
                });
            }
            Ok(Some(Err(why))) => {
                return Ok(Found::PassedBy(format!(
                    "{} does not count: {why}",
                    path.display()
                )));
            }
            Err(error) => {
                return Err(Trouble::new(
                    Kind::Mailbox,
                    format_args!("cannot read {}: {error}", path.display()),
                ));
            }
        }
    }
    Ok(Found::None)
}

/// The entries of a text, those of the lists that it includes in their place. A list that cannot be had, or does not count, is an unknown entry
/// that says why.
fn with_lists(account: &Account, text: &str) -> Vec<Entry> {
    let mut made = Vec::new();
    let mut seen = Vec::new();
    let mut octets = text.len();
    let mut open: Vec<Entry> = parse(text, &account.name);
    open.reverse();
    while let Some(entry) = open.pop() {
        let Entry::Include(path) = entry else {
            made.push(entry);
            continue;
        };
        // A list that leads back to itself has been read already.
        if seen.contains(&path) {
            continue;
        }
        let found = match seen.len() < LISTS_MAX && octets < TOGETHER_MAX {
            true => list(account, &path),
            false => Err("there are too many lists, or they are too long".to_owned()),
        };
        match found {
            Ok(text) => {
                octets += text.len();
                open.extend(parse(&text, &account.name).into_iter().rev());
            }
            Err(why) => made.push(Entry::Unknown(format!(":include:{path} ({why})"))),
        }
        seen.push(path);
    }
    made
}

/// The text of a list, or why there is none.
fn list(account: &Account, path: &str) -> Result<String, String> {
    match read(account, Path::new(path)) {
        Ok(Some(text)) => text,
        Ok(None) => Err("there is no such file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The text of a file that counts, why it does not, or `None` if there is none.
fn read(account: &Account, path: &Path) -> io::Result<Option<Result<String, String>>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let file = match file {
        Ok(file) => file,
        Err(error) => {
            return match (error.kind(), error.raw_os_error()) {
                (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => Ok(None),
                (_, Some(nix::libc::ELOOP)) => Ok(Some(Err("it is a link".into()))),
                (io::ErrorKind::PermissionDenied, _) => Ok(Some(Err("the user may not read it".into()))),
                _ => Err(error),
            };
        }
    };
    let found = file.metadata()?;
    let mut facts = Facts {
        user: account.uid.as_raw(),
        is_file: found.is_file(),
        owner: found.uid(),
        mode: found.mode(),
        links: found.nlink(),
        folders: Vec::new(),
    };
    for folder in path.ancestors().skip(1) {
        let found = fs::metadata(folder)?;
        facts.folders.push((folder.to_owned(), found.uid(), found.mode()));
    }
    if let Some(why) = distrust(&facts) {
        return Ok(Some(Err(why)));
    }
    let mut text = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > SIZE_MAX {
        return Ok(Some(Err(format!("it is longer than {SIZE_MAX} octets"))));
    }
    Ok(Some(
        String::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned()),
    ))
}

/// Whether a shell is one of those in `/etc/shells`: users with another one run no programs and write no files, as in sendmail.
#[must_use]
pub fn is_valid_shell(shell: &Path) -> bool {
    let listed = fs::read_to_string("/etc/shells").unwrap_or_else(|_| "/bin/sh\n/bin/csh\n".to_owned());
    is_listed(shell, &listed)
}

fn is_listed(shell: &Path, shells: &str) -> bool {
    let shell = match shell.as_os_str().is_empty() {
        true => PathBuf::from("/bin/sh"),
        false => shell.to_owned(),
    };
    let lines = shells
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| line.starts_with('/'))
        .any(|line| Path::new(line) == shell)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use nix::unistd::{getegid, geteuid};

    use super::*;

    #[test]
    fn the_order_of_names() {
        assert_eq!(
            names("shop", "mx.test"),
            [
                ".forward.mx.test+shop",
                ".forward+shop",
                ".forward.mx.test",
                ".forward"
            ]
        );
        for detail in ["", "../x", "/etc/passwd", ".", "a/b"] {
            assert_eq!(names(detail, ""), [".forward"], "{detail}");
        }
    }

    #[test]
    fn shells() {
        let shells = "# those\n/bin/sh\n/usr/bin/bash # the usual one\nzsh\n";
        for (shell, valid) in [
            ("/bin/sh", true),
            ("/usr/bin/bash", true),
            ("", true),
            ("/usr/sbin/nologin", false),
            ("zsh", false),
        ] {
            assert_eq!(is_listed(Path::new(shell), shells), valid, "{shell}");
        }
    }

    #[test]
    fn files_that_count_and_others() {
        // `/tmp` is writable for all, but nobody can rename another's files there.
        let home = tempfile::tempdir().unwrap();
        let account = Account {
            name: "ann".into(),
            uid: geteuid(),
            gid: getegid(),
            home: home.path().to_owned(),
            shell: "/bin/sh".into(),
        };
        let look = |detail: &str| find(&account, detail, "").unwrap();
        let mode = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        assert_eq!(look(""), Found::None);
        let path = home.path().join(".forward");
        fs::write(&path, "bob@far.test\n").unwrap();
        mode(&path, 0o644);
        let to = |address: &str| Found::Entries(vec![Entry::Address(address.into())]);
        assert_eq!(look(""), to("bob@far.test"));
        fs::write(home.path().join(".forward+shop"), "shop@far.test\n").unwrap();
        assert_eq!(look("shop"), to("shop@far.test"));
        assert_eq!(look("other"), to("bob@far.test"));
        let passed_by = |words: &str| match look("") {
            Found::PassedBy(why) => assert!(why.contains(words), "{why}"),
            other => panic!("{words}: {other:?}"),
        };
        mode(&path, 0o664);
        passed_by("group");
        mode(&path, 0o644);
        mode(home.path(), 0o770);
        passed_by("group");
        mode(home.path(), 0o700);
        fs::write(&path, "x".repeat(70_000)).unwrap();
        passed_by("longer");
        fs::write(&path, b"\xff").unwrap();
        passed_by("UTF-8");
        fs::write(&path, "# nothing\n\n").unwrap();
        assert_eq!(look(""), Found::None);
        fs::rename(&path, home.path().join("other")).unwrap();
        symlink(home.path().join("other"), &path).unwrap();
        passed_by("link");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        passed_by("not a file");
    }
    #[test]
    fn lists_stand_in_their_place() {
        let home = tempfile::tempdir().unwrap();
        let account = Account {
            name: "ann".into(),
            uid: geteuid(),
            gid: getegid(),
            home: home.path().to_owned(),
            shell: "/bin/sh".into(),
        };
        let at = |name: &str| home.path().join(name).display().to_string();
        let write = |name: &str, text: &str, mode: u32| {
            fs::write(at(name), text).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write(
            "friends",
            &format!("bob@far.test\n:include:{}\n\\ann\n", at("more")),
            0o600,
        );
        write(
            "more",
            &format!("carl@far.test, :include:{}\n", at("friends")),
            0o600,
        );
        write("open", "eve@far.test\n", 0o666);
        let text = format!(
            "a@far.test, :include:{}, :include:{}, :include:/none\nz@far.test\n",
            at("friends"),
            at("open")
        );
        let address = |text: &str| Entry::Address(text.into());
        let made = with_lists(&account, &text);
        let (known, unknown): (Vec<Entry>, Vec<Entry>) = made
            .into_iter()
            .partition(|entry| !matches!(entry, Entry::Unknown(_)));
        let expected = [
            address("a@far.test"),
            address("bob@far.test"),
            address("carl@far.test"),
            Entry::Keep,
            address("z@far.test"),
        ];
        assert_eq!(known, expected);
        let unknown = format!("{unknown:?}");
        assert!(
            unknown.contains("everybody may write to it")
                && unknown.contains("/none (there is no such file)"),
            "{unknown}"
        );
    }
}
