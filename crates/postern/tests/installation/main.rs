//! Postern installed as the guide says, in a Debian booted by systemd.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod cgroup;
mod container;
mod guide;
mod machine;
mod package;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Postern's binary.
fn binary() -> PathBuf {
    std::env::var_os("POSTERN_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_postern")), PathBuf::from)
}

/// The checkout.
fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The packages, built once with the guide's command from the tested binary: `postern` and `postern-mta`.
fn packages() -> &'static [PathBuf] {
    static MADE: OnceLock<Vec<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| {
        let command = guide::on_the_build_machine();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &command])
            .current_dir(checkout())
            .env("POSTERN_BIN", binary())
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        let names = String::from_utf8(output.stdout).unwrap();
        names.lines().map(PathBuf::from).collect()
    })
}
