//! The device authorization grant (RFC 8628): a person agrees in a browser, and a refresh token comes of it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::request::{self, AcquireError, ErrorAnswer, Fetched};
use super::settings::TokenSettings;
use crate::http::{Endpoint, HttpClient};

/// The grant's name (section 3.4).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The pause between two questions where the provider names none (section 3.2), and by how much it grows (section 3.5).
const INTERVAL: u64 = 5;

/// Longest pause and longest wait that are believed, in seconds.
const INTERVAL_MAX: u64 = 60;
const EXPIRY_MAX: u64 = 3_600;

/// Most characters of what a provider has shown.
const SHOWN_MAX: usize = 500;

/// An authorization under way.
pub struct Device {
    http: HttpClient,
    settings: TokenSettings,
    token_endpoint: Endpoint,
    code: SecretString,
    /// What the person types.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// The same with the code in it, if the provider has that.
    pub verification_uri_complete: Option<String>,
    /// How long the code lasts.
    pub expires_in: Duration,
    /// The pause before the next [`Device::poll`].
    pub interval: Duration,
}

/// What came of asking.
#[derive(Debug)]
pub enum Poll {
    /// Nobody has decided yet: ask again after [`Device::interval`], which may have grown.
    Pending,
    /// Agreed.
    Granted(Fetched),
}

/// No authorization will come of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    /// The person said no.
    #[error("it was declined at the provider")]
    Denied,
    /// The code has run out.
    #[error("the code has run out before anybody agreed: begin again")]
    Expired,
    /// Something else.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
}

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    // Google's name for it.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Option<u64>,
    interval: Option<u64>,
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
        Ok(Self {
            token_endpoint,
            code: begun.device_code.into(),
            user_code: shown(&begun.user_code),
            verification_uri: shown(&begun.verification_uri),
            verification_uri_complete: begun.verification_uri_complete.as_deref().map(shown),
            expires_in: Duration::from_secs(begun.expires_in.unwrap_or(EXPIRY_MAX).min(EXPIRY_MAX)),
            interval: Duration::from_secs(begun.interval.unwrap_or(INTERVAL).clamp(1, INTERVAL_MAX)),
            http,
            settings,
        })
    }

    /// Asks whether the person has agreed.
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
            // A provider that is out of reach for a moment is asked less often (section 3.5).
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
        let longer = self.interval + Duration::from_secs(INTERVAL);
        self.interval = longer.min(Duration::from_secs(INTERVAL_MAX));
    }
}

/// What a provider sent for people, without what a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect()
}
