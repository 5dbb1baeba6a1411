//! `[mail_sandbox]`: whose mail is kept, and how much of it.

use std::sync::Arc;

use postern_policy::origin::LoginSet;
use postern_policy::sandbox::SandboxRules;

use super::Checking;

pub(super) fn check(c: &Checking<'_>) -> Arc<SandboxRules> {
    let written = &c.file.mail_sandbox;
    Arc::new(SandboxRules {
        // Each was read as such before.
        logins: LoginSet::new(written.logins.iter().map(|one| &one.value)).unwrap_or_default(),
        keep: *written.keep,
        messages: *written.messages,
        octets: *written.size,
    })
}
