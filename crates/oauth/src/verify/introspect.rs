//! Asking a provider about a token (RFC 7662, or Google's older variant).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use super::cache::{AnswerCache, Known};
use super::claims::{Claims, Origin, judge};
use super::outage::Outage;
use super::settings::{ClaimRules, Introspection, IntrospectionStyle};
use crate::clock::{now, unix_now};
use crate::http::{Answer, HttpClient, HttpError};

/// Most concurrent queries to one provider.
const QUESTIONS_MAX: usize = 16;

/// One provider with introspection.
pub(super) struct Introspector {
    settings: Introspection,
    http: HttpClient,
    cache: AnswerCache,
    questions: Semaphore,
    /// Longest wait for a free slot.
    patience: Duration,
}

impl Introspector {
    pub(super) fn new(settings: Introspection, http: HttpClient, patience: Duration) -> Self {
        Self {
            cache: AnswerCache::new(settings.cache),
            settings,
            http,
            questions: Semaphore::new(QUESTIONS_MAX),
            patience,
        }
    }

    /// The provider's answer for a token: its claims, or `None` if it is not active.
    pub(super) async fn ask(&self, token: &str, rules: &ClaimRules) -> Result<Known, Outage> {
        if let Some(known) = self.cache.get(token, now()) {
            return Ok(known);
        }
        let waiting = tokio::time::timeout(self.patience, self.questions.acquire());
        let Ok(Ok(_place)) = waiting.await else {
            return Err(Outage::new("too many questions under way".into()));
        };
        // Another login with the same token may have come first.
        if let Some(known) = self.cache.get(token, now()) {
            return Ok(known);
        }
        let known = self.fetch(token).await.map_err(|error| {
            let endpoint = &self.settings.endpoint;
            Outage::new(match error {
                HttpError::Status(status @ (401 | 403)) => {
                    format!(
                        "{endpoint}: status {status}: it does not take our client_id and client_secret_file"
                    )
                }
                error => format!("{endpoint}: {error}"),
            })
        })?;
        let left = known.as_ref().and_then(|claims| left(claims, rules));
        self.cache.note(token, known.clone(), left, now());
        Ok(known)
    }

    async fn fetch(&self, token: &str) -> Result<Known, HttpError> {
        let (endpoint, client) = (&self.settings.endpoint, self.settings.client.as_ref());
        match self.settings.style {
            IntrospectionStyle::Standard => {
                let fields = [("token", token), ("token_type_hint", "access_token")];
                standard(&self.http.post_form(endpoint, &fields, client).await?)
            }
            IntrospectionStyle::TokenInfo => {
                let fields = [("access_token", token)];
                token_info(&self.http.post_form(endpoint, &fields, client).await?)
            }
        }
    }
}

/// RFC 7662 section 2.2: `active` decides; everything else only counts if it is true.
fn standard(answer: &Answer) -> Result<Known, HttpError> {
    let claims: Claims = answer.ok_json()?;
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(Some(Arc::new(claims))),
        Some(Value::Bool(false)) => Ok(None),
        _ => Err(HttpError::NotJson("`active` is neither true nor false".into())),
    }
}

/// Status 400 with `invalid_token` is Google's way of saying that a token is not active.
fn token_info(answer: &Answer) -> Result<Known, HttpError> {
    if answer.status != 400 {
        return Ok(Some(Arc::new(answer.ok_json()?)));
    }
    let problem: Claims = answer.json()?;
    let words = ["error", "error_description"].map(|name| problem.get(name).and_then(Value::as_str));
    if words.contains(&Some("invalid_token")) || words.contains(&Some("Invalid Value")) {
        Ok(None)
    } else {
        Err(HttpError::Status(answer.status))
    }
}

/// The time until the token expires, if known.
fn left(claims: &Claims, rules: &ClaimRules) -> Option<Duration> {
    let now = unix_now();
    let expiry = judge(claims, rules, Origin::Introspected, now).expiry?;
    Some(Duration::from_secs(expiry.saturating_sub(now)))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::http::{Endpoint, HttpSettings};

    /// If a provider accepts connections but does not answer, each question waits no longer than one answer may take; those that
    /// find no free connection fail after a shorter wait. No real time passes.
    #[tokio::test(start_paused = true)]
    async fn a_silent_provider_keeps_nobody_longer_than_it_may() {
        const MORE: usize = 4;
        let (timeout, patience) = (Duration::from_secs(5), Duration::from_secs(2));
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = silent.local_addr().unwrap().port();
        let http = HttpClient::new(&HttpSettings {
            ca_file: None,
            timeout,
        })
        .unwrap();
        let settings = Introspection {
            endpoint: Endpoint::parse(&format!("http://127.0.0.1:{port}/introspect")).unwrap(),
            style: IntrospectionStyle::Standard,
            client: None,
            cache: Duration::ZERO,
        };
        let introspector = Introspector::new(settings, http, patience);
        let rules = ClaimRules::new("https://id.example");
        let begun = now();
        let asked = (0..QUESTIONS_MAX + MORE).map(|number| {
            let (introspector, rules) = (&introspector, &rules);
            async move {
                let outage = introspector
                    .ask(&format!("token-{number}"), rules)
                    .await
                    .unwrap_err();
                (outage.0, now().duration_since(begun))
            }
        });
        let answers = futures_util::future::join_all(asked).await;
        for (number, (said, after)) in answers.into_iter().enumerate() {
            let (words, due) = if number < QUESTIONS_MAX {
                ("no answer within 5000 ms", timeout)
            } else {
                ("too many questions under way", patience)
            };
            assert!(said.ends_with(words), "{number}: {said}");
            assert_eq!(after.as_secs(), due.as_secs(), "{number}: {said}");
        }
    }

    #[test]
    fn answers_of_providers() {
        let answer = |status, body: &str| Answer {
            status,
            body: Zeroizing::new(body.as_bytes().to_vec()),
            retry_after: None,
        };
        #[rustfmt::skip]
        let cases = [
            ("active",                      200, r#"{"active":true,"sub":"a"}"#,    Some(true)),
            ("not active",                  200, r#"{"active":false}"#,             Some(false)),
            ("not a word of it",            200, r#"{"sub":"a"}"#,                  None),
            ("a text is not true",          200, r#"{"active":"true","sub":"a"}"#,  None),
            ("not even JSON",               200, "<html>",                          None),
            ("a list",                      200, "[]",                              None),
            ("our own secret is wrong",     401, r#"{"active":true}"#,              None),
            ("sent elsewhere",              302, "",                                None),
            ("down",                        503, r#"{"active":true}"#,              None),
        ];
        for (shows, status, body, want) in cases {
            let known = standard(&answer(status, body));
            assert_eq!(known.ok().map(|known| known.is_some()), want, "{shows}");
        }
        #[rustfmt::skip]
        let cases = [
            ("its claims",       200, r#"{"aud":"a"}"#,                                             Some(true)),
            ("not active",       400, r#"{"error":"invalid_token"}"#,                               Some(false)),
            ("in other words",   400, r#"{"error_description":"Invalid Value"}"#,                   Some(false)),
            ("another mistake",  400, r#"{"error":"invalid_request"}"#,                             None),
            ("down",             500, r#"{"aud":"a"}"#,                                             None),
        ];
        for (shows, status, body, want) in cases {
            let known = token_info(&answer(status, body));
            assert_eq!(known.ok().map(|known| known.is_some()), want, "{shows}");
        }
    }
}
