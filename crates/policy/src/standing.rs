//! Whether a login that was granted earlier in a session is still valid.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use postern_mail::Status;

use crate::relay::RelayReason;
use crate::rule::{Rule, Told, Verdict};
use crate::scope::ScopeRefusal;

/// What is known about a login when its session wants to send.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// How long ago it was granted.
    pub age: Duration,
    /// How old a login may become; `None` for no limit.
    pub longest: Option<Duration>,
    /// The credential that expires, if any, and when.
    pub ends: Option<(Credential, Timestamp)>,
    /// The current time.
    pub now: Timestamp,
    /// Whether its mechanism is still switched on.
    pub mechanism_on: bool,
    /// The last day of its mechanism, if it has one.
    pub mechanism_until: Option<Date>,
    /// The current day, in the server's time zone.
    pub today: Date,
    /// Why its certificate is no longer valid, if so.
    pub certificate: Option<&'a str>,
    /// What the directories say about the authenticated account.
    pub account: AccountState<'a>,
    /// The same for the account that it acts as, if another.
    pub acting: Option<AccountState<'a>>,
    /// Whether the user may act as that account.
    pub may_act: bool,
}

/// What the directories say about an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccountState<'a> {
    /// The login would be granted again.
    Holds,
    /// It would not, for this reason.
    Gone(&'a str),
    /// Not asked, or there was no answer. This changes nothing: an outage ends no session.
    Unknown,
}

/// A credential that expires.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Credential {
    /// An app password with an expiry.
    AppPassword,
    /// A client certificate.
    Certificate,
    /// A Kerberos ticket.
    Ticket,
    /// A bearer token.
    Token,
}

/// Why a login is no longer valid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lapse {
    /// The account is disabled, removed, or has another password.
    Account(String),
    /// The same for the account that the session acts as.
    ActingAccount(String),
    /// The user may no longer act as the other account.
    Authorization,
    /// Its credential has expired.
    Expired(Credential, Timestamp),
    /// The certificate was revoked, or is no longer trusted.
    Certificate(String),
    /// The mechanism was switched off.
    MechanismOff,
    /// The last day of the mechanism is over.
    MechanismEnded(Date),
    /// It is older than a login may become.
    TooOld(Duration),
    /// It is outside the scope of the login now: its hours are over, or the scope was made smaller.
    Scope(ScopeRefusal),
    /// A reload has removed the rule by which an unauthenticated session may relay.
    Relay(RelayReason),
}

/// Decides whether the login is still valid. What can be decided without the directories comes first, so that they need not be
/// asked about a login that has ended anyway.
///
/// # Errors
///
/// Why it is no longer valid.
pub fn judge(facts: &Standing<'_>) -> Result<(), Lapse> {
    if let Some((credential, end)) = facts.ends
        && facts.now >= end
    {
        return Err(Lapse::Expired(credential, end));
    }
    if let Some(longest) = facts.longest
        && facts.age >= longest
    {
        return Err(Lapse::TooOld(longest));
    }
    if !facts.mechanism_on {
        return Err(Lapse::MechanismOff);
    }
    if let Some(until) = facts.mechanism_until
        && facts.today > until
    {
        return Err(Lapse::MechanismEnded(until));
    }
    if let Some(reason) = facts.certificate {
        return Err(Lapse::Certificate(reason.to_owned()));
    }
    if let AccountState::Gone(reason) = facts.account {
        return Err(Lapse::Account(reason.to_owned()));
    }
    match facts.acting {
        Some(AccountState::Gone(reason)) => Err(Lapse::ActingAccount(reason.to_owned())),
        Some(_) if !facts.may_act => Err(Lapse::Authorization),
        _ => Ok(()),
    }
}

/// What has changed since the directories were last asked.
#[derive(Clone, Copy, Debug)]
pub struct LastLook {
    /// Whether configuration or directories were reloaded since then.
    pub reloaded: bool,
    /// Whether the account is in the own users' file.
    pub own: bool,
    /// Whether the own users' file has changed since then, or may have.
    pub users_changed: bool,
    /// How long ago that was.
    pub ago: Duration,
    /// The shortest time between questions to other directories.
    pub every: Duration,
}

/// Whether to ask the directories again: about own users when their file has changed, about others from time to time.
#[must_use]
pub fn must_ask(last: &LastLook) -> bool {
    last.reloaded
        || if last.own {
            last.users_changed
        } else {
            last.ago >= last.every
        }
}

