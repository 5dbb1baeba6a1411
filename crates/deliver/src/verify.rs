//! Asks a next hop whether it accepts a recipient, without sending mail: `MAIL FROM:<>`, `RCPT`, and no more.

use postern_mail::{Mailbox, ReversePath};
use postern_policy::concurrency::Class;
use postern_policy::origin::Origin;
use postern_smtp::Reply;
use postern_smtp::client::Stage;

use crate::Deliverer;
use crate::connect::{Dialer, NotOpened};
use crate::failure::Failure;
use crate::hop::HopKind;
use crate::session::{Session, limit};
use crate::settings::Settings;
use crate::ways;

/// What a next hop said about a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verified {
    /// It accepts mail for the recipient.
    Taken,
    /// It refuses permanently: its reply, on one line.
    Refused(String),
    /// Unknown for now. The text says why, for the log.
    Unknown(String),
}

impl Deliverer {
    /// Asks the next hop of a recipient's mail, over a connection of its own. The caller limits how many questions there are at
    /// once, and how long each may take.
    pub async fn verify(&self, recipient: &Mailbox) -> Verified {
        let unknown = |why: &str| Verified::Unknown(why.to_owned());
        let core = &self.core;
        let settings = core.deps.settings.load_full();
        // As for a report: no sender, and no login.
        let origin = Origin {
            sender: &ReversePath::Null,
            login: None,
            // The host of the mailbox knows who exists, not the after-queue filter.
            filtered: true,
            detour: None,
        };
        ways::learn(vec![recipient.clone()], &settings).await;
        let destination = core.destination(recipient, &origin, &settings);
        let hop = &destination.hop;
        match hop.kind {
            HopKind::Maildir(_) => return unknown("its mail goes into Maildirs here"),
            HopKind::Pipe { .. } => return unknown("its mail goes to a program"),
            HopKind::System(_) => return unknown("its mail goes to users of this machine"),
            _ => {}
        }
        if hop.login.is_some() {
            return unknown("its next hop wants a login, and is not asked");
        }
        // Deliveries come first.
        let Some(seat) = core.places.take(Class::Strangers, &destination) else {
            return unknown("no connection to spare");
        };
        let tls = core.deps.tls.load_full();
        let dialer = Dialer {
            settings: &settings,
            resolver: &core.deps.resolver,
            tls: &tls,
            quirks: &core.quirks,
            seed: rand::random(),
            avoid: &[],
            seat: &seat,
            login: None,
            observers: &core.deps.observers,
        };
        match dialer.open(hop).await {
            Ok(mut session) => {
                let verified = ask(&mut session, recipient, &settings).await;
                session.quit(&settings.timeouts).await;
                verified
            }
            Err(NotOpened::Failed(failure) | NotOpened::Login { failure, .. }) => {
                Verified::Unknown(told(&failure))
            }
            Err(NotOpened::Full(_)) => unknown("no connection to spare at its next hop"),
        }
    }
}

async fn ask(session: &mut Session, recipient: &Mailbox, settings: &Settings) -> Verified {
    let utf8 = !recipient.is_ascii();
    if utf8 && !session.peer.smtputf8 {
        return Verified::Refused("the next hop takes no addresses beyond ASCII".into());
    }
    let parameter = if utf8 { " SMTPUTF8" } else { "" };
    let commands = [
        (Stage::Mail, format!("MAIL FROM:<>{parameter}\r\n")),
        (Stage::Recipient, format!("RCPT TO:<{recipient}>\r\n")),
    ];
    for (stage, command) in commands {
        session.output.extend_from_slice(command.as_bytes());
        let reply = match session.ask(stage, limit(&settings.timeouts, stage)).await {
            Ok(reply) => reply,
            Err(error) => return Verified::Unknown(error.to_string()),
        };
        match (stage, reply.code) {
            (_, 200..=299) => {}
            (Stage::Recipient, 500..=599) => return Verified::Refused(line(&reply)),
            _ => return Verified::Unknown(format!("{}: {}", stage.name(), line(&reply))),
        }
    }
    Verified::Taken
}

/// A reply on one line.
fn line(reply: &Reply) -> String {
    let status = reply
        .status
        .map(|status| format!("{status} "))
        .unwrap_or_default();
    format!("{} {status}{}", reply.code, reply.text.replace('\n', " "))
}

fn told(failure: &Failure) -> String {
    format!("{}: {}", failure.relay, failure.text())
}
