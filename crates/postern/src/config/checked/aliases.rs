//! The aliases file, whose mistakes have places in a file of their own.

use postern_directory::aliases::Aliases;

use super::{Checking, files};

pub(super) fn check(c: &mut Checking<'_>) -> Aliases {
    let Some(path) = &c.file.aliases else {
        return Aliases::default();
    };
    if !files::readable(path, "the aliases", c.problems) {
        return Aliases::default();
    }
    let local = c.local_domains.clone();
    match Aliases::load(&path.value, &|domain| local.contains(domain)) {
        Ok(aliases) => aliases,
        Err(mistakes) => {
            for mistake in mistakes {
                c.problems.error(
                    path.span.clone(),
                    mistake.to_string(),
                    "in this file",
                    format!("correct line {} of {}", mistake.line, mistake.file.display()),
                );
            }
            Aliases::default()
        }
    }
}
