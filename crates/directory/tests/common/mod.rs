//! What the tests with real servers share.

#![allow(dead_code, reason = "each test file uses its part")]

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use postern_directory::{
    Account, DenyReason, Directories, DirectorySettings, Environment, Existence, LdapSettings,
    PasswordVerdict,
};
use postern_events::{Event, Level, Observer, Observers};
use postern_mail::Mailbox;
use postern_mail::address::ParseOptions;
use postern_testkit::slapd::PEOPLE;
use secrecy::SecretString;

/// LDAP settings for these servers and the tree of the acceptance procedure.
pub(crate) fn ldap(servers: &[String]) -> LdapSettings {
    LdapSettings {
        servers: servers.to_vec(),
        search_base: PEOPLE.into(),
        ..LdapSettings::default()
    }
}

/// A single directory.
pub(crate) async fn only(settings: DirectorySettings) -> Directories {
    let environment = Environment {
        observers: observers(),
        ..Environment::default()
    };
    Directories::open_in(vec![settings], environment).await.unwrap()
}

/// A single LDAP directory.
pub(crate) async fn only_ldap(settings: LdapSettings) -> Directories {
    only(DirectorySettings::Ldap(settings)).await
}

pub(crate) async fn check(directories: &Directories, login: &str, password: &str) -> PasswordVerdict {
    directories
        .check_password(login, &SecretString::from(password))
        .await
}

#[track_caller]
pub(crate) fn granted(verdict: PasswordVerdict) -> Account {
    match verdict {
        PasswordVerdict::Granted(account) => account,
        other => panic!("not granted: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn denied(verdict: PasswordVerdict) -> DenyReason {
    match verdict {
        PasswordVerdict::Denied(reason) => reason,
        other => panic!("not denied: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn unavailable(verdict: PasswordVerdict) -> String {
    match verdict {
        PasswordVerdict::Unavailable { reason, .. } => reason,
        other => panic!("not unavailable: {other:?}"),
    }
}

pub(crate) fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(
        text,
        &ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        },
    )
    .unwrap()
}

pub(crate) async fn exists(directories: &Directories, address: &str) -> Existence {
    directories.recipient_exists(&mailbox(address)).await
}

/// How often a text occurs.
pub(crate) fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

thread_local! {
    /// Where events of this thread go while they are captured.
    static CAPTURE: RefCell<Option<Arc<Mutex<Vec<u8>>>>> = const { RefCell::new(None) };
}

struct ToCapture;

impl Observer for ToCapture {
    fn observe(&self, event: &Event<'_>) {
        CAPTURE.with_borrow(|capture| {
            // As the log does, unless more is asked for.
            if let (Some(text), true) = (capture, event.level() != Level::Debug) {
                writeln!(text.lock().unwrap(), "{event:?}").unwrap();
            }
        });
    }
}

/// The observers of directory events.
pub(crate) fn observers() -> Observers {
    Observers::new(vec![Box::new(ToCapture)])
}

/// Events on this thread while this exists.
pub(crate) struct LogCapture {
    text: Arc<Mutex<Vec<u8>>>,
}

impl Drop for LogCapture {
    fn drop(&mut self) {
        CAPTURE.set(None);
    }
}

impl LogCapture {
    pub(crate) fn start() -> Self {
        let text = Arc::default();
        CAPTURE.set(Some(Arc::clone(&text)));
        Self { text }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}
