//! The users of this machine as a directory: the name service says who exists, but checks no passwords.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nix::unistd::User;
use postern_mail::Mailbox;
use postern_policy::system_user;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::source::Source;
use crate::verdict::{DenyReason, Finding, Outage};
use crate::workers::Asker;

/// Most concurrent queries to the name service. It blocks, and may query other servers.
const QUESTIONS: usize = 16;

/// Longest time for an answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The users of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SystemSettings {
    /// The lowest uid that has a mailbox. Root and `nobody` never have one.
    pub min_uid: u32,
    /// Only addresses in these domains, in lower case; all if empty.
    pub domains: Vec<String>,
}

/// Such a directory.
pub(crate) struct SystemDirectory {
    settings: SystemSettings,
    questions: Arc<Semaphore>,
}

impl SystemDirectory {
    pub(crate) fn new(settings: SystemSettings) -> Self {
        // Loads the name service's modules now: later the server may not open every file.
        let _ = User::from_name("root");
        Self {
            settings,
            questions: Arc::new(Semaphore::new(QUESTIONS)),
        }
    }

    /// A query that takes too long keeps running in the background and keeps its permit, so that a name service that hangs blocks
    /// at most as many threads as there are permits.
    async fn ask(&self, names: Vec<String>) -> Result<bool, Outage> {
        let late = |_| {
            Outage::new(format!(
                "the name service has not answered in {} s",
                LIMIT.as_secs()
            ))
        };
        let place = timeout(LIMIT, self.questions.clone().acquire_owned());
        let place = place.await.map_err(late)?;
        let min_uid = self.settings.min_uid;
        let question = spawn_blocking(move || {
            let _place = place;
            exists(&names, min_uid)
        });
        let answer = timeout(LIMIT, question).await.map_err(late)?;
        answer
            .map_err(|error| Outage::new(error.to_string()))?
            .map_err(|error| Outage::new(format!("the name service: {error}")))
    }
}

/// Whether the first of these names that exists belongs to a user with a mailbox. Blocking.
fn exists(names: &[String], min_uid: u32) -> nix::Result<bool> {
    for name in names {
        if let Some(user) = User::from_name(name)? {
            return Ok(system_user::has_mailbox(user.uid.as_raw(), min_uid));
        }
    }
    Ok(false)
}

#[async_trait]
impl Source for SystemDirectory {
    async fn check_password(&self, _: &str, _: &SecretString, _: &Asker) -> Result<Finding, Outage> {
        Ok(Finding::Denied(DenyReason::UnknownUser))
    }

    fn knows_recipients(&self) -> bool {
        true
    }

    async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        let domains = &self.settings.domains;
        let is_one = |domain: &String| address.domain().name() == Some(domain.as_str());
        let names = system_user::names(&address.unquoted_local());
        if names.is_empty() || !domains.is_empty() && !domains.iter().any(is_one) {
            return Ok(false);
        }
        self.ask(names).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn users_of_the_machine() {
        let daemon = User::from_name("daemon").unwrap().unwrap().uid.as_raw();
        #[rustfmt::skip]
        let cases = [
            ("somebody",                "daemon@a.test",    daemon,     true),
            ("in other letters",        "Daemon@a.test",    daemon,     true),
            ("below the least number",  "daemon@a.test",    daemon + 1, false),
            ("root",                    "root@a.test",      0,          false),
            ("nobody",                  "nobody@a.test",    0,          false),
            ("no such user",            "no-such@a.test",   0,          false),
            ("a path",                  "\"../x\"@a.test",  0,          false),
            ("another domain",          "daemon@b.test",    daemon,     false),
        ];
        for (shows, address, min_uid, want) in cases {
            let directory = SystemDirectory::new(SystemSettings {
                min_uid,
                domains: vec!["a.test".into()],
            });
            let found = directory.recipient_exists(&address.parse().unwrap()).await;
            assert_eq!(found.ok(), Some(want), "{shows}");
        }
    }
}
