//! Who owns a path: every folder and link on the way to a file decides what is found there.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path as FilePath, PathBuf};

use nix::unistd::{Gid, Uid, getegid};

use super::Account;

/// Most links on the way to one file.
const LINKS_MAX: usize = 40;

/// The way to a file: every folder, link and file on it, from the root. What does not exist is left out.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    steps: Vec<Step>,
    /// Whether all of it exists.
    complete: bool,
}

#[derive(Clone, Debug)]
struct Step {
    at: PathBuf,
    uid: Uid,
    gid: Gid,
    mode: u32,
    links: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Folder,
    Link,
    Other,
}

/// Somebody else who decides what is found at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stranger {
    /// The first place on the way that is not only ours.
    pub(crate) at: PathBuf,
    pub(crate) why: Why,
}

/// Why it is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// It belongs to another account.
    Owner { uid: Uid, gid: Gid },
    /// Its group or everybody may write to it.
    Writable { mode: u32 },
}

impl Path {
    /// Walks the way to `path`, following links.
    ///
    /// # Errors
    ///
    /// What the system says, except that something does not exist; or too many links.
    pub(crate) fn walk(path: &FilePath) -> io::Result<Self> {
        let (mut steps, mut links) = (Vec::new(), 0);
        let mut at = PathBuf::from("/");
        steps.push(step(&at)?.0);
        let mut names: Vec<PathBuf> = parts(&std::path::absolute(path)?);
        while let Some(name) = names.pop() {
            match name.components().next() {
                None | Some(Component::CurDir | Component::Prefix(_)) => continue,
                Some(Component::RootDir) => {
                    at = PathBuf::from("/");
                    continue;
                }
                Some(Component::ParentDir) => {
                    at.pop();
                    continue;
                }
                Some(Component::Normal(_)) => {}
            }
            let next = at.join(&name);
            let (found, target) = match step(&next) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Self {
                        steps,
                        complete: false,
                    });
                }
                found => found?,
            };
            steps.push(found);
            let Some(target) = target else {
                at = next;
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(io::Error::other("too many symbolic links"));
            }
            names.extend(parts(&target));
        }
        Ok(Self {
            steps,
            complete: true,
        })
    }

    /// The first owner on the way who is not in `ours`. Anyone who may write to a folder decides what is in it, except if the
    /// sticky bit restricts each to their own files, as in /tmp; our own group, and root's, do not count as somebody else.
    pub(crate) fn stranger(&self, ours: &[Uid]) -> Option<Stranger> {
        self.steps.iter().find_map(|step| {
            let why = if !ours.contains(&step.uid) {
                Why::Owner {
                    uid: step.uid,
                    gid: step.gid,
                }
            } else if step.is_writable() {
                Why::Writable { mode: step.mode }
            } else {
                return None;
            };
            Some(Stranger {
                at: step.at.clone(),
                why,
            })
        })
    }

    /// Whether somebody other than root has redirected the path, with their own link, to a file that is not theirs.
    pub(crate) fn is_planted(&self) -> Option<Account> {
        let owner = self.steps.iter().find(|step| !step.uid.is_root())?;
        let end = self
            .steps
            .last()
            .filter(|end| self.complete && end.uid != owner.uid)?;
        let link = self
            .steps
            .iter()
            .any(|step| step.kind == Kind::Link && !step.uid.is_root());
        let twice = end.kind == Kind::Other && end.links > 1;
        (link || twice).then(|| Account::of(owner.uid, owner.gid))
    }
}

impl Step {
    /// Whether users other than its owner can change what is found from here on.
    fn is_writable(&self) -> bool {
        let ours = self.gid.as_raw() == 0 || self.gid == getegid();
        let by_others = self.mode & 0o002 != 0 || (self.mode & 0o020 != 0 && !ours);
        match self.kind {
            // The permissions of a link mean nothing.
            Kind::Link => false,
            Kind::Folder => by_others && self.mode & 0o1000 == 0,
            Kind::Other => by_others,
        }
    }
}

