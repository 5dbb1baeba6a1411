//! Which mechanisms are offered to a session, which user a certificate authenticates, and which logins are trusted to relay.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::civil::Date;
use postern_mail::Status;

use crate::relay::{CertificateFacts, CertificateRule};
use crate::rule::{Rule, Told, Verdict};

/// The properties of a mechanism that decide where it can be offered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MechanismTraits {
    /// It uses channel binding to the TLS session.
    pub binds_channel: bool,
    /// It authenticates with the client's certificate.
    pub needs_certificate: bool,
    /// Bits of the strongest security layer that it can use here.
    pub layer_bits: u32,
    /// An eavesdropper can guess the password offline: the exchange proves knowledge of it without revealing it.
    pub guessable: bool,
}

/// Bits of TLS that a guessable mechanism needs by default.
pub const GUESSABLE_BITS: u32 = 128;

/// Conditions on one mechanism. All must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MechanismRule {
    /// The last day on which it is offered, in UTC.
    pub until: Option<Date>,
    /// The networks of clients it is offered to; empty for all.
    pub networks: Vec<IpNet>,
    /// Whether only with TLS.
    pub tls: bool,
}

/// What is known of a session when mechanisms are offered.
#[derive(Clone, Copy, Debug)]
pub struct SessionFacts {
    /// The client's address; `None` if unknown, which is in no network.
    pub peer: Option<IpAddr>,
    /// Bits of TLS; `None` without it.
    pub tls_bits: Option<u32>,
    /// Whether the TLS session has a channel binding that clients can be expected to support.
    pub channel_known: bool,
    /// Whether the client has presented a certificate that was verified.
    pub certificate: bool,
    /// Today, in UTC.
    pub today: Date,
}

/// Why a mechanism is not offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Withheld {
    /// Its last day is over.
    #[error("its last day has passed")]
    Ended,
    /// Not from this network.
    #[error("not from this network")]
    Network,
    /// Only with TLS.
    #[error("inside TLS only")]
    Tls,
    /// Neither TLS nor a security layer would be strong enough.
    #[error("too few bits")]
    Bits,
    /// There is nothing to bind to.
    #[error("nothing to bind to")]
    Channel,
    /// The client has presented no certificate, or one that was not verified.
    #[error("no verified certificate")]
    Certificate,
}

impl Verdict for Withheld {
    fn rule(&self) -> Rule {
        Rule::LoginNotOffered
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some((504, Status(5, 3, 3), "AUTH mechanism not available"))
    }
}

/// Why an exchange failed, or did not begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial {
    /// The credentials are wrong.
    Denied,
    /// They are right, but the user may not act as the identity it asked for.
    Authorization,
    /// Somebody is in the middle, between client and server.
    Intercepted,
    /// No directory could check them.
    Directory,
    /// The client's message does not follow the mechanism.
    Malformed,
    /// The client's message is over the limit.
    TooLong,
    /// `AUTH` where it is not permitted.
    Order,
    /// The client cancelled the exchange.
    GivenUp,
    /// The session is less secure than required.
    TooWeak,
    /// The mechanism, or `AUTH`, is not offered.
    NotOffered,
    /// Authentication is required.
    Required,
}

impl Denial {
    /// The rule that refuses.
    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Self::Denied => Rule::LoginDenied,
            Self::Authorization => Rule::LoginAuthorization,
            Self::Intercepted => Rule::LoginIntercepted,
            Self::Directory => Rule::LoginDirectory,
            Self::Malformed => Rule::LoginMalformed,
            Self::TooLong => Rule::LoginTooLong,
            Self::Order => Rule::LoginOrder,
            Self::GivenUp => Rule::LoginGivenUp,
            Self::TooWeak => Rule::LoginBits,
            Self::NotOffered => Rule::LoginNotOffered,
            Self::Required => Rule::LoginRequired,
        }
    }
}

/// A refused login: why, and the details.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginRefusal {
    /// The reason.
    pub denial: Denial,
    /// The details, for administrators only.
    pub reason: String,
}

impl Verdict for LoginRefusal {
    fn rule(&self) -> Rule {
        self.denial.rule()
    }

