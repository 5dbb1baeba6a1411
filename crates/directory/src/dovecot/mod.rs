//! Dovecot as a directory: passwords are checked by its auth service, over the socket that it also gives to Postfix.
//!
//! Only passwords can be checked there: for all other mechanisms Dovecot would have to give its keys away, which it does not,
//! or be handed whole exchanges, behind which Postern could not tell whose login is being guessed at. It tells no addresses
//! either, so it never says that a recipient exists.

mod link;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postern_authwire::dovecot::{Answer, FailCode, Failure};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use self::link::{Link, LinkError};
use crate::directories::SetUpError;
use crate::verdict::{Account, DenyReason, Finding, Outage};
use crate::workers::{Asker, Workers};

/// How to reach Dovecot's auth service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DovecotSettings {
    /// Where it listens.
    pub place: DovecotPlace,
    /// Name of the service, by which Dovecot's configuration can tell who asks. Default `smtp`.
    pub service: String,
    /// Longest time for one login, connecting included. Default 10 seconds: Dovecot holds a refusal back for two.
    pub timeout: Duration,
    /// How long a granted login counts without asking again. Default zero: not at all.
    pub cache_ttl: Duration,
}

/// Where Dovecot's auth service listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DovecotPlace {
    /// A `unix_listener` of it.
    Path(PathBuf),
    /// An `inet_listener`, as `host:port`. The password goes there in the clear.
    Server(String),
}

impl Default for DovecotSettings {
    fn default() -> Self {
        Self {
            place: DovecotPlace::Path(PathBuf::from("/run/dovecot/auth-client")),
            service: "smtp".into(),
            timeout: Duration::from_secs(10),
            cache_ttl: Duration::ZERO,
        }
    }
}

impl std::fmt::Display for DovecotPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Server(server) => f.write_str(server),
        }
    }
}

/// Most questions under way. Further logins wait.
const QUESTIONS_MAX: usize = 256;

/// Longest login taken from Dovecot, in octets.
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

    /// Whether this is the login's password.
    pub(crate) async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let limit = self.settings.timeout;
        let turn = tokio::time::timeout(limit, self.questions.turn(asker)).await;
        let _turn = turn.unwrap_or_else(|_| Err(Outage::busy("as many questions are open as may be")))?;
        let answer = match tokio::time::timeout(limit, self.ask(login, password, asker.peer)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.outage(&error.to_string())),
            Err(_) => return Err(self.outage(&format!("no answer within {} ms", limit.as_millis()))),
        };
        verdict(answer, login).map_err(|reason| self.outage(&reason))
    }

    /// Whether it answers, without a login.
    pub(crate) async fn probe(&self) -> Result<(), Outage> {
        match tokio::time::timeout(self.settings.timeout, self.link(None)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.outage(&error.to_string())),
            Err(_) => Err(self.outage("no greeting in time")),
        }
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
            // The connection was from before a restart of Dovecot: a new one may do.
            Err(LinkError::Closed) => {
                let link = self.link(Some(&link)).await?;
                link.check(service, peer, login, password.expose_secret()).await
            }
            other => other,
        }
    }

    /// The connection, made anew where there is none, or none but the one that has proved useless.
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

/// What an answer means, or why it means nothing.
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
            // Who logs in by PLAIN asks to act as nobody else.
            Some(FailCode::Authorization) | None => Ok(Finding::Denied(DenyReason::Refused)),
        },
    }
}

/// Words of another program, fit for the log.
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
