//! The device authorization grant (RFC 8628): a person consents in a browser, which yields a refresh token.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::request::{self, AcquireError, ErrorAnswer, Fetched};
use super::settings::TokenSettings;
use crate::http::{Endpoint, HttpClient};
use crate::lenient::Seconds;

/// The grant's name (section 3.4).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The pause between two polls if the provider names none (section 3.2), and by how much it grows (section 3.5).
const INTERVAL: Duration = Duration::from_secs(5);

/// The shortest pause, and the longest pause and longest wait accepted.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(60);
const EXPIRY_MAX: Duration = Duration::from_secs(3_600);

/// Most characters shown of a provider's text.
const SHOWN_MAX: usize = 500;

/// A pending authorization.
pub struct Device {
    http: HttpClient,
    settings: TokenSettings,
    token_endpoint: Endpoint,
    code: SecretString,
    /// What the person types.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// The same with the code in it, if the provider has one.
    pub verification_uri_complete: Option<String>,
    /// How long the code is valid.
    pub expires_in: Duration,
    /// The pause before the next [`Device::poll`].
    pub interval: Duration,
}

/// The result of a poll.
#[derive(Debug)]
pub enum Poll {
    /// Nobody has decided yet: ask again after [`Device::interval`], which may have grown.
    Pending,
    /// Agreed.
    Granted(Fetched),
}

/// The authorization failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    /// The person refused.
    #[error("it was declined at the provider")]
    Denied,
    /// The code has expired.
    #[error("the code expired before anyone authorized it: start again")]
    Expired,
    /// Something else.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
}

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: Option<String>,
    /// Google's name for it; some providers send both.
    verification_url: Option<String>,
    verification_uri_complete: Option<String>,
    expires_in: Option<Seconds>,
    interval: Option<Seconds>,
}

impl Begun {
    fn expires_in(&self) -> Duration {
        self.expires_in
            .and_then(|said| said.up_to(EXPIRY_MAX))
            .unwrap_or(EXPIRY_MAX)
    }

    fn interval(&self) -> Duration {
        self.interval
            .and_then(|said| said.up_to(INTERVAL_MAX))
            .map_or(INTERVAL, |pause| pause.max(INTERVAL_MIN))
    }
}

impl Device {
    /// Asks for a code.
    ///
    /// # Errors
    ///
    /// [`AcquireError`].
    pub async fn begin(settings: TokenSettings) -> Result<Self, AcquireError> {
        const WHAT: &str = "device authorization endpoint";
        let http = HttpClient::new(&settings.http)?;
        let token_endpoint = request::token_endpoint(&http, &settings).await?;
        let endpoint = match &settings.device_endpoint {
            Some(endpoint) => endpoint.clone(),
            None => {
                let described = request::describe(&http, &settings, WHAT).await?;
                request::endpoint(described.device_authorization_endpoint, WHAT)?
            }
        };
        let mut fields = vec![("client_id", settings.client_id.as_str())];
        fields.extend(request::wanted(&settings));
        let answer = request::post(&http, &settings, &endpoint, &fields).await?;
        if answer.status != 200 {
            let said: ErrorAnswer = answer.json().unwrap_or_default();
            return Err(AcquireError::Refused(format!(
                "status {} {}",
                answer.status,
                said.text()
            )));
        }
        let begun: Begun = answer
            .json()
            .map_err(|_| AcquireError::Nonsense("no code for a device"))?;
        let (expires_in, interval) = (begun.expires_in(), begun.interval());
        let verification_uri = begun
            .verification_uri
            .or(begun.verification_url)
            .ok_or(AcquireError::Nonsense("no address for the person to visit"))?;
        Ok(Self {
            token_endpoint,
            code: begun.device_code.into(),
            user_code: shown(&begun.user_code),
            verification_uri: shown(&verification_uri),
            verification_uri_complete: begun.verification_uri_complete.as_deref().map(shown),
            expires_in,
            interval,
            http,
            settings,
        })
    }

    /// Asks whether the person has consented.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]; the authorization is over.
    pub async fn poll(&mut self) -> Result<Poll, DeviceError> {
        let fields = [
            ("grant_type", GRANT),
            ("device_code", self.code.expose_secret()),
            ("client_id", self.settings.client_id.as_str()),
        ];
        let endpoint = &self.token_endpoint;
        let answer = match request::post(&self.http, &self.settings, endpoint, &fields).await {
            Ok(answer) => answer,
            // A provider that is temporarily unreachable is asked less often (section 3.5).
            Err(AcquireError::Http { .. }) => {
                self.slow_down();
                return Ok(Poll::Pending);
            }
            Err(error) => return Err(error.into()),
        };
        if answer.status == 200 {
            return Ok(Poll::Granted(request::read(&answer)?));
        }
        let said: ErrorAnswer = answer.json().unwrap_or_default();
        match said.error.as_str() {
            "authorization_pending" => Ok(Poll::Pending),
            "slow_down" => {
                self.slow_down();
                Ok(Poll::Pending)
            }
            "access_denied" => Err(DeviceError::Denied),
            "expired_token" => Err(DeviceError::Expired),
            "" if answer.status >= 500 => {
                self.slow_down();
                Ok(Poll::Pending)
            }
            _ => Err(AcquireError::Refused(said.text()).into()),
        }
    }

    fn slow_down(&mut self) {
        self.interval = (self.interval + INTERVAL).min(INTERVAL_MAX);
    }
}

/// A provider's text for people, without anything that a terminal would interpret.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_providers_write_them() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows           the members beside the codes                                      expires  interval
            ("numbers",                      r#""verification_uri":"u","expires_in":900,"interval":1"#,         900,     1),
            ("text",                         r#""verification_uri":"u","expires_in":"900","interval":"1""#,     900,     1),
            ("decimals",                     r#""verification_uri":"u","expires_in":900.0,"interval":1.0"#,     900,     1),
            ("null members",                 r#""verification_uri":"u","expires_in":null,"interval":null"#,     3_600,   5),
            ("Google's name",                r#""verification_url":"u","expires_in":900"#,                      900,     5),
            ("both names",                   r#""verification_uri":"u","verification_url":"v""#,                3_600,   5),
            ("both names, one of them null", r#""verification_uri":null,"verification_url":"u""#,               3_600,   5),
            ("beyond belief",                r#""verification_uri":"u","expires_in":1e9,"interval":1e9"#,       3_600,   60),
            ("in less than a second",        r#""verification_uri":"u","interval":0.01"#,                       3_600,   1),
        ];
        for (shows, members, expires_in, interval) in cases {
            let json = format!(r#"{{"device_code":"d","user_code":"U",{members}}}"#);
            let begun: Begun = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{shows}: {error}"));
            assert_eq!(begun.expires_in().as_secs(), expires_in, "{shows}");
            assert_eq!(begun.interval().as_secs(), interval, "{shows}");
            assert_eq!(
                begun.verification_uri.or(begun.verification_url).as_deref(),
                Some("u"),
                "{shows}"
            );
        }
    }
}
