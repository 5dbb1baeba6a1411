//! The HTTPS client for the few servers that the configuration names: providers of tokens, receivers of webhooks. Answers are bounded in time and
//! size; there is no proxy from the environment, and no redirect is followed.

mod endpoint;
mod form;

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use postern_mail::chain;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub use self::endpoint::{Endpoint, EndpointError};
pub use postern_trust::TrustError;

/// Longest answer, in octets. Key sets and provider descriptions have a few thousand.
pub const ANSWER_MAX: usize = 256 * 1024;

/// How long an idle connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Most idle connections kept to each host.
const IDLE_CONNECTIONS: usize = 4;

/// How providers are reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpSettings {
    /// The authorities that must have issued servers' certificates, in PEM form. Default: those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
    /// Longest time for one request, from the look-up of the name to the last octet. Default 5 seconds.
    pub timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            ca_file: None,
            timeout: Duration::from_secs(5),
        }
    }
}

/// The client's credentials, if a provider asks for them (`client_secret_basic`, RFC 6749 section 2.3.1).
#[derive(Clone, Debug)]
pub struct ClientSecret {
    /// The client's identifier.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

impl PartialEq for ClientSecret {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.secret.expose_secret() == other.secret.expose_secret()
    }
}

/// What a provider answered. Its body may hold tokens, so it is wiped.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, up to [`ANSWER_MAX`] octets.
    pub body: Zeroizing<Vec<u8>>,
    /// After how long the server asks to be asked again (`Retry-After` in seconds).
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// The body as JSON, whatever the status.
    ///
    /// # Errors
    ///
    /// [`HttpError::NotJson`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|error| HttpError::NotJson(error.to_string()))
    }

    /// The body as JSON, if the status is 200.
    ///
    /// # Errors
    ///
    /// [`HttpError::Status`] and [`HttpError::NotJson`].
    pub fn ok_json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        if self.status != StatusCode::OK.as_u16() {
            return Err(HttpError::Status(self.status));
        }
        self.json()
    }
}

/// A request without a usable answer. Each text reads well after the address and a colon.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HttpError {
    /// No connection, a failed TLS handshake, or a broken connection.
    #[error("{0}")]
    Connection(String),
    /// The request timed out.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer is larger than [`ANSWER_MAX`].
    #[error("the answer is larger than {ANSWER_MAX} octets")]
    TooLarge,
    /// The status is not the expected one.
    #[error("status {status}{hint}", status = .0, hint = redirected(*.0))]
    Status(u16),
    /// The answer is not the expected JSON.
    #[error("the answer is not the expected JSON: {0}")]
    NotJson(String),
}

fn redirected(status: u16) -> &'static str {
    match status {
        300..=399 => " (redirects are not followed: name the address itself)",
        _ => "",
    }
}

/// A client for all requests under the same settings. Cloning is cheap and shares connections.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl HttpClient {
    /// Reads the authorities, and makes no connection yet.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if there are none.
    pub fn new(settings: &HttpSettings) -> Result<Self, TrustError> {
        let tls = postern_trust::client_config(settings.ca_file.as_deref())?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            // Which addresses may be used without TLS is decided by `Endpoint`.
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Ok(Self {
            client,
            timeout: settings.timeout,
        })
    }

    /// Fetches an address.
    ///
    /// # Errors
    ///
    /// [`HttpError`] without an answer. An answer of any status is one.
    pub async fn get(&self, endpoint: &Endpoint) -> Result<Answer, HttpError> {
        self.send(request(Method::GET, endpoint), Vec::new(), Wanted::Body)
            .await
    }

    /// Posts a form (`application/x-www-form-urlencoded`), with the client's identity in the header if given.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn post_form(
        &self,
        endpoint: &Endpoint,
        fields: &[(&str, &str)],
        client: Option<&ClientSecret>,
    ) -> Result<Answer, HttpError> {
        let mut request = request(Method::POST, endpoint).header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        if let Some(client) = client {
            request = request.header(AUTHORIZATION, basic(client)?);
        }
        self.send(request, form::encode(fields).into_bytes(), Wanted::Body)
            .await
    }

    /// Posts a body of this type, with further fields in the header. The status is the answer: a body that is too large, breaks off
    /// or does not come in time is left out.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn post(
        &self,
        endpoint: &Endpoint,
        content_type: &'static str,
        fields: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, HttpError> {
        let mut request =
            request(Method::POST, endpoint).header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        self.send(request, body, Wanted::Status).await
    }

    async fn send(
        &self,
        request: hyper::http::request::Builder,
        body: Vec<u8>,
        wanted: Wanted,
    ) -> Result<Answer, HttpError> {
        let request = request
            .body(Full::new(Bytes::from_owner(Zeroizing::new(body))))
            .map_err(|error| HttpError::Connection(error.to_string()))?;
        let late = |_| HttpError::Timeout(self.timeout);
        let until = tokio::time::Instant::now() + self.timeout;
        let response = tokio::time::timeout_at(until, self.client.request(request))
            .await
            .map_err(late)?
            .map_err(|error| HttpError::Connection(chain(&error)))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
        let read = tokio::time::timeout_at(until, read(response.into_body())).await;
        let body = match (read.map_err(late).flatten(), wanted) {
            (Ok(body), _) => body,
            (Err(_), Wanted::Status) => Zeroizing::default(),
            (Err(error), Wanted::Body) => return Err(error),
        };
        Ok(Answer {
            status,
            body,
            retry_after,
        })
    }
}

