//! Logins at the page: the password is checked by the directories, then the second factor; later, whether a login is
//! still valid.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use postern_directory::Standing;
use postern_events::{notice, shown};
use postern_mail::normal_login;
use postern_receive::PasswordTry;
use postern_smtp::server::AuthFailure;
use secrecy::SecretString;

use super::factor;
use super::hash::secret;
use super::role::{By, Role, Who};
use super::service::Service;
use super::sessions::{Begins, NewSession, Session};

/// After this time, the directories are asked about a login again even if no change is known.
const RECHECK: i64 = 60;

/// Bits that are assumed for a TLS session: no weaker cipher is possible.
const TLS_BITS: u32 = 128;

/// An attempt to log in.
pub(crate) struct LoginTry {
    pub(crate) login: String,
    pub(crate) password: SecretString,
    /// The client's address; `None` for a socket in the file system.
    pub(crate) client: Option<IpAddr>,
    pub(crate) tls: bool,
}

/// What follows a correct password.
#[derive(Debug)]
pub(crate) enum LoggedIn {
    /// A session.
    Session(NewSession),
    /// The second factor is required; it is given together with this secret.
    SecondFactor { pending: String },
    /// A session that only allows the set-up of a second factor.
    MustEnrol(NewSession),
}

/// Why there is no session.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum LoginProblem {
    /// Whatever is wrong: somebody who guesses learns no more.
    #[error("wrong user name or password")]
    Wrong,
    /// The code is wrong, or too late.
    #[error("wrong code")]
    WrongCode,
    /// The password has to be given again.
    #[error("the time for the code is over; log in again")]
    Again,
    /// Too many tries.
    #[error("too many failed logins; try again later")]
    LockedOut,
    /// The password is correct, but the login has no access to the page.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// It cannot be determined now.
    #[error("logins cannot be checked now; try again later")]
    Unavailable,
}

impl Service {
    /// Checks a user name and a password.
    ///
    /// # Errors
    ///
    /// See [`LoginProblem`].
    pub(crate) async fn log_in(&self, asked: LoginTry) -> Result<LoggedIn, LoginProblem> {
        if !self.admin().knows_factors() {
            return Err(LoginProblem::Unavailable);
        }
        let tried = PasswordTry {
            place: "web",
            login: &asked.login,
            password: &asked.password,
            peer: asked.client,
            tls: asked.tls.then_some(("TLS", TLS_BITS)),
        };
        let account = self.receiver().check_password(&tried).await.map_err(problem)?;
        if account.proof.is_app_password() {
            return Err(LoginProblem::NotAllowed(
                "app passwords are for mail programs; log in with your own password",
            ));
        }
        let login = normal_login(&account.login).map_err(|_| LoginProblem::Wrong)?;
        let settings = self.admin().settings.load_full();
        let Some(role) = settings.role_of(&login) else {
            return Err(LoginProblem::NotAllowed("this login has no access to the page"));
        };
        let who = Who {
            name: login.clone(),
            role,
            by: By::Session,
            // As the queue and the history have it.
            login: Some(account.login.clone()),
            uid: None,
            scope: None,
        };
        let now = Timestamp::now();
        if self.admin().has_factor(&login) {
            let pending = secret(rand::random());
            self.admin()
                .sessions
                .lock()
                .wait(&pending, who, account.proof, now);
            return Ok(LoggedIn::SecondFactor { pending });
        }
        let must_enrol = settings.demands_factor(role);
        let begins = Begins {
            who,
            proof: Some(account.proof),
            must_enrol,
        };
        let made = self
            .admin()
            .open_session(begins, now)
            .ok_or(LoginProblem::Again)?;
        Ok(match must_enrol {
            true => LoggedIn::MustEnrol(made),
            false => LoggedIn::Session(made),
        })
    }

