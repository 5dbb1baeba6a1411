//! What the dialogue refuses by itself: the rule behind it, and how it is logged.

use postern_policy::login::Denial;
use postern_policy::privacy::PrivacyRefusal;
use postern_policy::rule::{Rule, Ruling, Verdict};
use postern_smtp::server::{Answer, Cause};
use tracing::debug;

use crate::session::Session;

/// Logs what the protocol alone refuses: a rule, authentication or the end of a session as an event; a mere mistake of the client
/// only at level `debug`.
pub(crate) fn note(answer: &Answer, session: &Session) {
    let reply = &answer.reply;
    if reply.code < 400 {
        return;
    }
    if let Some(cause) = answer.cause {
        let (rule, reason) = behind(cause);
        session.ruled(
            Ruling {
                rule,
                reason: &reason,
            },
            reply,
        );
    } else if answer.close {
        let ruling = Ruling {
            rule: Rule::ProtocolEnd,
            reason: &"session ended",
        };
        session.ruled(ruling, reply);
    } else {
        debug!(target: "postern::refuse", session = %session.id, rule = %Rule::Protocol, reply = %reply, "refused");
    }
}

/// The rule behind a refusal, and why.
fn behind(cause: Cause) -> (Rule, &'static str) {
    let helo = "no HELO or EHLO before it";
    match cause {
        Cause::MailBeforeHelo => (PrivacyRefusal::NeedMailHelo.rule(), helo),
        Cause::VrfyBeforeHelo => (PrivacyRefusal::NeedVrfyHelo.rule(), helo),
        Cause::ExpnBeforeHelo => (PrivacyRefusal::NeedExpnHelo.rule(), helo),
        Cause::ExpnOff => (PrivacyRefusal::NoExpn.rule(), "EXPN is off"),
        Cause::VerbOff => (PrivacyRefusal::NoVerb.rule(), "VERB is off"),
        Cause::EtrnOff => (PrivacyRefusal::NoEtrn.rule(), "ETRN is off"),
        Cause::LoginWanted => (Denial::Required.rule(), "no login"),
        Cause::AuthNotOffered => (
            Denial::NotOffered.rule(),
            "AUTH is not offered here, or not before TLS",
        ),
        Cause::MechanismNotOffered => (Denial::NotOffered.rule(), "this mechanism is not offered"),
        Cause::AuthOutOfOrder => (
            Denial::Order.rule(),
            "AUTH before EHLO, after a login or inside a transaction",
        ),
        Cause::AuthSyntax => (
            Denial::Malformed.rule(),
            "not AUTH as RFC 4954 has it, or not Base64",
        ),
        Cause::AuthGivenUp => (Denial::GivenUp.rule(), "the client gave up"),
    }
}
