//! Bearer tokens: the provider says whose they are, the directories whether that user exists here.

use std::time::Duration;

use jiff::Timestamp;
use postern_directory::{Account, DenyReason, PasswordVerdict};
use postern_oauth::verify::{AccountRule, Owner, Verdict};
use postern_policy::identity::act_as;
use postern_policy::standing::Credential;
use postern_sasl::Answer;
use secrecy::SecretString;

use super::findings::Findings;
use super::guess;
use super::origin::Origin;
use crate::identity::identity_of;
use crate::time;

/// Checks whether a token is the client's, and finds its account.
///
/// A token cannot be guessed, so nobody is locked out for a wrong one; but each costs work, so a network with many wrong ones
/// waits.
pub(super) async fn check(
    identity: Option<String>,
    token: &SecretString,
    findings: &mut Findings,
    origin: &Origin<'_>,
) -> Answer {
    findings.tried.clone_from(&identity);
    let wait = origin
        .shared
        .throttle
        .lock()
        .network_wait(&origin.source(), time::now());
    if wait > Duration::ZERO {
        tokio::time::sleep(wait).await;
    }
    let tokens = origin.shared.deps.tokens.load_full();
    let owner = match tokens.verify(token, identity.as_deref()).await {
        Verdict::Owner(owner) => Owner {
            login: origin.meant(&owner.login),
            ..owner
        },
        Verdict::Refused(refusal) => return denied(refusal.to_string(), origin),
        Verdict::Unavailable(reason) => return Answer::Unavailable { reason },
    };
    if identity.is_none() {
        findings.tried = Some(owner.login.clone());
    }
    findings.ends = end_of(&owner);
    let directories = origin.shared.deps.directories.load_full();
    let account = match account(&owner, directories.find_account(&owner.login).await) {
        Ok(account) => account,
        Err(PasswordVerdict::Unavailable { reason, .. }) => return Answer::Unavailable { reason },
        Err(other) => {
            let reason = match other {
                PasswordVerdict::Denied(reason) => reason.as_str(),
                _ => "no account",
            };
            return denied(format!("the token is of {}: {reason}", owner.login), origin);
        }
    };
    if let Some(identity) = &identity {
        if is_same(identity, &owner, &account) {
            findings.same = Some(identity.clone());
        } else if act_as(&identity_of(&account), identity, &origin.settings.identity).is_err() {
            return denied(
                format!(
                    "the token is of {}, and the client says it is {identity}",
                    owner.login
                ),
                origin,
            );
        }
    }
    Answer::Granted {
        login: findings.keep(account),
    }
}

/// When the token expires. A session of its owner ends with it.
fn end_of(owner: &Owner) -> Option<(Credential, Timestamp)> {
    let seconds = i64::try_from(owner.ends?).ok()?;
    Some((Credential::Token, Timestamp::from_second(seconds).ok()?))
}

fn denied(reason: String, origin: &Origin<'_>) -> Answer {
    let source = origin.source();
    let alarm = origin
        .shared
        .throttle
        .lock()
        .network_failure(&source, time::now());
    if let Some(alarm) = alarm {
        guess::raise(&alarm, &source, origin.session, &origin.shared.deps.observers);
    }
    Answer::Denied { reason }
}

/// The account of a token's owner. If it need not be in a directory, it is made from the token.
fn account(owner: &Owner, found: PasswordVerdict) -> Result<Account, PasswordVerdict> {
    match found {
        PasswordVerdict::Granted(account) => Ok(account),
        PasswordVerdict::Denied(DenyReason::UnknownUser) if owner.account == AccountRule::Optional => {
            Ok(Account {
                login: owner.login.clone(),
                addresses: Some(owner.login.to_lowercase())
                    .filter(|login| login.contains('@'))
                    .into_iter()
                    .collect(),
                ..Account::default()
            })
        }
        other => Err(other),
    }
}

/// Whether the client means the owner's account: by its user name, the one in the token, or an address of the account. ASCII case
/// is ignored.
fn is_same(identity: &str, owner: &Owner, account: &Account) -> bool {
    let logins = [owner.login.as_str(), account.login.as_str()];
    let addresses = account.addresses.iter().map(String::as_str);
    logins
        .into_iter()
        .chain(addresses)
        .any(|name| name.eq_ignore_ascii_case(identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(account: AccountRule) -> Owner {
        Owner {
            login: "A.Caird@example.org".into(),
            issuer: "https://id.example".into(),
            account,
            ends: None,
        }
    }

    fn known() -> Account {
        Account {
            login: "acaird".into(),
            addresses: vec!["a.caird@example.org".into(), "andrew@example.org".into()],
            ..Account::default()
        }
    }

    #[test]
    fn when_a_token_ends() {
        let end = |ends| {
            let owner = Owner {
                ends,
                ..owner(AccountRule::Required)
            };
            end_of(&owner).map(|(credential, at)| (credential, at.as_second()))
        };
        assert_eq!(end(Some(1_800_000_000)), Some((Credential::Token, 1_800_000_000)));
        assert_eq!(end(None), None);
        assert_eq!(end(Some(u64::MAX)), None, "no clock will ever be there");
    }

    #[test]
    fn whom_the_client_may_say_it_is() {
        #[rustfmt::skip]
        let cases = [
            ("the login in the token",      "A.Caird@example.org",  true),
            ("in other letters",            "a.caird@EXAMPLE.org",  true),
            ("the login of the directory",  "acaird",               true),
            ("an address of the account",   "andrew@example.org",   true),
            ("somebody else",               "root@example.org",     false),
            ("a login that begins alike",   "acaird2",              false),
            ("the local part alone",        "a.caird",              false),
            ("nothing",                     "",                     false),
        ];
        for (shows, identity, want) in cases {
            assert_eq!(
                is_same(identity, &owner(AccountRule::Required), &known()),
                want,
                "{shows}"
            );
        }
    }

    #[test]
    fn which_account_a_token_opens() {
        use AccountRule::{Optional, Required};
        let granted = || PasswordVerdict::Granted(known());
        let unknown = || PasswordVerdict::Denied(DenyReason::UnknownUser);
        let disabled = || PasswordVerdict::Denied(DenyReason::Disabled);
        let down = || PasswordVerdict::Unavailable {
            reason: "ldap".into(),
            wrong: false,
        };
        #[rustfmt::skip]
        let cases = [
            ("known",                                     Required, granted(),  Ok("acaird")),
            ("known, and it need not be",                 Optional, granted(),  Ok("acaird")),
            ("unknown",                                   Required, unknown(),  Err(unknown())),
            ("unknown, and it need not be known",         Optional, unknown(),  Ok("A.Caird@example.org")),
            ("switched off is never made up for",         Optional, disabled(), Err(disabled())),
            ("nobody can say whether it is switched off", Optional, down(),     Err(down())),
        ];
        for (shows, rule, found, want) in cases {
            let got = account(&owner(rule), found).map(|account| account.login);
            assert_eq!(got, want.map(str::to_owned), "{shows}");
        }
        let made = account(&owner(Optional), unknown()).unwrap();
        assert_eq!(made.addresses, ["a.caird@example.org"]);
    }
}