    /// Checks the second factor of a login that waits for it: a code, or a recovery code.
    ///
    /// # Errors
    ///
    /// See [`LoginProblem`].
    pub(crate) async fn second_factor(
        &self,
        pending: &str,
        code: &str,
        client: Option<IpAddr>,
    ) -> Result<NewSession, LoginProblem> {
        let now = Timestamp::now();
        let waiting = self.admin().sessions.lock().waiting(pending, now);
        let waiting = waiting.ok_or(LoginProblem::Again)?;
        let login = waiting.who.login.clone().unwrap_or_default();
        let taken = self.admin().take_code(&login, code).await;
        if let Err(wrong @ (factor::NotTaken::Wrong | factor::NotTaken::Wait(_))) = &taken {
            let address = client.map_or_else(|| "unix".to_owned(), |address| address.to_string());
            let observers = &self.deps().observers;
            notice!(observers, Control Warning "a code of a second factor was not accepted", Login = login.as_str(), Peer = address, Reason = shown(wrong));
        }
        match taken {
            Ok(()) => {}
            Err(factor::NotTaken::Wrong) => return Err(LoginProblem::WrongCode),
            Err(factor::NotTaken::NotStored) => return Err(LoginProblem::Unavailable),
            Err(factor::NotTaken::Wait(_)) => return Err(LoginProblem::LockedOut),
            // It has been removed in the meantime.
            Err(factor::NotTaken::None) => return Err(LoginProblem::Again),
        }
        self.admin().sessions.lock().settle(pending);
        let begins = Begins {
            who: waiting.who,
            proof: Some(waiting.proof),
            must_enrol: false,
        };
        // The configuration may have changed since the password was given.
        self.admin().open_session(begins, now).ok_or(LoginProblem::Again)
    }

    /// The session with this id, if it has not ended and its login is still valid. `uses` says whether this counts as use.
    pub(crate) async fn session(&self, id: &str, client: Option<IpAddr>, uses: bool) -> Option<Session> {
        let now = Timestamp::now();
        let idle: Duration = self.admin().settings.load().idle;
        let session = self.admin().sessions.lock().find(id, idle, now, uses)?;
        let session = limited(session);
        let Some(proof) = &session.proof else {
            return Some(session);
        };
        let directories = self.receiver().directories();
        let users = directories.users_state();
        let (seen_users, seen_at) = session.seen;
        let due = now.duration_since(seen_at).as_secs() >= RECHECK;
        if seen_users.is_some() && users == seen_users && !due {
            return Some(session);
        }
        if let Standing::Gone(_) = directories.standing(proof, client).await {
            self.admin().sessions.lock().close(id);
            return None;
        }
        let change = |session: &mut Session| session.seen = (users, now);
        self.admin().sessions.lock().change(id, change);
        Some(session)
    }

    /// Lifts the restriction of a session once its second factor is set up.
    pub(crate) fn enrolled(&self, id: &str) {
        let admin = self.admin();
        let idle = admin.settings.load().idle;
        let found = admin.sessions.lock().find(id, idle, Timestamp::now(), true);
        let login = found.and_then(|session| session.who.login);
        if login.is_some_and(|login| admin.is_enrolled(&login)) {
            let change = |session: &mut Session| session.must_enrol = false;
            admin.sessions.lock().change(id, change);
        }
    }

    /// Ends a session.
    pub(crate) fn log_out(&self, id: &str) {
        self.admin().sessions.lock().close(id);
    }
}

/// Until the second factor is set up, nothing else may be done, whoever asks for it.
fn limited(mut session: Session) -> Session {
    if session.must_enrol {
        session.who.role = Role::Own;
        session.who.scope = Some(vec!["api factor".to_owned()]);
    }
    session
}

/// What a user of the page is told.
fn problem(failure: AuthFailure) -> LoginProblem {
    match failure {
        AuthFailure::Denied | AuthFailure::Malformed | AuthFailure::TooLong => LoginProblem::Wrong,
        AuthFailure::LockedOut => LoginProblem::LockedOut,
        AuthFailure::Unavailable | AuthFailure::TooWeak => LoginProblem::Unavailable,
    }
}
