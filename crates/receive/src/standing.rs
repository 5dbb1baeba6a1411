//! Whether the login of a session is still valid: checked before each message, and for all sessions when something was revoked.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use postern_directory::{Account, Directories, Proof, Standing as Found};
use postern_net::tls::{TlsFacts, Verify};
use postern_policy::identity::{Identity, act_as};
use postern_policy::login::login_of_certificate;
use postern_policy::relay::CertificateFacts;
use postern_policy::scope::{Place as Used, Scope};
use postern_policy::standing::{
    AccountState, Credential, Lapse, LastLook, Standing as Facts, judge, must_ask,
};
use postern_sasl::{Mechanism, Needs};
use tokio::time::Instant;

use crate::deps::Deps;
use crate::identity::identity_of;
use crate::judge::is_trusted;
use crate::profile::Profile;
use crate::scope::place as scope;
use crate::{AuthRule, Settings};

/// A login as it was granted, and the state at its last check.
pub(crate) struct Standing {
    profile: Arc<Profile>,
    peer: IpAddr,
    /// The login that was proved, and as whom it acts.
    names: Vec<String>,
    mechanism: Mechanism,
    /// Whether it was by a token over HTTP, and so by no mechanism.
    token: bool,
    bits: u32,
    since: Instant,
    ends: Option<(Credential, Timestamp)>,
    /// The handshake, if the login was by certificate.
    tls: Option<TlsFacts>,
    /// The certificate, and its user by the rules at login.
    certified: Option<(CertificateFacts, String)>,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    proved: Proof,
    /// The account that the session acts as, by the name under which it was looked up, if it is another.
    acting: Option<(String, Proof)>,
    seen: Seen,
}

/// The state on which the last answers of the directories are based.
#[derive(Clone)]
struct Seen {
    settings: Arc<Settings>,
    directories: Weak<Directories>,
    /// `None` before the first check: anything may have changed since authentication.
    users: Option<u64>,
    at: Instant,
}

/// The current state of the login, if it was looked up.
pub(crate) struct Fresh {
    pub(crate) identity: Identity,
    pub(crate) trusted: bool,
}

/// Where a login was granted.
pub(crate) struct Place<'a> {
    pub(crate) deps: &'a Deps,
    pub(crate) profile: &'a Arc<Profile>,
    pub(crate) peer: IpAddr,
    pub(crate) tls: Option<&'a TlsFacts>,
    /// The client's certificate, if it was verified.
    pub(crate) certificate: Option<&'a CertificateFacts>,
}

/// What a login was granted for.
pub(crate) struct Grant<'a> {
    /// The login that was proved, and as whom it acts.
    pub(crate) names: Vec<String>,
    pub(crate) mechanism: Mechanism,
    /// Whether it was by a token over HTTP, which is handled as `PLAIN` but is no mechanism: what is said of mechanisms does not apply.
    pub(crate) token: bool,
    pub(crate) bits: u32,
    /// The account that authenticated; one of which nothing is known has no proof.
    pub(crate) proved: Option<&'a Account>,
    /// The account that it acts as, if another.
    pub(crate) acting: Option<&'a Account>,
    /// The name that a rule gives the client's certificate, if it authenticated with one.
    pub(crate) certified: Option<String>,
    /// The credential that was used, if it expires.
    pub(crate) ends: Option<(Credential, Timestamp)>,
}

impl Standing {
    /// For a login that was just granted.
    pub(crate) fn new(grant: &Grant<'_>, place: &Place<'_>) -> Self {
        let deps = place.deps;
        let proved = grant
            .proved
            .map(|account| account.proof.clone())
            .unwrap_or_default();
        let by_certificate = grant.mechanism.properties().needs == Needs::Certificate;
        let tls = place.tls.filter(|_| by_certificate).cloned();
        let certificate = tls.as_ref().and_then(|tls| tls.client_certificate.as_ref());
        let own_end = proved.ends().map(|end| (Credential::AppPassword, end));
        let certificate_end = certificate.map(|shown| (Credential::Certificate, shown.not_after));
        Self {
            profile: Arc::clone(place.profile),
            peer: place.peer,
            names: grant.names.clone(),
            mechanism: grant.mechanism,
            token: grant.token,
            bits: grant.bits,
            since: Instant::now(),
            ends: grant.ends.or(own_end).or(certificate_end),
            certified: place.certificate.cloned().zip(grant.certified.clone()),
            tls,
            state: Mutex::new(State {
                proved,
                acting: grant
                    .acting
                    .map(|account| (account.login.clone(), account.proof.clone())),
                seen: Seen {
                    settings: deps.settings.load_full(),
                    directories: Arc::downgrade(&deps.directories.load_full()),
                    users: None,
                    at: Instant::now(),
                },
            }),
        }
    }

