//! `[judge]`.

use std::time::Duration;

use postern_mail::Domain;
use postern_policy::DomainSet;
use postern_policy::authenticity::Settings as Actions;
use postern_seal::judge::Checks;
use postern_seal::judge::report::Reporter;

use super::{Checking, domain_set, values};
use crate::config::file::Check;
use crate::config::read::At;

/// How mail is judged. A value of this type has been checked.
#[derive(Clone, Debug)]
pub(crate) struct JudgeSettings {
    pub(crate) checks: Checks,
    /// The name of this server in its results.
    pub(crate) authserv_id: String,
    /// The name of this server.
    pub(crate) hostname: String,
    /// The action for each outcome.
    pub(crate) actions: Actions,
    /// Forwarders whose chains are trusted.
    pub(crate) arc_trusted: DomainSet,
    /// The domain that seals forwarded mail.
    pub(crate) arc_seal: Option<Domain>,
    /// The sender of DMARC reports; `None` for none.
    pub(crate) reports: Option<Reporter>,
    /// The time limit of one look-up.
    pub(crate) lookup_timeout: Duration,
    /// The time limit for all look-ups of a message.
    pub(crate) timeout: Duration,
}

/// The sealing domain must have keys, and chains must be checked.
fn arc_seal(c: &mut Checking<'_>, checks: Checks) -> Option<Domain> {
    let name = c.file.judge.arc_seal.as_ref()?;
    let domain: Domain = name.value.parse().ok()?;
    if !checks.arc {
        c.problems.warning(
            name.span.clone(),
            "`arc_seal` in [judge] has no effect",
            "the chain that comes is not checked",
            "list \"arc\" in `checks`",
        );
    }
    let is_it = |written: &At<String>| written.value.parse::<Domain>().is_ok_and(|other| other == domain);
    if !c
        .file
        .dkim
        .iter()
        .any(|dkim| dkim.domain.as_ref().is_some_and(is_it))
    {
        c.problems.error(
            name.span.clone(),
            format!("there is no [[dkim]] for {domain}, which is to seal"),
            "no key",
            format!("add a [[dkim]] with `domain = \"{domain}\"`"),
        );
    }
    Some(domain)
}

pub(super) fn check(c: &mut Checking<'_>) -> JudgeSettings {
    let written = &c.file.judge;
    let has = |check: Check| written.checks.iter().any(|one| one.value == check);
    let checks = Checks {
        spf: has(Check::Spf),
        dkim: has(Check::Dkim),
        dmarc: has(Check::Dmarc),
        arc: has(Check::Arc),
    };
    if !(written.arc_trusted.is_empty() || checks.arc && checks.dmarc) {
        c.problems.warning(
            written.arc_trusted.span.clone(),
            "`arc_trusted` in [judge] has no effect",
            "a trusted chain changes what DMARC says",
            "list \"arc\" and \"dmarc\" in `checks`",
        );
    }
    if let Some(from) = written.report_from.as_ref().filter(|_| !checks.dmarc) {
        c.problems.warning(
            from.span.clone(),
            "`report_from` in [judge] has no effect",
            "reports tell what DMARC says",
            "list \"dmarc\" in `checks`",
        );
    }
    let reports = written
        .report_from
        .as_ref()
        .filter(|_| checks.dmarc)
        .map(|from| Reporter {
            organization: written
                .report_organization
                .as_ref()
                .map_or_else(|| c.hostname.clone(), |name| name.value.clone()),
            from: from.value.clone(),
            receiver: c.hostname.clone(),
        });
    JudgeSettings {
        checks,
        arc_seal: arc_seal(c, checks),
        reports,
        authserv_id: written
            .authserv_id
            .as_ref()
            .map_or_else(|| c.hostname.clone(), |name| name.value.clone()),
        hostname: c.hostname.clone(),
        actions: Actions {
            spf_fail: *written.spf_fail,
            spf_softfail: *written.spf_softfail,
            spf_neutral: *written.spf_neutral,
            spf_none: *written.spf_none,
            spf_permerror: *written.spf_permerror,
            spf_temperror: *written.spf_temperror,
            dkim_none: *written.dkim_none,
            dkim_fail: *written.dkim_fail,
            dkim_temperror: *written.dkim_temperror,
            dmarc_reject: *written.dmarc_reject,
            dmarc_quarantine: *written.dmarc_quarantine,
            dmarc_fail: *written.dmarc_fail,
            dmarc_none: *written.dmarc_none,
            dmarc_permerror: *written.dmarc_permerror,
            dmarc_temperror: *written.dmarc_temperror,
            arc_fail: *written.arc_fail,
            except_domains: domain_set(&written.except_domains),
            except_networks: values(&written.except_networks),
        },
        arc_trusted: domain_set(&written.arc_trusted),
        lookup_timeout: *written.lookup_timeout,
        timeout: *written.timeout,
    }
}
