//! HTTPS, as far as a provider needs it: one thread per connection, one request after the other.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::grants::Granted;
use super::shared::{CLIENT_ID, CLIENT_SECRET, Shared, unix_now};

/// Longest body accepted.
const BODY_MAX: usize = 64 * 1024;

struct Request {
    method: String,
    path: String,
    authorization: Option<String>,
    form: HashMap<String, String>,
    /// Whether a field occurred twice, which RFC 6749 section 3.2 forbids.
    repeats: bool,
}

pub(super) fn tls(folder: &Path) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(folder.join("server.crt")).expect("the certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("its key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.expect("a certificate with its key"))
}

/// Serves until told to stop.
pub(super) fn accept(listener: TcpListener, shared: Arc<Shared>) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            if shared.stop.load(Ordering::SeqCst) {
                return;
            }
            let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else {
                continue;
            };
            thread::spawn(move || {
                // A client that disconnects is not a failure of the provider.
                let _ = serve(stream, &shared);
            });
        }
    });
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let connection = ServerConnection::new(Arc::clone(&shared.tls)).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Some(request) = read(&mut stream)? {
        // Like a process that has ended.
        if shared.stop.load(Ordering::SeqCst) {
            return Ok(());
        }
        let (status, body) = answer(&request, shared);
        let head = format!(
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        stream.flush()?;
    }
    Ok(())
}

fn read(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut field = String::new();
        if stream.read_line(&mut field)? == 0 || field.trim_end().is_empty() {
            break;
        }
        let Some((name, value)) = field.split_once(':') else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length.min(BODY_MAX)];
    stream.read_exact(&mut body)?;
    let mut form = HashMap::new();
    let mut repeats = false;
    for (name, value) in String::from_utf8_lossy(&body)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
    {
        repeats |= form.insert(decode(name), decode(value)).is_some();
    }
    Ok(Some(Request {
        method,
        path,
        authorization,
        form,
        repeats,
    }))
}

fn answer(request: &Request, shared: &Shared) -> (u16, String) {
    let path = request.path.split('?').next().unwrap_or_default();
    {
        let mut state = shared.state();
        *state.requests.entry(path.to_owned()).or_insert(0) += 1;
        if let Some(status) = state.broken {
            return (status, String::new());
        }
    }
    if request.repeats {
        return (400, json!({ "error": "invalid_request" }).to_string());
    }
    let issuer = &shared.issuer;
    let service = path.strip_prefix("/realms/test/").unwrap_or_default();
    match (request.method.as_str(), service) {
        ("GET", ".well-known/openid-configuration") => (200, describe(issuer).to_string()),
        ("GET", "jwks") => (200, shared.state().jwks()),
        ("POST", "introspect") if is_client(request) => (200, introspect(request, shared).to_string()),
        ("POST", "tokeninfo") => token_info(request, shared),
        ("POST", "device") if is_client(request) || names_client(request) => {
            (200, shared.state().grants.begin_device(issuer).to_string())
        }
        ("POST", "token") if is_client(request) || names_client(request) => token(request, shared),
        ("POST", "introspect" | "token" | "device") => {
            (401, json!({ "error": "invalid_client" }).to_string())
        }
        _ => (404, String::new()),
    }
}

fn describe(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "token_endpoint": format!("{issuer}/token"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "device_authorization_endpoint": format!("{issuer}/device"),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
    })
}

/// RFC 7662 section 2.2.
fn introspect(request: &Request, shared: &Shared) -> Value {
    let token = request.form.get("token").map_or("", String::as_str);
    let state = shared.state();
    match state.opaque.get(token) {
        Some(claims) => {
            let mut answer = claims.clone();
            answer.insert("active".into(), json!(true));
            Value::Object(answer)
        }
        None => json!({ "active": false }),
    }
}

/// Google's variant: numbers and booleans as text, no issuer.
fn token_info(request: &Request, shared: &Shared) -> (u16, String) {
    let token = request.form.get("access_token").map_or("", String::as_str);
    let state = shared.state();
    let Some(claims) = state.opaque.get(token) else {
        let problem = json!({ "error": "invalid_token", "error_description": "Invalid Value" });
        return (400, problem.to_string());
    };
    let mut answer = claims.clone();
    answer.remove("iss");
    for name in ["exp", "email_verified"] {
        if let Some(value) = answer.get_mut(name) {
            *value = json!(value.to_string());
        }
    }
    (200, Value::Object(answer).to_string())
}

fn token(request: &Request, shared: &Shared) -> (u16, String) {
    // Client credentials need a secret.
    let is_public = !is_client(request);
    if is_public
        && request
            .form
            .get("grant_type")
            .is_some_and(|grant| grant == "client_credentials")
    {
        return (401, json!({ "error": "invalid_client" }).to_string());
    }
    let granted = shared.state().grants.grant(&request.form);
    let refresh = match granted {
        Granted::Token(refresh) => refresh,
        Granted::Error(error) => return (400, json!({ "error": error }).to_string()),
    };
    let mut state = shared.state();
    let lifetime = state.lifetime;
    state.next += 1;
    let mut claims = shared.claims(lifetime);
    claims.insert("jti".into(), json!(format!("{}-{}", unix_now(), state.next)));
    let key = state.keys.last().expect("there is always a key");
    let access = key.sign(&key.header(), &Value::Object(claims));
    let mut answer = json!({ "access_token": access, "token_type": "Bearer", "expires_in": lifetime, "scope": "openid smtp" });
    if let Some(refresh) = refresh {
        answer["refresh_token"] = json!(refresh);
    }
    (200, answer.to_string())
}

/// Whether the client is authenticated: `client_secret_basic` (RFC 6749 section 2.3.1), or in the
/// form.
fn is_client(request: &Request) -> bool {
    let by_form = request
        .form
        .get("client_secret")
        .is_some_and(|secret| secret == CLIENT_SECRET)
        && names_client(request);
    let by_header = || {
        let encoded = request.authorization.as_deref()?.strip_prefix("Basic ")?;
        let both = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (id, secret) = both.split_once(':')?;
        Some(decode(id) == CLIENT_ID && decode(secret) == CLIENT_SECRET)
    };
    by_form || by_header() == Some(true)
}

/// Whether a client without a secret says who it is.
fn names_client(request: &Request) -> bool {
    request.form.get("client_id").is_some_and(|id| id == CLIENT_ID)
}

/// Decodes `application/x-www-form-urlencoded`.
fn decode(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'+' => octets.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = String::from_utf8_lossy(&digits).into_owned();
                octets.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            octet => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}
