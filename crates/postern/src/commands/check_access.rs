//! `postern check`, with the rights of the server's user: whether it may do what the server needs.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::unistd::{AccessFlags, Uid, access, geteuid, getgid};
use postern_policy::route::{Hop, HopHost, Target};

use crate::config::Config;
use crate::config::checked::{Places, SocketPlace, before_placeholders};
use crate::config::problem::Problems;
use crate::log::Target as LogTarget;
use crate::rights::Account;

/// Most entries of a folder examined.
const ENTRIES_MAX: usize = 1_000;

/// Who checks, and what was found.
struct Look<'a> {
    /// The name of the user who checks, for remedies.
    user: String,
    /// Whether root creates the sockets for neighbouring services before it becomes this user.
    root_binds: bool,
    places: &'a Places,
    found: &'a mut Problems,
}

/// Checks the folders and sockets that the server uses. With `offline`, connects to none.
pub(super) fn look(config: &Config, root_binds: bool, offline: bool, found: &mut Problems) {
    let mut look = Look {
        user: Account::of(geteuid(), getgid()).to_string(),
        root_binds,
        places: &config.places,
        found,
    };
    look.state_dir(&config.state_dir);
    look.log(&config.log.target);
    for socket in &config.sockets {
        if let SocketPlace::Path(file) = &socket.place {
            look.own_socket(&file.path);
        }
    }
    let routes = &config.deliver.routes;
    let targets = routes
        .rules
        .iter()
        .map(|rule| &rule.target)
        .chain([&routes.local]);
    for target in targets {
        match target {
            Target::Maildir(pattern) => look.maildirs(pattern, &config.state_dir),
            Target::Hosts { via, .. } => via.iter().for_each(|hop| look.hop(hop, offline)),
            Target::Mx
            | Target::Local
            | Target::System { .. }
            | Target::Pipe { .. }
            | Target::Refuse(_)
            | Target::Discard
            | Target::Unknown(_) => {}
        }
    }
    if let Some(system) = config.deliver.system.as_ref().filter(|_| !offline) {
        look.helper(&system.socket);
    }
}

