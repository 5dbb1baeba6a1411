//! A filter without a library: the test determines what it sends, octet by octet.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::process::wait_until;

/// A [`ScriptedMilter`]'s reaction to a command.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends octets, if there are any.
    Say(Vec<u8>),
    /// Sends octets and closes the connection.
    Die(Vec<u8>),
    /// Does nothing until the connection ends.
    Hang,
}

type Script = dyn Fn(usize, u8, &[u8]) -> Act + Send + Sync;

/// A filter whose answers are a function of the number of the connection, from 1, the letter of the command, and its data.
#[derive(Debug)]
pub struct ScriptedMilter {
    folder: TempDir,
    heard: Arc<Mutex<Vec<(usize, char)>>>,
    ended: Arc<Mutex<Vec<usize>>>,
}

/// A packet: the length, the letter, the data.
#[must_use]
pub fn packet(letter: u8, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len() + 1).unwrap_or(u32::MAX);
    let mut packet = len.to_be_bytes().to_vec();
    packet.push(letter);
    packet.extend_from_slice(data);
    packet
}

/// The answers of a filter that agrees to version 6, all actions and all steps, and accepts everything.
#[must_use]
pub fn content(letter: u8) -> Act {
    Act::Say(match letter {
        b'O' => {
            let words = [6_u32, 0x1ff, 0];
            packet(b'O', &words.map(u32::to_be_bytes).concat())
        }
        b'D' | b'A' | b'Q' | b'K' => Vec::new(),
        _ => packet(b'c', b""),
    })
}

impl ScriptedMilter {
    /// Starts it on a Unix socket. Its threads end with their connections.
    ///
    /// # Panics
    ///
    /// If no socket can be created.
    #[must_use]
    pub fn start(script: impl Fn(usize, u8, &[u8]) -> Act + Send + Sync + 'static) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let listener = UnixListener::bind(folder.path().join("socket")).expect("a socket");
        let heard: Arc<Mutex<Vec<(usize, char)>>> = Arc::default();
        let ended: Arc<Mutex<Vec<usize>>> = Arc::default();
        let script: Arc<Script> = Arc::new(script);
        let (noted, over) = (Arc::clone(&heard), Arc::clone(&ended));
        thread::spawn(move || {
            for (place, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                let (script, noted, over) = (Arc::clone(&script), Arc::clone(&noted), Arc::clone(&over));
                thread::spawn(move || {
                    serve(stream, place + 1, &*script, &noted);
                    over.lock().expect("a lock").push(place + 1);
                });
            }
        });
        Self { folder, heard, ended }
    }

    /// Its address, as sendmail writes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:{}", self.folder.path().join("socket").display())
    }

    /// The letters of the commands received on one connection, without macros.
    ///
    /// # Panics
    ///
    /// If one of its threads panicked.
    #[must_use]
    pub fn heard(&self, connection: usize) -> String {
        let heard = self.heard.lock().expect("a lock");
        let of_it = heard.iter().filter(|(number, _)| *number == connection);
        of_it.map(|(_, letter)| *letter).collect()
    }

    /// Whether a connection has ended.
    ///
    /// # Panics
    ///
    /// If one of its threads panicked.
    #[must_use]
    pub fn has_ended(&self, connection: usize) -> bool {
        self.ended.lock().expect("a lock").contains(&connection)
    }

    /// Waits until it has received exactly these commands on a connection.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn wait_for(&self, connection: usize, letters: &str) {
        wait_until(&format!("{letters} on connection {connection}"), || {
            self.heard(connection) == letters
        });
    }
}

fn serve(mut stream: UnixStream, number: usize, script: &Script, noted: &Mutex<Vec<(usize, char)>>) {
    loop {
        let mut head = [0; 5];
        if stream.read_exact(&mut head).is_err() {
            return;
        }
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let mut data = vec![0; (len as usize).saturating_sub(1)];
        if stream.read_exact(&mut data).is_err() {
            return;
        }
        if head[4] != b'D' {
            let mut noted = noted.lock().expect("a lock");
            noted.push((number, char::from(head[4])));
        }
        match script(number, head[4], &data) {
            Act::Say(octets) => {
                if stream.write_all(&octets).is_err() {
                    return;
                }
            }
            Act::Die(octets) => {
                let _ = stream.write_all(&octets);
                return;
            }
            Act::Hang => {
                let mut rest = [0; 4_096];
                while matches!(stream.read(&mut rest), Ok(len) if len > 0) {}
                return;
            }
        }
    }
}
