//! Password logins that come neither over SMTP nor from another server: checked, slowed down, counted and logged like those.

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

/// Longest wait before a check: users of a web page wait no longer.
const DELAY_MAX: Duration = Duration::from_secs(8);

/// A login attempt.
pub struct PasswordTry<'a> {
    /// The name of the place in the log.
    pub place: &'a str,
    /// The user name as typed.
    pub login: &'a str,
    /// The password as typed.
    pub password: &'a SecretString,
    /// The client's address; `None` for a Unix socket, where a user name can be slowed down but not locked out.
    pub peer: Option<IpAddr>,
    /// The version of TLS and its bits, if there is TLS.
    pub tls: Option<(&'a str, u32)>,
}

impl Receiver {
    /// Checks a password like a PLAIN login: the throttle of failed logins applies before the directories are asked, and it is
    /// counted and logged.
    ///
    /// # Errors
    ///
    /// Why the login failed. For every [`AuthFailure::Denied`] the client is told the same.
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
