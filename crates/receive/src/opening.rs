//! The beginning of a session, up to the greeting; and the start of TLS, at once or later.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use postern_events::{Refused, TlsFailed, TlsInjected, TlsStarted};
use postern_net::MailStream;
use postern_net::proxy::{self, Header};
use postern_policy::admission::AdmissionRefusal;
use postern_policy::rule::{Rule, Ruling};
use postern_policy::screen::finding::ClientName;
use postern_smtp::reply::{Reply, texts};
use postern_smtp::server::Dialogue;
use tokio::net::TcpStream;

use crate::access::{self, Accessing};
use crate::count::{Counted, Newcomer, Signal};
use crate::io::{CUT_MAX, End, Io};
use crate::milters::Filtering;
use crate::screen::look::Look;
use crate::session::{About, Session};
use crate::{ListenerTls, Role, greeting, login, screen};

/// The client's address and the one it connected to, from the header of a proxy in a listed network. `None` if there is none: the
/// connection is closed.
pub(crate) async fn real_peer(
    session: &Session,
    stream: &TcpStream,
    peer: SocketAddr,
) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let profile = &session.profile;
    if !profile.listener.expects_proxy_header(peer.ip()) {
        return Some((peer, None));
    }
    match Box::pin(proxy::read_header(stream, profile.settings.timeouts.proxy_header)).await {
        Ok(Header::Proxied { source, destination }) => Some((source, Some(destination))),
        Ok(Header::Local) => Some((peer, None)),
        Err(error) => {
            session.shared.deps.observers.tell(Refused {
                session: Some(&session.id),
                listener: session.listener(),
                peer: peer.ip(),
                login: None,
                acts_as: None,
                helo: "",
                from: None,
                to: None,
                recipients: None,
                rule: Rule::ProxyHeader,
                milter: None,
                reply: None,
                reason: &error,
            });
            None
        }
    }
}

/// Asks policy whether to admit the session. `awaits_proxy` says that a proxy has yet to say where it comes from.
pub(crate) fn admit(session: &Session, awaits_proxy: bool) -> Result<Counted, Reply> {
    let shared = &session.shared;
    let known_as = session.known_as();
    let newcomer = newcomer(session, known_as.as_deref(), awaits_proxy);
    let settings = &session.profile.settings.admission;
    shared
        .counts
        .enter(&newcomer, settings)
        .map_err(|refusal| refused(&refusal, session))
}

/// The same, once a proxy has said where the session comes from.
pub(crate) fn admit_proxied(session: &Session, counted: &mut Counted) -> Result<(), Reply> {
    let known_as = session.known_as();
    counted
        .came_from(&newcomer(session, known_as.as_deref(), false))
        .map_err(|refusal| refused(&refusal, session))
}

fn newcomer<'a>(session: &Session, known_as: Option<&'a str>, awaits_proxy: bool) -> Newcomer<'a> {
    Newcomer {
        pool: session.pool(),
        peer: (!awaits_proxy).then(|| session.peer.ip()),
        known_as: known_as.filter(|_| !awaits_proxy),
        load: session.shared.deps.load.get(),
    }
}

fn refused(refusal: &AdmissionRefusal, session: &Session) -> Reply {
    let reply = texts::refusal(refusal.told(), "");
    session.refused(refusal, &reply, &About::default());
    reply
}

/// Tells a client that it was not admitted, unless too many are being told.
pub(crate) async fn send_away(stream: impl Into<MailStream>, session: &Session, reply: &Reply) {
    let Some(_lingering) = session.shared.counts.linger() else {
        return;
    };
    let mut io = Io::new(stream.into(), session.profile.settings.timeouts.write);
    if session.profile.listener.tls != ListenerTls::Implicit {
        io.put(reply);
    }
    io.close_within(CUT_MAX, true).await;
}

