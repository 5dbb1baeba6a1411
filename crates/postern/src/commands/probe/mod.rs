//! `postern probe`: what a mail server offers, how it answers, and whether it does as it should.

mod load;
mod login;
mod named;
mod probing;
mod published;
mod relay;
mod report;
mod wire;

use std::time::Duration;

use postern_net::resolver::Dnssec;
use postern_net::tls::HandshakeError;
use secrecy::SecretString;

use self::named::resolve;
use self::probing::Probe;
use self::published::Dane;
use self::report::{Mark, Report};
use self::wire::WireError;
use crate::args::{ProbeArgs, ProbeCommand, ProbeHostArgs, ProbeTls};
use crate::exit::{Exit, Failure};
use crate::password;

/// The port with implicit TLS.
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
    /// Runs all steps.
    async fn all(
        &mut self,
        password: Option<&SecretString>,
        dane: Option<Dane>,
        report: &mut Report,
    ) -> Result<(), WireError> {
        self.tls = self.client_tls(true, report);
        let ready = match self.open(report).await {
            Err(WireError::Handshake(error)) => {
                let text = match (&error, &self.args.ca) {
                    (HandshakeError::Unverified { .. }, None) => {
                        format!("{error}; --ca FILE trusts an authority of your own")
                    }
                    _ => error.to_string(),
                };
                report.add("verified", Mark::Bad, text, None);
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
}
