//! `FEATURE`: the table of sendmail's features, and macros that only sendmail's templates need.

use super::Site;
use crate::Origin;
use crate::config::Value;
use crate::report::Weight;
use crate::settings;

pub(super) fn carry_over(site: &mut Site<'_>) {
    for (name, at, arguments) in site.mc.all_calls() {
        let argument = arguments.first().map_or("", String::as_str);
        match name {
            "FEATURE" => feature(site, at, argument),
            "OSTYPE" | "DOMAIN" | "VERSIONID" | "SITE" | "SITECONFIG" => {
                site.meaningless(
                    at,
                    &format!("{name}({argument})"),
                    "it is about sendmail's own templates",
                );
            }
            // Read by other parts.
            "CLIENT_OPTIONS"
            | "DAEMON_OPTIONS"
            | "EXPOSED_USER"
            | "EXPOSED_USER_FILE"
            | "GENERICS_DOMAIN"
            | "GENERICS_DOMAIN_FILE"
            | "INPUT_MAIL_FILTER"
            | "LDAPROUTE_DOMAIN"
            | "LDAPROUTE_DOMAIN_FILE"
            | "LDAPROUTE_EQUIVALENT"
            | "LDAPROUTE_EQUIVALENT_FILE"
            | "LOCAL_DOMAIN"
            | "LOCAL_USER"
            | "MAIL_FILTER"
            | "MAILER"
            | "MASQUERADE_AS"
            | "MASQUERADE_DOMAIN"
            | "MASQUERADE_DOMAIN_FILE"
            | "MASQUERADE_EXCEPTION"
            | "MASQUERADE_EXCEPTION_FILE"
            | "RELAY_DOMAIN"
            | "RELAY_DOMAIN_FILE"
            | "TRUST_AUTH_MECH"
            | "VIRTUSER_DOMAIN"
            | "VIRTUSER_DOMAIN_FILE" => {}
            // Their lines are reported one by one.
            _ if argument.is_empty() => {
                site.meaningless(at, name, "it opens a section; its lines are listed")
            }
            _ => site.missing(
                at,
                &format!("{name}({argument})"),
                Weight::Mail,
                "unknown here; read what cf/README says about it",
            ),
        }
    }
}

/// A feature of `.mc` files, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// What becomes of it.
    pub goes: To,
}

