//! App passwords: one for each device or program, generated rather than chosen by the user, and revocable.
//!
//! They are generated with 120 random bits, so a plain digest is enough to store them, and finding the right one needs no
//! slow hashing. Each has a label.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use postern_policy::scope::{Scope, Written};
use rusqlite::{OptionalExtension, params};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::error::UserError;
use super::store::{UserStore, canonical, login_exists};
use super::{app_keys, label};
use crate::verdict::DenyReason;

/// Most app passwords of one user.
const COUNT_MAX: u32 = 100;

/// Longest label, in characters.
const LABEL_MAX: usize = 64;

/// Letters of an app password, without its hyphens. Five bits each.
const LETTERS: usize = 24;

/// Without 0, 1, l and o, which are easily confused.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// How long a further use from the same address is not recorded, in seconds.
const USE_INTERVAL: i64 = 300;

/// What is known about an app password: not the password itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AppPassword {
    /// The name its owner gave it.
    pub label: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The networks from which it is valid; everywhere if empty.
    pub networks: Vec<IpNet>,
    /// When it was used last, to within five minutes.
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    pub last_used_from: Option<IpAddr>,
    /// The mechanisms besides PLAIN and LOGIN that work with it, by their names without `-PLUS`; the login is then
    /// `LOGIN#LABEL`.
    pub keys: Vec<String>,
    /// What it is good for; empty for anything.
    pub scope: Written,
}

/// The app password used in a login.
#[derive(Debug)]
pub(super) struct FoundAppPassword {
    pub(super) id: i64,
    pub(super) label: String,
    pub(super) expires_at: Option<i64>,
    networks: String,
    last_used_at: Option<i64>,
    last_used_from: Option<String>,
    scope: String,
}

/// A use to record.
#[derive(Debug)]
pub(super) struct Used {
    id: i64,
    at: Timestamp,
    from: Option<IpAddr>,
    /// Whether it adds to what is recorded.
    pub(super) is_news: bool,
}

impl FoundAppPassword {
    /// From the columns id, label, expires_at, networks, last_used_at, last_used_from and scope.
    pub(super) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            label: row.get(1)?,
            expires_at: row.get(2)?,
            networks: row.get(3)?,
            last_used_at: row.get(4)?,
            last_used_from: row.get(5)?,
            scope: row.get(6)?,
        })
    }

    /// What it is good for; `None` for anything. One that cannot be read is good for nothing.
    pub(super) fn scope(&self) -> Option<Arc<Scope>> {
        if self.scope.is_empty() {
            return None;
        }
        let name = format!("app password {:?}", self.label);
        let written = self.scope.parse::<Written>();
        let read = written.and_then(|written| written.read(&name, &TimeZone::system()));
        Some(Arc::new(read.unwrap_or_else(|_| Scope {
            name: name.into(),
            listeners: Some(Vec::new()),
            ..Scope::default()
        })))
    }

    /// Why it is not valid now, or not for this peer.
    pub(super) fn refusal(&self, enabled: bool, now: Timestamp, peer: Option<IpAddr>) -> Option<DenyReason> {
        if !enabled {
            return Some(DenyReason::Disabled);
        }
        if self.expires_at.is_some_and(|at| at <= now.as_second()) {
            return Some(DenyReason::AppPasswordExpired);
        }
        let peer = peer.map(|peer| peer.to_canonical());
        let inside = |network: &str| {
            let network: Result<IpNet, _> = network.parse();
            peer.is_some_and(|peer| network.is_ok_and(|network| network.contains(&peer)))
        };
        let mut networks = self.networks.split_whitespace().peekable();
        if networks.peek().is_some() && !networks.any(inside) {
            return Some(DenyReason::WrongNetwork);
        }
        None
    }

    pub(super) fn used(&self, at: Timestamp, from: Option<IpAddr>) -> Used {
        let recent = self
            .last_used_at
            .is_some_and(|last| (0..USE_INTERVAL).contains(&(at.as_second() - last)));
        let same = self.last_used_from == from.map(|from| from.to_string());
        Used {
            id: self.id,
            at,
            from,
            is_news: !(recent && same),
        }
    }
}

