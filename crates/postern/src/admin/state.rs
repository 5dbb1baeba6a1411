//! The state about those who may administer: tokens and second factors, which are stored; sessions at the page and the one-time
//! link, which a restart forgets.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use postern_events::{Observers, notice, shown};
use postern_mail::normal_login;
use postern_store::{Change, Record, Space, Store, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::factor::{self, Factor, Factors};
use super::hash::{hashed, secret};
use super::problem::Problem;
use super::requests::{FactorRequest, NewToken, TokenRequest};
use super::role::{By, Role, Who};
use super::sessions::{NewSession, Sessions};
use super::settings::{Administration, FactorRule};
use super::tokens::{self, PREFIX, Tokens};
use super::{sessions, totp};

/// How long a link is valid.
pub(crate) const LINK: SignedDuration = SignedDuration::from_mins(15);

/// The link that opens the page once.
struct Link {
    hash: String,
    ends_at: Timestamp,
    /// Who requested it.
    by: String,
}

/// Everything about who may administer.
pub(crate) struct Admin {
    pub(crate) settings: ArcSwap<Administration>,
    store: Option<Arc<dyn Store>>,
    /// The issuer that an authenticator program shows with its codes.
    issuer: String,
    tokens: Mutex<Tokens>,
    factors: Mutex<Factors>,
    /// Whether it is known who has a second factor. If it is not, a password alone would be sufficient for everybody.
    factors_known: bool,
    /// Held over each change of what is stored: of two changes of a record, the later one is the one that stays.
    writing: tokio::sync::Mutex<()>,
    pub(super) sessions: Mutex<Sessions>,
    link: Mutex<Option<Link>>,
}

impl Admin {
    /// Starts with what is stored. If that cannot be read, no token is valid, and nobody can log in at the page.
    pub(crate) async fn open(
        settings: Administration,
        store: Option<Arc<dyn Store>>,
        issuer: String,
        observers: &Observers,
    ) -> Self {
        let mut tokens = Vec::new();
        let mut factors = None;
        if let Some(store) = &store {
            let read = async {
                tokens = kept(&**store, Space::ApiTokens).await?;
                factors = Some(kept::<Factor>(&**store, Space::SecondFactors).await?);
                Ok::<_, StoreError>(())
            };
            if let Err(error) = read.await {
                notice!(observers, Control Warning "tokens of the API and second factors cannot be read", Reason = shown(&error));
            }
        }
        Self {
            settings: ArcSwap::from_pointee(settings),
            store,
            issuer,
            tokens: Mutex::new(Tokens::of(tokens)),
            factors_known: factors.is_some(),
            factors: Mutex::new(Factors::of(factors.unwrap_or_default())),
            writing: tokio::sync::Mutex::default(),
            sessions: Mutex::default(),
            link: Mutex::new(None),
        }
    }

    /// Whether it is known who has a second factor.
    pub(super) const fn knows_factors(&self) -> bool {
        self.factors_known
    }

    /// Whether anybody can administer over HTTP, by login or token.
    pub(crate) fn can_be_administered(&self) -> bool {
        !self.settings.load().administer.is_empty() || self.tokens.lock().administers(Timestamp::now())
    }

    /// Creates a link that opens the page once, and replaces an earlier one. Returns its secret and when it expires.
    pub(crate) fn make_link(&self, by: &str) -> (String, Timestamp) {
        let made = secret(rand::random());
        let ends_at = Timestamp::now().saturating_add(LINK).unwrap_or(Timestamp::MAX);
        *self.link.lock() = Some(Link {
            hash: hashed(&made),
            ends_at,
            by: by.to_owned(),
        });
        (made, ends_at)
    }

    /// Opens the page with the link's secret, which cannot be used again. Returns who created the link, too.
    pub(crate) fn open_link(&self, shown: &str) -> Option<(NewSession, String)> {
        let now = Timestamp::now();
        let mut link = self.link.lock();
        let fits = link
            .as_ref()
            .is_some_and(|link| link.hash == hashed(shown) && link.ends_at > now);
        let used = link.take_if(|_| fits)?;
        drop(link);
        let who = Who {
            name: format!("link of {}", used.by),
            role: Role::Administer,
            by: By::Session,
            login: None,
            uid: None,
            scope: None,
        };
        let begins = sessions::Begins {
            who,
            proof: None,
            must_enrol: false,
        };
        Some((self.open_session(begins, now)?, used.by))
    }

    /// Creates a session at the page; none if the rights of its login are no longer what they were when the password was given.
    pub(super) fn open_session(&self, begins: sessions::Begins, now: Timestamp) -> Option<NewSession> {
        let secrets = (secret(rand::random()), secret(rand::random()));
        // In the order of `configure`, which ends what was opened by earlier settings.
        let factors = self.factors.lock();
        let mut sessions = self.sessions.lock();
        let settings = self.settings.load();
        let is_other = has_changed(&settings, &factors, &begins.who, begins.must_enrol);
        (!is_other).then(|| sessions.open(begins, secrets, settings.longest, now))
    }

    /// The owner of a token.
    ///
    /// # Errors
    ///
    /// See [`tokens::NotTaken`].
    pub(crate) fn by_token(
        self: &Arc<Self>,
        shown: &str,
        from: Option<IpAddr>,
    ) -> Result<Who, tokens::NotTaken> {
        let (who, noted) = self.tokens.lock().check(shown, from, Timestamp::now())?;
        if let Some(hash) = noted {
            let this = Arc::clone(self);
            // Nothing has to wait until the last use is stored.
            tokio::spawn(async move { this.keep_use(&hash).await });
        }
        Ok(who)
    }

    /// Stores the last use of a token, unless it was revoked in the meantime.
    async fn keep_use(&self, hash: &str) {
        let _writing = self.writing.lock().await;
        let token = self.tokens.lock().get(hash);
        if let Some(token) = token {
            let _ = self.keep(Space::ApiTokens, hash, &token, None).await;
        }
    }

    /// Whether a login has a second factor.
    pub(crate) fn has_factor(&self, login: &str) -> bool {
        self.settings.load().second_factor != FactorRule::Off && self.is_enrolled(login)
    }

    /// Accepts a code of a second factor. That it was used is stored before it is accepted.
    ///
    /// # Errors
    ///
    /// See [`factor::NotTaken`].
    pub(super) async fn take_code(&self, login: &str, code: &str) -> Result<(), factor::NotTaken> {
        let _writing = self.writing.lock().await;
        self.use_code(&normal(login), code).await
    }

    /// The same, by whoever holds `writing`.
    async fn use_code(&self, login: &str, code: &str) -> Result<(), factor::NotTaken> {
        let taken = self.factors.lock().take(login, code, Timestamp::now())?;
        // In memory it is marked as used in any case.
        let kept = self.keep(Space::SecondFactors, login, &taken, None).await;
        kept.map_err(|_| factor::NotTaken::NotStored)
    }

    /// Answers requests about tokens.
    ///
    /// # Errors
    ///
    /// What is wrong with the token to create, or that it cannot be stored.
    pub(crate) async fn tokens(&self, asked: TokenRequest, by: &str) -> Result<Value, Problem> {
        match asked {
            TokenRequest::List => value(&self.tokens.lock().list()),
            TokenRequest::Create(wanted) => self.make_token(wanted, by).await,
            TokenRequest::Revoke { name } => {
                let _writing = self.writing.lock().await;
                let found = self.tokens.lock().named(&name);
                let Some(hash) = found else {
                    return Err(Problem::NotFound(format!(
                        "there is no token {name:?}; `postern api token list` shows them"
                    )));
                };
                self.forget(Space::ApiTokens, &hash).await?;
                self.tokens.lock().remove(&hash);
                Ok(json!({ "changed": 1 }))
            }
        }
    }

    async fn make_token(&self, wanted: NewToken, by: &str) -> Result<Value, Problem> {
        let _writing = self.writing.lock().await;
        let prepared = self.tokens.lock().prepare(wanted, by, Timestamp::now());
        let token = prepared.map_err(|wrong| Problem::Bad(wrong.to_string()))?;
        let shown = format!("{PREFIX}{}", secret(rand::random()));
        let hash = hashed(&shown);
        self.keep(Space::ApiTokens, &hash, &token, None).await?;
        let mut made = value(&token)?;
        if let Value::Object(made) = &mut made {
            made.insert("token".to_owned(), Value::String(shown));
        }
        self.tokens.lock().put(hash, token);
        Ok(made)
    }

    /// Revokes the tokens of a login and removes its second factor: there is no such user any more.
    ///
    /// # Errors
    ///
    /// It cannot be stored.
    pub(crate) async fn forget_login(&self, login: &str) -> Result<(), Problem> {
        let login = normal(login);
        let _writing = self.writing.lock().await;
        let theirs = self.tokens.lock().of_login(&login);
        for hash in theirs {
            self.forget(Space::ApiTokens, &hash).await?;
            self.tokens.lock().remove(&hash);
        }
        let has_factor = self.factors.lock().has(&login);
        if has_factor {
            self.forget(Space::SecondFactors, &login).await?;
        }
        // What was begun, too.
        self.factors.lock().remove(&login);
        Ok(())
    }

    /// Answers requests about second factors. `trusted` means that no code is required to remove one.
    ///
    /// # Errors
    ///
    /// A wrong code, or that it cannot be stored.
    pub(crate) async fn factors(&self, asked: FactorRequest, trusted: bool) -> Result<Value, Problem> {
        let normal = |login: &str| {
            normal_login(login).map_err(|_| Problem::Bad(format!("{login:?} cannot be a login")))
        };
        match asked {
            FactorRequest::List => value(&self.factors.lock().list()),
            FactorRequest::Begin { login } => {
                let login = normal(&login)?;
                if self.settings.load().second_factor == FactorRule::Off {
                    return Err(Problem::Bad(
                        "second factors are off: `second_factor` in [administration]".into(),
                    ));
                }
                let mut factors = self.factors.lock();
                if factors.has(&login) {
                    return Err(Problem::Bad(format!(
                        "{login} has a second factor; remove it first"
                    )));
                }
                let made: [u8; totp::SECRET] = rand::random();
                factors.begin(&login, made, Timestamp::now());
                Ok(json!({ "secret": totp::base32(&made), "uri": totp::uri(&self.issuer, &login, &made) }))
            }
            FactorRequest::Confirm { login, code } => {
                let login = normal(&login)?;
                let _writing = self.writing.lock().await;
                let chance = [(); factor::RECOVERY_CODES].map(|()| rand::random());
                let confirmed = self
                    .factors
                    .lock()
                    .confirm(&login, &code, &chance, Timestamp::now());
                let (made, codes) = confirmed.map_err(|wrong| Problem::Bad(wrong.to_string()))?;
                if let Err(error) = self.keep(Space::SecondFactors, &login, &made, None).await {
                    self.factors.lock().remove(&login);
                    return Err(error);
                }
                Ok(json!({ "recovery_codes": codes, "changed": 1 }))
            }
            FactorRequest::Remove { login, code } => {
                let login = normal(&login)?;
                let _writing = self.writing.lock().await;
                if !self.factors.lock().has(&login) {
                    return Err(Problem::NotFound(format!("{login} has no second factor")));
                }
                if !trusted {
                    let code = code.ok_or_else(|| {
                        Problem::Bad("a code of the second factor is needed to remove it".into())
                    })?;
                    let taken = self.use_code(&login, &code).await;
                    taken.map_err(|wrong| match wrong {
                        factor::NotTaken::NotStored => Problem::Failed(wrong.to_string()),
                        _ => Problem::Bad(wrong.to_string()),
                    })?;
                }
                self.forget(Space::SecondFactors, &login).await?;
                self.factors.lock().remove(&login);
                Ok(json!({ "changed": 1 }))
            }
        }
    }

    /// What is known of a submission with a key.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) async fn submission<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Problem> {
        let failed =
            |error: StoreError| Problem::Failed(format!("keys of submissions cannot be read: {error}"));
        let record = self
            .open_store()?
            .get(Space::Submissions, key)
            .await
            .map_err(failed)?;
        let read = record.map(|record| serde_json::from_str(&record.value));
        read.transpose()
            .map_err(|error| Problem::Failed(error.to_string()))
    }

    /// Keeps what is known of a submission until a time.
    ///
    /// # Errors
    ///
    /// It cannot be kept.
    pub(crate) async fn keep_submission(
        &self,
        key: &str,
        kept: &impl Serialize,
        until: Timestamp,
    ) -> Result<(), Problem> {
        self.keep(Space::Submissions, key, kept, Some(until)).await
    }

    /// Forgets a submission that was not taken.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) async fn forget_submission(&self, key: &str) -> Result<(), Problem> {
        self.forget(Space::Submissions, key).await
    }

    /// Ends all sessions whose rights are no longer what they were at login: the configuration has changed.
    pub(crate) fn configure(&self, settings: Administration) -> usize {
        let settings = Arc::new(settings);
        // First of all: whoever logs in meanwhile does so by the new ones.
        self.settings.store(Arc::clone(&settings));
        let factors = self.factors.lock();
        let changed =
            |session: &sessions::Session| has_changed(&settings, &factors, &session.who, session.must_enrol);
        self.sessions.lock().close_where(changed)
    }

    /// Whether the second factor of a login was set up.
    pub(super) fn is_enrolled(&self, login: &str) -> bool {
        self.factors.lock().has(&normal(login))
    }

    async fn keep(
        &self,
        space: Space,
        key: &str,
        record: &impl Serialize,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Problem> {
        let value = serde_json::to_string(record).map_err(|error| Problem::Failed(error.to_string()))?;
        let record = Record {
            key: key.to_owned(),
            value,
            expires_at,
        };
        self.write(space, Change::Put(record)).await
    }

    async fn forget(&self, space: Space, key: &str) -> Result<(), Problem> {
        self.write(space, Change::Remove(key.to_owned())).await
    }

    async fn write(&self, space: Space, change: Change) -> Result<(), Problem> {
        let written = self.open_store()?.apply(space, vec![change]).await;
        written.map_err(|error| Problem::Failed(format!("cannot be kept: {error}")))
    }

    fn open_store(&self) -> Result<&Arc<dyn Store>, Problem> {
        self.store.as_ref().ok_or_else(|| {
            Problem::Failed("the server cannot keep it: its store is not open, see the log".into())
        })
    }
}

