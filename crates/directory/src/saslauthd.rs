//! saslauthd as a directory: for sites that already use it.
//!
//! Its protocol cannot say that its own back end is down: that is a `NO` like any other, which this directory can only pass on
//! as [`DenyReason::Refused`]. It is an outage only if saslauthd itself does not answer. It knows no addresses, so it never
//! says that a recipient exists.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postern_authwire::saslauthd::{question, verdict};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::error::SetUpError;
use crate::source::Source;
use crate::verdict::{Account, DenyReason, Finding, Outage};
use crate::workers::{Asker, Workers};

/// How to reach saslauthd.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SaslauthdSettings {
    /// The socket, `mux` in the folder given to saslauthd with `-m`.
    ///
    /// Default `/run/saslauthd/mux`.
    pub socket: PathBuf,
    /// Name of the service, which PAM back ends use to find their configuration. Default `smtp`.
    pub service: String,
    /// Realm sent with a login that has none. Default empty.
    pub realm: String,
    /// Whether a login `user@realm` is sent as separate user and realm, split at the last `@`, as Cyrus SASL's own library
    /// does. With `saslauthd -r` the two are joined again. Default true.
    pub split_realm: bool,
    /// The realms that logins may have, besides `realm`; a login with another is refused. Default empty: any realm is allowed.
    /// As not every back end checks the realm, the account is then named by the part of the login before the realm, unless the
    /// realm is `realm`. Set it if the back end distinguishes realms.
    pub realms: Vec<String>,
    /// Longest time for one login, connecting included. Default 5 seconds.
    pub timeout: Duration,
    /// How long a granted login counts without asking again. Default zero: each is asked about.
    pub cache_ttl: Duration,
}

impl Default for SaslauthdSettings {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/saslauthd/mux"),
            service: "smtp".into(),
            realm: String::new(),
            split_realm: true,
            realms: Vec::new(),
            timeout: Duration::from_secs(5),
            cache_ttl: Duration::ZERO,
        }
    }
}

/// Longest field of a request, in octets: saslauthd's own `MAX_REQ_LEN`.
const FIELD_MAX: usize = 256;

/// Longest reply read, in octets.
const REPLY_MAX: usize = 1_024;

/// Most concurrent requests. saslauthd has a few processes and its socket a short queue; further logins wait here.
const REQUESTS_MAX: usize = 32;

/// saslauthd on its socket. Each login uses a connection of its own, as the protocol demands.
#[derive(Debug)]
pub(crate) struct Saslauthd {
    settings: SaslauthdSettings,
    requests: Arc<Workers>,
}

impl Saslauthd {
    pub(crate) fn new(settings: SaslauthdSettings) -> Result<Self, SetUpError> {
        for (key, text) in [("service", &settings.service), ("realm", &settings.realm)] {
            if text.len() > FIELD_MAX || text.contains('\0') {
                return Err(SetUpError::setting(key, "is longer than 256 octets or has a NUL"));
            }
        }
        if !settings.socket.is_absolute() {
            let message = format!(
                "{} must be an absolute path, such as /run/saslauthd/mux",
                settings.socket.display()
            );
            return Err(SetUpError::setting("socket", message));
        }
        Ok(Self {
            settings,
            requests: Workers::new(REQUESTS_MAX),
        })
    }

    async fn exchange(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.settings.socket).await?;
        stream.write_all(request).await?;
        let len = usize::from(stream.read_u16().await?);
        if len > REPLY_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "reply too long"));
        }
        let mut reply = vec![0; len];
        stream.read_exact(&mut reply).await?;
        Ok(reply)
    }

    fn outage(&self, reason: &str) -> Outage {
        Outage::new(format!(
            "saslauthd at {}: {reason}",
            self.settings.socket.display()
        ))
    }
}

#[async_trait]
impl Source for Saslauthd {
    async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let named = account(&self.settings, login);
        let (Some(account), Some(request)) = (named, request(&self.settings, login, password)) else {
            return Ok(Finding::Denied(DenyReason::Refused));
        };
        let outage = |reason: &str| self.outage(reason);
        let exchange = self.exchange(&request);
        let requests = &self.requests;
        let reply = requests
            .answer(asker, self.settings.timeout, exchange, outage)
            .await?;
        match verdict(&reply) {
            Some(true) => Ok(Finding::Granted(account)),
            Some(false) => Ok(Finding::Denied(DenyReason::Refused)),
            None => Err(self.outage("an answer other than OK and NO")),
        }
    }
}

/// Login, password, service and realm, each preceded by its length in two octets. `None` for a field that saslauthd would not
/// accept, or would truncate at a NUL.
fn request(settings: &SaslauthdSettings, login: &str, password: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
    let (user, realm) = match login.rsplit_once('@') {
        // A configured realm is sent as it is written in the configuration: Kerberos is case-sensitive.
        Some((user, realm)) if settings.split_realm => {
            let told = std::iter::once(&settings.realm).chain(&settings.realms);
            let told = told.filter(|told| told.eq_ignore_ascii_case(realm));
            (user, told.map(String::as_str).next().unwrap_or(realm))
        }
        _ => (login, settings.realm.as_str()),
    };
    let fields = [user, password.expose_secret(), &settings.service, realm];
    question(fields, FIELD_MAX)
}

