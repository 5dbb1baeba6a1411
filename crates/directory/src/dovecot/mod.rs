//! Dovecot as a directory: passwords are checked by its auth service, over the socket that it also gives to Postfix.
//!
//! Only passwords can be checked there: for all other mechanisms Dovecot would have to give its keys away, which it does not,
//! or would have to be handed whole exchanges, and then Postern could not tell whose password is being guessed. Nor does it
//! know addresses, so it never says that a recipient exists.

mod link;
mod settings;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use postern_authwire::dovecot::{Answer, FailCode, Failure};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

pub use self::settings::{DovecotPlace, DovecotSettings};

use self::link::{Link, LinkError};
use crate::error::SetUpError;
use crate::source::Source;
use crate::verdict::{Account, DenyReason, Finding, Outage};
use crate::workers::{Asker, Workers};

/// Most pending questions. Further logins wait.
const QUESTIONS_MAX: usize = 256;

/// Longest user name accepted from Dovecot, in octets.
const LOGIN_MAX: usize = 1_024;

/// Dovecot's auth service. All questions share one connection, each with a number.
#[derive(Debug)]
pub(crate) struct Dovecot {
    settings: DovecotSettings,
    link: Mutex<Option<Arc<Link>>>,
    questions: Arc<Workers>,
}

impl Dovecot {
    pub(crate) fn new(settings: DovecotSettings) -> Result<Self, SetUpError> {
        if let DovecotPlace::Path(path) = &settings.place
            && !path.is_absolute()
        {
            let message = format!(
                "{} must be an absolute path, such as /run/dovecot/auth-client",
                path.display()
            );
            return Err(SetUpError::setting("socket", message));
        }
        Ok(Self {
            settings,
            link: Mutex::new(None),
            questions: Workers::new(QUESTIONS_MAX),
        })
    }

    async fn ask(
        &self,
        login: &str,
        password: &SecretString,
        peer: Option<IpAddr>,
    ) -> Result<Answer, LinkError> {
        let link = self.link(None).await?;
        let service = &self.settings.service;
        match link.check(service, peer, login, password.expose_secret()).await {
            // The connection dates from before a restart of Dovecot: a new one may work.
            Err(LinkError::Closed) => {
                let link = self.link(Some(&link)).await?;
                link.check(service, peer, login, password.expose_secret()).await
            }
            other => other,
        }
    }

    /// The connection; a new one if there is none, or only the one that turned out dead.
    async fn link(&self, useless: Option<&Arc<Link>>) -> Result<Arc<Link>, LinkError> {
        let mut held = self.link.lock().await;
        let is_useful = |link: &&Arc<Link>| {
            !link.is_closed() && !useless.is_some_and(|useless| Arc::ptr_eq(link, useless))
        };
        if let Some(link) = held.as_ref().filter(is_useful) {
            return Ok(Arc::clone(link));
        }
        *held = None;
        let link = Arc::new(Link::connect(&self.settings.place).await?);
        *held = Some(Arc::clone(&link));
        Ok(link)
    }

    fn outage(&self, reason: &str) -> Outage {
        Outage::new(format!("Dovecot at {}: {reason}", self.settings.place))
    }
}

#[async_trait]
impl Source for Dovecot {
    async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let outage = |reason: &str| self.outage(reason);
        let question = self.ask(login, password, asker.peer);
        let questions = &self.questions;
        let answer = questions
            .answer(asker, self.settings.timeout, question, outage)
            .await?;
        verdict(answer, login).map_err(|reason| self.outage(&reason))
    }

    async fn probe(&self) -> Option<Result<(), Outage>> {
        Some(
            match tokio::time::timeout(self.settings.timeout, self.link(None)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(self.outage(&error.to_string())),
                Err(_) => Err(self.outage("no greeting in time")),
            },
        )
    }

    /// Through `allow_nets`.
    fn looks_at_peers(&self) -> bool {
        true
    }
}

/// What an answer means, or why it cannot be used.
fn verdict(answer: Answer, asked: &str) -> Result<Finding, String> {
    match answer {
        Answer::Granted { user } => {
            let login = user.unwrap_or_else(|| asked.to_owned());
            if login.len() > LOGIN_MAX || login.chars().any(char::is_control) {
                return Err("a login that cannot be one".to_owned());
            }
            Ok(Finding::Granted(account(login)))
        }
        Answer::Challenge(_) => Err("it wants more than a password".to_owned()),
        Answer::Failed(Failure { code, reason }) => match code {
            Some(FailCode::Temporary) => {
                Err(reason.map_or_else(|| "it cannot tell now".to_owned(), |reason| clean(&reason)))
            }
            Some(FailCode::UserDisabled) => Ok(Finding::Denied(DenyReason::Disabled)),
            Some(FailCode::PasswordExpired) => Ok(Finding::Denied(DenyReason::PasswordExpired)),
            // A PLAIN login never asks to act as somebody else here.
            Some(FailCode::Authorization) | None => Ok(Finding::Denied(DenyReason::Refused)),
        },
    }
}

/// Another program's text, made fit for the log.
fn clean(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn account(login: String) -> Account {
    let addresses = if login.contains('@') {
        vec![login.to_lowercase()]
    } else {
        Vec::new()
    };
    Account {
        login,
        addresses,
        ..Account::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: Option<FailCode>, reason: Option<&str>) -> Answer {
        Answer::Failed(Failure {
            code,
            reason: reason.map(str::to_owned),
        })
    }

    #[test]
    fn verdicts() {
        let granted = |user: Option<&str>| Answer::Granted {
            user: user.map(str::to_owned),
        };
        let login = |login: &str| Ok(Finding::Granted(account(login.to_owned())));
        #[rustfmt::skip]
        let cases = [
            // what the case shows                  answer                                              verdict
            ("the name as Dovecot has it",          granted(Some("acaird")),                            login("acaird")),
            ("the name as it was asked for",        granted(None),                                      login("ACaird")),
            ("a name that forges a log line",       granted(Some("a\nb")),                              Err("a login that cannot be one".into())),
            ("wrong, or nobody",                    failed(None, Some("no")),                           Ok(Finding::Denied(DenyReason::Refused))),
            ("switched off",                        failed(Some(FailCode::UserDisabled), None),         Ok(Finding::Denied(DenyReason::Disabled))),
            ("too old",                             failed(Some(FailCode::PasswordExpired), None),      Ok(Finding::Denied(DenyReason::PasswordExpired))),
            ("its own directory is down",           failed(Some(FailCode::Temporary), Some("a\x07b")),  Err("ab".into())),
            ("a challenge to PLAIN",                Answer::Challenge(String::new()),                   Err("it wants more than a password".into())),
        ];
        for (shows, answer, verdict) in cases {
            assert_eq!(super::verdict(answer, "ACaird"), verdict, "{shows}");
        }
        assert_eq!(account("A@B.example".into()).addresses, ["a@b.example"]);
    }
}
