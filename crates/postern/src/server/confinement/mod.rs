//! What the server gives up once it has what it needs, so that a vulnerability in it is of little use to an attacker.
//!
//! All of this applies to the calling thread and to those that it starts: call it before there are others.

mod files;
mod syscalls;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use postern_events::{Observers, notice};

pub(super) use self::files::Granted;
use crate::config::{Config, Paths};

/// What is in force.
pub(super) struct Confinement {
    /// No program that it starts gets privileges that it does not have.
    no_new_privileges: bool,
    /// Nobody but root can look into its memory, and it is never written to a file.
    no_dumps: bool,
    files: Result<Granted, String>,
    syscalls: Result<(), String>,
}

/// Gives up everything that `config` does not need. What the kernel does not support stays unrestricted, and
/// [`Confinement::log`] says so.
pub(super) fn confine(config: &Config, paths: &Paths) -> Confinement {
    let off = || "switched off by `sandbox`".to_owned();
    let no_dumps = prctl::set_dumpable(false).is_ok() && setrlimit(Resource::RLIMIT_CORE, 0, 0).is_ok();
    Confinement {
        no_new_privileges: prctl::set_no_new_privs().is_ok(),
        no_dumps,
        files: match config.sandbox {
            true => files::restrict(paths),
            false => Err(off()),
        },
        // The filter comes last: it forbids some of the calls made above.
        syscalls: match config.sandbox {
            true => syscalls::restrict(config.receive.auth.kerberos.is_some()),
            false => Err(off()),
        },
    }
}

impl Confinement {
    /// Reports what is in force, and warns about what is not.
    pub(super) fn tell(&self, user: &str, observers: &Observers) {
        let say = |yes: bool| if yes { "yes" } else { "no" };
        let files = self
            .files
            .as_ref()
            .map_or_else(|why| why.clone(), |granted| granted.by());
        let syscalls = self
            .syscalls
            .as_ref()
            .map_or_else(|why| why.clone(), |()| "seccomp".to_owned());
        notice!(
            observers,
            Run Info "confined",
            User = user,
            NoNewPrivileges = say(self.no_new_privileges),
            NoDumps = say(self.no_dumps),
            Files = files,
            Syscalls = syscalls,
        );
        for (what, why) in [
            ("files", self.files.as_ref().err()),
            ("syscalls", self.syscalls.as_ref().err()),
        ] {
            if let Some(why) = why {
                notice!(observers, Run Warning "not confined", What = what, Reason = why);
            }
        }
    }

    /// The paths where files can be opened; none if everywhere.
    pub(super) fn granted(self) -> Option<Granted> {
        self.files.ok()
    }
}

#[cfg(test)]
mod tests;
