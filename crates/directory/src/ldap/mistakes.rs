//! What is wrong with the settings of an LDAP directory, without looking at files or servers.

use super::settings::{LdapCheck, LdapSettings};
use super::template::Template;
use crate::mistake::{Mistake, of_all};

/// Most servers of one directory.
const SERVERS_MAX: usize = 16;

impl LdapSettings {
    /// All that is wrong with them. Files and servers are not looked at.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        mistakes(self)
    }
}

pub(super) fn mistakes(settings: &LdapSettings) -> Vec<Mistake> {
    let mut found: Vec<Mistake> = of_servers(settings).into_iter().collect();
    found.extend(of_identity(settings));
    let recipients = match &settings.recipient_filter {
        Some(text) => text.clone(),
        None => recipient_filter(&settings.mail_attributes),
    };
    let texts = [
        ("filter", Template::parse(&settings.filter)),
        ("recipient_filter", Template::parse(&recipients)),
    ];
    let more = [
        (
            "group_filter",
            settings.group_filter.as_deref().map(Template::of_groups),
        ),
        (
            "direct_bind",
            settings.direct_bind.as_deref().map(Template::of_bind),
        ),
    ];
    let more = more.into_iter().filter_map(|(key, parsed)| Some((key, parsed?)));
    for (key, parsed) in texts.into_iter().chain(more) {
        found.extend(parsed.err().map(|text| Mistake::of_text(key, &text)));
    }
    if settings.direct_bind.is_some() && settings.check == LdapCheck::Compare {
        let what = "cannot be together with a comparison of stored passwords";
        found.push(Mistake::new("direct_bind", what, "remove one of the two"));
    }
    if settings.group_filter.is_none()
        && settings.member_of_attribute.is_none()
        && !settings.allowed_groups.is_empty()
    {
        let remedy = "add `member_of_attribute = \"memberOf\"`, or a `group_filter`";
        found.push(Mistake::new(
            "allowed_groups",
            "is set without a way to find groups",
            remedy,
        ));
    }
    if settings.mail_attributes.is_empty() || settings.mail_attributes.iter().any(String::is_empty) {
        found.push(Mistake::new(
            "mail_attribute",
            "is empty",
            "leave it out for `mail`",
        ));
    }
    found.extend(of_all(
        settings.pool_size,
        settings.workers,
        settings.timeout,
        &settings.schemes,
    ));
    found
}

/// What is wrong with the addresses of the servers.
pub(super) fn of_servers(settings: &LdapSettings) -> Option<Mistake> {
    let count = settings.servers.len();
    match &settings.discover {
        Some(_) if count > 0 => Some(Mistake::new(
            "discover",
            "stands beside `servers`",
            "keep `servers`, or let DNS name them by `discover`",
        )),
        Some(_) => None,
        None if (1..=SERVERS_MAX).contains(&count) => None,
        None => Some(Mistake::new(
            "servers",
            format!("has {count} servers"),
            format!("name at least one, such as \"ldap://127.0.0.1/\", and at most {SERVERS_MAX}"),
        )),
    }
}

fn of_identity(settings: &LdapSettings) -> Option<Mistake> {
    match (&settings.bind_dn, &settings.bind_password_file) {
        (Some(dn), _) if dn.is_empty() => Some(Mistake::new(
            "bind_dn",
            "is empty",
            "leave it out for anonymous searches",
        )),
        (Some(_), None) => Some(Mistake::new(
            "bind_dn",
            "is set without `bind_password_file`",
            "add `bind_password_file = \"…\"`; without both, searches are anonymous",
        )),
        (None, Some(_)) => Some(Mistake::new(
            "bind_password_file",
            "is set without `bind_dn`",
            "add `bind_dn = \"…\"`; without both, searches are anonymous",
        )),
        _ => None,
    }
}

/// Searches each attribute for the address, including the form that Exchange uses.
pub(super) fn recipient_filter(attributes: &[String]) -> String {
    let one = |attribute: &String| match attribute.eq_ignore_ascii_case("proxyAddresses") {
        true => format!("({attribute}=smtp:{{address}})"),
        false => format!("({attribute}={{address}})"),
    };
    match attributes {
        [only] => one(only),
        several => format!("(|{})", several.iter().map(one).collect::<String>()),
    }
}
