//! `FEATURE`: the table of sendmail's features, and macros that only sendmail's templates need.

use super::Site;
use crate::Origin;
use crate::config::Value;
use crate::report::Weight::Mail;
use crate::settings::Goes::{Elsewhere, Missing, Nothing, Own};
use crate::settings::{Row, Special, row};

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
            "CANONIFY_DOMAIN" | "CANONIFY_DOMAIN_FILE" | "QUEUE_GROUP" | "HACK" => {
                site.meaningless(at, &format!("{name}({argument})"), OWN);
            }
            "MODIFY_MAILER_FLAGS" => site.missing(
                at,
                &format!("{name}({})", arguments.join(", ")),
                Mail,
                "look what the flag does: `+z` is `protocol = \"lmtp\"` in the [[route]] of this mailer; most others are about sendmail's own ways",
            ),
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
                Mail,
                "unknown here; read what cf/README says about it",
            ),
        }
    }
}

/// What Postern does in the same way, and how.
#[derive(Clone, Copy, Debug)]
pub struct Same(&'static str);

impl Special for Same {
    fn shown(&self) -> String {
        self.0.to_owned()
    }
}

const OWN: &str = "it is about sendmail's own ways";
const BY_NAME: &str = "nobody relays by DNS names or by what a message claims: name the networks in [relay]";

/// All known features, by name.
#[rustfmt::skip]
pub const FEATURES: &[Row<Same>] = &[
    row("accept_unqualified_senders", Elsewhere("[[listener]] bare_addresses")),
    row("accept_unresolvable_domains", Own(Same("senders' domains are not looked up"))),
    row("access_db", Elsewhere("[[access]], [relay], relay_domains")),
    row("allmasquerade", Elsewhere("[[rewrite]] classes")),
    row("always_add_domain", Own(Same("addresses of local submission get the domain of `origin`"))),
    row("authinfo", Elsewhere("[[login]]")),
    row("badmx", Elsewhere("[[access]] sender_mx")),
    row("blacklist_recipients", Elsewhere("[[access]] for recipients")),
    row("block_bad_helo", Elsewhere("[[access]] fault")),
    row("blocklist_recipients", Elsewhere("[[access]] for recipients")),
    row("compat_check", Nothing(OWN)),
    row("conncontrol", Elsewhere("[[limit]] sessions")),
    row("delay_checks", Elsewhere("delay_checks")),
    row("dnsbl", Elsewhere("[[dns_list]], [[access]] dns_list")),
    row("domaintable", Elsewhere("[[rewrite]]")),
    row("enhdnsbl", Elsewhere("[[dns_list]], [[access]] dns_list")),
    row("generics_entire_domain", Elsewhere("[[rewrite]] domains")),
    row("genericstable", Elsewhere("[[rewrite]] table")),
    row("greet_pause", Elsewhere("[timeouts] greeting_delay")),
    row("ldap_routing", Elsewhere("[[table]] kind = \"ldap\", [[alias]]")),
    row("limited_masquerade", Elsewhere("[[rewrite]] domains")),
    row("local_lmtp", Nothing(OWN)),
    row("local_no_masquerade", Nothing("mail for users here is not rewritten for others")),
    row("local_procmail", Elsewhere("[system_users] agent")),
    row("mailertable", Elsewhere("[[route]]")),
    row("masquerade_entire_domain", Elsewhere("[[rewrite]] domains")),
    row("masquerade_envelope", Elsewhere("[[rewrite]] classes")),
    row("no_default_msa", Elsewhere("[[listener]]")),
    row("nocanonify", Nothing(OWN)),
    row("notsticky", Nothing(OWN)),
    row("nouucp", Elsewhere("[[access]] for strangers")),
    row("nullclient", Elsewhere("alias_domains, [[alias]], [[route]]")),
    row("promiscuous_relay", Missing(Mail, BY_NAME)),
    row("ratecontrol", Elsewhere("[[limit]] connections")),
    row("redirect", Own(Same("aliases that end in .REDIRECT tell the new address"))),
    row("relay_based_on_MX", Missing(Mail, BY_NAME)),
    row("relay_entire_domain", Missing(Mail, BY_NAME)),
    row("relay_hosts_only", Elsewhere("relay_domains")),
    row("relay_local_from", Missing(Mail, BY_NAME)),
    row("relay_mail_from", Missing(Mail, BY_NAME)),
    row("require_rdns", Elsewhere("[[access]] fault")),
    row("smrsh", Nothing("no program is run for a recipient; `forward_programs` in [system_users] is off")),
    row("stickyhost", Nothing("addresses keep their domain")),
    row("tls_session_features", Missing(Mail, "[tls] and `tls` at a [[route]] say what TLS has to be")),
    row("use_ct_file", Elsewhere("[local] trusted_users")),
    row("use_cw_file", Elsewhere("local_domains")),
    row("uucpdomain", Nothing("there is no UUCP")),
    row("virtuser_entire_domain", Elsewhere("[[alias]] table")),
    row("virtusertable", Elsewhere("[[alias]] table")),
];

fn feature(site: &mut Site<'_>, at: &Origin, name: &str) {
    let what = format!("FEATURE({name})");
    let goes = FEATURES
        .iter()
        .find(|feature| feature.name == name)
        .map(|feature| feature.goes);
    match goes {
        _ if name == "delay_checks" => {
            site.set("", "delay_checks", Value::Plain("true".to_owned()), at, &what);
            if site.mc.feature("accept_unqualified_senders").is_none() {
                let what = "FEATURE(delay_checks): senders";
                let difference = "a sender without a domain is refused at MAIL; sendmail said so at RCPT";
                site.changed(at, what, "[[listener]] bare_addresses", difference);
            }
        }
        Some(Elsewhere(_)) => {}
        Some(Own(Same(how))) => site.carried(at, &what, how),
        Some(Nothing(why)) => site.meaningless(at, &what, why),
        Some(Missing(weight, remedy)) => site.missing(at, &what, weight, remedy),
        _ => site.missing(at, &what, Mail, "unknown here; read what cf/README says about it"),
    }
}
