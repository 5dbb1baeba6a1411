//! A minimal SMTP server for authentication, for programs that only authenticate over SMTP.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use postern_sasl::{Mechanism, SaslError, ServerContext, wire};

use super::{Directory, Said, Server};

/// How one connection ended: the login, or why there was none.
pub type Ending = Result<String, String>;

/// Serves one connection on a free port, offering this mechanism.
pub fn serve(
    mechanism: Mechanism,
    context: ServerContext,
    directory: Directory,
) -> (SocketAddr, JoinHandle<Ending>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().map_err(|error| error.to_string())?;
        let timeout = Some(Duration::from_secs(20));
        stream
            .set_read_timeout(timeout)
            .map_err(|error| error.to_string())?;
        let server = Server::new(mechanism, &context, directory);
        Session {
            lines: BufReader::new(stream),
            server,
            ending: Err("it never tried".into()),
        }
        .run(mechanism)
    });
    (address, thread)
}

struct Session {
    lines: BufReader<TcpStream>,
    server: Server,
    ending: Ending,
}

impl Session {
    fn run(mut self, mechanism: Mechanism) -> Ending {
        self.reply("220 mail.fccc.example ESMTP");
        while let Some(line) = self.line() {
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.reply(&format!("250-mail.fccc.example\r\n250 AUTH {mechanism}")),
                "AUTH" => self.login(&line),
                "MAIL" | "RCPT" => self.reply("250 2.1.0 ok"),
                "RSET" | "NOOP" => self.reply("250 2.0.0 ok"),
                "DATA" => self.reply("554 5.0.0 enough"),
                "QUIT" => {
                    self.reply("221 2.0.0 bye");
                    break;
                }
                _ => self.reply("500 5.5.1 what?"),
            }
        }
        self.ending
    }

    fn login(&mut self, line: &str) {
        let initial = line.split(' ').nth(2);
        let mut message = initial.map(|initial| wire::decode_initial(initial.as_bytes()).expect("base64"));
        loop {
            match self.server.say(message.as_deref().map(Vec::as_slice)) {
                Said::Challenge(challenge) => {
                    self.reply(&format!("334 {}", wire::encode(&challenge)));
                    match self.line() {
                        Some(line) if line != "*" => {
                            message = Some(wire::decode(line.as_bytes()).expect("base64"));
                        }
                        _ => {
                            self.ending = Err("it gave up".into());
                            return self.reply("501 5.0.0 cancelled");
                        }
                    }
                }
                Said::Done(outcome) => {
                    self.ending = Ok(outcome.login);
                    return self.reply("235 2.7.0 welcome");
                }
                Said::Fail(error) => {
                    self.ending = Err(error.to_string());
                    return match error {
                        SaslError::Malformed { .. } => self.reply("501 5.5.2 malformed"),
                        _ => self.reply("535 5.7.8 no"),
                    };
                }
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.lines
            .read_line(&mut line)
            .ok()
            .filter(|&length| length > 0)?;
        Some(line.trim_end().to_owned())
    }

    fn reply(&mut self, text: &str) {
        // A peer that has gone is noticed at the next line.
        let _ = self.lines.get_mut().write_all(format!("{text}\r\n").as_bytes());
    }
}
