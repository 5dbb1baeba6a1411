//! Which mechanism a client uses: the strongest that server, credentials and the state of TLS allow.

use std::fmt;

use crate::client::Credentials;
use crate::context::ChannelBindings;
use crate::mechanism::{Mechanism, Needs};
use crate::scram::ScramHash;

/// What is known about the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// TLS, with a certificate verified for the name in the route.
    Verified,
    /// TLS, with an unverified certificate. A man in the middle has one, too.
    Unverified,
    /// No TLS.
    Clear,
}

/// What may be sent to an unverified server: an exception that the route must make explicitly.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unverified {
    /// Nothing at all. Even a proof lets its receiver guess passwords offline.
    #[default]
    Nothing,
    /// Proofs (SCRAM, DIGEST-MD5, CRAM-MD5, NTLM, a certificate), but neither password nor token.
    Proofs,
    /// Everything, passwords and tokens included.
    Secrets,
}

/// The input for a choice.
#[derive(Clone, Copy, Debug)]
pub struct Choosing<'a> {
    /// The names after `AUTH` in the server's `EHLO` reply, inside TLS if TLS is used.
    pub offered: &'a [&'a str],
    /// The mechanisms that the route allows; `None` for all.
    pub allowed: Option<&'a [Mechanism]>,
    /// The credentials to log in with.
    pub credentials: &'a Credentials,
    /// The state of TLS.
    pub peer: Peer,
    /// The channel bindings of the TLS session.
    pub bindings: &'a ChannelBindings,
    /// What may be sent to an unverified server.
    pub unverified: Unverified,
}

/// Strongest first.
///
/// A certificate reveals nothing that could be used elsewhere; neither does a Kerberos ticket, which also authenticates the
/// server; SCRAM also authenticates the server, and with channel binding rules out a man in the middle; a token can be revoked
/// and expires; then mechanisms that do not reveal the password, by how well they resist guessing; last, those that reveal it.
const ORDER: [Mechanism; 15] = [
    Mechanism::External,
    Mechanism::Gssapi,
    Mechanism::ScramPlus(ScramHash::Sha512),
    Mechanism::ScramPlus(ScramHash::Sha256),
    Mechanism::ScramPlus(ScramHash::Sha1),
    Mechanism::Scram(ScramHash::Sha512),
    Mechanism::Scram(ScramHash::Sha256),
    Mechanism::Scram(ScramHash::Sha1),
    Mechanism::OauthBearer,
    Mechanism::Xoauth2,
    Mechanism::DigestMd5,
    Mechanism::CramMd5,
    Mechanism::Ntlm,
    Mechanism::Plain,
    Mechanism::Login,
];

/// Picks the strongest mechanism.
///
/// # Errors
///
/// [`NoChoice`], which says why each mechanism that the server offers was rejected. Nothing has been sent then, and delaying mail
/// is better than sending it without authentication.
pub fn choose(facts: &Choosing<'_>) -> Result<Mechanism, NoChoice> {
    let mut rejected = Vec::new();
    for mechanism in ORDER {
        let name = mechanism.name();
        if !facts
            .offered
            .iter()
            .any(|offered| offered.eq_ignore_ascii_case(name))
        {
            continue;
        }
        match objection(mechanism, facts) {
            None => return Ok(mechanism),
            Some(why) => rejected.push((mechanism, why)),
        }
    }
    Err(NoChoice {
        rejected,
        unknown: facts
            .offered
            .iter()
            .filter(|name| Mechanism::from_wire(name).is_none())
            .take(UNKNOWN_MAX)
            .map(|name| name.chars().filter(char::is_ascii_graphic).take(20).collect())
            .collect(),
    })
}

/// Most unknown names that are reported.
const UNKNOWN_MAX: usize = 10;

/// Why an offered mechanism cannot be used.
fn objection(mechanism: Mechanism, facts: &Choosing<'_>) -> Option<Rejected> {
    if facts.allowed.is_some_and(|allowed| !allowed.contains(&mechanism)) {
        return Some(Rejected::NotAllowed);
    }
    let has = match mechanism.properties().needs {
        Needs::Certificate => facts.credentials.certificate,
        Needs::Token => facts.credentials.token.is_some(),
        Needs::Kerberos => facts.credentials.kerberos.is_some(),
        Needs::Password | Needs::CramSecret | Needs::DigestSecret | Needs::ScramKeys(_) | Needs::NtHash => {
            facts.credentials.password.is_some()
        }
    };
    if !has {
        return Some(Rejected::NoCredentials);
    }
    if mechanism.binds_channel() && facts.bindings.is_empty() {
        return Some(Rejected::NoChannelBinding);
    }
    let trusted = match (facts.peer, facts.unverified) {
        (Peer::Verified, _) | (_, Unverified::Secrets) => true,
        (_, Unverified::Proofs) => !mechanism.is_plaintext(),
        (_, Unverified::Nothing) => false,
    };
    match (trusted, facts.peer) {
        (true, _) => None,
        (false, Peer::Clear) => Some(Rejected::NoTls),
        (false, _) => Some(Rejected::NotVerified),
    }
}

