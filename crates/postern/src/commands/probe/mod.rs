//! `postern probe`: what a mail server offers, how it answers, and whether it does as it should.

mod load;
mod login;
mod published;
mod relay;
mod report;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use postern_net::resolver::{Dnssec, Resolver};
use postern_net::tls::{ClientTls, ClientTlsFacts, ClientTlsSettings, TlsIdentityFiles, Verification};
use postern_sasl::Mechanism;
use postern_smtp::client::Capabilities;
use secrecy::{ExposeSecret, SecretString};

use self::login::{Attempt, Ended, log_in, takes_password};
use self::published::Dane;
use self::report::{Mark, Report};
use self::wire::{Wire, WireError};
use crate::args::{ProbeArgs, ProbeCommand, ProbeHostArgs, ProbeTls};
use crate::exit::{Exit, Failure};
use crate::password;

/// The port where TLS begins at once.
const IMPLICIT_PORT: u16 = 465;

/// Does what was asked.
pub(crate) fn run(args: &ProbeArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    if let Some(ProbeCommand::Load(load)) = &args.command {
        return runtime.block_on(load::run(load));
    }
    let args = &args.host;
    let password = match &args.login {
        Some(login) => Some(password::obtain(args.password, login, 0)?.secret),
        None => None,
    };
    let report = runtime.block_on(probe(args, password.as_ref()))?;
    report.show(args.json.json)?;
    if report.is_good() {
        Ok(())
    } else {
        Err(Failure::silent(Exit::No))
    }
}

/// Name, addresses and port of a server that is named as `HOST`, `HOST:PORT`, `[IPv6]:PORT`.
async fn resolve(
    named: &str,
    usual: u16,
    resolver: &Resolver,
) -> Result<(String, Vec<SocketAddr>, Duration), Failure> {
    let (host, port) = split(named, usual);
    let begun = Instant::now();
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![ip],
        Err(_) if host == "localhost" => vec![IpAddr::from([127, 0, 0, 1])],
        Err(_) => resolver
            .addresses(&host)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, format!("{host}: {error}")))?,
    };
    let addresses = addresses
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect();
    Ok((host, addresses, begun.elapsed()))
}

fn split(named: &str, usual: u16) -> (String, u16) {
    if let Some((host, rest)) = named.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
        return (host.to_owned(), port.unwrap_or(usual));
    }
    match named.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host.to_owned(), port.parse().unwrap_or(usual)),
        _ => (named.to_owned(), usual),
    }
}

/// An address in the brackets that commands want.
fn bracketed(address: &str) -> String {
    let bare = address.trim().trim_start_matches('<').trim_end_matches('>');
    format!("<{bare}>")
}

/// What is known of the server by and by.
struct Probe<'a> {
    args: &'a ProbeHostArgs,
    host: String,
    address: SocketAddr,
    helo: String,
    tls: Option<ClientTls>,
    /// Whether TLS begins at once.
    implicit: bool,
    limit: Duration,
}

/// A dialogue that is ready for more.
struct Ready {
    wire: Wire,
    facts: Option<ClientTlsFacts>,
    capabilities: Capabilities,
}

async fn probe(args: &ProbeHostArgs, password: Option<&SecretString>) -> Result<Report, Failure> {
    let named = args.host.as_deref().unwrap_or_default();
    let resolver = published::resolver(args, Dnssec::Off)?;
    let (host, addresses, time) = resolve(named, 25, &resolver).await?;
    let mut report = Report::new(named);
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    report.add("addresses", Mark::Good, shown.join(", "), Some(time));
    published::of_the_domain(args, &host, &mut report).await?;
    let Some(&address) = addresses.first() else {
        report.add("addresses", Mark::Bad, "none", None);
        return Ok(report);
    };
    let machine = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    let mut probe = Probe {
        args,
        host,
        address,
        helo: args
            .helo
            .clone()
            .or(machine)
            .unwrap_or_else(|| "localhost".to_owned()),
        tls: None,
        implicit: args.tls == Some(ProbeTls::Implicit)
            || args.tls.is_none() && address.port() == IMPLICIT_PORT,
        limit: Duration::from_secs(args.timeout),
    };
    let dane = published::dane(args, &probe.host, address.port(), &mut report).await?;
    if let Err(error) = probe.all(password, dane, &mut report).await {
        report.add("connection", Mark::Bad, error.to_string(), None);
    }
    Ok(report)
}

