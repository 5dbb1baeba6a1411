//! Answers a mechanism's questions from directories, certificate rules and token providers, once the throttle of failed logins
//! allows it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postern_directory::{Account, Asker, DenyReason, Directories, KeyKind, KeyVerdict, PasswordVerdict};
use postern_policy::identity::{ActAs, act_as};
use postern_policy::login::login_of_certificate;
use postern_policy::principal::login_of_principal;
use postern_policy::rule::Verdict;
use postern_policy::standing::Credential;
use postern_sasl::{Answer, Question};
use secrecy::SecretString;

use super::findings::Findings;
use super::guess::Attempt;
use super::origin::{CertificateOrigin, Origin};
use super::token;
use crate::identity::identity_of;

/// Finds the answer to a question.
pub(super) async fn answer(question: Question, findings: &mut Findings, origin: &Origin<'_>) -> Answer {
    let asked = match question {
        Question::CheckPassword {
            authcid, password, ..
        } => Asked::Password(origin.meant(&authcid), password),
        Question::CramSecret { authcid } => Asked::Key(origin.meant(&authcid), KeyKind::Cram),
        Question::DigestSecret { authcid, realm } => {
            Asked::Key(origin.meant(&authcid), KeyKind::Digest { realm })
        }
        Question::ScramKeys { authcid, hash } => Asked::Key(origin.meant(&authcid), KeyKind::Scram(hash)),
        Question::NtHash { authcid, domain } => Asked::NtHash {
            joined: joined(&authcid, &domain),
            alone: origin.meant(&authcid),
        },
        Question::CertificateLogin { authzid } => {
            return certificate(authzid.as_deref(), findings, origin).await;
        }
        Question::PrincipalLogin {
            principal,
            service,
            left,
            ..
        } => {
            findings.ends = end_of_ticket(left, Timestamp::now());
            return kerberos(&principal, &service, findings, origin).await;
        }
        Question::CheckToken { identity, token, .. } => {
            let identity = identity.map(|identity| origin.meant(&identity));
            return token::check(identity, &token, findings, origin).await;
        }
        Question::Authorize { authzid, .. } => {
            return authorize(&origin.meant(&authzid), findings, origin).await;
        }
    };
    findings.tried = Some(asked.login().to_owned());
    let attempt = match Attempt::begin(asked.login(), origin).await {
        Ok(attempt) => attempt,
        Err(closed) => {
            findings.closed = Some(closed);
            return Answer::Unavailable {
                reason: closed.to_string(),
            };
        }
    };
    let asker = attempt.asker();
    findings.attempt = Some(attempt);
    let directories = origin.shared.deps.directories.load_full();
    match asked {
        Asked::Password(login, password) => {
            let checked = directories.check(&login, &password, &asker).await;
            findings.found = checked.account;
            if let (true, Some(attempt)) = (checked.busy, &findings.attempt) {
                attempt.turn_away();
            }
            findings.settle(checked.verdict)
        }
        Asked::Key(login, kind) => {
            let verdict = directories.find_key(&login, &kind, &asker).await;
            key(verdict, findings)
        }
        Asked::NtHash { alone, joined } => {
            let verdict = nt_hash(&alone, joined.as_deref(), &asker, &directories).await;
            key(verdict, findings)
        }
    }
}

/// A question about credentials that can be guessed.
enum Asked {
    Password(String, SecretString),
    Key(String, KeyKind),
    /// The name alone, and with the domain that the client named, which may be made up.
    NtHash {
        alone: String,
        joined: Option<String>,
    },
}

impl Asked {
    fn login(&self) -> &str {
        match self {
            Self::Password(login, _) | Self::Key(login, _) | Self::NtHash { alone: login, .. } => login,
        }
    }
}

/// Some clients split `user@domain` for NTLM, others add a domain of their own: both names are always looked up, the one with the
/// domain first.
async fn nt_hash(alone: &str, joined: Option<&str>, asker: &Asker, directories: &Directories) -> KeyVerdict {
    let found = directories.find_key(alone, &KeyKind::Nt, asker).await;
    let Some(joined) = joined else {
        return found;
    };
    match directories.find_key(joined, &KeyKind::Nt, asker).await {
        KeyVerdict::Denied(DenyReason::UnknownUser | DenyReason::Malformed) => found,
        other => other,
    }
}

/// The user name joined with the domain, if possible.
fn joined(login: &str, domain: &str) -> Option<String> {
    (!domain.is_empty() && !login.contains('@')).then(|| format!("{login}@{domain}"))
}