impl Verdict for Lapse {
    fn rule(&self) -> Rule {
        match self {
            Self::Account(_) | Self::ActingAccount(_) => Rule::LoginRevoked,
            Self::Authorization => Rule::LoginAuthorization,
            Self::Expired(..) | Self::TooOld(_) => Rule::LoginExpired,
            Self::Certificate(_) => Rule::LoginCertificate,
            Self::MechanismOff | Self::MechanismEnded(_) => Rule::LoginMechanism,
            Self::Scope(refusal) => refusal.rule(),
            Self::Relay(_) => Rule::RelayWithdrawn,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl Lapse {
    /// Reply code, status and text for the client, without the reason.
    #[must_use]
    pub const fn told(&self) -> Told {
        let words = match self {
            Self::Relay(_) => "Relaying no longer allowed, connect again",
            Self::Scope(refusal) => refusal.told().2,
            _ => "Login no longer valid, log in again",
        };
        (421, Status(4, 7, 0), words)
    }
}

impl Credential {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AppPassword => "app password",
            Self::Certificate => "certificate",
            Self::Ticket => "Kerberos ticket",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(reason) => write!(f, "the login is no longer valid: {reason}"),
            Self::ActingAccount(reason) => write!(f, "the account it acts as is not open: {reason}"),
            Self::Authorization => f.write_str("the login may not act as this account any more"),
            Self::Expired(credential, end) => write!(f, "the {} ended at {end}", credential.as_str()),
            Self::Certificate(reason) => write!(f, "the certificate is no longer trusted: {reason}"),
            Self::Scope(refusal) => refusal.fmt(f),
            Self::MechanismOff => f.write_str("its mechanism was switched off"),
            Self::MechanismEnded(until) => write!(f, "the last day of its mechanism was {until}"),
            Self::Relay(reason) => {
                write!(f, "the rule by which it may relay is gone from [relay]: {reason}")
            }
            Self::TooOld(longest) => {
                write!(
                    f,
                    "it is older than {} s, `login_lifetime` in [auth]",
                    longest.as_secs()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn second(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    fn good() -> Standing<'static> {
        Standing {
            age: Duration::from_secs(60),
            longest: Some(Duration::from_secs(3_600)),
            ends: None,
            now: second(1_000),
            mechanism_on: true,
            mechanism_until: None,
            today: date(2026, 11, 30),
            certificate: None,
            account: AccountState::Holds,
            acting: None,
            may_act: false,
        }
    }

    #[test]
    fn what_ends_a_login() {
        use AccountState::{Gone, Holds, Unknown};
        use Credential::{Certificate, Ticket, Token};
        let expired = |credential, at| Err(Lapse::Expired(credential, second(at)));
        #[rustfmt::skip]
        let cases = [
            ("nothing has changed",                    good(),                                                                       Ok(())),
            ("the account is disabled",                Standing { account: Gone("account disabled"), ..good() },                     Err(Lapse::Account("account disabled".into()))),
            ("a directory is down",                    Standing { account: Unknown, ..good() },                                      Ok(())),
            ("it acts as another",                     Standing { acting: Some(Holds), may_act: true, ..good() },                    Ok(())),
            ("and may no longer",                      Standing { acting: Some(Holds), ..good() },                                   Err(Lapse::Authorization)),
            ("the other is disabled",                  Standing { acting: Some(Gone("gone")), may_act: true, ..good() },             Err(Lapse::ActingAccount("gone".into()))),
            ("nobody can tell of the other",           Standing { acting: Some(Unknown), may_act: true, ..good() },                  Ok(())),
            ("the token lasts a second more",          Standing { ends: Some((Token, second(1_001))), ..good() },                    Ok(())),
            ("the token ends now",                     Standing { ends: Some((Token, second(1_000))), ..good() },                    expired(Token, 1_000)),
            ("the ticket has ended",                   Standing { ends: Some((Ticket, second(999))), ..good() },                     expired(Ticket, 999)),
            ("the certificate has ended, all else too", Standing { ends: Some((Certificate, second(9))), account: Gone("x"), mechanism_on: false, ..good() }, expired(Certificate, 9)),
            ("the certificate was revoked",            Standing { certificate: Some("revoked"), ..good() },                          Err(Lapse::Certificate("revoked".into()))),
            ("the mechanism was switched off",         Standing { mechanism_on: false, ..good() },                                   Err(Lapse::MechanismOff)),
            ("the mechanism has its last day",         Standing { mechanism_until: Some(date(2026, 11, 30)), ..good() },             Ok(())),
            ("its last day was yesterday",             Standing { mechanism_until: Some(date(2026, 11, 29)), ..good() },             Err(Lapse::MechanismEnded(date(2026, 11, 29)))),
            ("a second younger than it may become",    Standing { age: Duration::from_secs(3_599), ..good() },                       Ok(())),
            ("as old as it may become",                Standing { age: Duration::from_secs(3_600), ..good() },                       Err(Lapse::TooOld(Duration::from_secs(3_600)))),
            ("old, and it may be",                     Standing { age: Duration::from_secs(999_999), longest: None, ..good() },      Ok(())),
        ];
        for (shows, facts, want) in cases {
            assert_eq!(judge(&facts), want, "{shows}");
        }
    }

    #[test]
    fn when_directories_are_asked() {
        let quiet = |own| LastLook {
            reloaded: false,
            own,
            users_changed: false,
            ago: Duration::from_secs(59),
            every: Duration::from_secs(60),
        };
        let late = Duration::from_secs(60);
        #[rustfmt::skip]
        let cases = [
            ("an own user, nothing changed",        quiet(true),                                         false),
            ("however long ago that was",           LastLook { ago: late * 99, ..quiet(true) },          false),
            ("the file of own users has changed",   LastLook { users_changed: true, ..quiet(true) },     true),
            ("a change of own users tells nothing of others", LastLook { users_changed: true, ..quiet(false) }, false),
            ("asked a short time ago",              quiet(false),                                        false),
            ("asked some time ago",                 LastLook { ago: late, ..quiet(false) },              true),
            ("after a reload",                      LastLook { reloaded: true, ..quiet(true) },          true),
            ("others too",                          LastLook { reloaded: true, ..quiet(false) },         true),
        ];
        for (shows, last, want) in cases {
            assert_eq!(must_ask(&last), want, "{shows}");
        }
    }
}