impl UserStore {
    /// Generates an app password for a user. It can only be shown now.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::BadLabel`], [`UserError::LabelTaken`], [`UserError::TooManyAppPasswords`],
    /// [`UserError::ExpiryPast`], and failures of the database.
    pub fn add_app_password(
        &self,
        login: &str,
        label: &str,
        expires_at: Option<Timestamp>,
        networks: &[IpNet],
    ) -> Result<SecretString, UserError> {
        self.add_scoped_app_password(login, label, expires_at, networks, &Written::default())
    }

    /// The same of one that is good for some things only. Networks of the scope count besides the others.
    ///
    /// # Errors
    ///
    /// As [`add_app_password`](Self::add_app_password), and [`UserError::BadScope`].
    pub fn add_scoped_app_password(
        &self,
        login: &str,
        label: &str,
        expires_at: Option<Timestamp>,
        networks: &[IpNet],
        scope: &Written,
    ) -> Result<SecretString, UserError> {
        scope
            .read(label, &TimeZone::system())
            .map_err(UserError::BadScope)?;
        let (login, label) = (canonical(login), label.trim());
        if label.is_empty()
            || label.contains('#')
            || label.chars().count() > LABEL_MAX
            || label.chars().any(char::is_control)
        {
            return Err(UserError::BadLabel(label.to_owned()));
        }
        let now = Timestamp::now();
        if expires_at.is_some_and(|at| at <= now) {
            return Err(UserError::ExpiryPast);
        }
        let letters = make_up();
        let digest = digest(&login, &letters);
        let networks: Vec<String> = networks.iter().map(IpNet::to_string).collect();
        let expires_at = expires_at.map(Timestamp::as_second);
        let shown = in_groups(&letters);
        let keys = self.derive_keys(&label::join(&login, label), &shown);
        self.change(|transaction| {
            if !login_exists(transaction, &login)? {
                return Err(UserError::NoSuchUser(login.clone()));
            }
            let sql = "SELECT count(*), coalesce(sum(label = ?2), 0) FROM app_passwords WHERE login = ?1";
            let (count, same): (u32, u32) =
                transaction.query_row(sql, params![login, label], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if same > 0 {
                let (login, label) = (login.clone(), label.to_owned());
                return Err(UserError::LabelTaken { login, label });
            }
            if count >= COUNT_MAX {
                let (login, most) = (login.clone(), COUNT_MAX);
                return Err(UserError::TooManyAppPasswords { login, most });
            }
            transaction.execute(
                "INSERT INTO app_passwords (login, label, digest, created_at, expires_at, networks, scope) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    login,
                    label,
                    digest,
                    now.as_second(),
                    expires_at,
                    networks.join(" "),
                    if scope.is_empty() {
                        String::new()
                    } else {
                        scope.to_string()
                    },
                ],
            )?;
            Ok(app_keys::insert(
                transaction,
                transaction.last_insert_rowid(),
                &keys,
            )?)
        })?;
        Ok(shown)
    }

