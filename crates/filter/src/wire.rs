//! A socket to a filter: packets in and out.

use std::io;
use std::os::fd::{AsRawFd as _, RawFd};

use bytes::BytesMut;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use postern_milter::Command;
use postern_milter::frame::{self, DATA_MAX, Packet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UnixStream};

use crate::address::Address;
use crate::failure::Cause;

/// Commands without an answer are gathered up to this many octets before they are sent, if there is memory for them.
const GATHER: usize = 64 << 10;

/// Octets of buffer that a connection keeps between messages.
const KEPT: usize = 8 << 10;

/// Most unsolicited progress notes that are tolerated.
const STRAY_PROGRESS_MAX: usize = 100;

#[derive(Debug)]
enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    input: BytesMut,
    output: BytesMut,
    /// Octets of commands without an answer that are gathered before they are sent.
    gather: usize,
}

impl Wire {
    /// Connects. A host's addresses are tried in the resolver's order.
    pub(crate) async fn connect(address: &Address) -> io::Result<Self> {
        let socket = match address {
            Address::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Socket::Tcp(stream)
            }
        };
        Ok(Self {
            socket,
            input: BytesMut::new(),
            output: BytesMut::new(),
            gather: GATHER,
        })
    }

    /// Appends a command to what is waiting to be sent.
    pub(crate) fn put(&mut self, command: &Command<'_>, data_max: usize) -> Result<(), Cause> {
        let start = self.output.len();
        let len = command.put(&mut self.output);
        if len > data_max {
            self.output.truncate(start);
            return Err(Cause::DoesNotFit { len, max: data_max });
        }
        Ok(())
    }

    /// Whether so much is waiting that it should be sent now.
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() >= self.gather
    }

    /// Sends what is waiting.
    pub(crate) async fn flush(&mut self) -> Result<(), Cause> {
        let sent = match &mut self.socket {
            Socket::Unix(stream) => stream.write_all(&self.output).await,
            Socket::Tcp(stream) => stream.write_all(&self.output).await,
        };
        self.output.clear();
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Cause::Closed,
            _ => Cause::Broken(error),
        })
    }

    /// Octets waiting to be sent.
    pub(crate) fn waiting(&self) -> usize {
        self.output.len()
    }

    /// From now on it counts as full with this many octets.
    pub(crate) fn gather_up_to(&mut self, octets: usize) {
        self.gather = octets.min(GATHER);
    }

    /// Releases memory that only large messages need.
    pub(crate) fn let_memory_go(&mut self) {
        self.gather = GATHER;
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > KEPT {
                *buffer = BytesMut::new();
            }
        }
    }

    /// Waits for the next packet.
    pub(crate) async fn receive(&mut self) -> Result<Packet, Cause> {
        loop {
            if let Some(packet) = frame::take(&mut self.input, DATA_MAX)? {
                return Ok(packet);
            }
            self.input.reserve(4 << 10);
            let read = match &mut self.socket {
                Socket::Unix(stream) => stream.read_buf(&mut self.input).await,
                Socket::Tcp(stream) => stream.read_buf(&mut self.input).await,
            };
            match read {
                Ok(0) => return Err(Cause::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(Cause::Closed),
                Err(error) => return Err(Cause::Broken(error)),
            }
        }
    }

    /// Checks whether the filter has sent something unsolicited, or has closed the connection. Does not wait.
    ///
    /// A progress note may come late, from another thread of the filter, and means nothing: it is ignored.
    pub(crate) fn check_quiet(&mut self) -> Result<(), Cause> {
        for _ in 0..STRAY_PROGRESS_MAX {
            match frame::take(&mut self.input, DATA_MAX)? {
                Some(packet) if packet.name == b'p' && packet.data.is_empty() => continue,
                Some(packet) => return Err(Cause::Unasked(named(packet.name))),
                None => {}
            }
            if let Some(name) = self.input.get(4) {
                return Err(Cause::Unasked(named(*name)));
            }
            // The kernel is asked, not tokio, which learns of new data only when it next waits.
            let mut octets = [0; 1_024];
            match recv(self.descriptor(), &mut octets, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(Errno::ECONNRESET) => return Err(Cause::Closed),
                Ok(len) => self.input.extend_from_slice(&octets[..len]),
                Err(Errno::EAGAIN) if self.input.is_empty() => {
                    self.is_read_out();
                    return Ok(());
                }
                Err(Errno::EINTR) if self.input.is_empty() => return Ok(()),
                Err(Errno::EAGAIN | Errno::EINTR) => return Err(Cause::Unasked("cut short".into())),
                Err(error) => return Err(Cause::Broken(error.into())),
            }
        }
        Err(Cause::Unasked("progress, over and over".into()))
    }

    /// The kernel has just said that there is nothing to read, so tokio need not ask it again before it waits. It is notified of
    /// what comes from now on.
    fn is_read_out(&self) {
        let nothing = || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
        let _ = match &self.socket {
            Socket::Unix(stream) => stream.try_io(Interest::READABLE, nothing),
            Socket::Tcp(stream) => stream.try_io(Interest::READABLE, nothing),
        };
    }

    fn descriptor(&self) -> RawFd {
        match &self.socket {
            Socket::Unix(stream) => stream.as_raw_fd(),
            Socket::Tcp(stream) => stream.as_raw_fd(),
        }
    }
}

fn named(name: u8) -> String {
    if name.is_ascii_graphic() {
        char::from(name).to_string()
    } else {
        format!("{name:#04x}")
    }
}
