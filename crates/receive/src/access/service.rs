//! Policy services that speak Postfix's protocol: connections are kept and reused, each for one question at a time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postern_events::{Observers, ServiceDown, ServiceUp};
use postern_filter::Address;
use postern_policy::access::delegation::{self, ANSWER_MAX, BadAnswer, Request};
use postern_policy::access::written::BadResult;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::settings::ServiceSettings;

/// Both directions of a connection.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A policy service, with its connections.
pub(crate) struct Service {
    pub(super) settings: ServiceSettings,
    /// Idle connections, the most recently used last.
    idle: Mutex<Vec<(Box<dyn Wire>, Instant)>>,
    /// One permit for each connection allowed.
    places: Semaphore,
    health: Mutex<Health>,
    observers: Observers,
}

#[derive(Default)]
struct Health {
    failures: u64,
    since: Option<Instant>,
}

/// Why a service gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// No connection could be made, or it broke.
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
    /// It closed the connection instead of answering.
    #[error("it closed the connection without an answer")]
    Closed,
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// Its answer is malformed.
    #[error("{0}")]
    Answer(#[from] BadAnswer),
    /// Its action is unknown.
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

    /// Asks, and returns the value of `action=`.
    pub(super) async fn ask(&self, request: &str) -> Result<String, ServiceError> {
        let limit = self.settings.timeout;
        let asked = tokio::time::timeout(limit, async {
            let _place = self.places.acquire().await;
            // A kept connection may have been closed meanwhile: then a new one is tried, once.
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

    /// A kept connection that is not too old.
    fn kept(&self) -> Option<Box<dyn Wire>> {
        self.close_idle();
        self.idle.lock().pop().map(|(wire, _)| wire)
    }

    /// Closes connections that have been idle for too long.
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
        // Unsolicited data belongs to no question: such a connection is not reused.
        if end == octets.len() {
            self.idle.lock().push((wire, Instant::now()));
        }
        Ok(answer)
    }

    pub(super) fn failed(&self, error: &ServiceError) {
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

    pub(super) fn works(&self) {
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

/// Asks a service outside a session, for `explain`.
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
    /// The services of these settings, in order. One that is unchanged keeps its connections; the others are dropped.
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

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn close_idle(&self) {
        self.0.lock().iter().for_each(|service| service.close_idle());
    }
}