/// Why an offered mechanism was rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejected {
    /// The route does not list it.
    #[error("the route does not allow it")]
    NotAllowed,
    /// There are no credentials for it.
    #[error("there are no credentials for it")]
    NoCredentials,
    /// The TLS session has no usable channel binding.
    #[error("this session has no channel binding")]
    NoChannelBinding,
    /// Without TLS, anyone on the path can read it.
    #[error("the connection has no TLS")]
    NoTls,
    /// The server's certificate is not verified.
    #[error("the server's certificate was not verified")]
    NotVerified,
}

/// No mechanism can be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoChoice {
    /// The known mechanisms offered, strongest first, and why each was rejected.
    pub rejected: Vec<(Mechanism, Rejected)>,
    /// Offered mechanisms that are unknown here.
    pub unknown: Vec<String>,
}

impl fmt::Display for NoChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rejected.is_empty() && self.unknown.is_empty() {
            return f.write_str("the server offers no login");
        }
        f.write_str("no way to log in can be used:")?;
        let mut comma = "";
        for (mechanism, why) in &self.rejected {
            write!(f, "{comma} {mechanism} ({why})")?;
            comma = ",";
        }
        for name in &self.unknown {
            write!(f, "{comma} {name} (not known here)")?;
            comma = ",";
        }
        Ok(())
    }
}

impl std::error::Error for NoChoice {}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    const ALL: &[&str] = &[
        "PLAIN",
        "login",
        "CRAM-MD5",
        "DIGEST-MD5",
        "NTLM",
        "SCRAM-SHA-1",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
        "EXTERNAL",
        "XOAUTH2",
        "OAUTHBEARER",
        "GSSAPI",
    ];

    fn credentials(what: &str) -> Credentials {
        let secret = |has| Some(SecretString::from("x")).filter(|_| has);
        Credentials {
            login: "acaird".into(),
            password: secret(what.contains('p')),
            token: secret(what.contains('t')),
            certificate: what.contains('c'),
            ..Credentials::default()
        }
    }

    #[test]
    fn strongest_first() {
        use Peer::{Clear, Unverified as Guess, Verified};
        use Unverified::{Nothing, Proofs, Secrets};
        let old: &[&str] = &["LOGIN", "PLAIN", "CRAM-MD5", "NTLM"];
        let plain: &[&str] = &["LOGIN", "PLAIN"];
        #[rustfmt::skip]
        let cases = [
            // what it shows             offered  has    bound  peer      exception  taken
            ("password, all offered",    ALL,     "p",   true,  Verified, Nothing,   Some("SCRAM-SHA-256-PLUS")),
            ("no channel binding",       ALL,     "p",   false, Verified, Nothing,   Some("SCRAM-SHA-256")),
            ("a certificate",            ALL,     "pc",  true,  Verified, Nothing,   Some("EXTERNAL")),
            ("a token only",             ALL,     "t",   true,  Verified, Nothing,   Some("OAUTHBEARER")),
            ("nothing at hand",          ALL,     "",    true,  Verified, Nothing,   None),
            ("an old server",            old,     "p",   true,  Verified, Nothing,   Some("CRAM-MD5")),
            ("LOGIN last",               plain,   "p",   false, Verified, Nothing,   Some("PLAIN")),
            ("not verified",             ALL,     "pct", true,  Guess,    Nothing,   None),
            ("no TLS",                   ALL,     "pct", false, Clear,    Nothing,   None),
            ("proofs to anyone",         ALL,     "p",   false, Clear,    Proofs,    Some("SCRAM-SHA-256")),
            ("but no password",          plain,   "p",   false, Guess,    Proofs,    None),
            ("and no token",             ALL,     "t",   false, Guess,    Proofs,    None),
            ("all to anyone",            plain,   "p",   false, Clear,    Secrets,   Some("PLAIN")),
            ("nothing offered",          &[],     "p",   false, Verified, Nothing,   None),
        ];
        for (shows, offered, has, bound, peer, unverified, want) in cases {
            let bindings = ChannelBindings {
                exporter: Some([0; 32]).filter(|_| bound),
                server_end_point: None,
            };
            let choice = choose(&Choosing {
                offered,
                allowed: None,
                credentials: &credentials(has),
                peer,
                bindings: &bindings,
                unverified,
            });
            assert_eq!(choice.ok().map(Mechanism::name), want, "{shows}");
        }
    }

    #[test]
    fn a_refusal_explains_itself() {
        let refuse = |offered: &[&str], peer| {
            choose(&Choosing {
                offered,
                allowed: Some(&[Mechanism::Plain, Mechanism::Xoauth2]),
                credentials: &credentials("p"),
                peer,
                bindings: &ChannelBindings::default(),
                unverified: Unverified::Nothing,
            })
            .expect_err("refused")
            .to_string()
        };
        assert_eq!(
            refuse(&["PLAIN", "LOGIN", "XOAUTH2", "X-SECRET\u{1b}[2J"], Peer::Clear),
            "no way to log in can be used: XOAUTH2 (there are no credentials for it), PLAIN (the connection has no TLS), \
             LOGIN (the route does not allow it), X-SECRET[2J (not known here)"
        );
        assert_eq!(refuse(&[], Peer::Verified), "the server offers no login");
    }

    #[test]
    fn every_mechanism_has_its_place_in_the_order() {
        let mut order = ORDER;
        order.sort_unstable();
        let mut all = Mechanism::ALL.to_vec();
        all.sort_unstable();
        assert_eq!(order.as_slice(), all);
    }
}
