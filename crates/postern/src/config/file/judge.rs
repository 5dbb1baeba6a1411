//! `[judge]`.

use std::time::Duration;

use ipnet::IpNet;
use postern_mail::Mailbox;
use postern_policy::authenticity::Action;

use super::words::{Address, DomainPattern, HostName};
use crate::config::kinds::{Choice, Line, List, Network, OneOf, Time};
use crate::config::read::{At, table};

table! {
    /// Whether mail is authentic: SPF, DKIM, DMARC and ARC.
    ///
    /// Strangers' mail to listeners with the role `mx` is judged. The results are in a single field `Authentication-Results`, and
    /// in the log. For each outcome there is an action:
    ///
    /// - `nothing`: the message is accepted.
    /// - `mark`: it is accepted, with a field `X-Postern-Judged` for those who sort mail.
    /// - `hold`: it is accepted and held until an administrator releases it.
    /// - `reject`: it is refused with `550`. If DNS gives no answer (`…_temperror`), that is `451`, and the client tries again.
    ///
    /// Of several outcomes the most severe action counts. What passes DMARC is not refused, held or marked for its SPF or DKIM.
    Judge {
        /// Which checks are made: `spf`, `dkim`, `dmarc`, `arc`. `dmarc` checks SPF and DKIM itself, whether they are listed or
        /// not.
        checks: Vec<At<Check>> = List(OneOf::<Check>::new()), default "[]";
        /// The name of this server in `Authentication-Results`. Fields with that name in strangers' mail are removed.
        authserv_id: String = HostName, optional "\"example.org\"" else "`hostname`";
        /// SPF: the sender's domain does not allow the client to send for it.
        spf_fail: Action = OneOf::<Action>::new(), default "\"mark\"";
        /// SPF: it probably does not.
        spf_softfail: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// SPF: it does not say.
        spf_neutral: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// SPF: it has no record.
        spf_none: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// SPF: its record has a mistake, or needs too many look-ups.
        spf_permerror: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// SPF: DNS gives no answer.
        spf_temperror: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// DKIM: there is no signature.
        dkim_none: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// DKIM: there are signatures, but none is valid.
        dkim_fail: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// DKIM: none is valid, and DNS gives no answer about the key of one.
        dkim_temperror: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// DMARC: fail, and the author's domain asks to refuse (`p=reject`).
        dmarc_reject: Action = OneOf::<Action>::new(), default "\"reject\"";
        /// DMARC: fail, and the author's domain asks for quarantine (`p=quarantine`).
        dmarc_quarantine: Action = OneOf::<Action>::new(), default "\"mark\"";
        /// DMARC: fail, and the author's domain asks for nothing (`p=none`).
        dmarc_fail: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// DMARC: there is no record.
        dmarc_none: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// DMARC: there is no single author domain (two `From` fields, addresses of several domains), or its record is invalid.
        dmarc_permerror: Action = OneOf::<Action>::new(), default "\"mark\"";
        /// DMARC: DNS gives no answer.
        dmarc_temperror: Action = OneOf::<Action>::new(), default "\"mark\"";
        /// ARC: the chain is broken.
        arc_fail: Action = OneOf::<Action>::new(), default "\"nothing\"";
        /// Trusted forwarders: if the chain is valid, its last link is theirs, and they found that the message passed DMARC, then
        /// a DMARC fail here has no action. The same applies if they found a valid chain whose last link is that of another
        /// trusted forwarder with that result.
        arc_trusted: Vec<At<String>> = List(DomainPattern), default "[]";
        /// The domain of a `[[dkim]]` whose key seals mail that an alias forwards to the outside (ARC, RFC 8617): the receiver
        /// learns the results above, and may trust this server although the message fails there. Needs `arc` in `checks`. A
        /// broken chain is not sealed.
        arc_seal: String = HostName, optional "\"example.org\"" else "nothing is sealed";
        /// Domains, of the sender or of the author, whose mail is accepted whatever the outcome. Anybody can forge them.
        except_domains: Vec<At<String>> = List(DomainPattern), default "[]";
        /// Networks of clients whose mail is accepted whatever the outcome: forwarders that break signatures, for example.
        except_networks: Vec<At<IpNet>> = List(Network), default "[]";
        /// The sender address of DMARC aggregate reports (RFC 7489 section 7.2). If set, mail using domains that ask for reports
        /// is counted, and reported to them once a day. Needs `dmarc` in `checks`.
        report_from: Mailbox = Address, optional "\"dmarc-reports@example.org\"" else "nothing is counted or sent";
        /// The reporting organisation named in reports.
        report_organization: String = Line(100), optional "\"Example Ltd\"" else "`hostname`";
        /// How long one DNS query may take.
        lookup_timeout: Duration = Time("100ms", "1m"), default "\"8s\"";
        /// How long all queries for one message may take, from its end; for SPF, which is checked while the message arrives, from
        /// its beginning. What is unknown by then is a temporary error.
        timeout: Duration = Time("1s", "5m"), default "\"30s\"";
    }
}

/// A check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Check {
    Spf,
    Dkim,
    Dmarc,
    Arc,
}

impl Choice for Check {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("spf", Self::Spf),
        ("dkim", Self::Dkim),
        ("dmarc", Self::Dmarc),
        ("arc", Self::Arc),
    ];
}

impl Choice for Action {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("nothing", Self::Nothing),
        ("mark", Self::Mark),
        ("hold", Self::Hold),
        ("reject", Self::Reject),
    ];
}
