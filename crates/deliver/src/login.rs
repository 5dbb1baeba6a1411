//! Authentication at a host: which mechanism, the exchange, what the host's reply means (RFC 4954).
//!
//! The strongest mechanism is used that the host offers, the login allows and the state of TLS permits
//! ([`postern_sasl::choose()`]). If the host refuses it, another one of the same strength may follow on the same connection
//! ([`Class`]), but only if the host was verified, and never a weaker one, to prevent downgrades.

mod call;
mod exchange;

use postern_mail::Status;
use postern_policy::route::UnverifiedLogin;
use postern_sasl::{ChannelBindings, Choosing, Mechanism, Peer, Unverified, choose};
use postern_smtp::Reply;
use postern_smtp::client::{Capabilities, Protocol, Stage};

pub(crate) use self::call::{Call, Trouble};

use self::call::credentials;
use self::exchange::{Ended, run};
use crate::failure::{Cause, Failure};
use crate::session::{Session, SessionError, Tls, limit};
use crate::settings::Settings;

/// Most mechanisms tried on one connection. Each refused one may count as a failed login there.
const TRIES_MAX: usize = 3;

/// Authenticates. Returns the mechanism.
pub(crate) async fn log_in(
    session: &mut Session,
    call: &Call<'_>,
    settings: &Settings,
) -> Result<Mechanism, Trouble> {
    session.expect_challenges(true);
    let mut tried: Vec<Mechanism> = Vec::new();
    let mut refusal: Option<(Mechanism, Reply, Option<String>)> = None;
    loop {
        let mechanism = match next(session, call, &tried) {
            Ok(mechanism) => mechanism,
            Err(trouble) => match refusal {
                None => return Err(trouble),
                Some((mechanism, reply, words)) => {
                    return Err(refused(session, call, mechanism, &reply, words));
                }
            },
        };
        let ended = match (run(session, call, settings, mechanism).await, &refusal) {
            // The account was refused, whatever came after.
            (Err(Trouble::Unfit(_)), Some((mechanism, reply, words))) => {
                return Err(refused(session, call, *mechanism, reply, words.clone()));
            }
            (ended, _) => ended?,
        };
        match ended {
            Ended::Granted(layer) => {
                session.expect_challenges(false);
                if let Some(layer) = layer {
                    begin_layer(session, layer, call.helo, settings).await?;
                }
                return Ok(mechanism);
            }
            Ended::Refused(reply, words) => {
                if reply.is_transient() {
                    return Err(passing(session, call, mechanism, &reply));
                }
                if !may_go_on(session.tls.is_verified(), mechanism, &reply) {
                    return Err(refused(session, call, mechanism, &reply, words));
                }
                tried.push(mechanism);
                refusal = Some((mechanism, reply, words));
            }
        }
    }
}

/// Mechanisms of equal strength: in what the host learns, in what it proves about itself, in channel binding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    /// The only one of its kind.
    Alone(Mechanism),
    /// SCRAM with channel binding, by any hash function.
    Bound,
    /// SCRAM without.
    Mutual,
    /// Older proofs: DIGEST-MD5, CRAM-MD5, NTLM.
    Proof,
    /// A token is sent.
    Token,
    /// The password is sent.
    Password,
}

impl Class {
    fn of(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::ScramPlus(_) => Self::Bound,
            Mechanism::Scram(_) => Self::Mutual,
            Mechanism::DigestMd5 | Mechanism::CramMd5 | Mechanism::Ntlm => Self::Proof,
            Mechanism::OauthBearer | Mechanism::Xoauth2 => Self::Token,
            Mechanism::Plain | Mechanism::Login => Self::Password,
            other => Self::Alone(other),
        }
    }

    /// Whether the host checks the same secret in the same way for all of them, so that a wrong one for one is wrong for all.
    fn is_one_check(self) -> bool {
        matches!(self, Self::Token | Self::Password | Self::Alone(_))
    }
}

/// Whether another mechanism of the class may follow this refusal.
fn may_go_on(verified: bool, mechanism: Mechanism, reply: &Reply) -> bool {
    verified && reply.code != 421 && (speaks_of_mechanism(reply) || !Class::of(mechanism).is_one_check())
}