    /// The app passwords of a user, by label.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], and failures of the database.
    pub fn app_passwords(&self, login: &str) -> Result<Vec<AppPassword>, UserError> {
        let login = canonical(login);
        if self.get(&login)?.is_none() {
            return Err(UserError::NoSuchUser(login));
        }
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT label, created_at, expires_at, networks, last_used_at, last_used_from, id, scope FROM app_passwords \
             WHERE login = ?1 ORDER BY label",
        )?;
        let found = statement.query_map([login], |row| {
            let time = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
            let networks: String = row.get(3)?;
            let from: Option<String> = row.get(5)?;
            let one = AppPassword {
                label: row.get(0)?,
                created_at: time(row.get(1)?),
                expires_at: row.get::<_, Option<i64>>(2)?.map(time),
                networks: networks
                    .split_whitespace()
                    .filter_map(|text| text.parse().ok())
                    .collect(),
                last_used_at: row.get::<_, Option<i64>>(4)?.map(time),
                last_used_from: from.and_then(|text| text.parse().ok()),
                keys: Vec::new(),
                scope: shown_scope(&row.get::<_, String>(7)?),
            };
            Ok((one, row.get(6)?))
        })?;
        let found: Vec<(AppPassword, i64)> = found.collect::<Result<_, _>>()?;
        let with_keys = |(one, id)| {
            let keys = app_keys::mechanisms_of(&connection, id)?;
            Ok(AppPassword { keys, ..one })
        };
        found.into_iter().map(with_keys).collect()
    }

    /// Revokes an app password. Sessions logged in with it end at once.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::NoSuchAppPassword`], and failures of the database.
    pub fn revoke_app_password(&self, login: &str, label: &str) -> Result<(), UserError> {
        let (login, label) = (canonical(login), label.trim());
        self.change(|transaction| {
            if !login_exists(transaction, &login)? {
                return Err(UserError::NoSuchUser(login.clone()));
            }
            let sql = "DELETE FROM app_passwords WHERE login = ?1 AND label = ?2";
            match transaction.execute(sql, params![login, label])? {
                0 => Err(UserError::NoSuchAppPassword {
                    login: login.clone(),
                    label: label.to_owned(),
                }),
                _ => Ok(()),
            }
        })
    }

    /// The app password of a login (in its stored form) that this text is. A text that cannot be one is not looked up.
    pub(super) fn find_app_password(
        &self,
        login: &str,
        password: &SecretString,
    ) -> Result<Option<FoundAppPassword>, UserError> {
        let Some(letters) = letters_of(password) else {
            return Ok(None);
        };
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, label, expires_at, networks, last_used_at, last_used_from, scope FROM app_passwords \
             WHERE digest = ?1 AND login = ?2",
        )?;
        let found = statement.query_row(
            params![digest(login, &letters), login],
            FoundAppPassword::from_row,
        );
        Ok(found.optional()?)
    }

    /// The app password of a login (in its stored form) with this label, case-insensitively.
    pub(super) fn app_password_of_label(
        &self,
        login: &str,
        label: &str,
    ) -> Result<Option<FoundAppPassword>, UserError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, label, expires_at, networks, last_used_at, last_used_from, scope FROM app_passwords \
             WHERE login = ?1 AND label = ?2 COLLATE NOCASE ORDER BY label = ?2 DESC LIMIT 1",
        )?;
        let found = statement.query_row([login, label.trim()], FoundAppPassword::from_row);
        Ok(found.optional()?)
    }

    /// Records that an app password was used.
    pub(super) fn note_use(&self, used: &Used) -> Result<(), UserError> {
        let from = used.from.map(|from| from.to_string());
        let sql = "UPDATE app_passwords SET last_used_at = ?2, last_used_from = ?3 WHERE id = ?1";
        self.change(|transaction| {
            transaction.execute(sql, params![used.id, used.at.as_second(), from])?;
            Ok(())
        })
    }
}

/// A scope for people. One that cannot be read is good for nothing, and says so.
fn shown_scope(text: &str) -> Written {
    text.parse().unwrap_or_else(|_| Written {
        listeners: vec!["(cannot be read)".to_owned()],
        ..Written::default()
    })
}

/// An app password in the form in which it was shown, from which its keys are derived.
pub(super) fn as_shown(password: &SecretString) -> Option<SecretString> {
    letters_of(password).map(|letters| in_groups(&letters))
}

fn make_up() -> Zeroizing<String> {
    let octets: [u8; LETTERS] = rand::random();
    Zeroizing::new(
        octets
            .iter()
            .map(|octet| char::from(ALPHABET[usize::from(octet & 31)]))
            .collect(),
    )
}

/// In six groups of four, for easier typing.
fn in_groups(letters: &str) -> SecretString {
    let mut out = Zeroizing::new(String::with_capacity(LETTERS + LETTERS / 4));
    for (index, letter) in letters.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            out.push('-');
        }
        out.push(letter);
    }
    SecretString::from(out.as_str())
}

/// Whether this has the form of an app password: hyphens, blanks and case do not matter.
pub(super) fn is_app_password(password: &SecretString) -> bool {
    letters_of(password).is_some()
}

