//! Files, with Landlock: only the paths of the configuration and those of the system.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use crate::config::Paths;

/// The newest kernel interface used. Older kernels do as much as they support.
const NEWEST: ABI = ABI::V6;

/// Paths that libraries and look-ups read: name service and time zones, authorities, Kerberos, load and
/// limits.
const OF_THE_SYSTEM: [&str; 12] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run",
    "/proc",
    "/sys",
    "/dev",
    "/var/lib/sss",
    "/var/lib/ca-certificates",
    "/nix/store",
    "/gnu/store",
];

/// Environment variables that name further files for libraries.
const VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "KRB5_CONFIG",
    "KRB5_KTNAME",
    "KRB5CCNAME",
    "TZDIR",
    "CREDENTIALS_DIRECTORY",
];

/// Why file access is not restricted.
const ABSENT: &str =
    "the kernel has no Landlock (Linux 5.19 and later have it), or a filter around this server forbids it";

/// The accessible paths, with everything below them.
pub(in crate::server) struct Granted {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    by: &'static str,
}

/// Denies access to everything but those paths, for this thread and those that it starts.
///
/// # Errors
///
/// Why not.
pub(super) fn restrict(paths: &Paths) -> Result<Granted, String> {
    let granted = Granted::of(paths);
    match granted.enforce() {
        Ok(status) => Ok(Granted {
            by: match status {
                RulesetStatus::FullyEnforced => "Landlock",
                RulesetStatus::PartiallyEnforced => "Landlock, as far as this kernel has it",
                RulesetStatus::NotEnforced => return Err(ABSENT.to_owned()),
            },
            ..granted
        }),
        Err(_) => Err(ABSENT.to_owned()),
    }
}

impl Granted {
    fn of(paths: &Paths) -> Self {
        let named = VARIABLES.iter().filter_map(std::env::var_os);
        let named = named.flat_map(|value| {
            let text = value.to_string_lossy();
            let list = text.split(':').filter(|path| path.starts_with('/'));
            list.map(|path| folder_of(Path::new(path))).collect::<Vec<_>>()
        });
        let read = paths.read.iter().filter_map(|path| place(path));
        let read = OF_THE_SYSTEM.iter().map(PathBuf::from).chain(read).chain(named);
        let write = paths.write.iter().filter_map(|path| place(path));
        Self {
            read: read.collect(),
            write: write.collect(),
            by: "",
        }
    }

    fn enforce(&self) -> Result<RulesetStatus, RulesetError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        // No link or device can be created anywhere, and nothing can be executed.
        let write = AccessFs::from_all(NEWEST)
            & !(AccessFs::Execute
                | AccessFs::MakeSym
                | AccessFs::MakeChar
                | AccessFs::MakeBlock
                | AccessFs::MakeFifo
                | AccessFs::IoctlDev);
        let null: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile;
        let ruleset = Ruleset::default()
            // Without it, no file can move between folders, as mail does in a Maildir.
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::Refer)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::Signal)?
            .create()?
            .add_rules(path_beneath_rules(&self.read, read))?
            .add_rules(path_beneath_rules(&self.write, write))?
            .add_rules(path_beneath_rules(["/dev/null"], null))?;
        Ok(ruleset.restrict_self()?.ruleset)
    }

    /// What enforces them.
    pub(super) fn by(&self) -> String {
        self.by.to_owned()
    }

    /// Whether a file, or the content of a folder, can be read.
    pub(in crate::server) fn reads(&self, path: &Path) -> bool {
        let Some(path) = place(path) else { return true };
        self.read
            .iter()
            .chain(&self.write)
            .any(|folder| path.starts_with(folder))
    }

    /// Paths of another configuration that are not covered: they can no longer be opened.
    pub(in crate::server) fn beyond(&self, paths: &Paths) -> Vec<PathBuf> {
        let within = |folders: &[PathBuf], path: &PathBuf| {
            let Some(path) = place(path) else { return true };
            folders.iter().any(|folder| path.starts_with(folder))
        };
        let read = paths
            .read
            .iter()
            .filter(|path| !within(&self.read, path) && !within(&self.write, path));
        let write = paths.write.iter().filter(|path| !within(&self.write, path));
        let mut beyond: Vec<PathBuf> = read.chain(write).cloned().collect();
        beyond.sort();
        beyond.dedup();
        beyond
    }
}

/// The nearest existing folder to a path, as a real path; none for the root, which would be everything.
fn place(path: &Path) -> Option<PathBuf> {
    let real = path.ancestors().find_map(|folder| folder.canonicalize().ok())?;
    (real != Path::new("/")).then_some(real)
}

fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    path.parent().unwrap_or(path).to_owned()
}
