//! An mbox: all messages in one file, each after a line that begins with `From `.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::OFlag;
use nix::unistd::Uid;

use crate::content::Content;
use crate::lock::{Deadline, DotLock, lock};
use crate::rights::Spool;
use crate::trouble::{Kind, Trouble};

/// How often a mailbox is reopened that another program replaced while waiting for the lock.
const TRIES: usize = 20;

/// The mailbox to which a message is appended.
#[derive(Debug)]
pub struct Target<'a> {
    /// The file; created if missing.
    pub path: &'a Path,
    /// Its required owner.
    pub owner: Uid,
    /// The group of its folder.
    pub spool: &'a Spool,
    /// Longest wait for its locks.
    pub wait: Duration,
    /// Octets to be left free on its disk.
    pub min_free: u64,
}

/// Appends a message to a mailbox, under both locks; it is on disk when this returns. If it could not be written completely, what
/// was written is removed again.
///
/// # Errors
///
/// What prevents this, as text.
pub fn append(target: &Target<'_>, from_line: &str, content: &Content) -> Result<(), Trouble> {
    let shown = target.path.display();
    let deadline = Deadline::after(target.wait);
    let file = open_locked(target, deadline)?;
    let _dot_lock = DotLock::make(target.path, target.spool, deadline)?;
    if !is_still(&file, target.path) {
        return Err(Trouble::new(
            Kind::Locked,
            format_args!("{shown} is replaced all the time"),
        ));
    }
    let failed = |error: io::Error| Trouble::io(&shown, &error);
    let before = file.metadata().map_err(failed)?.len();
    room(target, content.size().map_err(failed)?)?;
    let written = write(&file, before, from_line, content).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // The rest of it would be taken for a message.
        let _ = file.set_len(before).and_then(|()| file.sync_all());
        Trouble::io(&shown, &error)
    })
}

/// Creates an empty mailbox.
///
/// # Errors
///
/// It cannot be created, or an existing one is not the user's.
pub fn make(target: &Target<'_>) -> Result<(), Trouble> {
    open(target).map(drop)
}

/// Opens the mailbox and locks it; again, if another program has replaced the file meanwhile.
fn open_locked(target: &Target<'_>, deadline: Deadline) -> Result<File, Trouble> {
    for _ in 0..TRIES {
        let file = open(target)?;
        lock(&file, target.path, deadline)?;
        if is_still(&file, target.path) {
            return Ok(file);
        }
    }
    let shown = target.path.display();
    Err(Trouble::new(
        Kind::Locked,
        format_args!("{shown} is replaced all the time"),
    ))
}

fn open(target: &Target<'_>) -> Result<File, Trouble> {
    let shown = target.path.display();
    let _entered = target.spool.enter()?;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        // A pipe that somebody has put there must not block.
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(target.path)
        .map_err(|error| match error.raw_os_error() {
            Some(code) if code == nix::libc::ELOOP => Trouble::new(
                Kind::Mailbox,
                format_args!("{shown} is a link: a mailbox has to be a file"),
            ),
            _ => Trouble::io(format_args!("cannot open {shown}"), &error),
        })?;
    let found = file.metadata().map_err(|error| Trouble::io(&shown, &error))?;
    match unfit(found.is_file(), found.uid(), found.nlink(), target.owner.as_raw()) {
        Some(why) => Err(Trouble::new(Kind::Mailbox, format_args!("{shown} {why}"))),
        None => Ok(file),
    }
}

/// Why mail is not written to such a file.
fn unfit(is_file: bool, owner: u32, links: u64, user: u32) -> Option<&'static str> {
    if !is_file {
        Some("is not a file")
    } else if owner != user {
        Some("belongs to another user: chown it")
    } else if links != 1 {
        Some("has a second name, by a hard link")
    } else {
        None
    }
}