/// What of an answer counts.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Body,
    Status,
}

async fn read(body: hyper::body::Incoming) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    let mut body = Limited::new(body, ANSWER_MAX);
    let mut octets = Zeroizing::new(Vec::with_capacity(4_096));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.downcast_ref() {
            Some(http_body_util::LengthLimitError { .. }) => HttpError::TooLarge,
            None => HttpError::Connection(chain(error.as_ref())),
        })?;
        if let Some(data) = frame.data_ref() {
            octets.extend_from_slice(data);
        }
    }
    Ok(octets)
}

/// A number of seconds; a date is not taken.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    Some(Duration::from_secs(value.to_str().ok()?.trim().parse().ok()?))
}

fn request(method: Method, endpoint: &Endpoint) -> hyper::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(endpoint.uri().clone())
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(USER_AGENT, HeaderValue::from_static("postern"))
}

/// Identifier and secret, each form-encoded first, as RFC 6749 section 2.3.1 asks.
fn basic(client: &ClientSecret) -> Result<HeaderValue, HttpError> {
    let secret = Zeroizing::new(form::escape(client.secret.expose_secret()));
    let both = Zeroizing::new(format!("{}:{}", form::escape(&client.id), *secret));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())));
    let mut header =
        HeaderValue::from_str(&value).map_err(|error| HttpError::Connection(error.to_string()))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each of so many requests with a head and so much of a body.
    fn server(answers: usize, head: &'static str, octets: usize) -> std::io::Result<Endpoint> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().take(answers) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4_096]);
                let _ = stream.write_all(head.as_bytes());
                // The client may have gone.
                let _ = stream.write_all(&vec![b'x'; octets]);
            }
        });
        Ok(Endpoint::parse(&format!("http://{address}/")).unwrap())
    }

    #[test]
    fn the_status_is_the_answer_to_a_post() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = HttpClient::new(&HttpSettings::default()).unwrap();
        #[rustfmt::skip]
        let cases = [
            // what the case shows    head                                                                         octets           what a look gets
            ("too large",             "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",                              ANSWER_MAX + 1,  Err(HttpError::TooLarge)),
            ("as large as may be",    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",                              ANSWER_MAX,      Ok(200)),
            ("too large, refused",    "HTTP/1.1 500 Broken\r\nConnection: close\r\n\r\n",                          ANSWER_MAX + 1,  Err(HttpError::TooLarge)),
        ];
        for (shows, head, octets, want) in cases {
            let endpoint = server(2, head, octets).unwrap();
            let (looked, posted) = runtime.block_on(async {
                let looked = client.get(&endpoint).await;
                (
                    looked,
                    client.post(&endpoint, "text/plain", &[], Vec::new()).await,
                )
            });
            assert_eq!(looked.map(|answer| answer.status), want, "{shows}");
            let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
            assert_eq!(posted.ok().map(|answer| answer.status), status, "{shows}");
        }
        // One that breaks off.
        let cut = server(1, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 3).unwrap();
        let posted = runtime.block_on(client.post(&cut, "text/plain", &[], Vec::new()));
        assert_eq!(posted.ok().map(|answer| answer.status), Some(200));
    }
}