fn value(of: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(of).map_err(|error| Problem::Failed(error.to_string()))
}

/// The records of a space, without invalid ones.
async fn kept<T: DeserializeOwned>(store: &dyn Store, space: Space) -> Result<Vec<(String, T)>, StoreError> {
    let records = store.all(space).await?.into_iter();
    let read = records.filter_map(|record| Some((record.key, serde_json::from_str(&record.value).ok()?)));
    Ok(read.collect())
}

/// Whether a login has another role by these settings, or needs a second factor that it lacks.
fn has_changed(settings: &Administration, factors: &Factors, who: &Who, must_enrol: bool) -> bool {
    let Some(login) = &who.login else {
        return false;
    };
    let login = normal(login);
    let lacks = settings.demands_factor(who.role) && !must_enrol && !factors.has(&login);
    settings.role_of(&login) != Some(who.role) || lacks
}

/// A login in the form in which spellings of it are one.
fn normal(login: &str) -> String {
    normal_login(login).unwrap_or_else(|_| login.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_in(folder: &std::path::Path) -> Arc<dyn Store> {
        Arc::new(postern_store::SqliteStore::open(&folder.join("store")).unwrap().0)
    }

    async fn opened(store: &Arc<dyn Store>) -> Arc<Admin> {
        let (settings, observers) = (Administration::default(), Observers::default());
        let store = Some(Arc::clone(store));
        Arc::new(Admin::open(settings, store, "relay.test".into(), &observers).await)
    }

    fn wanted(name: &str, login: &str) -> TokenRequest {
        TokenRequest::Create(NewToken {
            name: name.into(),
            role: Role::Own,
            login: Some(login.into()),
            expires_at: None,
            networks: Vec::new(),
            scope: Vec::new(),
        })
    }

    #[tokio::test]
    async fn a_revoked_token_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(folder.path());
        let admin = opened(&store).await;
        let made = admin.tokens(wanted("backup", "anna"), "root").await.unwrap();
        let shown = made["token"].as_str().unwrap();
        // Its use is yet to be stored when it is revoked.
        assert!(admin.by_token(shown, None).is_ok());
        let name = "backup".to_owned();
        admin.tokens(TokenRequest::Revoke { name }, "root").await.unwrap();
        tokio::task::yield_now().await;
        admin.keep_use(&hashed(shown)).await;
        assert!(opened(&store).await.by_token(shown, None).is_err());
    }

    #[tokio::test]
    async fn a_login_that_waits_for_its_code_has_the_rights_of_now() {
        let folder = tempfile::tempdir().unwrap();
        let admin = opened(&store_in(folder.path())).await;
        let administers = |login: &str| Administration {
            administer: vec![login.to_owned()],
            own: true,
            ..Administration::default()
        };
        let enters = |role| {
            let who = Who {
                name: "Anna".into(),
                role,
                by: By::Session,
                login: Some("Anna".into()),
                uid: None,
                scope: None,
            };
            let begins = sessions::Begins {
                who,
                proof: None,
                must_enrol: false,
            };
            admin.open_session(begins, Timestamp::now()).is_some()
        };
        admin.configure(administers("anna"));
        assert!(enters(Role::Administer));
        assert_eq!(admin.configure(administers("bert")), 1);
        assert!(!enters(Role::Administer), "its role is another one now");
        assert!(enters(Role::Own));
    }

    #[tokio::test]
    async fn two_tokens_have_two_names() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(folder.path());
        let admin = opened(&store).await;
        let (one, other) = tokio::join!(
            admin.tokens(wanted("backup", "anna"), "root"),
            admin.tokens(wanted("backup", "bert"), "root")
        );
        assert_eq!((one.is_ok(), other.is_ok()), (true, false));
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_login() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(folder.path());
        let admin = opened(&store).await;
        for (name, login) in [("one", "Anna"), ("two", "anna"), ("other", "bert")] {
            admin.tokens(wanted(name, login), "root").await.unwrap();
        }
        admin.forget_login("ANNA").await.unwrap();
        for admin in [admin, opened(&store).await] {
            let left = admin.tokens.lock().list();
            assert_eq!(
                left.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(),
                ["other"]
            );
        }
    }
}
