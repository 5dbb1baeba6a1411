//! What policy services are told about a session, and what their answers mean.

use postern_mail::Status;
use postern_policy::access::delegation::Request;
use postern_policy::access::written::{self, Context};
use postern_policy::access::{Action, Answer, Stage, Words};
use postern_policy::screen::finding::ClientName;

use super::state::{Accessing, Matter};
use crate::session::{Login, Session};

/// The reply when a required service fails.
const FAILED: (u16, Status, &str) = (
    451,
    Status(4, 3, 5),
    "Server configuration problem, try again later",
);

/// Asks the service with this number about the matter.
pub(super) async fn ask(number: usize, matter: &Matter<'_>, access: &Accessing, session: &Session) -> Answer {
    let Some(service) = session.profile.services.get(number) else {
        return Answer::No;
    };
    let request = request(matter, access, session);
    let rules = &session.profile.access.rules;
    let answered = service.ask(&request).await.and_then(|text| {
        let class = |name: &str| rules.classes.iter().position(|class| *class.name == *name);
        let context = Context {
            class: &class,
            relay: false,
        };
        Ok(written::postfix(&text, context)?)
    });
    match answered {
        Ok(action) => {
            service.works();
            Answer::Action(action)
        }
        Err(error) => {
            service.failed(&error);
            Answer::Action(if service.settings.optional {
                Action::Note(format!("{} fails: {error}", service.settings.name).into())
            } else {
                Action::Refuse(Words::fixed(FAILED))
            })
        }
    }
}

/// The request to a service.
fn request(matter: &Matter<'_>, access: &Accessing, session: &Session) -> String {
    let text = |text: Option<String>| text.unwrap_or_default();
    let address = session.peer.ip().to_canonical().to_string();
    let (client_port, server) = (session.peer.port().to_string(), session.local);
    let server_address = text(server.map(|server| server.ip().to_canonical().to_string()));
    let server_port = text(server.map(|server| server.port().to_string()));
    let instance = format!("{}.{}", session.id, access.transactions);
    let reverse = match access.answers.client() {
        Some(
            ClientName::Confirmed(name) | ClientName::Unconfirmed(name) | ClientName::Unsure { name, .. },
        ) => Some(&**name),
        Some(ClientName::Nameless | ClientName::Unanswered(_)) | None => None,
    };
    let name = session.peer_name();
    let tls = session.tls.as_ref();
    let certificate = session.certificate.as_ref();
    let fingerprint = text(certificate.map(|facts| with_colons(&facts.fingerprint)));
    let sender = access.sender.as_ref().and_then(|sender| sender.key.as_ref());
    Request {
        protocol_state: match matter.stage {
            Stage::Connect => "CONNECT",
            Stage::Helo => "EHLO",
            Stage::Mail => "MAIL",
            Stage::Rcpt => "RCPT",
            Stage::Data => "END-OF-MESSAGE",
        },
        protocol_name: "ESMTP",
        helo_name: session.helo(),
        queue_id: matter.queue,
        sender: sender.map_or("", |sender| sender.whole()),
        recipient: matter.recipient.map_or("", |(key, _)| key.whole()),
        recipient_count: if matter.stage == Stage::Data {
            matter.recipients
        } else {
            0
        },
        client_address: &address,
        client_name: name.unwrap_or("unknown"),
        reverse_client_name: reverse.or(name).unwrap_or("unknown"),
        client_port: &client_port,
        server_address: &server_address,
        server_port: &server_port,
        instance: &instance,
        sasl_method: session.login.as_ref().map_or("", |login| login.mechanism.name()),
        sasl_username: session.login.as_ref().map_or("", Login::name),
        sasl_sender: "",
        size: matter.size,
        ccert_subject: certificate.map_or("", |facts| &facts.subject),
        ccert_issuer: certificate.map_or("", |facts| &facts.issuer),
        ccert_fingerprint: &fingerprint,
        encryption_protocol: tls.map_or("", |tls| tls.version),
        encryption_cipher: tls.map_or("", |tls| tls.cipher),
        encryption_keysize: tls.map_or(0, |tls| tls.bits),
        policy_context: session.listener(),
    }
    .text()
}

/// A fingerprint in Postfix's form.
fn with_colons(digits: &str) -> String {
    let pairs: Vec<&str> = (0..digits.len())
        .step_by(2)
        .filter_map(|at| digits.get(at..(at + 2).min(digits.len())))
        .collect();
    pairs.join(":").to_ascii_uppercase()
}