fn key(verdict: KeyVerdict, findings: &mut Findings) -> Answer {
    match verdict {
        KeyVerdict::Found { account, key, outage } => {
            findings.outage = outage;
            findings.found = Some(account.login.clone());
            Answer::Key {
                login: findings.keep(account),
                key,
            }
        }
        KeyVerdict::Denied(reason) => Answer::Denied {
            reason: reason.to_string(),
        },
        KeyVerdict::Unavailable {
            reason,
            answered: true,
        } => {
            findings.outage = Some(reason);
            Answer::Denied {
                reason: DenyReason::UnknownUser.to_string(),
            }
        }
        KeyVerdict::Unavailable { reason, .. } => Answer::Unavailable { reason },
    }
}

/// Finds the user of the verified certificate. It cannot be guessed, so nothing is slowed down.
async fn certificate(authzid: Option<&str>, findings: &mut Findings, origin: &Origin<'_>) -> Answer {
    let rules = &origin.settings.auth.certificates;
    let login = origin.certificate.and_then(|certificate| match certificate {
        CertificateOrigin::Shown { facts, emails } => login_of_certificate(facts, emails, authzid, rules),
        CertificateOrigin::Told(login) => {
            let is_meant = authzid.is_none_or(|authzid| authzid.eq_ignore_ascii_case(login));
            is_meant.then_some(login)
        }
    });
    let Some(login) = login else {
        findings.tried = authzid.map(str::to_owned);
        return Answer::Denied {
            reason: "the certificate matches no user".into(),
        };
    };
    findings.certified = Some(login.to_owned());
    let login = origin.meant(login);
    findings.tried = Some(login.clone());
    let directories = origin.shared.deps.directories.load_full();
    findings.settle(directories.find_account(&login).await)
}

/// Whether the user who has just authenticated may act as another. That account must exist and be enabled.
async fn authorize(authzid: &str, findings: &mut Findings, origin: &Origin<'_>) -> Answer {
    let denied = |reason: String| Answer::Denied { reason };
    let Some(account) = &findings.account else {
        return denied("an account without facts".into());
    };
    if findings.same.as_deref() == Some(authzid) {
        return Answer::Granted {
            login: account.login.clone(),
        };
    }
    let identity = identity_of(account);
    let (other, rule) = match act_as(&identity, authzid, &origin.settings.identity) {
        Ok(ActAs::Itself) => {
            return Answer::Granted {
                login: account.login.clone(),
            };
        }
        Ok(ActAs::Other { .. }) if !origin.may_act => {
            return denied("nobody acts as another on a socket".into());
        }
        Ok(ActAs::Other { login, basis }) => (login, basis.rule()),
        Err(refusal) => return denied(refusal.to_string()),
    };
    let directories = origin.shared.deps.directories.load_full();
    match directories.find_account(other).await {
        PasswordVerdict::Granted(mut other) => {
            let login = other.login.clone();
            // The other account's own right to act for others is not passed on.
            other.acts_for.clear();
            if login != account.login {
                findings.acting = Some((other, rule));
            }
            Answer::Granted { login }
        }
        PasswordVerdict::Denied(reason) => denied(format!("{reason}: {other}")),
        PasswordVerdict::Unavailable { reason, .. } => Answer::Unavailable { reason },
    }
}

/// When a ticket with this much time left expires. A session of its owner ends with it.
fn end_of_ticket(left: Option<Duration>, now: Timestamp) -> Option<(Credential, Timestamp)> {
    let end = now.checked_add(SignedDuration::try_from(left?).ok()?).ok()?;
    Some((Credential::Ticket, end))
}

/// Finds the user of an authenticated Kerberos principal. It cannot be guessed either.
async fn kerberos(principal: &str, service: &str, findings: &mut Findings, origin: &Origin<'_>) -> Answer {
    findings.tried = Some(principal.to_owned());
    let Some(kerberos) = &origin.settings.auth.kerberos else {
        return Answer::Unavailable {
            reason: "Kerberos is not available here".into(),
        };
    };
    let login = match login_of_principal(principal, service, &kerberos.rules) {
        Ok(login) => origin.meant(&login),
        Err(refused) => {
            return Answer::Denied {
                reason: refused.to_string(),
            };
        }
    };
    let directories = origin.shared.deps.directories.load_full();
    match directories.find_account(&login).await {
        PasswordVerdict::Denied(DenyReason::UnknownUser) if !kerberos.account_required => Answer::Granted {
            login: findings.keep(Account {
                login,
                ..Account::default()
            }),
        },
        verdict => findings.settle(verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_ticket_ends() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        #[rustfmt::skip]
        let cases = [
            // for how long it holds           when it ends
            (Some(Duration::from_secs(3_600)), Some(1_800_003_600)),
            (Some(Duration::ZERO),             Some(1_800_000_000)),
            (Some(Duration::MAX),              None),
            (None,                             None),
        ];
        for (left, want) in cases {
            let got = end_of_ticket(left, now).map(|(credential, at)| (credential, at.as_second()));
            assert_eq!(got, want.map(|at| (Credential::Ticket, at)), "{left:?}");
        }
    }
}
