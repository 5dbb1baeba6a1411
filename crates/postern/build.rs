//! Finds the commit that is built: `$POSTERN_COMMIT`, otherwise what `git archive` recorded, otherwise what git
//! says.
//!
//! Without any of them, the version is used alone. It is looked up again when one of them changes, not at every
//! build.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Enough digits to distinguish commits, but still readable.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=commit.txt");
    println!("cargo::rerun-if-env-changed=POSTERN_COMMIT");
    let given = env::var("POSTERN_COMMIT").ok().and_then(|text| commit(&text));
    let version = env!("CARGO_PKG_VERSION");
    match given.or_else(archived).or_else(checked_out) {
        Some(commit) => {
            println!("cargo::rustc-env=POSTERN_BUILT_COMMIT={commit}");
            println!("cargo::rustc-env=POSTERN_VERSION={version} ({commit})");
        }
        None => println!("cargo::rustc-env=POSTERN_VERSION={version}"),
    }
}

/// The start of a commit's name, if it is one.
fn commit(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name = text.len() >= 7 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    is_name.then(|| text.chars().take(DIGITS).collect())
}

/// What `git archive` wrote into `commit.txt`; see `.gitattributes`.
fn archived() -> Option<String> {
    commit(&fs::read_to_string("commit.txt").ok()?)
}

/// The commit of this checkout. An enclosing repository does not count.
fn checked_out() -> Option<String> {
    let root = Path::new("../..").canonicalize().ok()?;
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != root {
        return None;
    }
    // Each commit and each checkout adds a line to the first file, if it exists.
    for name in ["logs/HEAD", "HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
            break;
        }
    }
    commit(&git(&["rev-parse", "HEAD"])?)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
