//! Limits what a stranger may find out with `RCPT` and `VRFY`: beyond the allowance of its network,
//! replies are delayed ([`postern_policy::probe`]).

use std::time::Instant;

use postern_events::AnswersDelayed;
use postern_policy::probe::{ProbeSettings, Probed};
use postern_policy::rule::Verdict as _;
use tracing::debug;

use crate::io::{End, Io};
use crate::session::Session;
use crate::time;

/// Called before a directory is asked about a name: waits as long as the reply must. Clients that have authenticated or are in a
/// listed network never wait.
pub(crate) async fn wait(io: &mut Io, session: &Session) -> Result<(), End> {
    if !is_stranger(session) {
        return Ok(());
    }
    let (network, settings, now) = facts(session);
    let asked = session.shared.probes.lock().ask(network, settings, now);
    let Some((wait, reason)) = asked else {
        return Ok(());
    };
    debug!(
        target: "postern::refuse", session = %session.id, rule = reason.rule().name(), peer = %session.peer.ip(),
        wait_ms = wait.as_millis() as u64, %reason, "answer delayed"
    );
    // Earlier replies must not wait with it.
    io.flush().await?;
    tokio::time::sleep(session.patience_for(wait)).await;
    Ok(())
}

/// Notes a name that does not exist.
pub(crate) fn found_nobody(session: &Session) {
    if is_stranger(session) {
        let (network, settings, now) = facts(session);
        if session.shared.probes.lock().found_nobody(network, settings, now) {
            session.shared.deps.observers.tell(AnswersDelayed {
                session: &session.id,
                rule: Probed::Unknown.rule(),
                peer: session.peer.ip(),
                network: &network,
                reason: &Probed::Unknown,
            });
        }
    }
}

fn is_stranger(session: &Session) -> bool {
    let peer = session.peer.ip().to_canonical();
    let networks = &session.profile.settings.relay.networks;
    session.login.is_none() && !networks.iter().any(|network| network.contains(&peer))
}

fn facts(session: &Session) -> (std::net::IpAddr, ProbeSettings, Instant) {
    let settings = &session.profile.settings;
    let network = settings.throttle.network.of(session.peer.ip());
    (network, settings.probes, time::now())
}