/// Whether a refusal is about the mechanism and not about the credentials (RFC 4954 section 6).
fn speaks_of_mechanism(reply: &Reply) -> bool {
    match reply.status {
        Some(status) if (status.1, status.2) == (7, 8) => false,
        Some(status) if status.1 == 7 && matches!(status.2, 9 | 11) => true,
        _ => matches!(reply.code, 500..=504 | 534 | 538),
    }
}

/// The mechanism to try now.
fn next(session: &Session, call: &Call<'_>, tried: &[Mechanism]) -> Result<Mechanism, Trouble> {
    let Capabilities {
        auth,
        auth_mechanisms,
        ..
    } = &*session.peer;
    if !auth {
        let text = format!(
            "the route logs in as {:?}, and the host does not offer AUTH{}",
            call.login.name,
            if session.tls.is_verified() {
                ""
            } else {
                "; somebody in between may have withdrawn it"
            }
        );
        let failure = Failure::temporary(
            Status(4, 7, 4),
            &session.relay,
            Cause::Login {
                reply: None,
                text: text.into(),
            },
        );
        return Err(Trouble::Unfit(failure));
    }
    let offered: Vec<&str> = auth_mechanisms.iter().map(|name| &**name).collect();
    let class = tried.first().map(|first| Class::of(*first));
    let allowed: Vec<Mechanism> = Mechanism::ALL
        .iter()
        .copied()
        .filter(|mechanism| {
            call.login
                .mechanisms
                .as_ref()
                .is_none_or(|list| list.contains(mechanism))
        })
        .filter(|mechanism| class.is_none_or(|class| class == Class::of(*mechanism)))
        .filter(|mechanism| tried.len() < TRIES_MAX && !tried.contains(mechanism))
        .collect();
    let credentials = credentials(call);
    choose(&Choosing {
        offered: &offered,
        allowed: Some(&allowed),
        credentials: &credentials,
        peer: peer(session),
        bindings: &session.bindings,
        unverified: match call.unverified {
            UnverifiedLogin::Nothing => Unverified::Nothing,
            UnverifiedLogin::Proofs => Unverified::Proofs,
            UnverifiedLogin::Password => Unverified::Secrets,
        },
    })
    .map_err(|none| {
        let text = format!("cannot log in as {:?}: {none}", call.login.name);
        let cause = Cause::Login {
            reply: None,
            text: text.into(),
        };
        Trouble::Unfit(Failure::temporary(Status(4, 7, 4), &session.relay, cause))
    })
}

fn peer(session: &Session) -> Peer {
    match session.tls {
        Tls::Clear => Peer::Clear,
        Tls::Made { verified: true, .. } => Peer::Verified,
        Tls::Made { verified: false, .. } => Peer::Unverified,
    }
}

/// Everything from here on goes through the security layer, and what the host offered before is forgotten (RFC 4954 section 4).
async fn begin_layer(
    session: &mut Session,
    layer: Box<dyn postern_sasl::SecurityLayer>,
    helo: &str,
    settings: &Settings,
) -> Result<(), Trouble> {
    let relay = session.relay.clone();
    let broken =
        |error: SessionError| Trouble::Passing(Failure::lost(&relay, error.stage(), error.to_string()));
    session.start_layer(layer).map_err(|error| broken(error.into()))?;
    let verb = if session.protocol == Protocol::Lmtp {
        "LHLO"
    } else {
        "EHLO"
    };
    session
        .output
        .extend_from_slice(format!("{verb} {helo}\r\n").as_bytes());
    let reply = session
        .ask(Stage::Hello, limit(&settings.timeouts, Stage::Hello))
        .await
        .map_err(broken)?;
    if !reply.is_success() {
        return Err(Trouble::Passing(
            Failure::refused(Stage::Hello, &reply, &relay).passing(),
        ));
    }
    session.peer = std::sync::Arc::new(Capabilities::parse(&reply));
    Ok(())
}