impl Look<'_> {
    /// The server creates and changes files in it, and must own all of them.
    fn state_dir(&mut self, path: &Path) {
        let Some(found) = self.metadata(path, STATE) else {
            return;
        };
        let (shown, at) = (path.display(), self.places.path(path));
        if !found.is_dir() {
            let title = format!("the state directory {shown} is not a folder");
            return self
                .found
                .error(at, title, "a file", "move it away, or correct `state_dir`");
        }
        let owner = Uid::from_raw(found.uid());
        if !geteuid().is_root() && owner != geteuid() {
            let title = format!("the state directory {shown} belongs to {}", name_of(owner));
            let remedy = format!("chown -R {} {shown}", self.user);
            return self.found.error(at, title, "of another user", remedy);
        }
        if !may(path, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK) {
            let title = format!("{} may not write to the state directory {shown}", self.user);
            return self
                .found
                .error(at, title, "not writable", format!("chmod u+rwx {shown}"));
        }
        // A command run manually by root may have left files owned by root.
        let entries = fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .take(ENTRIES_MAX);
        for entry in entries {
            let is_ours = AccessFlags::R_OK | AccessFlags::W_OK;
            let is_file = entry
                .file_type()
                .is_ok_and(|kind| kind.is_file() || kind.is_dir());
            if is_file && !may(&entry.path(), is_ours) {
                let owner = entry
                    .metadata()
                    .map_or_else(|_| geteuid(), |found| Uid::from_raw(found.uid()));
                let entry = entry.path();
                let title = format!(
                    "{} may not write to {}, which belongs to {}",
                    self.user,
                    entry.display(),
                    name_of(owner)
                );
                let remedy = format!("chown -R {0} {shown} && chmod -R u+rwX {shown}", self.user);
                return self.found.error(at, title, "what is in it", remedy);
            }
        }
    }

    fn log(&mut self, target: &LogTarget) {
        let LogTarget::File(file) = target else { return };
        let folder = file.parent().unwrap_or_else(|| Path::new("/"));
        let fits = match fs::symlink_metadata(file) {
            Ok(_) => may(file, AccessFlags::W_OK),
            Err(_) => may(folder, AccessFlags::W_OK | AccessFlags::X_OK),
        };
        if !fits {
            let title = format!("{} may not write to the log {}", self.user, file.display());
            let remedy = format!("chown {} {}", self.user, folder.display());
            self.found
                .error(self.places.path(file), title, "not writable", remedy);
        }
    }

    /// A socket that the server creates.
    fn own_socket(&mut self, path: &Path) {
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        if self.root_binds || may(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
            return;
        }
        let title = format!("{} may not make the socket {}", self.user, path.display());
        let remedy = format!(
            "choose a folder of its own, or let it write there: chown {} {}",
            self.user,
            folder.display()
        );
        self.found
            .error(self.places.path(path), title, "not writable", remedy);
    }

    /// The folder of all mailboxes, or mailboxes in a folder owned by somebody else.
    fn maildirs(&mut self, pattern: &Path, state_dir: &Path) {
        let folder = before_placeholders(pattern);
        if folder.starts_with(state_dir) && !folder.exists() {
            // Created at the first delivery.
            return;
        }
        let Some(found) = self.metadata_of(&folder, pattern, "the folder of the mailboxes") else {
            return;
        };
        let (shown, at) = (folder.display(), self.places.path(pattern));
        if !found.is_dir() {
            let title = format!("the folder of the mailboxes, {shown}, is not a folder");
            return self
                .found
                .error(at, title, "a file", "move it away, or correct `maildir`");
        }
        let all = AccessFlags::W_OK | AccessFlags::X_OK;
        if may(&folder, all) {
            return;
        }
        let title = format!("{} may not make mailboxes in {shown}", self.user);
        let remedy = format!("chown {} {shown}, or name another `maildir`", self.user);
        let mailboxes = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .take(ENTRIES_MAX);
        if mailboxes.into_iter().any(|mailbox| may(&mailbox.path(), all)) {
            let title = format!("{title}, nor write to some of those that are there");
            self.found.warning(at, title, "not writable", remedy);
        } else {
            let title = format!("{title}, nor write to any");
            self.found.error(at, title, "not writable", remedy);
        }
    }

    /// A socket to which mail is delivered.
    fn hop(&mut self, hop: &Hop, offline: bool) {
        let HopHost::Unix(path) = &hop.host else { return };
        let result = match offline {
            true => match access(path, AccessFlags::W_OK) {
                // The listener may start later.
                Err(nix::Error::ENOENT) | Ok(()) => Ok(()),
                Err(error) => Err(error.into()),
            },
            false => UnixStream::connect(path).map(drop),
        };
        let Err(error) = result else { return };
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                format!(
                    "let {} connect: the mode of the socket and of its folders",
                    self.user
                )
            }
            _ => "start the server behind it, or correct the path; mail waits meanwhile".to_owned(),
        };
        let title = format!("{} does not answer: {error}", path.display());
        self.found
            .warning(self.places.hop(hop), title, "asked just now", remedy);
    }

    /// The helper that delivers to system users.
    fn helper(&mut self, socket: &Path) {
        let Err(error) = UnixStream::connect(socket) else {
            return;
        };
        let title = format!(
            "the helper that delivers to users of this machine does not answer at {}: {error}",
            socket.display()
        );
        let remedy = "start postern-mailbox.service (`postern mailbox-helper`); their mail waits meanwhile";
        self.found
            .warning(self.places.path(socket), title, "asked just now", remedy);
    }

    /// Metadata of a path. If missing, the server creates it, if its user may.
    fn metadata(&mut self, path: &Path, what: &str) -> Option<fs::Metadata> {
        self.metadata_of(path, path, what)
    }

    /// The same for a path derived from one in the file.
    fn metadata_of(&mut self, path: &Path, named: &Path, what: &str) -> Option<fs::Metadata> {
        let at = self.places.path(named);
        let error = match fs::metadata(path) {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        let shown = path.display();
        if error.kind() != io::ErrorKind::NotFound {
            let title = format!("{} cannot look at {what}, {shown}: {error}", self.user);
            let remedy = "correct the path, or let this user enter the folders on the way there";
            self.found.error(at, title, "out of reach", remedy);
            return None;
        }
        let above = path.ancestors().skip(1).find(|folder| folder.exists());
        let may_make = above.is_some_and(|folder| may(folder, AccessFlags::W_OK | AccessFlags::X_OK));
        if !(may_make || self.root_binds && what == STATE) {
            let title = format!("{what} {shown} does not exist, and {} may not make it", self.user);
            let remedy = format!("mkdir -p {shown} && chown {} {shown}", self.user);
            self.found.warning(at, title, "missing", remedy);
        }
        None
    }
}

/// Created by root at start, if root starts the server.
const STATE: &str = "the state directory";

fn may(path: &Path, what: AccessFlags) -> bool {
    access(path, what).is_ok()
}

fn name_of(uid: Uid) -> String {
    Account::of(uid, getgid()).to_string()
}
