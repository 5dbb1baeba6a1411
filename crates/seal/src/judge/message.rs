//! One message: its header, its body as it arrives, and finally the results of all checks.

use postern_mail::fields::{FieldError, NewField};
use postern_mail::{Domain, Header, Mailbox};
use postern_policy::authenticity::{ArcResult, DkimResult, DmarcResult, Results, SpfResult};

use super::arc::Chain;
use super::dkim::{Covered, Hashers, Signatures};
use super::dmarc::NoAuthor;
use super::results::{Writer, result_of};
use super::{arc, dkim, dmarc, spf};
use crate::Algorithm;
use crate::dns::Dns;

/// Which checks are made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Checks {
    /// Reported, and needed for DMARC.
    pub spf: bool,
    /// Reported, and needed for DMARC.
    pub dkim: bool,
    /// DMARC.
    pub dmarc: bool,
    /// ARC.
    pub arc: bool,
}

impl Checks {
    /// All of them.
    pub const ALL: Self = Self {
        spf: true,
        dkim: true,
        dmarc: true,
        arc: true,
    };

    /// Whether none is made.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Whether SPF is checked: for itself or for DMARC.
    #[must_use]
    pub const fn needs_spf(self) -> bool {
        self.spf || self.dmarc
    }
}

/// A message while it arrives. Memory is bounded by its header.
#[derive(Debug)]
pub struct Watch {
    checks: Checks,
    header: Header,
    author: Result<Domain, NoAuthor>,
    hashers: Hashers,
    signatures: Signatures,
    chain: Chain,
}

/// The results of the checks for a message.
#[derive(Debug)]
pub struct Judgement {
    /// Which checks were made.
    pub checks: Checks,
    /// The author's domain.
    pub author: Result<Domain, NoAuthor>,
    /// SPF.
    pub spf: Option<spf::Outcome>,
    /// DKIM, one result per signature.
    pub dkim: Vec<dkim::Outcome>,
    /// DMARC.
    pub dmarc: Option<dmarc::Outcome>,
    /// ARC.
    pub arc: Option<arc::Outcome>,
}

/// The time and random number for a check.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now, in seconds since 1970.
    pub now: u64,
    /// From 0 to 99, drawn for each message.
    pub chance: u8,
}

impl Watch {
    /// Begins with the header as received.
    #[must_use]
    pub fn new(header: Header, checks: Checks) -> Self {
        let mut hashers = Hashers::default();
        let author = dmarc::author(&header);
        let name = author.as_ref().ok().and_then(Domain::name);
        // The chain first: its single hash must not be lost to signatures that request many.
        let chain = if checks.arc {
            Chain::read(&header, &mut hashers)
        } else {
            Chain::None
        };
        let signatures = if checks.dkim || checks.dmarc {
            Signatures::read(&header, name, &mut hashers)
        } else {
            Signatures::default()
        };
        Self {
            checks,
            author,
            hashers,
            signatures,
            chain,
            header,
        }
    }

    /// Takes the next octets of the body.
    pub fn body(&mut self, octets: &[u8]) {
        self.hashers.feed(octets);
    }

    /// The message is complete. `spf` was checked in parallel.
    pub async fn finish(self, dns: &dyn Dns, spf: Option<spf::Outcome>, moment: Moment) -> Judgement {
        let hashes = self.hashers.finish();
        let covered = Covered::new(&self.header);
        let dkim = self.signatures.check(dns, &covered, &hashes, moment.now).await;
        let arc = if self.checks.arc {
            Some(arc::check(dns, &self.chain, &covered, &hashes, moment.now).await)
        } else {
            None
        };
        let dmarc = match &self.author {
            _ if !self.checks.dmarc => None,
            Ok(author) => {
                let author = author.name().unwrap_or_default();
                Some(dmarc::check(dns, author, spf.as_ref(), &dkim, moment.chance).await)
            }
            Err(error) => Some(dmarc::Outcome::error(
                DmarcResult::PermError,
                "",
                error.to_string(),
            )),
        };
        Judgement {
            checks: self.checks,
            author: self.author,
            spf,
            dkim,
            dmarc,
            arc,
        }
    }
}

impl Judgement {
    /// The results for policy to decide on. `trusted` lists the forwarders whose chains are trusted.
    #[must_use]
    pub fn results(&self, trusted: impl Fn(&str) -> bool) -> Results {
        Results {
            spf: self
                .spf
                .as_ref()
                .filter(|_| self.checks.spf)
                .map(|outcome| outcome.result),
            dkim: self.checks.dkim.then(|| dkim::best(&self.dkim)),
            dmarc: self
                .dmarc
                .as_ref()
                .map(|outcome| (outcome.result, outcome.requested)),
            arc: self.arc.as_ref().map(|outcome| outcome.result),
            vouched: self
                .arc
                .as_ref()
                .is_some_and(|outcome| vouched(outcome, &trusted)),
        }
    }