/// What becomes of a feature.
#[derive(Clone, Copy, Debug)]
pub enum To {
    /// Another part of the import reads it, and reports it: to this.
    Elsewhere(&'static str),
    /// Postern does the same.
    Carried(&'static str),
    /// There is nothing to carry over.
    Nothing(&'static str),
    /// Not carried over.
    Missing(&'static str),
}

impl To {
    /// Where it goes, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Elsewhere(to) => format!("`{to}`"),
            Self::Carried(how) => (*how).to_owned(),
            Self::Nothing(why) => settings::nothing(why),
            Self::Missing(remedy) => settings::missing(remedy),
        }
    }
}

use To::{Carried, Elsewhere, Missing, Nothing};

const OWN: &str = "it is about sendmail's own ways";
const BY_NAME: &str = "nobody relays by DNS names or by what a message claims: name the networks in [relay]";

/// All features that are known, by name.
pub const FEATURES: &[Feature] = &[
    is(
        "accept_unqualified_senders",
        Missing("[[listener]] `bare_addresses = \"complete\"` takes senders without a domain"),
    ),
    is(
        "accept_unresolvable_domains",
        Carried("senders' domains are not looked up"),
    ),
    is("access_db", Elsewhere("[[access]], [relay], relay_domains")),
    is("allmasquerade", Elsewhere("[[rewrite]] classes")),
    is(
        "always_add_domain",
        Carried("addresses of local submission get the domain of `origin`"),
    ),
    is("authinfo", Elsewhere("[[login]]")),
    is("badmx", Elsewhere("[[access]] sender_mx")),
    is("blacklist_recipients", Elsewhere("[[access]] for recipients")),
    is("block_bad_helo", Elsewhere("[[access]] fault")),
    is("blocklist_recipients", Elsewhere("[[access]] for recipients")),
    is("compat_check", Nothing(OWN)),
    is("conncontrol", Elsewhere("[[limit]] sessions")),
    is("delay_checks", Elsewhere("delay_checks")),
    is("dnsbl", Elsewhere("[[dns_list]], [[access]] dns_list")),
    is("domaintable", Elsewhere("[[rewrite]]")),
    is("enhdnsbl", Elsewhere("[[dns_list]], [[access]] dns_list")),
    is("generics_entire_domain", Elsewhere("[[rewrite]] domains")),
    is("genericstable", Elsewhere("[[rewrite]] table")),
    is("greet_pause", Elsewhere("[timeouts] greeting_delay")),
    is("ldap_routing", Elsewhere("[[table]] kind = \"ldap\", [[alias]]")),
    is("limited_masquerade", Elsewhere("[[rewrite]] domains")),
    is("local_lmtp", Nothing(OWN)),
    is(
        "local_no_masquerade",
        Nothing("mail for users here is not rewritten for others"),
    ),
    is("local_procmail", Elsewhere("[system_users] agent")),
    is("mailertable", Elsewhere("[[route]]")),
    is("masquerade_entire_domain", Elsewhere("[[rewrite]] domains")),
    is("masquerade_envelope", Elsewhere("[[rewrite]] classes")),
    is("no_default_msa", Elsewhere("[[listener]]")),
    is("nocanonify", Nothing(OWN)),
    is("notsticky", Nothing(OWN)),
    is("nouucp", Elsewhere("[[access]] for strangers")),
    is(
        "nullclient",
        Missing("[[route]] with `domains = [\"*\"]` and the hub in `via`, and `[local]`"),
    ),
    is("promiscuous_relay", Missing(BY_NAME)),
    is("ratecontrol", Elsewhere("[[limit]] connections")),
    is(
        "redirect",
        Carried("aliases that end in .REDIRECT tell the new address"),
    ),
    is("relay_based_on_MX", Missing(BY_NAME)),
    is("relay_entire_domain", Missing(BY_NAME)),
    is("relay_hosts_only", Elsewhere("relay_domains")),
    is("relay_local_from", Missing(BY_NAME)),
    is("relay_mail_from", Missing(BY_NAME)),
    is("require_rdns", Elsewhere("[[access]] fault")),
    is(
        "smrsh",
        Nothing("no program is run for a recipient; `forward_programs` in [system_users] is off"),
    ),
    is("stickyhost", Nothing("addresses keep their domain")),
    is(
        "tls_session_features",
        Missing("[tls] and `tls` at a [[route]] say what TLS has to be"),
    ),
    is("use_ct_file", Elsewhere("[local] trusted_users")),
    is("use_cw_file", Elsewhere("local_domains")),
    is("uucpdomain", Nothing("there is no UUCP")),
    is("virtuser_entire_domain", Elsewhere("[[alias]] table")),
    is("virtusertable", Elsewhere("[[alias]] table")),
];

const fn is(name: &'static str, goes: To) -> Feature {
    Feature { name, goes }
}

fn feature(site: &mut Site<'_>, at: &Origin, name: &str) {
    let what = format!("FEATURE({name})");
    let goes = FEATURES
        .iter()
        .find(|feature| feature.name == name)
        .map(|feature| feature.goes);
    match goes {
        _ if name == "delay_checks" => {
            site.set("", "delay_checks", Value::Plain("true".to_owned()), at, &what);
        }
        Some(Elsewhere(_)) => {}
        Some(Carried(to)) => site.carried(at, &what, to),
        Some(Nothing(why)) => site.meaningless(at, &what, why),
        Some(Missing(remedy)) => site.missing(at, &what, Weight::Mail, remedy),
        None => site.missing(
            at,
            &what,
            Weight::Mail,
            "unknown here; read what cf/README says about it",
        ),
    }
}
