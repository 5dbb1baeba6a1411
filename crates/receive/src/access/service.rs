//! Policy services of Postfix's protocol: connections that are kept and used again, each for one question at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_events::{Observers, ServiceDown, ServiceUp};
use postern_filter::Address;
use postern_mail::Status;
use postern_policy::access::delegation::{self, ANSWER_MAX, BadAnswer, Request};
use postern_policy::access::written::{self, BadResult, Context};
use postern_policy::access::{Action, Answer, Stage, Words};
use postern_policy::screen::finding::ClientName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use super::{Accessing, Matter, ServiceSettings};
use crate::session::{Login, Session};

/// What the client hears where a service fails that mail does not go on without.
const FAILED: (u16, Status, &str) = (
    451,
    Status(4, 3, 5),
    "Server configuration problem, try again later",
);

/// Both directions of a connection.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A policy service, with its connections.
pub(crate) struct Service {
    settings: ServiceSettings,
    /// Connections that nobody uses, the last one used last.
    idle: Mutex<Vec<(Box<dyn Wire>, Instant)>>,
    /// As many as there may be at once.
    places: Semaphore,
    health: Mutex<Health>,
    observers: Observers,
}

#[derive(Default)]
struct Health {
    failures: u64,
    since: Option<Instant>,
}

/// Why a service gives no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// No connection could be made, or it broke.
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
    /// It closed the connection in place of an answer.
    #[error("it closed the connection without an answer")]
    Closed,
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// Its answer is none.
    #[error("{0}")]
    Answer(#[from] BadAnswer),
    /// Nobody knows what it wants.
    #[error("{0}")]
    Result(#[from] BadResult),
}

impl Service {
    fn new(settings: &ServiceSettings, observers: &Observers) -> Self {
        Self {
            idle: Mutex::default(),
            places: Semaphore::new(settings.connections.max(1)),
            health: Mutex::default(),
            observers: observers.clone(),
            settings: settings.clone(),
        }
    }

    /// Asks, and says what is behind `action=`.
    async fn ask(&self, request: &str) -> Result<String, ServiceError> {
        let limit = self.settings.timeout;
        let asked = tokio::time::timeout(limit, async {
            let _place = self.places.acquire().await;
            // A connection that was kept may have been closed meanwhile: then a new one is asked, once.
            if let Some(wire) = self.kept()
                && let Ok(answer) = self.exchange(wire, request).await
            {
                return Ok(answer);
            }
            let wire = connect(&self.settings.address).await?;
            self.exchange(wire, request).await
        });
        asked.await.unwrap_or(Err(ServiceError::Late(limit)))
    }

    /// A connection that was kept and is not too old.
    fn kept(&self) -> Option<Box<dyn Wire>> {
        self.close_idle();
        self.idle.lock().pop().map(|(wire, _)| wire)
    }

    /// Closes connections that nobody has used for long.
    fn close_idle(&self) {
        let time = self.settings.idle_time;
        self.idle.lock().retain(|(_, since)| since.elapsed() < time);
    }

    async fn exchange(&self, mut wire: Box<dyn Wire>, request: &str) -> Result<String, ServiceError> {
        wire.write_all(request.as_bytes()).await?;
        wire.flush().await?;
        let mut octets = Vec::with_capacity(256);
        let end = loop {
            if let Some(end) = delegation::end_of_answer(&octets)? {
                break end;
            }
            let room = ANSWER_MAX + 4 - octets.len();
            let read = (&mut wire).take(room as u64).read_buf(&mut octets).await?;
            if read == 0 {
                return Err(ServiceError::Closed);
            }
        };
        let answer = delegation::action(&octets[..end])?.to_owned();
        // What comes unasked for belongs to no question: such a connection is not used again.
        if end == octets.len() {
            self.idle.lock().push((wire, Instant::now()));
        }
        Ok(answer)
    }

    fn failed(&self, error: &ServiceError) {
        let mut health = self.health.lock();
        health.failures += 1;
        if health.since.is_none() {
            health.since = Some(Instant::now());
            self.observers.tell(ServiceDown {
                service: &self.settings.name,
                address: &self.settings.address,
                reason: error,
            });
        }
    }

    fn works(&self) {
        let mut health = self.health.lock();
        if let Some(since) = health.since.take() {
            self.observers.tell(ServiceUp {
                service: &self.settings.name,
                address: &self.settings.address,
                failures: health.failures,
                seconds: since.elapsed().as_secs(),
            });
            health.failures = 0;
        }
    }
}

async fn connect(address: &Address) -> Result<Box<dyn Wire>, ServiceError> {
    Ok(match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}

/// Asks a service, without a server: for `explain`. What it says, or why it says nothing.
///
/// # Errors
///
/// Why there is no answer, in words.
pub async fn ask_once(settings: &ServiceSettings, request: &Request<'_>) -> Result<String, String> {
    let service = Service::new(settings, &Observers::nobody());
    service
        .ask(&request.text())
        .await
        .map_err(|error| error.to_string())
}

/// The services of the settings in force.
#[derive(Default)]
pub(crate) struct Services(Mutex<Vec<Arc<Service>>>);

impl Services {
    /// Those of these settings, in their order. One that is the same as before keeps its connections; the others are let go.
    pub(crate) fn of(&self, settings: &[ServiceSettings], observers: &Observers) -> Vec<Arc<Service>> {
        let mut services = self.0.lock();
        let known = std::mem::take(&mut *services);
        *services = settings
            .iter()
            .map(|one| {
                let same = known.iter().find(|known| known.settings == *one);
                same.cloned()
                    .unwrap_or_else(|| Arc::new(Service::new(one, observers)))
            })
            .collect();
        services.clone()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Closes connections that nobody has used for long.
    pub(crate) fn close_idle(&self) {
        self.0.lock().iter().for_each(|service| service.close_idle());
    }
}

/// Asks the service with this number about what is judged.
pub(super) async fn ask(number: usize, matter: &Matter<'_>, access: &Accessing, session: &Session) -> Answer {
    let Some(service) = session.profile.services.get(number) else {
        return Answer::No;
    };
    let request = request(matter, access, session);
    let rules = &session.profile.access.rules;
    let answered = service.ask(&request).await.and_then(|text| {
        let class = |name: &str| rules.classes.iter().position(|class| *class.name == *name);
        let context = Context {
            class: &class,
            relay: false,
        };
        Ok(written::postfix(&text, context)?)
    });
    match answered {
        Ok(action) => {
            service.works();
            Answer::Action(action)
        }
        Err(error) => {
            service.failed(&error);
            Answer::Action(if service.settings.optional {
                Action::Note(format!("{} fails: {error}", service.settings.name).into())
            } else {
                Action::Refuse(Words::fixed(FAILED))
            })
        }
    }
}

/// What a service is told of a session.
fn request(matter: &Matter<'_>, access: &Accessing, session: &Session) -> String {
    let text = |text: Option<String>| text.unwrap_or_default();
    let address = session.peer.ip().to_canonical().to_string();
    let (client_port, server) = (session.peer.port().to_string(), session.local);
    let server_address = text(server.map(|server| server.ip().to_canonical().to_string()));
    let server_port = text(server.map(|server| server.port().to_string()));
    let instance = format!("{}.{}", session.id, access.transactions);
    let reverse = match access.answers.client() {
        Some(
            ClientName::Confirmed(name) | ClientName::Unconfirmed(name) | ClientName::Unsure { name, .. },
        ) => Some(&**name),
        Some(ClientName::Nameless | ClientName::Unanswered(_)) | None => None,
    };
    let name = session.peer_name();
    let tls = session.tls.as_ref();
    let certificate = session.certificate.as_ref();
    let fingerprint = text(certificate.map(|facts| with_colons(&facts.fingerprint)));
    let sender = access.sender.as_ref().and_then(|sender| sender.key.as_ref());
    Request {
        protocol_state: match matter.stage {
            Stage::Connect => "CONNECT",
            Stage::Helo => "EHLO",
            Stage::Mail => "MAIL",
            Stage::Rcpt => "RCPT",
            Stage::Data => "END-OF-MESSAGE",
        },
        protocol_name: "ESMTP",
        helo_name: session.helo(),
        queue_id: matter.queue,
        sender: sender.map_or("", |sender| sender.whole()),
        recipient: matter.recipient.map_or("", |(key, _)| key.whole()),
        recipient_count: if matter.stage == Stage::Data {
            matter.recipients
        } else {
            0
        },
        client_address: &address,
        client_name: name.unwrap_or("unknown"),
        reverse_client_name: reverse.or(name).unwrap_or("unknown"),
        client_port: &client_port,
        server_address: &server_address,
        server_port: &server_port,
        instance: &instance,
        sasl_method: session.login.as_ref().map_or("", |login| login.mechanism.name()),
        sasl_username: session.login.as_ref().map_or("", Login::name),
        sasl_sender: "",
        size: matter.size,
        ccert_subject: certificate.map_or("", |facts| &facts.subject),
        ccert_issuer: certificate.map_or("", |facts| &facts.issuer),
        ccert_fingerprint: &fingerprint,
        encryption_protocol: tls.map_or("", |tls| tls.version),
        encryption_cipher: tls.map_or("", |tls| tls.cipher),
        encryption_keysize: tls.map_or(0, |tls| tls.bits),
        policy_context: session.listener(),
    }
    .text()
}

/// A fingerprint as Postfix writes it.
fn with_colons(digits: &str) -> String {
    let pairs: Vec<&str> = (0..digits.len())
        .step_by(2)
        .filter_map(|at| digits.get(at..(at + 2).min(digits.len())))
        .collect();
    pairs.join(":").to_ascii_uppercase()
}
