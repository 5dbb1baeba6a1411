//! The token endpoint (RFC 6749 section 5).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroize;

use super::settings::{ClientAuthentication, Grant, TokenSettings};
use crate::discovery::{self, DiscoveryError};
use crate::http::{Answer, ClientSecret, Endpoint, HttpClient, HttpError, TrustError};
use crate::lenient::{self, Seconds};

/// Lifetime of a token if its provider does not say.
const LIFETIME_UNSAID: Duration = Duration::from_secs(300);

/// Longest lifetime accepted: a day.
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);

/// Longest token, in octets, access or refresh.
const TOKEN_MAX: usize = 8_192;

/// What the token endpoint gave.
#[derive(Debug)]
pub struct Fetched {
    /// The token.
    pub access_token: SecretString,
    /// Its lifetime in seconds.
    pub lifetime: u64,
    /// The refresh token that replaces the old one, if any.
    pub refresh_token: Option<SecretString>,
}

/// Why there is no token. Messages name the remedy if there is one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcquireError {
    /// The provider cannot be reached or has a failure. It may be temporary.
    #[error("{address}: {source}")]
    Http {
        /// The address that was asked.
        address: String,
        /// What went wrong.
        source: HttpError,
    },
    /// The provider's description is not available.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// There is no address to ask, and none in the description.
    #[error("the provider names no {0}: write it into [login.token]")]
    NoEndpoint(&'static str),
    /// The provider cannot be verified at all.
    #[error("{0}")]
    Trust(String),
    /// The refresh token is no longer valid, or nobody has consented yet. Only a person can solve this.
    #[error("{0}; run `postern login authorize {1}`")]
    NotAuthorized(String, String),
    /// The provider refuses for another reason: the settings on both sides do not match.
    #[error("the provider refuses: {0}; correct [login.token], or the client at the provider")]
    Refused(String),
    /// The answer is not a token.
    #[error("the provider's answer is not a token: {0}")]
    Nonsense(&'static str),
    /// What was fetched cannot be stored.
    #[error("{0}")]
    Store(String),
}

impl AcquireError {
    /// Whether trying again makes little sense before somebody acts.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::NotAuthorized(..))
    }
}

