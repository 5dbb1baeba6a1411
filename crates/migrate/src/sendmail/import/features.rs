//! `FEATURE`, `MAILER`, and what stands around them.

use super::Site;
use crate::Origin;
use crate::config::Value;
use crate::report::Weight;

pub(super) fn carry_over(site: &mut Site<'_>) {
    for (name, at, arguments) in site.mc.all_calls() {
        let argument = arguments.first().map_or("", String::as_str);
        match name {
            "FEATURE" => feature(site, at, argument),
            "MAILER" => mailer(site, at, argument),
            "OSTYPE" | "DOMAIN" | "VERSIONID" | "SITE" | "SITECONFIG" => {
                site.meaningless(
                    at,
                    &format!("{name}({argument})"),
                    "it is about sendmail's own templates",
                );
            }
            "EXPOSED_USER"
            | "EXPOSED_USER_FILE"
            | "MASQUERADE_AS"
            | "MASQUERADE_DOMAIN"
            | "MASQUERADE_DOMAIN_FILE"
            | "MASQUERADE_EXCEPTION"
            | "MASQUERADE_EXCEPTION_FILE"
            | "GENERICS_DOMAIN"
            | "GENERICS_DOMAIN_FILE" => {
                let remedy = "addresses go out as they come";
                site.missing(at, &format!("{name}({argument})"), Weight::Mail, remedy);
            }
            // Read by other parts.
            "CLIENT_OPTIONS" | "DAEMON_OPTIONS" | "INPUT_MAIL_FILTER" | "MAIL_FILTER" | "LOCAL_DOMAIN"
            | "RELAY_DOMAIN" | "RELAY_DOMAIN_FILE" | "TRUST_AUTH_MECH" => {}
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

fn feature(site: &mut Site<'_>, at: &Origin, name: &str) {
    let what = format!("FEATURE({name})");
    match name {
        "access_db"
        | "authinfo"
        | "mailertable"
        | "no_default_msa"
        | "use_cw_file"
        | "blacklist_recipients"
        | "blocklist_recipients" => {}
        "delay_checks" => site.set("", "delay_checks", Value::Plain("true".to_owned()), at, &what),
        "always_add_domain" => site.carried(at, &what, "addresses of local submission get the host's domain"),
        "smrsh" | "use_ct_file" | "nocanonify" | "nouucp" | "compat_check" | "local_lmtp"
        | "local_procmail" => {
            site.meaningless(at, &what, "it is about sendmail's own ways");
        }
        "relay_entire_domain"
        | "relay_based_on_MX"
        | "relay_hosts_only"
        | "relay_local_from"
        | "promiscuous_relay" => {
            let remedy = "relaying by DNS names or claims is not offered: name the networks in [relay]";
            site.missing(at, &what, Weight::Mail, remedy);
        }
        "accept_unresolvable_domains" => site.carried(at, &what, "senders' domains are not looked up"),
        "virtusertable"
        | "genericstable"
        | "masquerade_envelope"
        | "masquerade_entire_domain"
        | "allmasquerade"
        | "limited_masquerade"
        | "domaintable"
        | "redirect" => {
            site.missing(
                at,
                &what,
                Weight::Mail,
                "set it up by hand: addresses are not rewritten by this import yet",
            );
        }
        _ => site.missing(at, &what, Weight::Mail, "read what cf/README says about it"),
    }
}

fn mailer(site: &mut Site<'_>, at: &Origin, name: &str) {
    let what = format!("MAILER({name})");
    match name {
        "smtp" => site.carried(at, &what, "delivery by SMTP"),
        "local" | "procmail" => {
            let difference =
                "mailboxes are Maildirs of Postern's own; with Dovecot or Cyrus, set [delivery] lmtp";
            site.changed(at, &what, "[delivery]", difference);
        }
        _ => site.missing(
            at,
            &what,
            Weight::Mail,
            "no such mailer; Dovecot and Cyrus take mail by LMTP",
        ),
    }
}
