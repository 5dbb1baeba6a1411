//! One request: a batch posted under its id, with its time and signature, and what becomes of it.

use std::time::Duration;

use jiff::Timestamp;
use postern_https::HttpClient;

use crate::Settings;

/// What a batch is, to receivers.
const CONTENT_TYPE: &str = "application/x-ndjson";

/// Why a receiver has not taken a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Why, for people.
    pub reason: String,
    /// After how long it asks to be asked again.
    pub retry_after: Option<Duration>,
}

/// Posts a body once. It was taken if the status is one of success (2xx); redirects are not followed.
///
/// # Errors
///
/// Why it was not taken.
pub async fn post_once(
    client: &HttpClient,
    settings: &Settings,
    id: &str,
    body: &[u8],
) -> Result<u16, Refused> {
    let seconds = Timestamp::now().as_second();
    let signature = settings.keys.sign(id, seconds, body);
    let fields = [
        ("webhook-id", id),
        ("webhook-timestamp", &seconds.to_string()),
        ("webhook-signature", &signature),
    ];
    let answer = client
        .post(&settings.endpoint, CONTENT_TYPE, &fields, body.to_vec())
        .await
        .map_err(|error| Refused {
            reason: error.to_string(),
            retry_after: None,
        })?;
    match answer.status {
        200..=299 => Ok(answer.status),
        status => Err(Refused {
            reason: postern_https::HttpError::Status(status).to_string(),
            retry_after: answer.retry_after,
        }),
    }
}