impl From<TrustError> for AcquireError {
    fn from(error: TrustError) -> Self {
        Self::Trust(error.to_string())
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
    refresh_token: Option<String>,
}

impl Drop for TokenAnswer {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

#[derive(Default, Deserialize)]
pub(super) struct ErrorAnswer {
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(super) error: String,
    #[serde(default, deserialize_with = "lenient::or_default")]
    error_description: String,
}

impl ErrorAnswer {
    /// The provider's own text, as far as it can be shown.
    pub(super) fn text(&self) -> String {
        let mut text = self.error.clone();
        if !self.error_description.is_empty() {
            text.push_str(": ");
            text.push_str(&self.error_description);
        }
        text.chars().filter(|c| !c.is_control()).take(300).collect()
    }
}

/// Where tokens are fetched.
pub(super) async fn token_endpoint(
    http: &HttpClient,
    settings: &TokenSettings,
) -> Result<Endpoint, AcquireError> {
    if let Some(endpoint) = &settings.token_endpoint {
        return Ok(endpoint.clone());
    }
    let written = describe(http, settings, "token endpoint").await?.token_endpoint;
    endpoint(written, "token endpoint")
}

pub(super) async fn describe(
    http: &HttpClient,
    settings: &TokenSettings,
    what: &'static str,
) -> Result<discovery::Metadata, AcquireError> {
    let issuer = settings.issuer.as_ref().ok_or(AcquireError::NoEndpoint(what))?;
    Ok(discovery::discover(http, issuer, None).await?)
}

pub(super) fn endpoint(written: Option<String>, what: &'static str) -> Result<Endpoint, AcquireError> {
    let written = written.ok_or(AcquireError::NoEndpoint(what))?;
    Endpoint::parse(&written).map_err(|_| AcquireError::NoEndpoint(what))
}

/// Posts a form as the client.
pub(super) async fn post(
    http: &HttpClient,
    settings: &TokenSettings,
    endpoint: &Endpoint,
    fields: &[(&str, &str)],
) -> Result<Answer, AcquireError> {
    let mut fields = fields.to_vec();
    let basic = match (&settings.client_secret, settings.client_authentication) {
        (Some(secret), ClientAuthentication::Basic) => Some(ClientSecret {
            id: settings.client_id.clone(),
            secret: secret.clone(),
        }),
        (secret, _) => {
            // No field may occur twice (RFC 6749 section 3.2).
            if !fields.iter().any(|(name, _)| *name == "client_id") {
                fields.push(("client_id", &settings.client_id));
            }
            if let Some(secret) = secret {
                fields.push(("client_secret", secret.expose_secret()));
            }
            None
        }
    };
    let answer = http.post_form(endpoint, &fields, basic.as_ref()).await;
    answer.map_err(|source| AcquireError::Http {
        address: endpoint.to_string(),
        source,
    })
}

/// What the token is requested for: fields of every request for one.
pub(super) fn wanted(settings: &TokenSettings) -> impl Iterator<Item = (&'static str, &str)> {
    let scope = settings.scope.as_deref().map(|scope| ("scope", scope));
    let audience = settings
        .audience
        .as_deref()
        .map(|audience| ("audience", audience));
    scope.into_iter().chain(audience)
}

/// Fetches a token: with the client's credentials, or with a refresh token.
pub(super) async fn fetch(
    http: &HttpClient,
    settings: &TokenSettings,
    refresh_token: Option<&SecretString>,
) -> Result<Fetched, AcquireError> {
    let endpoint = token_endpoint(http, settings).await?;
    let mut fields = match refresh_token {
        Some(token) => vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", token.expose_secret()),
        ],
        None => vec![("grant_type", "client_credentials")],
    };
    fields.extend(wanted(settings));
    let answer = post(http, settings, &endpoint, &fields).await?;
    if answer.status == 200 {
        return read(&answer);
    }
    Err(refusal(&answer, &endpoint, settings))
}

/// What an answer that is not 200 means (RFC 6749 section 5.2).
fn refusal(answer: &Answer, endpoint: &Endpoint, settings: &TokenSettings) -> AcquireError {
    let said: ErrorAnswer = answer.json().unwrap_or_default();
    let passing = answer.status >= 500 || answer.status == 429;
    match said.error.as_str() {
        "" | "temporarily_unavailable" | "server_error" => AcquireError::Http {
            address: endpoint.to_string(),
            source: HttpError::Status(answer.status),
        },
        _ if passing => AcquireError::Http {
            address: endpoint.to_string(),
            source: HttpError::Status(answer.status),
        },
        "invalid_grant" if settings.grant == Grant::RefreshToken => AcquireError::NotAuthorized(
            format!("the provider no longer takes the refresh token ({})", said.text()),
            settings.login.clone(),
        ),
        _ => AcquireError::Refused(said.text()),
    }
}

/// Reads a token.
pub(super) fn read(answer: &Answer) -> Result<Fetched, AcquireError> {
    let mut said: TokenAnswer = answer
        .ok_json()
        .map_err(|_| AcquireError::Nonsense("not the JSON that is due"))?;
    let bearer = said
        .token_type
        .as_ref()
        .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !bearer {
        return Err(AcquireError::Nonsense("of a type other than Bearer"));
    }
    let access_token = said.access_token.take().filter(|token| is_token(token));
    let refresh_token = said.refresh_token.take();
    if refresh_token.as_ref().is_some_and(|token| !is_token(token)) {
        return Err(AcquireError::Nonsense(
            "a refresh token that is empty, too long or not ASCII",
        ));
    }
    let lifetime = said.expires_in.and_then(|seconds| seconds.up_to(LIFETIME_MAX));
    Ok(Fetched {
        access_token: access_token
            .map(SecretString::from)
            .ok_or(AcquireError::Nonsense("empty, too long or not ASCII"))?,
        lifetime: lifetime.unwrap_or(LIFETIME_UNSAID).as_secs(),
        refresh_token: refresh_token.map(SecretString::from),
    })
}

fn is_token(token: &str) -> bool {
    (1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(|octet| octet.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn answer(body: &str) -> Answer {
        Answer {
            status: 200,
            body: Zeroizing::new(body.as_bytes().to_vec()),
            retry_after: None,
        }
    }

    #[test]
    fn answers_are_read_with_care() {
        let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(TOKEN_MAX + 1));
        #[rustfmt::skip]
        let cases = [
            ("the usual",                  r#"{"access_token":"a","token_type":"Bearer","expires_in":3600}"#, Some(3_600)),
            ("a number as text",           r#"{"access_token":"a","expires_in":"3600"}"#,                     Some(3_600)),
            ("a lifetime beyond belief",   r#"{"access_token":"a","expires_in":1e99}"#,                       Some(LIFETIME_MAX.as_secs())),
            ("a negative one",             r#"{"access_token":"a","expires_in":-5}"#,                         Some(LIFETIME_UNSAID.as_secs())),
            ("none",                       r#"{"access_token":"a"}"#,                                         Some(LIFETIME_UNSAID.as_secs())),
            ("another type",               r#"{"access_token":"a","token_type":"mac"}"#,                      None),
            ("no token",                   r#"{"token_type":"Bearer"}"#,                                      None),
            ("a line end in it",           r#"{"access_token":"a\r\nb"}"#,                                    None),
            ("a bad refresh token",        r#"{"access_token":"a","refresh_token":""}"#,                      None),
            ("too long",                   long.as_str(),                                                     None),
            ("no JSON",                    "<html>",                                                          None),
        ];
        for (shows, body, lifetime) in cases {
            assert_eq!(
                read(&answer(body)).ok().map(|fetched| fetched.lifetime),
                lifetime,
                "{shows}"
            );
        }
    }

    #[test]
    fn only_a_refresh_token_takes_a_person() {
        #[rustfmt::skip]
        let cases = [
            // the grant                what the provider says                                    lasting
            (Grant::RefreshToken,      400, r#"{"error":"invalid_grant"}"#,                       true),
            (Grant::ClientCredentials, 400, r#"{"error":"invalid_grant"}"#,                       false),
            (Grant::RefreshToken,      400, r#"{"error":"invalid_client"}"#,                      false),
            (Grant::RefreshToken,      503, r#"{"error":"invalid_grant"}"#,                       false),
        ];
        let endpoint = Endpoint::parse("https://login.example/token").unwrap();
        for (grant, status, body, lasting) in cases {
            let settings = TokenSettings {
                login: "isp".into(),
                grant,
                issuer: None,
                token_endpoint: Some(endpoint.clone()),
                device_endpoint: None,
                client_id: "relay".into(),
                client_secret: None,
                client_authentication: ClientAuthentication::Basic,
                scope: None,
                audience: None,
                refresh_token: None,
                http: crate::http::HttpSettings::default(),
            };
            let said = Answer {
                status,
                ..answer(body)
            };
            let error = refusal(&said, &endpoint, &settings);
            assert_eq!(error.is_lasting(), lasting, "{grant:?} {status} {body}: {error}");
        }
    }
}