    /// The mechanism of the login.
    pub(crate) const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The scope of the app password that authenticated it, if it was one with a scope.
    pub(crate) fn scope(&self) -> Option<Arc<Scope>> {
        self.state.lock().proved.scope()
    }

    /// Finds out whether the login is still valid. If nothing has changed, this only costs a check of the own users' file.
    ///
    /// # Errors
    ///
    /// Why it is no longer valid.
    pub(crate) async fn check(&self, deps: &Deps) -> Result<Option<Fresh>, Lapse> {
        let looked = self.look(deps).await?;
        let Some((seen, proved, acting)) = looked else {
            return Ok(None);
        };
        Ok(self.keep(seen, proved, acting))
    }

    /// The same, outside the session: changes of the account are left for the session to find.
    ///
    /// # Errors
    ///
    /// Why the login is no longer valid.
    pub(crate) async fn probe(&self, deps: &Deps) -> Result<(), Lapse> {
        self.look(deps).await.map(drop)
    }

    /// Asks the directories as needed.
    async fn look(&self, deps: &Deps) -> Result<Option<(Seen, Found, Option<Found>)>, Lapse> {
        let state = self.state.lock().clone();
        let settings = deps.settings.load_full();
        let directories = deps.directories.load_full();
        let certificate = self
            .tls
            .as_ref()
            .and_then(|tls| objection(tls, &self.profile, deps))
            .or_else(|| self.disowned(&settings));
        let unasked = Facts {
            certificate: certificate.as_deref(),
            ..self.facts(&settings)
        };
        judge(&unasked)?;
        self.in_scope(&settings, state.proved.scope().as_deref()).await?;

        let proofs = || [Some(&state.proved), state.acting.as_ref().map(|(_, proof)| proof)];
        let own = |proof: &&Proof| proof.is_own();
        let users = match proofs().iter().flatten().any(own) {
            true => directories.users_state(),
            false => None,
        };
        let seen = &state.seen;
        let is_due = |proof: &Proof| {
            must_ask(&LastLook {
                reloaded: !Arc::ptr_eq(&seen.settings, &settings)
                    || seen.directories.as_ptr() != Arc::as_ptr(&directories),
                own: proof.is_own(),
                users_changed: users.is_none() || users != seen.users,
                ago: seen.at.elapsed(),
                every: settings.auth.recheck,
            })
        };
        if !proofs().into_iter().flatten().any(is_due) {
            return Ok(None);
        }

        let at = Instant::now();
        let proved = directories.standing(&state.proved, Some(self.peer)).await;
        let acting = match &state.acting {
            Some((name, proof)) => Some((name, directories.standing(proof, Some(self.peer)).await)),
            None => None,
        };
        let may_act = match (&acting, &proved) {
            (Some((name, _)), Found::Holds(account)) => {
                act_as(&identity_of(account), name, &settings.identity).is_ok()
            }
            _ => true,
        };
        if let Found::Holds(account) = &proved {
            self.in_scope(&settings, account.proof.scope().as_deref()).await?;
        }
        judge(&Facts {
            account: state_of(&proved),
            acting: acting.as_ref().map(|(_, found)| state_of(found)),
            may_act,
            ..unasked
        })?;

        let seen = Seen {
            users,
            at,
            directories: Arc::downgrade(&directories),
            settings,
        };
        Ok(Some((seen, proved, acting.map(|(_, found)| found))))
    }