/// The host does not accept the credentials. The mail waits: its sender can do nothing about them.
fn refused(
    session: &Session,
    call: &Call<'_>,
    mechanism: Mechanism,
    reply: &Reply,
    words: Option<String>,
) -> Trouble {
    let status = reply
        .status
        .map_or(Status(4, 7, 8), |status| Status(4, status.1, status.2));
    let words = words.map(|words| format!(" ({words})")).unwrap_or_default();
    let text = format!(
        "the host refuses the login {:?} by {mechanism}: {reply}{words}",
        call.login.name
    );
    let cause = Cause::Login {
        reply: Some(reply.clone()),
        text: text.into(),
    };
    let failure = Failure::temporary(status, &session.relay, cause);
    Trouble::Refused {
        failure,
        token: Class::of(mechanism) == Class::Token,
    }
}

fn passing(session: &Session, call: &Call<'_>, mechanism: Mechanism, reply: &Reply) -> Trouble {
    let status = reply
        .status
        .filter(|status| status.0 == 4)
        .unwrap_or(Status(4, 7, 0));
    let text = format!(
        "the host cannot check the login {:?} by {mechanism} now: {reply}",
        call.login.name
    );
    let cause = Cause::Login {
        reply: None,
        text: text.into(),
    };
    Trouble::Passing(Failure::temporary(status, &session.relay, cause))
}

/// The channel bindings of the TLS session, in the form that mechanisms use.
pub(crate) fn bindings(facts: &postern_net::tls::ChannelBindings) -> ChannelBindings {
    ChannelBindings {
        exporter: facts.exporter,
        server_end_point: facts.server_end_point.clone(),
    }
}

#[cfg(test)]
mod tests {
    use postern_sasl::ScramHash;

    use super::*;

    #[test]
    fn another_mechanism_follows_only_where_it_is_no_downgrade() {
        let sha256 = Mechanism::Scram(ScramHash::Sha256);
        #[rustfmt::skip]
        let cases = [
            // what the case shows                      verified  mechanism             reply                                                  goes on
            ("keys for another hash",                   true,     sha256,               Reply::fixed(535, Status(5, 7, 8), "no"),              true),
            ("nobody verified: may be a trick",         false,    sha256,               Reply::fixed(535, Status(5, 7, 8), "no"),              false),
            ("a wrong password is one for LOGIN too",   true,     Mechanism::Plain,     Reply::fixed(535, Status(5, 7, 8), "no"),              false),
            ("PLAIN is not had after all",              true,     Mechanism::Plain,     Reply::fixed(504, Status(5, 5, 4), "unknown mechanism"), true),
            ("too weak",                                true,     Mechanism::CramMd5,   Reply::fixed(534, Status(5, 7, 9), "too weak"),        true),
            ("a bad token is bad in both forms",        true,     Mechanism::Xoauth2,   Reply::bare(535, "no"),                                false),
            ("a certificate has no like",               true,     Mechanism::External,  Reply::bare(535, "no"),                                false),
        ];
        for (shows, verified, mechanism, reply, goes_on) in cases {
            assert_eq!(may_go_on(verified, mechanism, &reply), goes_on, "{shows}");
        }
    }

    #[test]
    fn classes_hold_nothing_weaker() {
        let like = |mechanism: Mechanism| -> Vec<&str> {
            let class = Class::of(mechanism);
            let same = Mechanism::ALL.iter().filter(|other| Class::of(**other) == class);
            same.map(|other| other.name()).collect()
        };
        #[rustfmt::skip]
        let cases: [(Mechanism, &[&str]); 5] = [
            (Mechanism::ScramPlus(ScramHash::Sha512), &["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"]),
            (Mechanism::Scram(ScramHash::Sha512),     &["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
            (Mechanism::CramMd5,                      &["CRAM-MD5", "DIGEST-MD5", "NTLM"]),
            (Mechanism::OauthBearer,                  &["OAUTHBEARER", "XOAUTH2"]),
            (Mechanism::Plain,                        &["PLAIN", "LOGIN"]),
        ];
        for (mechanism, names) in cases {
            assert_eq!(like(mechanism), names);
        }
    }
}