/// Starts implicit TLS, greets, and finds out the client's name.
///
/// # Errors
///
/// The session is over.
pub(crate) async fn open(
    io: &mut Io,
    session: &mut Session,
    filtering: &mut Option<Box<Filtering>>,
    signal: &Signal,
) -> Result<Dialogue, End> {
    let profile = Arc::clone(&session.profile);
    let timeouts = &profile.settings.timeouts;
    if profile.listener.tls == ListenerTls::Implicit {
        start_tls(io, session).await?;
    }
    screen::begin(session);
    session.access = Accessing::of(session);
    if is_held_back(session) && io.speaks_within(timeouts.greeting_delay).await? {
        if let (Some(screening), Some(_)) = (&mut session.screening, profile.settings.screen.early_talk_score)
        {
            screening.talked_early();
        } else {
            return Err(refuse_early_talk(io, session));
        }
    }
    if session.access.is_some()
        && let Some(reply) = Box::pin(access::connect(session)).await
    {
        io.put(&reply);
        return Err(End::Closed);
    }
    *filtering = Filtering::of(session);
    if let Some(filtering) = filtering {
        // Filters are told the name, and may refuse the session in place of the greeting.
        session.called = name_of(session, signal).await;
        if let Some(answer) = filtering
            .connect(session)
            .await
            .and_then(|ruled| ruled.tell(&About::default(), session))
        {
            io.put(&answer.reply);
            return Err(End::Closed);
        }
    }
    let text = greeting::text(
        &profile.settings.greeting,
        &profile.settings.hostname,
        Timestamp::now(),
    );
    io.put(&texts::greeting(text));
    io.flush().await?;
    if filtering.is_none() {
        session.called = name_of(session, signal).await;
    }
    let mut dialogue = Dialogue::new(
        Arc::clone(&profile.rules),
        &session.peer_label(),
        session.tls.is_some(),
    );
    login::offer(&mut dialogue, session);
    Ok(dialogue)
}

/// Whether the greeting is delayed: on listeners for other servers, for unknown clients.
fn is_held_back(session: &Session) -> bool {
    let profile = &session.profile;
    profile.listener.role == Role::Mx
        && !profile.settings.timeouts.greeting_delay.is_zero()
        && session.is_stranger()
        && profile.settings.screen.is_about(session.peer.ip())
}

fn refuse_early_talk(io: &mut Io, session: &Session) -> End {
    let ruling = Ruling {
        rule: Rule::GreetingEarlyTalker,
        reason: &"talked before the greeting",
    };
    session.ruled(ruling, &texts::EARLY_TALKER);
    io.put(&texts::EARLY_TALKER);
    End::Closed
}

/// The host name of the client's address; `None` if it is not needed. That of the loopback is known.
async fn name_of(session: &Session, signal: &Signal) -> Option<ClientName> {
    let settings = &session.profile.settings;
    let address = session.peer.ip().to_canonical();
    let usual = settings.timeouts.reverse_lookup;
    let limit = if screen::wants_name(session) {
        usual.max(settings.screen.timeout)
    } else {
        usual
    };
    if limit.is_zero() && !address.is_loopback() {
        return None;
    }
    let look = Look::new(session.shared.deps.resolver.clone(), limit);
    let name = look.client_name(address);
    Some(look.patiently(name, session, signal).await)
}

/// Performs the handshake, and forgets what came before.
pub(crate) async fn start_tls(io: &mut Io, session: &mut Session) -> Result<(), End> {
    let profile = Arc::clone(&session.profile);
    let Some(tls) = &*profile.tls else {
        return Err(End::Closed);
    };
    let limit = session.patience_for(profile.settings.timeouts.tls_handshake);
    match Box::pin(io.start_tls(tls, limit)).await {
        Ok((facts, dropped)) => {
            if dropped > 0 {
                session.shared.deps.observers.tell(TlsInjected {
                    session: &session.id,
                    peer: session.peer.ip(),
                    octets: dropped as u64,
                    rule: Rule::TlsInjection,
                });
            }
            session.shared.deps.observers.tell(TlsStarted {
                session: &session.id,
                peer: session.peer.ip(),
                version: facts.version,
                cipher: facts.cipher,
                bits: facts.bits,
                verify: facts.verify.word(),
                certificate: facts
                    .client_certificate
                    .as_ref()
                    .map(|certificate| &*certificate.subject),
                sni: facts.sni.as_deref(),
                resumed: facts.resumed,
            });
            session.secured(facts);
            Ok(())
        }
        Err(end) => {
            let reason: &dyn std::error::Error = match &end {
                End::Handshake(error) => error,
                other => other,
            };
            let cause = reason.source();
            session.shared.deps.observers.tell(TlsFailed {
                session: &session.id,
                peer: session.peer.ip(),
                rule: Rule::TlsHandshake,
                reason: &reason,
                cause: cause.as_ref().map(|cause| cause as &dyn Display),
            });
            Err(end)
        }
    }
}
