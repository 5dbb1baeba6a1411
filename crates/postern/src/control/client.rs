//! The client side, for the command line.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::acts;
use super::protocol::{Asked, LINE_MAX, Reply, Request};
use crate::exit::{Exit, Failure};
use crate::rights;

/// Longest wait for the server: flushing or removing a large queue takes long.
const ANSWER_MAX: Duration = Duration::from_secs(600);

/// A connection to the running server.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects; `None` if no server runs on this state directory.
    ///
    /// # Errors
    ///
    /// The socket exists but cannot be used.
    pub(crate) fn connect(state_dir: &Path) -> Result<Option<Self>, Failure> {
        let connected = super::address(state_dir).and_then(|(path, _folder)| rights::connect(&path));
        match connected {
            Ok(stream) => {
                let failed = |error| Failure::io("cannot use the control socket", &error);
                stream.set_read_timeout(Some(ANSWER_MAX)).map_err(failed)?;
                stream.set_write_timeout(Some(ANSWER_MAX)).map_err(failed)?;
                Ok(Some(Self {
                    stream: BufReader::new(stream),
                }))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Failure::new(
                Exit::NoPermission,
                format!(
                    "cannot look into {}: only root and the user of the server may do this",
                    state_dir.display()
                ),
            )),
            Err(error) => Err(Failure::io(
                &format!(
                    "cannot reach the server at {}",
                    state_dir.join(super::protocol::SOCKET).display()
                ),
                &error,
            )),
        }
    }

    /// Connects to the socket for users of this machine; `None` if no server answers there.
    ///
    /// # Errors
    ///
    /// The socket cannot be used.
    pub(crate) fn connect_as_user(path: &Path) -> Result<Option<Self>, Failure> {
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(error) => {
                return Err(Failure::io(
                    &format!("cannot reach the server at {}", path.display()),
                    &error,
                ));
            }
        };
        let failed = |error| Failure::io("cannot use the socket", &error);
        stream.set_read_timeout(Some(ANSWER_MAX)).map_err(failed)?;
        stream.set_write_timeout(Some(ANSWER_MAX)).map_err(failed)?;
        Ok(Some(Self {
            stream: BufReader::new(stream),
        }))
    }

    /// Asks, and returns the result.
    ///
    /// # Errors
    ///
    /// The server refuses, or is gone.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Value, Failure> {
        self.ask_for_content(request, |_| Ok(()))
    }

    /// Requests something that arrives in pieces, and passes each on.
    ///
    /// # Errors
    ///
    /// The server refuses or is gone, or `piece` fails.
    pub(crate) fn ask_for_content(
        &mut self,
        request: &Request,
        mut piece: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<Value, Failure> {
        let lost = |error: io::Error| Failure::io("the server does not answer", &error);
        self.send(request)?;
        let mut items = Vec::new();
        loop {
            match self.reply().map_err(lost)? {
                Reply::Items(mut more) => items.append(&mut more),
                Reply::Done(Value::Array(mut last)) => {
                    items.append(&mut last);
                    return Ok(Value::Array(items));
                }
                Reply::Piece(text) => {
                    let octets = STANDARD.decode(text).map_err(|error| {
                        Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
                    })?;
                    piece(&octets)?;
                }
                Reply::Done(value) => return Ok(value),
                Reply::NotFound(message) => return Err(Failure::new(Exit::No, message)),
                Reply::Bad(message) => return Err(Failure::new(Exit::Usage, message)),
                Reply::Failed(message) => return Err(Failure::new(Exit::TryAgain, message)),
            }
        }
    }

    /// Requests events from now on, and passes each on, until the server stops.
    ///
    /// # Errors
    ///
    /// The server refuses or is gone, or `event` fails.
    pub(crate) fn follow(
        &mut self,
        request: &Request,
        mut event: impl FnMut(Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let lost = |error: io::Error| Failure::io("the server does not answer", &error);
        self.send(request)?;
        loop {
            let reply = match self.reply() {
                // A server that stops closes its connections.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                reply => reply.map_err(lost)?,
            };
            match reply {
                Reply::Items(events) => events.into_iter().try_for_each(&mut event)?,
                Reply::Failed(message) | Reply::NotFound(message) | Reply::Bad(message) => {
                    return Err(Failure::new(Exit::TryAgain, message));
                }
                Reply::Piece(_) | Reply::Done(_) => return Ok(()),
            }
        }
    }

    fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let asked = Asked {
            request: request.clone(),
            told: acts::told(),
        };
        let mut line = serde_json::to_vec(&asked)
            .map_err(|error| Failure::from_error(Exit::Software, "cannot ask", &error))?;
        line.push(b'\n');
        let sent = self.stream.get_mut().write_all(&line);
        sent.map_err(|error| Failure::io("the server does not answer", &error))
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut line = Vec::new();
        (&mut self.stream)
            .take(LINE_MAX as u64 + 1)
            .read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_slice(&line).map_err(io::Error::other)
    }
}
