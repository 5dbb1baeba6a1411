//! A login by password that comes neither over SMTP nor from a neighbour: checked, slowed, counted and logged as those are.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_directory::Account;
use postern_sasl::{IDENTITY_MAX, Mechanism, PASSWORD_MAX};
use postern_smtp::server::AuthFailure;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::Receiver;
use crate::login::origin::{Origin, TlsOrigin};
use crate::login::{Exchange, Step};

/// Longest wait before a check. Who waits at a page waits no longer.
const DELAY_MAX: Duration = Duration::from_secs(8);

/// A try at a login.
pub struct PasswordTry<'a> {
    /// Where it is tried: the name of the place in the log.
    pub place: &'a str,
    /// What was typed as the user name.
    pub login: &'a str,
    /// What was typed as the password.
    pub password: &'a SecretString,
    /// From where; `None` for a socket of the file system, where a login can be slowed but not locked out.
    pub peer: Option<IpAddr>,
    /// The version of TLS and its bits, if there is TLS.
    pub tls: Option<(&'a str, u32)>,
}

impl Receiver {
    /// Checks a password as a login with PLAIN is checked: the directories are asked behind the memory of failed logins, which slows and
    /// locks out; it is counted and logged.
    ///
    /// # Errors
    ///
    /// Why it is no login. For all that is [`AuthFailure::Denied`] the client is told the same.
    pub async fn check_password(&self, tried: &PasswordTry<'_>) -> Result<Account, AuthFailure> {
        let shared = self.shared();
        let password = tried.password.expose_secret();
        if tried.login.len() > IDENTITY_MAX || password.len() > PASSWORD_MAX {
            return Err(AuthFailure::TooLong);
        }
        let settings = shared.deps.settings.load_full();
        let session = shared.ids.next();
        let origin = Origin {
            shared,
            settings: &settings,
            mechanisms: &[Mechanism::Plain],
            least_bits: None,
            service: "http",
            session: &session,
            place: tried.place,
            peer: tried.peer,
            tls: tried.tls.map(|(version, bits)| TlsOrigin {
                version,
                bits,
                bindings: None,
            }),
            certificate: None,
            plus_offered: false,
            ends_here: true,
            layers_possible: false,
            may_act: false,
            delay_max: Some(DELAY_MAX),
        };
        let mut message = Zeroizing::new(Vec::with_capacity(tried.login.len() + password.len() + 2));
        message.push(0);
        message.extend_from_slice(tried.login.as_bytes());
        message.push(0);
        message.extend_from_slice(password.as_bytes());
        let exchange = Exchange::begin(Mechanism::Plain, &origin);
        match exchange.turn(Some(&message), &origin).await {
            Step::Granted(granted) => granted.account.ok_or(AuthFailure::Unavailable),
            Step::Challenge(..) => Err(AuthFailure::Malformed),
            Step::Refused(refused) => {
                let failure = refused.failure;
                refused.note(&"refused", &origin);
                Err(failure)
            }
        }
    }

    /// The directories in force.
    #[must_use]
    pub fn directories(&self) -> Arc<postern_directory::Directories> {
        self.shared().deps.directories.load_full()
    }
}