    fn reason(&self) -> &dyn fmt::Display {
        &self.reason
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// Whether a mechanism is offered in a session. `least_bits` is what an administrator requires; without it, a guessable mechanism
/// needs TLS with [`GUESSABLE_BITS`]: a security layer takes effect only after the exchange, and does not protect it.
///
/// # Errors
///
/// Why it is not.
pub fn offered(
    traits: MechanismTraits,
    rule: Option<&MechanismRule>,
    facts: &SessionFacts,
    least_bits: Option<u32>,
) -> Result<(), Withheld> {
    if let Some(rule) = rule {
        if rule.until.is_some_and(|until| facts.today > until) {
            return Err(Withheld::Ended);
        }
        let peer = facts.peer.map(|peer| peer.to_canonical());
        let is_listed = |network: &IpNet| peer.is_some_and(|peer| network.contains(&peer));
        if !rule.networks.is_empty() && !rule.networks.iter().any(is_listed) {
            return Err(Withheld::Network);
        }
        if rule.tls && facts.tls_bits.is_none() {
            return Err(Withheld::Tls);
        }
    }
    if traits.binds_channel && !facts.channel_known {
        return Err(Withheld::Channel);
    }
    if traits.needs_certificate && !facts.certificate {
        return Err(Withheld::Certificate);
    }
    let is_enough = match least_bits {
        Some(least) => strength(facts.tls_bits, traits.layer_bits) >= least,
        None => !traits.guessable || facts.tls_bits.is_some_and(|bits| bits >= GUESSABLE_BITS),
    };
    if is_enough { Ok(()) } else { Err(Withheld::Bits) }
}

/// Bits that protect a session: those of TLS or of the mechanism's security layer, whichever is higher.
#[must_use]
pub fn strength(tls_bits: Option<u32>, layer_bits: u32) -> u32 {
    tls_bits.unwrap_or(0).max(layer_bits)
}

/// Which logins are trusted to relay and to say with `AUTH=` who submitted a message (sendmail's TRUST_AUTH_MECH).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LoginTrust {
    /// Names of the mechanisms; empty for all.
    pub mechanisms: Vec<String>,
    /// Fewest bits that must protect the session.
    pub least_bits: u32,
}

impl LoginTrust {
    /// Whether a login with this mechanism in a session of this strength is trusted.
    #[must_use]
    pub fn covers(&self, mechanism: &str, bits: u32) -> bool {
        let named = |name: &String| name.eq_ignore_ascii_case(mechanism);
        (self.mechanisms.is_empty() || self.mechanisms.iter().any(named)) && bits >= self.least_bits
    }
}

/// Which user a verified certificate authenticates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CertificateLogin {
    /// Issuer, subject and fingerprint that must match; all `None` matches any.
    pub certificate: CertificateRule,
    /// The mail address that the certificate must name: one, or `*@domain`.
    pub email: Option<String>,
    /// Where the user name comes from.
    pub login: LoginSource,
}

/// Where the user name for a certificate comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LoginSource {
    /// A fixed name.
    Fixed(String),
    /// The mail address in the certificate.
    Email,
}

impl Default for LoginSource {
    fn default() -> Self {
        Self::Fixed(String::new())
    }
}

impl CertificateLogin {
    /// The user names that this rule gives a certificate with these mail addresses.
    fn logins<'a>(
        &'a self,
        facts: &'a CertificateFacts,
        emails: &'a [String],
    ) -> impl Iterator<Item = &'a str> {
        let rule = &self.certificate;
        let is_open = rule.issuer.is_none() && rule.subject.is_none() && rule.fingerprint.is_none();
        let says_something = !is_open || self.email.is_some();
        let matches = says_something && (is_open || rule.matches(facts));
        let named = emails
            .iter()
            .filter(move |email| matches && self.email.as_ref().is_none_or(|rule| same_address(rule, email)));
        let (fixed, from_email) = match &self.login {
            LoginSource::Fixed(login) => {
                let held = matches && (self.email.is_none() || named.clone().next().is_some());
                (held.then_some(login.as_str()), false)
            }
            LoginSource::Email => (None, true),
        };
        fixed
            .into_iter()
            .chain(named.filter(move |_| from_email).map(String::as_str))
    }
}

