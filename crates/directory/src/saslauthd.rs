//! saslauthd as a directory: for sites that keep it.
//!
//! Its protocol has no way to say that its own back end is down: that is a `NO` like any other, which this directory
//! can only pass on as [`DenyReason::Refused`]. Only when saslauthd itself does not answer is it an outage. It knows
//! no addresses either, so it never says that a recipient exists.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::verdict::{Finding, Outage};

/// How to reach saslauthd.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SaslauthdSettings {
    /// The socket, `mux` in the folder that saslauthd got with `-m`.
    ///
    /// Default `/run/saslauthd/mux`.
    pub socket: PathBuf,
    /// Name of the service, which PAM back ends use to find their configuration. Default `smtp`.
    pub service: String,
    /// Realm sent with a login that names none. Default empty.
    pub realm: String,
    /// Whether a login `user@realm` is sent as user and realm apart, split at the last `@`, as Cyrus SASL's own library
    /// does. With `saslauthd -r` the two are joined again. Default true.
    pub split_realm: bool,
    /// Longest time for one login, connecting included. Default 5 seconds.
    pub timeout: Duration,
}

impl Default for SaslauthdSettings {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/saslauthd/mux"),
            service: "smtp".into(),
            realm: String::new(),
            split_realm: true,
            timeout: Duration::from_secs(5),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Saslauthd {
    settings: SaslauthdSettings,
}

impl Saslauthd {
    pub(crate) fn new(settings: SaslauthdSettings) -> Self {
        Self { settings }
    }

    pub(crate) async fn check_password(
        &self,
        _login: &str,
        _password: &SecretString,
    ) -> Result<Finding, Outage> {
        todo!("{:?}", self.settings)
    }
}