fn letters_of(password: &SecretString) -> Option<Zeroizing<String>> {
    let password = password.expose_secret();
    if password.len() > 2 * LETTERS {
        return None;
    }
    let mut letters = Zeroizing::new(String::with_capacity(2 * LETTERS));
    for octet in password.bytes().filter(|octet| !matches!(octet, b'-' | b' ')) {
        let letter = octet.to_ascii_lowercase();
        if !ALPHABET.contains(&letter) {
            return None;
        }
        letters.push(char::from(letter));
    }
    (letters.len() == LETTERS).then_some(letters)
}

fn digest(login: &str, letters: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"postern app password\0")
        .chain_update(login)
        .chain_update([0])
        .chain_update(letters)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_may_be_typed() {
        let letters = make_up();
        let shown = in_groups(&letters);
        let shown = shown.expose_secret();
        assert_eq!((shown.len(), shown.matches('-').count()), (29, 5), "{shown}");
        let cases = [
            ("as shown", shown.to_owned(), true),
            ("without hyphens", letters.to_string(), true),
            ("with blanks", shown.replace('-', " "), true),
            ("in capitals", shown.to_uppercase(), true),
            ("a letter short", letters[1..].to_owned(), false),
            ("a letter more", format!("{}a", *letters), false),
            ("a letter that is none", letters.replacen(|_| true, "0", 1), false),
            ("an ordinary password", "pass word".into(), false),
            ("nothing", String::new(), false),
            ("very long", "-".repeat(1_000), false),
        ];
        for (shows, typed, want) in cases {
            let got = letters_of(&SecretString::from(typed));
            assert_eq!(got.is_some_and(|got| got == letters), want, "{shows}");
        }
        assert_ne!(make_up(), letters);
        assert_ne!(digest("a", &letters), digest("b", &letters), "it is one user's");
    }

    #[test]
    fn when_and_from_where_it_holds() {
        let second = |s| Timestamp::from_second(s).unwrap();
        let found = |expires_at, networks: &str| FoundAppPassword {
            id: 1,
            label: "phone".into(),
            expires_at,
            networks: networks.into(),
            last_used_at: Some(100),
            last_used_from: Some("192.0.2.1".into()),
            scope: String::new(),
        };
        let (expired, elsewhere) = (
            Some(DenyReason::AppPasswordExpired),
            Some(DenyReason::WrongNetwork),
        );
        #[rustfmt::skip]
        let cases = [
            ("from everywhere",          found(None, ""),                          true,  Some("203.0.113.9"),        None),
            ("and from nowhere known",   found(None, ""),                          true,  None,                       None),
            ("switched off",             found(None, ""),                          false, Some("203.0.113.9"),        Some(DenyReason::Disabled)),
            ("before its expiry",        found(Some(1_001), ""),                   true,  Some("203.0.113.9"),        None),
            ("at its expiry",            found(Some(1_000), ""),                   true,  Some("203.0.113.9"),        expired),
            ("in its network",           found(None, "2001:db8::/32 192.0.2.0/24"), true, Some("192.0.2.77"),         None),
            ("in its other network",     found(None, "2001:db8::/32 192.0.2.0/24"), true, Some("2001:db8::1"),        None),
            ("IPv4 in IPv6",             found(None, "192.0.2.0/24"),              true,  Some("::ffff:192.0.2.1"),   None),
            ("elsewhere",                found(None, "192.0.2.0/24"),              true,  Some("203.0.113.9"),        elsewhere),
            ("from nowhere known",       found(None, "192.0.2.0/24"),              true,  None,                       elsewhere),
            ("a damaged network",        found(None, "nonsense"),                  true,  Some("203.0.113.9"),        elsewhere),
        ];
        for (shows, found, enabled, peer, want) in cases {
            let peer = peer.map(|peer| peer.parse().unwrap());
            assert_eq!(found.refusal(enabled, second(1_000), peer), want, "{shows}");
        }
        let here = Some("192.0.2.1".parse().unwrap());
        let news = |at, from| found(None, "").used(second(at), from).is_news;
        assert!(!news(399, here), "a short time after");
        assert!(news(400, here), "a longer time after");
        assert!(news(101, Some("192.0.2.2".parse().unwrap())), "from elsewhere");
        assert!(news(50, here), "the clock was set back");
    }
}