/// Whether a mail address is the one of the rule, or in the domain of `*@domain`. Case is ignored.
fn same_address(rule: &str, email: &str) -> bool {
    match rule.strip_prefix('*') {
        Some(domain) => {
            domain.starts_with('@')
                && email
                    .rfind('@')
                    .is_some_and(|at| email[at..].eq_ignore_ascii_case(domain))
        }
        None => rule.eq_ignore_ascii_case(email),
    }
}

/// The user that a certificate authenticates: by the first rule that matches, or the first that gives the one that the client
/// wants to act as.
#[must_use]
pub fn login_of_certificate<'a>(
    facts: &'a CertificateFacts,
    emails: &'a [String],
    authzid: Option<&str>,
    rules: &'a [CertificateLogin],
) -> Option<&'a str> {
    let mut all = rules.iter().flat_map(|rule| rule.logins(facts, emails));
    match authzid {
        None => all.next(),
        Some(authzid) => all.find(|login| login.eq_ignore_ascii_case(authzid)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn where_a_mechanism_is_offered() {
        let today = date(2026, 11, 22);
        let clear = SessionFacts {
            peer: "10.1.2.3".parse().ok(),
            tls_bits: None,
            channel_known: false,
            certificate: false,
            today,
        };
        let tls = SessionFacts {
            tls_bits: Some(256),
            channel_known: true,
            ..clear
        };
        let shown = SessionFacts {
            certificate: true,
            ..tls
        };
        let mapped = SessionFacts {
            peer: "::ffff:10.1.2.3".parse().ok(),
            ..clear
        };
        let any = MechanismTraits::default();
        let plus = MechanismTraits {
            binds_channel: true,
            ..any
        };
        let external = MechanismTraits {
            needs_certificate: true,
            ..any
        };
        let layer = MechanismTraits {
            layer_bits: 128,
            ..any
        };
        let proof = MechanismTraits {
            guessable: true,
            ..layer
        };
        let weak = SessionFacts {
            tls_bits: Some(112),
            ..tls
        };
        let unsaid = None;
        let rule = MechanismRule::default();
        let until = |day| MechanismRule {
            until: Some(day),
            ..rule.clone()
        };
        let from = |network: &str| MechanismRule {
            networks: vec![network.parse().unwrap()],
            ..rule.clone()
        };
        let in_tls = MechanismRule {
            tls: true,
            ..rule.clone()
        };
        let yesterday = until(date(2026, 11, 21));
        let last_day = until(today);
        let (inside, outside) = (from("10.0.0.0/8"), from("192.0.2.0/24"));
        #[rustfmt::skip]
        let cases = [
            // what the case shows          traits    rule               session  bits  verdict
            ("no conditions",               any,      None,              &clear,  Some(0),    Ok(())),
            ("an empty rule",               any,      Some(&rule),       &clear,  Some(0),    Ok(())),
            ("on its last day",             any,      Some(&last_day),   &clear,  Some(0),    Ok(())),
            ("on the day after",            any,      Some(&yesterday),  &clear,  Some(0),    Err(Withheld::Ended)),
            ("from its network",            any,      Some(&inside),     &clear,  Some(0),    Ok(())),
            ("the same within IPv6",        any,      Some(&inside),     &mapped, Some(0),    Ok(())),
            ("from elsewhere",              any,      Some(&outside),    &clear,  Some(0),    Err(Withheld::Network)),
            ("TLS wanted and not there",    any,      Some(&in_tls),     &clear,  Some(0),    Err(Withheld::Tls)),
            ("TLS wanted and there",        any,      Some(&in_tls),     &tls,    Some(0),    Ok(())),
            ("-PLUS in the clear",          plus,     None,              &clear,  Some(0),    Err(Withheld::Channel)),
            ("-PLUS in TLS",                plus,     None,              &tls,    Some(0),    Ok(())),
            ("EXTERNAL and nothing shown",  external, None,              &tls,    Some(0),    Err(Withheld::Certificate)),
            ("EXTERNAL and a certificate",  external, None,              &shown,  Some(0),    Ok(())),
            ("bits wanted in the clear",    any,      None,              &clear,  Some(1),    Err(Withheld::Bits)),
            ("bits that a layer can give",  layer,    None,              &clear,  Some(128),  Ok(())),
            ("bits that TLS has",           any,      None,              &tls,    Some(256),  Ok(())),
            ("more than there are",         layer,    None,              &tls,    Some(257),  Err(Withheld::Bits)),
            ("a proof in the clear",        proof,    None,              &clear,  unsaid,    Err(Withheld::Bits)),
            ("a proof in TLS",              proof,    None,              &tls,    unsaid,    Ok(())),
            ("a proof in weak TLS",         proof,    None,              &weak,   unsaid,    Err(Withheld::Bits)),
            ("whoever wants it so",         proof,    None,              &clear,  Some(0),   Ok(())),
            ("no proof to guess by",        layer,    None,              &clear,  unsaid,    Ok(())),
        ];
        for (shows, traits, rule, facts, least_bits, want) in cases {
            assert_eq!(offered(traits, rule, facts, least_bits), want, "{shows}");
        }
    }

    #[test]
    fn which_logins_are_trusted() {
        let some = LoginTrust {
            mechanisms: vec!["SCRAM-SHA-256".into()],
            least_bits: 128,
        };
        #[rustfmt::skip]
        let cases = [
            ("all by default",      LoginTrust::default(), "PLAIN",         0,   true),
            ("named, strong",       some.clone(),          "scram-sha-256", 128, true),
            ("named, weak",         some.clone(),          "SCRAM-SHA-256", 127, false),
            ("not named",           some,                  "PLAIN",         256, false),
        ];
        for (shows, trust, mechanism, bits, want) in cases {
            assert_eq!(trust.covers(mechanism, bits), want, "{shows}");
        }
    }

    #[test]
    fn whose_login_a_certificate_is() {
        let facts = CertificateFacts {
            subject: "CN=laptop".into(),
            issuer: "CN=Our CA".into(),
            fingerprint: "ab".repeat(32),
        };
        let emails = ["ACaird@fccc.example".to_owned(), "root@other.example".to_owned()];
        let by = |rule: CertificateRule, email: Option<&str>, login: LoginSource| CertificateLogin {
            certificate: rule,
            email: email.map(str::to_owned),
            login,
        };
        let fixed = |login: &str| LoginSource::Fixed(login.into());
        let subject = |name: &str| CertificateRule {
            subject: Some(name.into()),
            ..CertificateRule::default()
        };
        let print = CertificateRule {
            fingerprint: Some("AB:".repeat(31) + "AB"),
            ..CertificateRule::default()
        };
        let open = CertificateRule::default();
        let ours = by(open.clone(), Some("*@fccc.example"), LoginSource::Email);
        #[rustfmt::skip]
        let cases = [
            ("no rule",                      vec![],                                                        None,           None),
            ("by subject",                   vec![by(subject("CN=laptop"), None, fixed("a"))],              None,           Some("a")),
            ("another subject",              vec![by(subject("CN=tower"), None, fixed("a"))],               None,           None),
            ("by fingerprint",               vec![by(print, None, fixed("a"))],                             None,           Some("a")),
            ("a rule that says nothing",     vec![by(open.clone(), None, fixed("a"))],                      None,           None),
            ("nothing, and any address",     vec![by(open.clone(), None, LoginSource::Email)],              None,           None),
            ("the address itself",           vec![ours.clone()],                                            None,           Some("ACaird@fccc.example")),
            ("an address, someone",          vec![by(open.clone(), Some("acaird@fccc.example"), fixed("x"))], None,         Some("x")),
            ("a domain that ends alike",     vec![by(open.clone(), Some("*@ccc.example"), fixed("x"))],     None,           None),
            ("a star without an at",         vec![by(open, Some("*fccc.example"), fixed("x"))],             None,           None),
            ("subject but not the address",  vec![by(subject("CN=laptop"), Some("b@c.example"), fixed("x"))], None,         None),
            ("the first that matches",       vec![by(subject("CN=laptop"), None, fixed("a")), ours.clone()], None,          Some("a")),
            ("the one that was wanted",      vec![by(subject("CN=laptop"), None, fixed("a")), ours.clone()], Some("acaird@FCCC.example"), Some("ACaird@fccc.example")),
            ("another was wanted",           vec![by(subject("CN=laptop"), None, fixed("a")), ours],        Some("root"),   None),
        ];
        for (shows, rules, authzid, want) in cases {
            assert_eq!(
                login_of_certificate(&facts, &emails, authzid, &rules),
                want,
                "{shows}"
            );
        }
    }
}