/// Whether the path still refers to the open file.
fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Whether the disk has room for a message of this size.
fn room(target: &Target<'_>, size: u64) -> Result<(), Trouble> {
    let folder = target.path.parent().unwrap_or_else(|| Path::new("/"));
    crate::maildir::room(folder, size, target.min_free)
}

fn write(file: &File, before: u64, from_line: &str, content: &Content) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 << 10, file);
    out.write_all(separator(file, before)?)?;
    out.write_all(from_line.as_bytes())?;
    let mut quoter = Quoter::default();
    let mut buffer = vec![0; 64 << 10];
    let mut reader = content.reader();
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => quoter.feed(&buffer[..count], &mut out)?,
        }
    }
    quoter.finish(&mut out)?;
    out.flush()
}

/// What must be written so that there is an empty line before a message, also after a truncated one.
fn separator(file: &File, before: u64) -> io::Result<&'static [u8]> {
    let mut tail = [0; 2];
    let from = before.saturating_sub(2);
    let tail = &mut tail[..usize::try_from(before - from).unwrap_or(0)];
    file.read_exact_at(tail, from)?;
    Ok(match tail {
        [] | [b'\n', b'\n'] | [b'\n'] => b"",
        [_, b'\n'] => b"\n",
        _ => b"\n\n",
    })
}

/// The line that begins a message: `From sender Tue Dec  1 09:55:27 2026`, in UTC.
#[must_use]
pub fn from_line(sender: &str, received: i64) -> String {
    let sender: String = match sender {
        "" => "MAILER-DAEMON".into(),
        sender => sender
            .chars()
            .map(|c| if c.is_whitespace() { '-' } else { c })
            .collect(),
    };
    let at = Timestamp::from_second(received).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("From {sender} {}\n", at.strftime("%a %b %e %H:%M:%S %Y"))
}

/// The text that would be taken for the beginning of a message.
const FROM: &[u8] = b"From ";

/// Puts `>` before lines of a message that begin with `From `, across pieces.
#[derive(Debug)]
struct Quoter {
    /// Octets of [`FROM`] at the beginning of the current line, held back; `None` after those.
    matched: Option<usize>,
    /// The last octet written.
    last: u8,
}

impl Default for Quoter {
    fn default() -> Self {
        Self {
            matched: Some(0),
            last: b'\n',
        }
    }
}

impl Quoter {
    fn feed(&mut self, mut piece: &[u8], out: &mut impl Write) -> io::Result<()> {
        while let Some((&first, rest)) = piece.split_first() {
            match self.matched {
                Some(matched) if first == FROM[matched] => {
                    piece = rest;
                    self.matched = Some(matched + 1);
                    if matched + 1 == FROM.len() {
                        out.write_all(b">From ")?;
                        (self.matched, self.last) = (None, b' ');
                    }
                }
                Some(matched) => {
                    out.write_all(&FROM[..matched])?;
                    self.matched = None;
                }
                None => {
                    let end = piece.iter().position(|&octet| octet == b'\n').map(|at| at + 1);
                    let (line, rest) = piece.split_at(end.unwrap_or(piece.len()));
                    out.write_all(line)?;
                    piece = rest;
                    self.last = line.last().copied().unwrap_or(self.last);
                    self.matched = end.map(|_| 0);
                }
            }
        }
        Ok(())
    }

