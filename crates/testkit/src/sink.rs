//! A next hop that accepts all mail and records it.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::process::wait_until;

/// One message as it arrived.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The argument of `MAIL FROM`, parameters included.
    pub mail: String,
    /// The arguments of `RCPT TO`.
    pub rcpt: Vec<String>,
    /// Header and body with CRLF, dots unstuffed.
    pub content: String,
}

/// An SMTP server on a loopback port, one thread per connection, that accepts every message.
///
/// A recipient whose local part starts with `tempfail` gets `450`, with `reject` gets `550`.
#[derive(Debug)]
pub struct Sink {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Vec<Taken>>,
    /// How often each `Message-ID` or `X-Id` arrived, kept even if contents are not.
    ids: Mutex<HashMap<String, u32>>,
    keep: AtomicBool,
    total: AtomicU64,
    stop: AtomicBool,
}

impl Sink {
    /// Starts on a free port.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on(0)
    }

    /// Starts on the given port; 0 picks a free one.
    ///
    /// # Panics
    ///
    /// If the port is in use.
    #[must_use]
    pub fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the sink's port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let shared = Arc::new(Shared {
            keep: AtomicBool::new(true),
            ..Shared::default()
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if for_thread.stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&for_thread);
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { port, shared }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on only the `X-Id` fields are kept, not the contents.
    pub fn count_only(&self) {
        self.shared.keep.store(false, Ordering::Relaxed);
    }

    /// How many messages have arrived.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shared.total.load(Ordering::Relaxed)
    }

    /// All messages so far.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.shared
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How often each `X-Id` arrived.
    #[must_use]
    pub fn ids(&self) -> HashMap<String, u32> {
        self.shared
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for a message that contains `text` and returns it.
    ///
    /// # Panics
    ///
    /// If it does not arrive.
    #[must_use]
    pub fn wait_for(&self, text: &str) -> Taken {
        let mut found = None;
        wait_until(&format!("a message with {text:?}"), || {
            found = self
                .taken()
                .into_iter()
                .find(|taken| taken.content.contains(text));
            found.is_some()
        });
        found.expect("set above")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, so that it releases the port.
        let _ = TcpStream::connect_timeout(
            &SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            Duration::from_secs(1),
        );
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 sink.test ESMTP\r\n")?;
    let (mut mail, mut rcpt) = (String::new(), Vec::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let upper = text.to_ascii_uppercase();
        let reply: String = if upper.starts_with("EHLO") {
            "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 SIZE 0\r\n".into()
        } else if upper.starts_with("MAIL FROM:") {
            mail = text[10..].to_owned();
            rcpt.clear();
            "250 2.1.0 ok\r\n".into()
        } else if upper.starts_with("RCPT TO:") {
            let to = text[8..].to_owned();
            if to.starts_with("<tempfail") {
                "450 4.2.0 later\r\n".into()
            } else if to.starts_with("<reject") {
                "550 5.1.1 no such user\r\n".into()
            } else {
                rcpt.push(to);
                "250 2.1.5 ok\r\n".into()
            }
        } else if upper == "DATA" && rcpt.is_empty() {
            "554 5.5.1 no valid recipients\r\n".into()
        } else if upper == "DATA" {
            stream.write_all(b"354 go\r\n")?;
            let content = content(&mut input)?;
            note(shared, &mail, &rcpt, content);
            "250 2.0.0 taken\r\n".into()
        } else if upper == "QUIT" {
            stream.write_all(b"221 2.0.0 bye\r\n")?;
            return Ok(());
        } else {
            "250 2.0.0 ok\r\n".into()
        };
        stream.write_all(reply.as_bytes())?;
    }
}

/// The message after `DATA`, with dots unstuffed.
pub(crate) fn content(input: &mut impl BufRead) -> io::Result<String> {
    let mut content = Vec::new();
    loop {
        let start = content.len();
        if input.read_until(b'\n', &mut content)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if &content[start..] == b".\r\n" {
            content.truncate(start);
            return Ok(String::from_utf8_lossy(&content).into_owned());
        }
        if content[start] == b'.' {
            content.remove(start);
        }
    }
}

fn note(shared: &Shared, mail: &str, rcpt: &[String], content: String) {
    if let Some(id) = content.lines().find_map(|line| line.strip_prefix("X-Id: ")) {
        *shared
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(id.to_owned())
            .or_default() += 1;
    }
    if shared.keep.load(Ordering::Relaxed) {
        let taken = Taken {
            mail: mail.to_owned(),
            rcpt: rcpt.to_vec(),
            content,
        };
        shared
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(taken);
    }
    shared.total.fetch_add(1, Ordering::Relaxed);
}
