//! Tables behind services on sockets: socketmap and tcp.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use parking_lot::Mutex;
use postern_table::{Said, Service, ServicePlace};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::asker::is_stranger;
use crate::verdict::Outage;

/// Most concurrent queries, and most idle connections kept.
const CONNECTIONS: usize = 16;

/// Most of them for strangers, so that users always find places.
const STRANGERS: usize = CONNECTIONS / 2;

/// Longest time for one query, connecting included.
const TIME: Duration = Duration::from_secs(10);

trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

type Connection = Pin<Box<dyn Stream>>;

/// A service and the connections to it.
pub(super) struct ServiceSource {
    service: Service,
    places: Semaphore,
    /// Those of the places that strangers may have.
    strangers: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl ServiceSource {
    /// Makes no connection yet.
    pub(super) fn new(service: Service) -> Self {
        Self {
            service,
            places: Semaphore::new(CONNECTIONS),
            strangers: Semaphore::new(STRANGERS),
            idle: Mutex::default(),
        }
    }

    /// What it has for a key.
    pub(super) async fn get(&self, key: &str) -> Result<Option<String>, Outage> {
        let said = match timeout(TIME, self.ask(key)).await {
            Ok(said) => said.map_err(Outage::new)?,
            Err(_) => {
                return Err(Outage::new(format!(
                    "it has not answered in {} s",
                    TIME.as_secs()
                )));
            }
        };
        match said {
            Said::Value(value) => Ok(Some(value)),
            Said::Nothing => Ok(None),
            Said::Failed(why) => Err(Outage::new(why)),
        }
    }

    async fn ask(&self, key: &str) -> Result<Said, String> {
        let _share = match is_stranger() {
            true => Some(
                self.strangers
                    .acquire()
                    .await
                    .map_err(|error| error.to_string())?,
            ),
            false => None,
        };
        let _place = self.places.acquire().await.map_err(|error| error.to_string())?;
        // An idle connection may have been closed meanwhile.
        let kept = self.idle.lock().pop();
        if let Some(mut connection) = kept
            && let Ok(said) = self.talk(&mut connection, key).await
        {
            self.keep(connection);
            return Ok(said);
        }
        let mut connection = self.connect().await.map_err(|error| error.to_string())?;
        let said = self.talk(&mut connection, key).await?;
        self.keep(connection);
        Ok(said)
    }

    async fn connect(&self) -> io::Result<Connection> {
        Ok(match &self.service.place {
            ServicePlace::Inet(address) => Box::pin(TcpStream::connect(address.as_str()).await?),
            ServicePlace::Unix(path) => Box::pin(UnixStream::connect(path).await?),
        })
    }

    async fn talk(&self, connection: &mut Connection, key: &str) -> Result<Said, String> {
        let question = self.service.question(key);
        connection
            .write_all(&question)
            .await
            .map_err(|error| error.to_string())?;
        let mut octets = Vec::new();
        loop {
            let count = connection
                .read_buf(&mut octets)
                .await
                .map_err(|error| error.to_string())?;
            match self.service.answer(&octets)? {
                Some((taken, said)) if taken == octets.len() => return Ok(said),
                Some(_) => return Err("it answers more than it was asked".into()),
                None if count == 0 => return Err("it ends without an answer".into()),
                None => {}
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < CONNECTIONS {
            idle.push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use postern_table::Reference;
    use tokio::net::UnixListener;

    use super::super::Tables;
    use super::super::asker::on_behalf;
    use super::*;

    /// A socketmap server that has one key and closes each connection after two answers.
    async fn serve(listener: UnixListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                for _ in 0..2 {
                    let mut question = Vec::new();
                    while !question.ends_with(b",") {
                        if stream.read_buf(&mut question).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let answer: &[u8] = match &question[..] {
                        b"16:virtual a@b.test," => b"6:OK ann,",
                        b"18:virtual bad@b.test," => b"9:TEMP busy,",
                        _ => b"9:NOTFOUND ,",
                    };
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    }

    /// A server that never answers, except about one key.
    async fn serve_slowly(listener: UnixListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                loop {
                    let mut question = Vec::new();
                    while !question.ends_with(b",") {
                        if stream.read_buf(&mut question).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    if question != b"16:virtual a@b.test," {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.write_all(b"6:OK ann,").await;
                }
            });
        }
    }

    #[tokio::test]
    async fn strangers_leave_places_for_users() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.sock");
        let server = tokio::spawn(serve_slowly(UnixListener::bind(&path).unwrap()));
        let text = format!("socketmap:unix:{}:virtual", path.display());
        let Ok(Reference::Service(service)) = Reference::parse(&text) else {
            unreachable!("it was read as one");
        };
        let source = Arc::new(ServiceSource::new(service));
        for number in 0..4 * CONNECTIONS {
            let source = Arc::clone(&source);
            tokio::spawn(on_behalf(Arc::new(AtomicBool::new(true)), async move {
                source.get(&format!("{number}@b.test")).await
            }));
        }
        while source.strangers.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        // With all places taken, this would end in an outage.
        assert_eq!(source.get("a@b.test").await.unwrap().as_deref(), Some("ann"));
        let known = on_behalf(Arc::new(AtomicBool::new(false)), source.get("a@b.test")).await;
        assert_eq!(known.unwrap().as_deref(), Some("ann"), "one who has logged in");
        server.abort();
    }

    #[tokio::test]
    async fn a_socketmap_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.sock");
        let server = tokio::spawn(serve(UnixListener::bind(&path).unwrap()));
        let text = format!("socketmap:unix:{}:virtual", path.display());
        let reference = Reference::parse(&text).unwrap();
        let table = Tables::default().open(&reference).unwrap();
        assert!(!table.is_at_hand() && table.name() == text);
        for _ in 0..5 {
            let found = table.get("a@b.test").await.unwrap().map(|answer| answer.value);
            assert_eq!(found.as_deref(), Some("ann"));
            assert_eq!(table.get("x@b.test").await.unwrap(), None);
        }
        let source = match reference {
            Reference::Service(service) => ServiceSource::new(service),
            _ => unreachable!("it was read as one"),
        };
        // Over more than one connection: each is closed after two answers.
        for _ in 0..5 {
            assert_eq!(source.get("a@b.test").await.unwrap().as_deref(), Some("ann"));
        }
        let down = table.get("bad@b.test").await.unwrap_err();
        assert!(down.reason.contains("busy"), "{down}");
        // The second answer of that connection.
        assert_eq!(table.get("y@b.test").await.unwrap(), None);
        server.abort();
        let _ = server.await;
        drop(std::fs::remove_file(&path));
        assert!(table.get("new@b.test").await.is_err());
    }
}
