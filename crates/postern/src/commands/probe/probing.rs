//! One server, step by step: each checks one thing and reports it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use postern_net::tls::{ClientTls, ClientTlsFacts, ClientTlsSettings, TlsIdentityFiles, Verification};
use postern_sasl::Mechanism;
use postern_smtp::client::Capabilities;
use secrecy::{ExposeSecret, SecretString};

use super::login::{Attempt, Ended, log_in, takes_password};
use super::named::bracketed;
use super::published::Dane;
use super::report::{Mark, Report};
use super::wire::{Wire, WireError};
use crate::args::{ProbeHostArgs, ProbeTls};

/// What is gradually learned about the server.
pub(super) struct Probe<'a> {
    pub(super) args: &'a ProbeHostArgs,
    pub(super) host: String,
    pub(super) address: SocketAddr,
    pub(super) helo: String,
    pub(super) tls: Option<ClientTls>,
    /// Whether implicit TLS is used.
    pub(super) implicit: bool,
    pub(super) limit: Duration,
}

/// A dialogue that is ready for more.
pub(super) struct Ready {
    pub(super) wire: Wire,
    pub(super) facts: Option<ClientTlsFacts>,
    pub(super) capabilities: Capabilities,
}

impl Probe<'_> {
    pub(super) fn client_tls(&self, verified: bool, report: &mut Report) -> Option<ClientTls> {
        if self.args.tls == Some(ProbeTls::None) {
            return None;
        }
        let verification = match (&self.args.ca, verified) {
            (_, false) => Verification::None,
            (Some(file), true) => Verification::CaFile(file.clone()),
            (None, true) => Verification::SystemRoots,
        };
        let identity = self.args.certificate.as_ref().zip(self.args.key.as_ref());
        let settings = ClientTlsSettings {
            identity: identity.map(|(certificate, key)| TlsIdentityFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                passphrase_file: None,
            }),
            ..ClientTlsSettings::new(verification)
        };
        match ClientTls::load(&settings) {
            Ok(tls) => Some(tls),
            Err(error) => {
                report.add("TLS", Mark::Bad, crate::exit::chain(&error), None);
                None
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        self.args.name.as_deref().unwrap_or(&self.host)
    }

    /// Connects, greets, starts TLS. None if the server does not cooperate.
    pub(super) async fn open(&self, report: &mut Report) -> Result<Option<Ready>, WireError> {
        let begun = Instant::now();
        let mut wire = Wire::connect(self.address, self.args.proxy, self.limit).await?;
        report.add(
            "connection",
            Mark::Good,
            format!("to {}", self.address),
            Some(begun.elapsed()),
        );
        let mut facts = None;
        if let (true, Some(tls)) = (self.implicit, &self.tls) {
            let begun = Instant::now();
            let made = wire.secure(tls, self.name()).await?;
            report.add(
                "TLS at once",
                Mark::Good,
                words_of(&made.1),
                Some(begun.elapsed()),
            );
            (wire, facts) = (made.0, Some(made.1));
        }
        let begun = Instant::now();
        let greeting = wire.reply().await?;
        let mark = if greeting.is_success() {
            Mark::Good
        } else {
            Mark::Bad
        };
        report.add("greeting", mark, greeting.to_string(), Some(begun.elapsed()));
        if !greeting.is_success() {
            return Ok(None);
        }
        let (reply, mut capabilities, time) = wire.hello(&self.helo).await?;
        let mark = if reply.is_success() { Mark::Good } else { Mark::Bad };
        report.add("EHLO", mark, reply.lines().next().unwrap_or_default(), Some(time));
        let wanted = self.args.tls == Some(ProbeTls::Starttls);
        if facts.is_none()
            && let Some(tls) = self.tls.as_ref().filter(|_| capabilities.starttls)
        {
            let (reply, _) = wire.ask("STARTTLS").await?;
            if reply.is_success() {
                let begun = Instant::now();
                let made = wire.secure(tls, self.name()).await?;
                report.add("STARTTLS", Mark::Good, words_of(&made.1), Some(begun.elapsed()));
                (wire, facts) = (made.0, Some(made.1));
                (_, capabilities, _) = wire.hello(&self.helo).await?;
            } else {
                report.add("STARTTLS", Mark::Bad, reply.to_string(), None);
            }
        } else if facts.is_none() && self.tls.is_some() {
            let mark = if wanted { Mark::Bad } else { Mark::Note };
            report.add(
                "STARTTLS",
                mark,
                "not offered: mail and passwords cross the network in the clear",
                None,
            );
        }
        Ok(Some(Ready {
            wire,
            facts,
            capabilities,
        }))
    }

    /// The certificates that the server presented.
    pub(super) fn certificates(&self, ready: &Ready, report: &mut Report) {
        let Some(facts) = &ready.facts else { return };
        let now = jiff::Timestamp::now();
        for (place, certificate) in ready.wire.chain().iter().enumerate() {
            let title = if place == 0 { "certificate" } else { "issued by" };
            let mark = if certificate.not_after < now || certificate.not_before > now {
                Mark::Bad
            } else {
                Mark::Good
            };
            let names = match certificate.names.is_empty() {
                true => String::new(),
                false => format!(" for {}", certificate.names.join(", ")),
            };
            let text = format!(
                "{}{names}, {}, until {:.0}, SHA-256 {}",
                certificate.subject,
                certificate.key_type,
                certificate.not_after,
                certificate.fingerprint_sha256,
            );
            report.add(title, mark, text, None);
        }
        if facts.verify.is_ok() {
            report.add("verified", Mark::Good, format!("for {}", self.name()), None);
        }
    }

    /// Whether the server presents a certificate that matches its TLSA records.
    pub(super) async fn keeps_to(&mut self, dane: Dane, report: &mut Report) -> Result<(), WireError> {
        let names: Vec<&str> = dane.names.iter().map(String::as_str).collect();
        let Some(held) = self.tls.as_ref().map(|tls| tls.held_to(dane.records, &names)) else {
            return Ok(());
        };
        let usual = self.tls.replace(held);
        let outcome = self.again().await;
        self.tls = usual;
        match outcome {
            Ok(Some(ready)) if ready.facts.is_some() => {
                report.add(
                    "DANE",
                    Mark::Good,
                    "the certificate is the one that TLSA records name",
                    None,
                );
                ready.wire.quit().await;
            }
            Ok(_) => report.add(
                "DANE",
                Mark::Bad,
                "there are TLSA records, and no TLS: mail from senders with DANE waits",
                None,
            ),
            Err(WireError::Handshake(error)) => report.add(
                "DANE",
                Mark::Bad,
                format!("{error}: mail from senders with DANE waits"),
                None,
            ),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn extensions(&self, ready: &Ready, report: &mut Report) {
        let peer = &ready.capabilities;
        let size = match peer.size {
            Some(0) => Some("SIZE without a limit".to_owned()),
            Some(size) => Some(format!("SIZE {size}")),
            None => None,
        };
        let offered = [
            (peer.pipelining, "PIPELINING"),
            (peer.chunking, "CHUNKING"),
            (peer.binary_mime, "BINARYMIME"),
            (peer.eight_bit_mime, "8BITMIME"),
            (peer.smtputf8, "SMTPUTF8"),
            (peer.dsn, "DSN"),
            (peer.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
        ];
        let mut words: Vec<String> = offered
            .iter()
            .filter(|(offered, _)| *offered)
            .map(|(_, word)| (*word).to_owned())
            .collect();
        words.extend(size);
        let missing: Vec<&str> = offered
            .iter()
            .filter(|(offered, _)| !offered)
            .map(|(_, word)| *word)
            .collect();
        report.add("offers", Mark::Good, words.join(", "), None);
        if !missing.is_empty() {
            report.add("does not offer", Mark::Note, missing.join(", "), None);
        }
        if peer.auth {
            let clear = ready.facts.is_none();
            let open: Vec<&str> = peer.auth_mechanisms.iter().map(|name| &**name).collect();
            let shows = |name: &&str| matches!(*name, "PLAIN" | "LOGIN");
            let bad = clear && open.iter().any(shows) && !self.address.ip().is_loopback();
            let mark = if bad { Mark::Bad } else { Mark::Good };
            let more = if bad {
                ": passwords would cross the network in the clear"
            } else {
                ""
            };
            report.add("AUTH", mark, format!("{}{more}", open.join(", ")), None);
        }
    }

    /// Whether replies to pipelined commands come in order.
    pub(super) async fn pipelining(&self, ready: &mut Ready, report: &mut Report) -> Result<(), WireError> {
        if !ready.capabilities.pipelining {
            return Ok(());
        }
        let begun = Instant::now();
        ready.wire.send(b"RSET\r\nRSET\r\nRSET\r\n").await?;
        let mut good = true;
        for _ in 0..3 {
            good &= ready.wire.reply().await?.is_success();
        }
        let mark = if good { Mark::Good } else { Mark::Bad };
        report.add(
            "three commands at once",
            mark,
            if good { "three replies" } else { "not all taken" },
            Some(begun.elapsed()),
        );
        Ok(())
    }

    /// Sends sender and recipients, with all parameters that the server offers for them; sends a message if
    /// requested.
    pub(super) async fn message(&self, ready: &mut Ready, report: &mut Report) -> Result<(), WireError> {
        if self.args.to.is_empty() {
            return Ok(());
        }
        let Ready {
            wire, capabilities, ..
        } = ready;
        let content = format!(
            "From: {}\r\nTo: {}\r\nSubject: postern probe\r\n\r\nSent by postern probe from {}.\r\n",
            bracketed(&self.args.from),
            self.args.to.join(", "),
            self.helo
        );
        let mut mail = format!("MAIL FROM:{}", bracketed(&self.args.from));
        if capabilities.size.is_some() {
            mail.push_str(&format!(" SIZE={}", content.len()));
        }
        if capabilities.dsn {
            mail.push_str(" RET=HDRS ENVID=postern-probe");
        }
        let (reply, time) = wire.ask(&mail).await?;
        let mark = if reply.is_success() { Mark::Good } else { Mark::Bad };
        report.add(&mail, mark, reply.to_string(), Some(time));
        let mut taken = false;
        for to in &self.args.to {
            let notify = if capabilities.dsn { " NOTIFY=NEVER" } else { "" };
            let command = format!("RCPT TO:{}{notify}", bracketed(to));
            let (reply, time) = wire.ask(&command).await?;
            let mark = if reply.is_success() { Mark::Good } else { Mark::Bad };
            taken |= reply.is_success();
            report.add(&command, mark, reply.to_string(), Some(time));
        }
        if !(self.args.send && taken) {
            wire.ask("RSET").await?;
            return Ok(());
        }
        let begun = Instant::now();
        let (command, reply) = if capabilities.chunking {
            wire.send(format!("BDAT {} LAST\r\n{content}", content.len()).as_bytes())
                .await?;
            ("BDAT", wire.reply().await?)
        } else {
            let (reply, _) = wire.ask("DATA").await?;
            if reply.code != 354 {
                report.add("DATA", Mark::Bad, reply.to_string(), None);
                return Ok(());
            }
            wire.send(format!("{content}.\r\n").as_bytes()).await?;
            ("DATA", wire.reply().await?)
        };
        let mark = if reply.is_success() { Mark::Good } else { Mark::Bad };
        report.add(command, mark, reply.to_string(), Some(begun.elapsed()));
        Ok(())
    }

    /// Another connection, up to the point that the first one reached, without reporting it.
    pub(super) async fn again(&self) -> Result<Option<Ready>, WireError> {
        let mut silent = Report::new("");
        silent.quiet = true;
        self.open(&mut silent).await
    }

    pub(super) async fn logins(
        &self,
        login: &str,
        password: &SecretString,
        facts: Option<&ClientTlsFacts>,
        capabilities: &Capabilities,
        report: &mut Report,
    ) -> Result<(), WireError> {
        let offered = |mechanism: &Mechanism| {
            capabilities
                .auth_mechanisms
                .iter()
                .any(|name| &**name == mechanism.name())
        };
        let tried: Vec<Mechanism> = match self.args.mechanism {
            Some(one) => vec![one],
            None => Mechanism::ALL
                .iter()
                .copied()
                .filter(|one| takes_password(*one) && offered(one))
                .collect(),
        };
        if tried.is_empty() {
            report.add(
                "logins",
                Mark::Bad,
                "no mechanism is offered that takes a password",
                None,
            );
        }
        for mechanism in tried {
            if facts.is_none() && matches!(mechanism, Mechanism::ScramPlus(_)) {
                continue;
            }
            let wrong = SecretString::from(format!("{}-wrong", password.expose_secret()));
            for (title, secret, should) in [
                ("right password", password, true),
                ("wrong password", &wrong, false),
            ] {
                if !should && self.args.no_wrong_password {
                    continue;
                }
                let title = format!("{mechanism}, {title}");
                let Some(mut ready) = self.again().await? else {
                    report.add(&title, Mark::Bad, "the server has ended the session", None);
                    return Ok(());
                };
                let attempt = Attempt {
                    mechanism,
                    login,
                    password: secret.clone(),
                    host: self.name(),
                    port: self.address.port(),
                    tls: ready.facts.as_ref(),
                    offered: &ready.capabilities.auth_mechanisms,
                };
                let begun = Instant::now();
                let ended = log_in(&mut ready.wire, attempt).await?;
                let (granted, text) = match &ended {
                    Ended::Granted(reply) => (true, reply.to_string()),
                    Ended::Refused(reply) => (false, reply.to_string()),
                    Ended::Broken(why) => (false, why.clone()),
                };
                let mark = if granted == should { Mark::Good } else { Mark::Bad };
                report.add(&title, mark, text, Some(begun.elapsed()));
                ready.wire.quit().await;
            }
        }
        Ok(())
    }
}

pub(super) fn words_of(facts: &ClientTlsFacts) -> String {
    format!("{} {} ({} bits)", facts.version, facts.cipher, facts.bits)
}