    /// Whether it may still be used where it is used, by the scopes as they are now.
    async fn in_scope(&self, settings: &Settings, own: Option<&Scope>) -> Result<(), Lapse> {
        if own.is_none() && settings.scopes.rules.is_empty() {
            return Ok(());
        }
        let listener = self.profile.listener_now.load();
        let place = Used {
            listener: &listener.name,
            mechanism: (!self.token).then(|| self.mechanism.name()),
            peer: Some(self.peer),
            now: Timestamp::now(),
        };
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let judged = scope::still_admits(settings, &names, own, &place).await;
        judged.map_err(Lapse::Scope)
    }

    /// Keeps what was found, and returns the current state of the login.
    fn keep(&self, seen: Seen, proved: Found, acting: Option<Found>) -> Option<Fresh> {
        let trusted = is_trusted(&seen.settings, self.mechanism, self.bits);
        let mut kept = self.state.lock();
        kept.seen = seen;
        if let Found::Holds(account) = &proved {
            kept.proved = account.proof.clone();
        }
        let now = match acting {
            Some(Found::Holds(mut other)) => {
                if let Some((_, proof)) = &mut kept.acting {
                    *proof = other.proof.clone();
                }
                // The other account's own right to act for others is not passed on.
                other.acts_for.clear();
                Some(other)
            }
            Some(_) => None,
            None => match proved {
                Found::Holds(account) => Some(account),
                Found::Gone(_) | Found::Unknown => None,
            },
        };
        now.map(|account| Fresh {
            identity: identity_of(&account),
            trusted,
        })
    }

    /// Why the certificate no longer belongs to this user: a reload has removed the rule.
    fn disowned(&self, settings: &Settings) -> Option<String> {
        let (facts, login) = self.certified.as_ref()?;
        let shown = self.tls.as_ref().and_then(|tls| tls.client_certificate.as_ref());
        let emails: &[String] = shown.map_or(&[], |certificate| &certificate.emails);
        let rules = &settings.auth.certificates;
        match login_of_certificate(facts, emails, Some(login), rules) {
            Some(_) => None,
            None => Some(format!(
                "no [[auth.certificate]] says any more that it is {login}'s"
            )),
        }
    }

    /// The facts that need no directory look-up.
    fn facts(&self, settings: &Settings) -> Facts<'static> {
        let now = Timestamp::now();
        let listener = self.profile.listener_now.load();
        let mechanisms = listener.mechanisms.as_ref().unwrap_or(&settings.auth.mechanisms);
        let rule = settings
            .auth
            .rules
            .iter()
            .find(|(about, _)| *about == self.mechanism && !self.token);
        Facts {
            age: self.since.elapsed(),
            longest: Some(settings.auth.login_lifetime).filter(|longest| !longest.is_zero()),
            ends: self.ends,
            now,
            mechanism_on: listener.auth != AuthRule::Off && mechanisms.contains(&self.mechanism),
            mechanism_until: rule.and_then(|(_, rule)| rule.until),
            today: TimeZone::UTC.to_datetime(now).date(),
            certificate: None,
            account: AccountState::Unknown,
            acting: None,
            may_act: true,
        }
    }
}

/// Why a client's certificate is no longer valid: it has expired, or a reload has changed authorities, lists or fingerprints.
pub(crate) fn objection(tls: &TlsFacts, profile: &Profile, deps: &Deps) -> Option<String> {
    let now = deps.tls.load();
    let ended = tls
        .client_certificate
        .as_ref()
        .is_some_and(|shown| shown.not_after <= Timestamp::now());
    if Arc::ptr_eq(&now, &profile.tls) && !ended {
        return None;
    }
    match now
        .as_ref()
        .as_ref()
        .map(|server| server.judge_client(&tls.client_chain))
    {
        Some(Verify::Ok) => None,
        Some(Verify::Fail(reason)) => Some(reason),
        Some(Verify::No) | None => Some("no authority for client certificates is configured".into()),
    }
}

fn state_of(found: &Found) -> AccountState<'static> {
    match found {
        Found::Holds(_) => AccountState::Holds,
        Found::Gone(reason) => AccountState::Gone(reason.as_str()),
        Found::Unknown => AccountState::Unknown,
    }
}