impl Probe<'_> {
    async fn all(
        &mut self,
        password: Option<&SecretString>,
        dane: Option<Dane>,
        report: &mut Report,
    ) -> Result<(), WireError> {
        self.tls = self.client_tls(true, report);
        let ready = match self.open(report).await {
            Err(WireError::Handshake(error)) => {
                report.add("certificate", Mark::Bad, error.to_string(), None);
                // Once more, to see the rest.
                self.tls = self.client_tls(false, report);
                report.quiet = true;
                let ready = self.open(report).await;
                report.quiet = false;
                ready?
            }
            ready => ready?,
        };
        let Some(mut ready) = ready else { return Ok(()) };
        self.certificates(&ready, report);
        if let Some(dane) = dane {
            self.keeps_to(dane, report).await?;
        }
        self.extensions(&ready, report);
        self.pipelining(&mut ready, report).await?;
        self.message(&mut ready, report).await?;
        let (facts, capabilities) = (ready.facts.clone(), ready.capabilities.clone());
        ready.wire.quit().await;
        if let (Some(login), Some(password)) = (&self.args.login, password) {
            self.logins(login, password, facts.as_ref(), &capabilities, report)
                .await?;
        }
        if self.args.relay_test {
            relay::test(self, report).await?;
        }
        Ok(())
    }

    fn client_tls(&self, verified: bool, report: &mut Report) -> Option<ClientTls> {
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

    fn name(&self) -> &str {
        self.args.name.as_deref().unwrap_or(&self.host)
    }

    /// Connects, greets, begins TLS. None where the server does not want to talk.
    async fn open(&self, report: &mut Report) -> Result<Option<Ready>, WireError> {
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

    /// The certificates that the server has shown.
    fn certificates(&self, ready: &Ready, report: &mut Report) {
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

    /// Whether the server shows a certificate that its TLSA records name.
    async fn keeps_to(&mut self, dane: Dane, report: &mut Report) -> Result<(), WireError> {
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

    fn extensions(&self, ready: &Ready, report: &mut Report) {
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

    /// Whether replies to commands that came together come in order.
    async fn pipelining(&self, ready: &mut Ready, report: &mut Report) -> Result<(), WireError> {
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

    /// Names sender and recipients, with all that the server offers for them; sends a message where that is wanted.
    async fn message(&self, ready: &mut Ready, report: &mut Report) -> Result<(), WireError> {
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

    /// A further connection, as far as the first one came, without a word of it.
    async fn again(&self) -> Result<Option<Ready>, WireError> {
        let mut silent = Report::new("");
        silent.quiet = true;
        self.open(&mut silent).await
    }

    async fn logins(
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
                    report.add(
                        &title,
                        Mark::Bad,
                        "the server does not want to talk any more",
                        None,
                    );
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

fn words_of(facts: &ClientTlsFacts) -> String {
    format!("{} {} ({} bits)", facts.version, facts.cipher, facts.bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_ports() {
        #[rustfmt::skip]
        let cases = [
            ("mx.example.org",       ("mx.example.org", 25)),
            ("mx.example.org:587",   ("mx.example.org", 587)),
            ("192.0.2.1:465",        ("192.0.2.1", 465)),
            ("2001:db8::1",          ("2001:db8::1", 25)),
            ("[2001:db8::1]",        ("2001:db8::1", 25)),
            ("[2001:db8::1]:587",    ("2001:db8::1", 587)),
        ];
        for (named, (host, port)) in cases {
            assert_eq!(split(named, 25), (host.to_owned(), port), "{named}");
        }
        assert_eq!(bracketed("<a@b.example>"), "<a@b.example>");
        assert_eq!(bracketed("<>"), "<>");
    }
}