/// The account of a login that saslauthd grants. An address is trusted only if its realm is a configured one: the client may
/// have made it up, and back ends such as PAM do not check it. `None` for a realm that no login may have.
fn account(settings: &SaslauthdSettings, login: &str) -> Option<Account> {
    let Some((user, realm)) = login.rsplit_once('@') else {
        return Some(Account {
            login: login.to_owned(),
            ..Account::default()
        });
    };
    let is_home = !settings.realm.is_empty() && realm.eq_ignore_ascii_case(&settings.realm);
    let is_told = is_home
        || settings
            .realms
            .iter()
            .any(|known| realm.eq_ignore_ascii_case(known));
    if !is_told && !settings.realms.is_empty() {
        return None;
    }
    // A login that is sent whole is looked up whole.
    if !is_told && settings.split_realm {
        return Some(Account {
            login: user.to_owned(),
            ..Account::default()
        });
    }
    Some(Account {
        login: login.to_owned(),
        addresses: vec![login.to_lowercase()],
        ..Account::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(request: &[u8]) -> Vec<String> {
        let (mut fields, mut rest) = (Vec::new(), request);
        while let Some((len, after)) = rest.split_first_chunk::<2>() {
            let (field, after) = after.split_at(usize::from(u16::from_be_bytes(*len)));
            fields.push(String::from_utf8(field.to_vec()).unwrap());
            rest = after;
        }
        fields
    }

    #[test]
    fn requests() {
        let plain = SaslauthdSettings::default();
        let whole = SaslauthdSettings {
            split_realm: false,
            realm: "home".into(),
            ..plain.clone()
        };
        let homed = SaslauthdSettings {
            realm: "home".into(),
            ..plain.clone()
        };
        let cases = [
            (
                "a bare login",
                &plain,
                "acaird",
                ["acaird", "pass word", "smtp", ""],
            ),
            (
                "split as Cyrus does",
                &plain,
                "acaird@fccc.example",
                ["acaird", "pass word", "smtp", "fccc.example"],
            ),
            (
                "at the last one",
                &plain,
                "a@b@c",
                ["a@b", "pass word", "smtp", "c"],
            ),
            (
                "a default realm",
                &homed,
                "acaird",
                ["acaird", "pass word", "smtp", "home"],
            ),
            (
                "the login's own realm wins",
                &homed,
                "a@b",
                ["a", "pass word", "smtp", "b"],
            ),
            ("not split", &whole, "a@b", ["a@b", "pass word", "smtp", "home"]),
        ];
        for (shows, settings, login, want) in cases {
            let got = request(settings, login, &SecretString::from("pass word")).unwrap();
            assert_eq!(fields(&got), want, "{shows}");
        }
        let long = "x".repeat(FIELD_MAX + 1);
        assert!(
            request(&plain, &long, &SecretString::from("x")).is_none(),
            "login too long"
        );
        assert!(
            request(&plain, "a", &SecretString::from(long)).is_none(),
            "password too long"
        );
        assert!(
            request(&plain, "a\0b", &SecretString::from("x")).is_none(),
            "would be cut to a"
        );
        assert!(
            request(&plain, "a", &SecretString::from("x\0y")).is_none(),
            "would be cut to x"
        );
    }

    #[test]
    fn realms_that_are_believed() {
        let settings = |realm: &str, realms: &[&str], split_realm| SaslauthdSettings {
            realm: realm.into(),
            realms: realms.iter().map(|&realm| realm.to_owned()).collect(),
            split_realm,
            ..SaslauthdSettings::default()
        };
        let plain = settings("", &[], true);
        let homed = settings("home.example", &[], true);
        let listed = settings("home.example", &["a.example"], true);
        let whole = settings("", &[], false);
        let whole_listed = settings("", &["a.example"], false);
        #[rustfmt::skip]
        let cases = [
            ("no realm",                           &plain,  "ann",              Some(("ann", None))),
            ("a realm that nobody told",           &plain,  "ann@admin.example", Some(("ann", None))),
            ("the home realm",                     &homed,  "ann@Home.example", Some(("ann@Home.example", Some("ann@home.example")))),
            ("another than the home realm",        &homed,  "ann@admin.example", Some(("ann", None))),
            ("no realm is not the empty one",      &plain,  "ann@",             Some(("ann", None))),
            ("a listed realm",                     &listed, "ann@A.example",    Some(("ann@A.example", Some("ann@a.example")))),
            ("the home realm beside the list",     &listed, "ann@home.example", Some(("ann@home.example", Some("ann@home.example")))),
            ("a realm off the list",               &listed, "ann@b.example",    None),
            ("no realm beside the list",           &listed, "ann",              Some(("ann", None))),
            ("looked up whole",                    &whole,  "ann@b.example",    Some(("ann@b.example", Some("ann@b.example")))),
            ("looked up whole, off the list",      &whole_listed, "ann@b.example", None),
        ];
        for (shows, settings, login, want) in cases {
            let got = account(settings, login);
            let got = got.as_ref().map(|account| {
                let address = account.addresses.first().map(String::as_str);
                (account.login.as_str(), address)
            });
            assert_eq!(got, want, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn fields_come_out_as_they_went_in(login in "[^@\\x00]{1,30}", password in "[^\\x00]{1,30}") {
            let got = request(&SaslauthdSettings::default(), &login, &SecretString::from(password.as_str())).unwrap();
            prop_assert_eq!(fields(&got), [login.as_str(), password.as_str(), "smtp", ""]);
        }
    }
}