    /// The end of the message: ends its last line, and adds an empty one.
    fn finish(self, out: &mut impl Write) -> io::Result<()> {
        let held = self.matched.unwrap_or(0);
        out.write_all(&FROM[..held])?;
        if held > 0 || self.last != b'\n' {
            out.write_all(b"\n")?;
        }
        out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::unistd::{getegid, geteuid};

    use super::*;

    #[test]
    fn lines_that_begin_a_message_are_quoted() {
        #[rustfmt::skip]
        let cases = [
            ("in a body",                 "a\n\nFrom here\nb\n",   "a\n\n>From here\nb\n\n"),
            ("at the beginning",          "From x\n",              ">From x\n\n"),
            ("not without a blank",       "From\nFrome x\n",       "From\nFrome x\n\n"),
            ("not within a line",         "x From y\n",            "x From y\n\n"),
            ("quoted ones stay",          ">From x\n",             ">From x\n\n"),
            ("no line end at the end",    "a",                     "a\n\n"),
            ("half of it at the end",     "a\nFro",                "a\nFro\n\n"),
            ("twice",                     "From a\nFrom b\n",      ">From a\n>From b\n\n"),
            ("empty lines",               "\n\n",                  "\n\n\n"),
            ("nothing",                   "",                      "\n"),
        ];
        for (shows, input, want) in cases {
            for cut in 0..=input.len() {
                let (first, second) = input.as_bytes().split_at(cut);
                let mut quoter = Quoter::default();
                let mut out = Vec::new();
                quoter.feed(first, &mut out).unwrap();
                quoter.feed(second, &mut out).unwrap();
                quoter.finish(&mut out).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), want, "{shows}, cut at {cut}");
            }
        }
    }

    #[test]
    fn lines_of_senders() {
        assert_eq!(
            from_line("a@b.test", 1_796_118_927),
            "From a@b.test Tue Dec  1 09:55:27 2026\n"
        );
        assert!(from_line("", 0).starts_with("From MAILER-DAEMON Thu Jan  1 00:00:00 1970"));
        assert!(from_line("\"a b\"@c.test", 0).starts_with("From \"a-b\"@c.test Thu"));
    }

    #[test]
    fn what_mail_is_not_written_to() {
        #[rustfmt::skip]
        let cases = [
            ("the user's own",  true,  7, 1, None),
            ("a pipe",          false, 7, 1, Some("is not a file")),
            ("another's",       true,  8, 1, Some("belongs to another user: chown it")),
            ("by another name", true,  7, 2, Some("has a second name, by a hard link")),
        ];
        for (shows, is_file, owner, links, want) in cases {
            assert_eq!(unfit(is_file, owner, links, 7), want, "{shows}");
        }
    }

    fn content(text: &str) -> Content {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Content::new(file, 0)
    }

    #[test]
    fn messages_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ann");
        let spool = Spool::none(getegid());
        let target = Target {
            path: &path,
            owner: geteuid(),
            spool: &spool,
            wait: Duration::ZERO,
            min_free: 0,
        };
        append(&target, "From a\n", &content("S: 1\n\nFrom me\n")).unwrap();
        append(&target, "From b\n", &content("S: 2\n\nx")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "From a\nS: 1\n\n>From me\n\nFrom b\nS: 2\n\nx\n\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // A message truncated by a crash does not swallow the next.
        fs::write(&path, "From a\nS: 1\n\nhalf of i").unwrap();
        append(&target, "From b\n", &content("S: 2\n")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "From a\nS: 1\n\nhalf of i\n\nFrom b\nS: 2\n\n");
        // No room: nothing of it is written.
        let full = Target {
            min_free: u64::MAX / 2,
            ..target
        };
        assert_eq!(
            append(&full, "From c\n", &content("x")).unwrap_err().kind,
            Kind::DiskFull
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no lock is left");
    }

    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("ann"), folder.path().join("bob"));
        fs::write(&other, "bob's").unwrap();
        let spool = Spool::none(getegid());
        let target = Target {
            path: &path,
            owner: geteuid(),
            spool: &spool,
            wait: Duration::ZERO,
            min_free: 0,
        };
        let refused = |words: &str| {
            let trouble = append(&target, "From a\n", &content("x")).unwrap_err();
            assert!(
                trouble.kind == Kind::Mailbox && trouble.text.contains(words),
                "{trouble}"
            );
            assert_eq!(fs::read_to_string(&other).unwrap(), "bob's");
            fs::remove_file(&path).unwrap();
        };
        symlink(&other, &path).unwrap();
        refused("is a link");
        fs::hard_link(&other, &path).unwrap();
        refused("second name");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused("is not a file");
    }
}