/// The parts of a path, the last one first.
fn parts(path: &FilePath) -> Vec<PathBuf> {
    let parts = path.components().rev();
    parts.map(|part| PathBuf::from(part.as_os_str())).collect()
}

fn step(at: &FilePath) -> io::Result<(Step, Option<PathBuf>)> {
    let found = fs::symlink_metadata(at)?;
    let kind = found.file_type();
    let target = kind.is_symlink().then(|| fs::read_link(at)).transpose()?;
    let step = Step {
        at: at.to_owned(),
        uid: Uid::from_raw(found.uid()),
        gid: Gid::from_raw(found.gid()),
        mode: found.mode() & 0o7777,
        links: found.nlink(),
        kind: match target {
            Some(_) => Kind::Link,
            None if kind.is_dir() => Kind::Folder,
            None => Kind::Other,
        },
    };
    Ok((step, target))
}

impl Stranger {
    /// The remedy that makes the place only ours.
    pub(crate) fn remedy(&self) -> String {
        let at = self.at.display();
        match self.why {
            Why::Owner { .. } => format!("chown root {at}"),
            Why::Writable { .. } => format!("chmod go-w {at}"),
        }
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.display();
        match self.why {
            Why::Owner { uid, gid } => write!(f, "{at} belongs to {}", Account::of(uid, gid)),
            Why::Writable { mode } => write!(f, "others may write to {at} (mode {mode:03o})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use nix::unistd::geteuid;

    use super::*;

    const ROOT: &[Uid] = &[Uid::from_raw(0)];
    const NOBODY: u32 = 65_534;

    #[test]
    fn the_first_who_is_somebody_else_decides() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["ours", "theirs", "open", "sticky"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), "x").unwrap();
        }
        chown(at("theirs"), Some(NOBODY), None).unwrap();
        fs::write(at("ours/given"), "x").unwrap();
        chown(at("ours/given"), Some(NOBODY), None).unwrap();
        fs::write(at("ours/loose"), "x").unwrap();
        fs::set_permissions(at("ours/loose"), fs::Permissions::from_mode(0o666)).unwrap();
        fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(at("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("../theirs/file", at("ours/link")).unwrap();
        symlink(at("ours/file"), at("theirs/link")).unwrap();
        std::os::unix::fs::lchown(at("theirs/link"), Some(NOBODY), None).unwrap();
        fs::write(at("ours/other"), "x").unwrap();
        fs::hard_link(at("ours/other"), at("theirs/twice")).unwrap();
        symlink("loop", at("ours/loop")).unwrap();
        #[rustfmt::skip]
        let cases = [
            // what the case shows              path                 who decides               planted
            ("root's alone",                    "ours/file",         None,                     false),
            ("another's file",                  "ours/given",        Some("ours/given"),       false),
            ("a file that all may write",       "ours/loose",        Some("ours/loose"),       false),
            ("root's file, another's folder",   "theirs/file",       Some("theirs"),           false),
            ("all may put files there",         "open/file",         Some("open"),             false),
            ("each only his own, as in /tmp",   "sticky/file",       None,                     false),
            ("root's link to such a folder",    "ours/link",         Some("theirs"),           false),
            ("another's link to root's file",   "theirs/link",       Some("theirs"),           true),
            ("root's file by a second name",    "theirs/twice",      Some("theirs"),           true),
            ("nothing there yet",               "ours/new/file",     None,                     false),
            ("nor in another's folder",         "theirs/new/file",   Some("theirs"),           false),
            ("up and down again",               "theirs/../ours/file", Some("theirs"),         false),
        ];
        for (shows, path, who, planted) in cases {
            let way = Path::walk(&at(path)).unwrap();
            let who = who.map(|name: &str| at(name));
            assert_eq!(way.stranger(ROOT).map(|stranger| stranger.at), who, "{shows}");
            assert_eq!(way.is_planted().is_some(), planted, "{shows}");
        }
        assert!(Path::walk(&at("ours/loop")).is_err(), "links in a circle");
        let mine = [Uid::from_raw(0), Uid::from_raw(NOBODY)];
        assert_eq!(Path::walk(&at("theirs/file")).unwrap().stranger(&mine), None);
    }
}
