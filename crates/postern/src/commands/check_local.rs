//! `postern check`: whether the drop folder for local programs is as the server needs it.

use std::io;

use nix::unistd::{getegid, geteuid};

use crate::config::Config;
use crate::config::problem::Problems;
use crate::rights::Account;
use crate::server::local::folder;

/// Checks the folder with the server's rights. A missing one is created at start.
pub(super) fn look(config: &Config, found: &mut Problems) {
    let Some(local) = &config.local else { return };
    let (user, group) = (geteuid(), getegid());
    match folder::fault(&local.drop, user, group) {
        Ok(None) => {}
        Ok(Some(fault)) => {
            let remedy = folder::remedy(&local.drop, &Account::of(user, group));
            found.error(
                config.places.path(&local.drop),
                fault,
                "other users could have written to it",
                format!("as root: {remedy}"),
            );
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => found.error(
            config.places.path(&local.drop),
            format!("cannot look at the folder {}: {error}", local.drop.display()),
            "the server could not either",
            "let the user of the server pass through the folders above it (chmod +x)",
        ),
    }
}