    /// The value of `Authentication-Results`, folded with LF. `sender` is the envelope sender, `helo` the name of the client.
    #[must_use]
    pub fn text(&self, authserv_id: &str, sender: Option<&Mailbox>, helo: &str) -> String {
        let mut out = Writer::new(authserv_id);
        if let Some(spf) = self.spf.as_ref().filter(|_| self.checks.spf) {
            write_spf(&mut out, spf, sender, helo);
        }
        if self.checks.dkim {
            if self.dkim.is_empty() {
                out.method("dkim", &DkimResult::None);
            }
            for signature in &self.dkim {
                write_dkim(&mut out, signature);
            }
        }
        if let Some(dmarc) = &self.dmarc {
            write_dmarc(&mut out, dmarc);
        }
        if let Some(arc) = &self.arc {
            write_arc(&mut out, arc);
        }
        out.finish()
    }

    /// The field.
    ///
    /// # Errors
    ///
    /// [`FieldError`] if a line cannot be folded, which does not happen with values of bounded length.
    pub fn field(
        &self,
        authserv_id: &str,
        sender: Option<&Mailbox>,
        helo: &str,
    ) -> Result<NewField, FieldError> {
        NewField::new(
            "Authentication-Results",
            self.text(authserv_id, sender, helo).as_bytes(),
        )
    }
}

/// Whether a trusted forwarder found that the message passed DMARC, and all later ones are trusted and found the chain valid.
///
/// A valid chain says nothing about who made it: a stranger's link before that of a trusted list does not count.
fn vouched(arc: &arc::Outcome, trusted: &impl Fn(&str) -> bool) -> bool {
    if arc.result != ArcResult::Pass {
        return false;
    }
    for witness in arc.witnesses.iter().rev() {
        let says =
            |method| result_of(&witness.found, method).is_some_and(|word| word.eq_ignore_ascii_case("pass"));
        if !trusted(&witness.sealer) {
            return false;
        }
        if says("dmarc") {
            return true;
        }
        if !says("arc") {
            return false;
        }
    }
    false
}

fn write_spf(out: &mut Writer, spf: &spf::Outcome, sender: Option<&Mailbox>, helo: &str) {
    out.method("spf", &spf.result);
    if let Some(mechanism) = &spf.mechanism {
        out.comment(mechanism);
    }
    if let (SpfResult::PermError | SpfResult::TempError, Some(reason)) = (spf.result, &spf.reason) {
        out.reason(reason);
    }
    match (spf.identity, sender.filter(|sender| sender.is_ascii())) {
        (spf::Identity::MailFrom, Some(sender)) => out.property("smtp.mailfrom", &sender.to_string()),
        (spf::Identity::MailFrom, None) => out.property("smtp.mailfrom", &spf.domain),
        (spf::Identity::Helo, _) => out.property("smtp.helo", helo),
    }
}

fn write_dkim(out: &mut Writer, signature: &dkim::Outcome) {
    out.method("dkim", &signature.result);
    if signature.testing {
        out.comment("test mode");
    }
    match &signature.fault {
        Some(fault) => out.reason(&fault.to_string()),
        None if signature.uncovered > 0 => {
            out.reason(&format!(
                "{} octets of the body are not signed",
                signature.uncovered
            ));
        }
        None => {}
    }
    out.property("header.d", signature.domain.as_deref().unwrap_or_default());
    out.property("header.s", signature.selector.as_deref().unwrap_or_default());
    out.property("header.a", signature.algorithm.map_or("", Algorithm::name));
    out.property("header.b", signature.value.as_deref().unwrap_or_default());
}

fn write_dmarc(out: &mut Writer, dmarc: &dmarc::Outcome) {
    out.method("dmarc", &dmarc.result);
    if let Some(published) = &dmarc.published {
        let mut comment = format!("p={}", published.policy);
        if dmarc.requested != published.policy && dmarc.result == DmarcResult::Fail {
            comment.push_str(&format!(" applied={}", dmarc.requested));
        }
        out.comment(&comment);
    }
    if let Some(reason) = &dmarc.reason {
        out.reason(reason);
    }
    out.property("header.from", &dmarc.author);
}

fn write_arc(out: &mut Writer, arc: &arc::Outcome) {
    out.method("arc", &arc.result);
    if let Some(sealer) = &arc.sealer {
        out.comment(&format!("i={} {sealer}", arc.links));
    }
    if let Some(reason) = &arc.reason {
        out.reason(reason);
    }
}
