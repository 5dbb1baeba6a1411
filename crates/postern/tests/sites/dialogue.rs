//! What a client of the old server sends, and how far it gets.

use std::io;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use postern_testkit::process::program;
use postern_testkit::smtp::{Client, TlsOptions};

use crate::around::from;
use crate::machine::Machine;
use crate::network::Space;
use crate::site::{Probe, Site};

/// How a dialogue ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// `RCPT 550`.
    pub(crate) verdict: String,
    /// The reply.
    pub(crate) reply: String,
}

/// Where clients are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clients<'a> {
    pub(crate) site: &'a Site,
    pub(crate) machine: &'a Machine,
    pub(crate) inside: &'a Space,
    pub(crate) outside: &'a Space,
}

impl Clients<'_> {
    /// Sends the message of a probe, marked by `X-Probe: mark`.
    pub(crate) fn send(&self, probe: &Probe, mark: &str) -> Ended {
        let mut stage = "CONNECT";
        match self.dialogue(probe, mark, &mut stage) {
            Ok(reply) => Ended {
                verdict: format!("{stage} {}", reply.get(..3).unwrap_or(&reply)),
                reply,
            },
            Err(error) => Ended {
                verdict: format!("{stage} broken"),
                reply: error.to_string(),
            },
        }
    }

    /// Continues until a reply refuses or the message is accepted; `stage` is how far it got.
    fn dialogue(&self, probe: &Probe, mark: &str, stage: &mut &'static str) -> io::Result<String> {
        let hello = format!("EHLO {}", probe.helo.as_deref().unwrap_or("client.example"));
        let mut client = self.connect(probe)?;
        if probe.pregreet.is_some() {
            client.send(format!("{hello}\r\n").as_bytes())?;
        }
        let greeting = client.reply()?;
        if !greeting.starts_with("220") {
            return Ok(greeting);
        }
        *stage = "HELO";
        let reply = if probe.pregreet.is_some() {
            client.reply()?
        } else {
            client.say(&hello)?
        };
        if !reply.starts_with("250") {
            return Ok(reply);
        }
        if probe.tls.as_deref() == Some("starttls") {
            *stage = "STARTTLS";
            let reply = client.say("STARTTLS")?;
            if !reply.starts_with("220") {
                return Ok(reply);
            }
            client = self.shake_hands(client, probe)?;
            client.say(&hello)?;
        }
        if let Some((login, password)) = &probe.login {
            *stage = "AUTH";
            let reply = authenticate(
                &mut client,
                probe.mech.as_deref().unwrap_or("PLAIN"),
                login,
                password,
            )?;
            if !reply.starts_with("235") {
                return Ok(reply);
            }
        }
        *stage = "MAIL";
        let reply = client.say(&format!("MAIL FROM:<{}>{}", probe.mail, probe.mailargs))?;
        if !reply.starts_with("250") {
            return Ok(reply);
        }
        *stage = "RCPT";
        let reply = client.say(&format!("RCPT TO:<{}>", probe.rcpt))?;
        if !reply.starts_with("250") {
            let _ = client.say("QUIT");
            return Ok(reply);
        }
        *stage = "DATA";
        let reply = client.say("DATA")?;
        if !reply.starts_with("354") {
            return Ok(reply);
        }
        client.send(message(probe, mark).as_bytes())?;
        let reply = client.say(".")?;
        let _ = client.say("QUIT");
        Ok(reply)
    }

    fn connect(&self, probe: &Probe) -> io::Result<Client> {
        let servers = &self.site.probes.server;
        let is_inside = probe.client.starts_with("127.") || servers.contains(&probe.client);
        let (space, server) = if is_inside {
            (self.inside, &probe.client)
        } else {
            (self.outside, &servers[0])
        };
        let stream = from(space, &probe.client, &format!("{server}:{}", probe.port))?;
        let client = Client::over(stream)?;
        match probe.tls.as_deref() {
            None | Some("starttls") => Ok(client),
            Some(_) => self.shake_hands(client, probe),
        }
    }

    fn shake_hands(&self, client: Client, probe: &Probe) -> io::Result<Client> {
        let at = |name: &str| self.machine.certificates.join(name);
        let identity = probe
            .cert
            .as_ref()
            .map(|name| (at(&format!("{name}.crt")), at(&format!("{name}.key"))));
        client.after_starttls(TlsOptions {
            name: &self.site.probes.host,
            ca: &at("ca.crt"),
            identity: identity
                .as_ref()
                .map(|(certificate, key)| (certificate.as_path(), key.as_path())),
        })
    }
}

fn authenticate(client: &mut Client, mechanism: &str, login: &str, password: &str) -> io::Result<String> {
    match mechanism {
        "PLAIN" => client.login(login, password),
        "LOGIN" => {
            for (line, expected) in [("AUTH LOGIN".to_owned(), "334"), (BASE64.encode(login), "334")] {
                let reply = client.say(&line)?;
                if !reply.starts_with(expected) {
                    return Ok(reply);
                }
            }
            client.say(&BASE64.encode(password))
        }
        "CRAM-MD5" => {
            let reply = client.say("AUTH CRAM-MD5")?;
            let Some(challenge) = reply.strip_prefix("334 ") else {
                return Ok(reply);
            };
            let challenge = BASE64.decode(challenge).map_err(io::Error::other)?;
            client.say(&BASE64.encode(format!("{login} {}", hmac_md5(password, &challenge)?)))
        }
        _ => Err(io::Error::other(format!("{mechanism} is not spoken here"))),
    }
}

fn hmac_md5(key: &str, data: &[u8]) -> io::Result<String> {
    use std::io::Write as _;
    let hex: String = key.bytes().map(|octet| format!("{octet:02x}")).collect();
    let mut openssl = Command::new(program("/usr/bin/openssl", "openssl"))
        .args([
            "dgst",
            "-md5",
            "-mac",
            "HMAC",
            "-macopt",
            &format!("hexkey:{hex}"),
            "-r",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    openssl.stdin.take().unwrap().write_all(data)?;
    let output = openssl.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

fn message(probe: &Probe, mark: &str) -> String {
    let from = probe.from.as_deref().unwrap_or(&probe.mail);
    let from = if from.is_empty() {
        "MAILER-DAEMON@elsewhere.example"
    } else {
        from
    };
    let mut text = format!(
        "From: {from}\r\nTo: {}\r\nSubject: {}\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{mark}@client.example>\r\n\
         X-Probe: {mark}\r\n",
        probe.hto.as_deref().unwrap_or(&probe.rcpt),
        probe.subject.as_deref().unwrap_or("a probe"),
    );
    for header in &probe.headers {
        text += &format!("{header}\r\n");
    }
    text + &format!("\r\n{}\r\n", probe.body.as_deref().unwrap_or("Hello."))
}
