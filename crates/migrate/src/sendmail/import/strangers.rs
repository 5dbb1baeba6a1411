//! What sendmail demands of clients and senders besides the access table: existing senders, reverse names, `HELO`, DNS
//! lists.

use super::access::Access;
use super::{Site, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::import::OutputFile;

/// Networks whose hosts cannot be mail hosts, as in `FEATURE(badmx)`.
const BAD_HOSTS: &[&str] = &["127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/32"];

/// Patterns of recipients that specify a route with `%` or `!`.
const ROUTED: &str = "tables/routed";

/// The rules on senders.
pub(super) fn senders(site: &mut Site<'_>, access: &Access) {
    if site.mc.feature("accept_unresolvable_domains").is_none() {
        let mut rule = refusal(
            "the sender's domain must exist",
            "553",
            "5.1.8",
            "Domain of sender address {sender} does not exist",
            "sendmail's default, without accept_unresolvable_domains",
        );
        rule.set("fault", Value::text("sender_unknown"), "");
        if !access.senders.is_empty() {
            rule.set("sender", Value::Not(access.senders.clone()), "access: OK");
        }
        site.add_rule(rule);
    }
    if let Some((at, _)) = site.mc.feature("badmx") {
        let at = at.clone();
        let comment = format!("FEATURE(badmx), {}", short(&at));
        let mut rule = refusal(
            "mail hosts of senders",
            "550",
            "5.1.2",
            "Illegal MX record for the domain of {sender}",
            &comment,
        );
        rule.set("sender_mx", Value::list(BAD_HOSTS.iter().copied()), "");
        site.add_rule(rule);
        site.carried(&at, "FEATURE(badmx)", "[[access]] sender_mx");
    }
}

/// The rules on clients; those from the table come first.
pub(super) fn clients(site: &mut Site<'_>, access: &Access) {
    reverse_names(site);
    lists(site, access);
    helo(site);
    routed(site);
}

fn reverse_names(site: &mut Site<'_>) {
    let Some((at, _)) = site.mc.feature("require_rdns") else {
        return;
    };
    let at = at.clone();
    let comment = format!("FEATURE(require_rdns), {}", short(&at));
    let mut nameless = refusal(
        "clients have a name",
        "550",
        "5.7.1",
        "Fix reverse DNS for {address}",
        &comment,
    );
    nameless.set("fault", Value::text("client_nameless"), "");
    nameless.set("stranger", Value::Plain("true".to_owned()), "");
    site.add_rule(nameless);
    let mut forged = refusal(
        "names of clients lead back",
        "451",
        "4.7.1",
        "Possibly forged hostname for {address}",
        &comment,
    );
    forged.set("verdict", Value::text("defer"), "");
    forged.set("fault", Value::text("client_unconfirmed"), "");
    forged.set("stranger", Value::Plain("true".to_owned()), "");
    site.add_rule(forged);
    site.carried(
        &at,
        "FEATURE(require_rdns)",
        "[[access]] fault = \"client_nameless\"",
    );
}

fn helo(site: &mut Site<'_>) {
    let Some((at, _)) = site.mc.feature("block_bad_helo") else {
        return;
    };
    let at = at.clone();
    if site.mc.feature("delay_checks").is_none() {
        site.meaningless(
            &at,
            "FEATURE(block_bad_helo)",
            "it has no effect without FEATURE(delay_checks)",
        );
        return;
    }
    let comment = format!("FEATURE(block_bad_helo), {}", short(&at));
    let text = "bogus HELO name used: {helo}";
    let mut rule = refusal("names in HELO", "550", "5.7.1", text, &comment);
    rule.set("fault", Value::list(["helo_own", "helo_syntax"]), "");
    rule.set("stranger", Value::Plain("true".to_owned()), "");
    site.add_rule(rule);
    site.carried(
        &at,
        "FEATURE(block_bad_helo)",
        "[[access]] fault = [\"helo_own\", \"helo_syntax\"]",
    );
}

fn lists(site: &mut Site<'_>, access: &Access) {
    let mc = site.mc;
    for (at, arguments) in mc.calls("FEATURE") {
        let name = arguments.first().map_or("", String::as_str);
        if matches!(name, "dnsbl" | "enhdnsbl") {
            list(site, access, at, arguments);
        }
    }
}

fn list(site: &mut Site<'_>, access: &Access, at: &Origin, arguments: &[String]) {
    let feature = &arguments[0];
    let argument = |place: usize| arguments.get(place).map_or("", |text| text.trim());
    let what = format!("FEATURE({feature}, {})", argument(1));
    let zone = argument(1).trim_end_matches('.');
    if zone.is_empty() {
        site.meaningless(
            at,
            &what,
            "the list that sendmail asks by default has been closed for years",
        );
        return;
    }
    let comment = format!("FEATURE({feature}), {}", short(at));
    let mut list = Section::new("dns_list", comment.clone());
    list.set("zone", Value::text(zone), "");
    let answers: Vec<String> = (4..arguments.len())
        .map(|place| argument(place).trim_end_matches('.').to_owned())
        .filter(|answer| answer.starts_with("127."))
        .collect();
    if feature == "enhdnsbl" && !answers.is_empty() {
        list.set("answers", Value::list(answers), "");
    }
    site.import.config.add(list);
    let (code, status, text) = said(argument(2), zone);
    let mut rule = refusal(&format!("listed by {zone}"), &code, &status, &text, &comment);
    if code.starts_with('4') {
        rule.set("verdict", Value::text("defer"), "");
    }
    rule.set("dns_list", Value::list([zone]), "");
    rule.set("stranger", Value::Plain("true".to_owned()), "");
    if argument(2) == "quarantine" {
        rule.set("verdict", Value::text("hold"), "");
    }
    if !access.welcome.is_empty() {
        rule.set("client", Value::Not(access.welcome.clone()), "access: OK");
    }
    if !access.welcome_names.is_empty() {
        rule.set(
            "client_name",
            Value::Not(access.welcome_names.clone()),
            "access: OK",
        );
    }
    site.add_rule(rule);
    if argument(3).is_empty() {
        site.carried(at, &what, "[[dns_list]], [[access]] dns_list");
    } else {
        let difference = "while the list does not answer, mail is taken; sendmail refused it for now";
        site.changed(at, &what, "[[dns_list]], [[access]] dns_list", difference);
    }
}

/// Code, status and text of a refusal in the feature: quoted pieces with macros in between.
fn said(message: &str, zone: &str) -> (String, String, String) {
    let text = message
        .replace("$&{client_addr}", "{address}")
        .replace("$&{client_name}", "{name}")
        .replace('"', "");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let usual = format!("Rejected: {{address}} listed at {zone}");
    let (code, rest) = match text.split_once(' ') {
        Some((code, rest)) if code.len() == 3 && code.starts_with(['4', '5']) => (code, rest),
        _ => ("550", text.as_str()),
    };
    let is_status = |word: &str| word.split('.').count() == 3 && word.starts_with(['4', '5']);
    let (status, rest) = match rest.split_once(' ') {
        Some((status, rest)) if is_status(status) => (status, rest),
        _ if code.starts_with('4') => ("4.7.1", rest),
        _ => ("5.7.1", rest),
    };
    let is_own = !rest.is_empty() && !rest.contains('$') && message != "quarantine";
    let rest = if is_own { rest.to_owned() } else { usual };
    (code.to_owned(), status.to_owned(), rest)
}

/// sendmail treats `user%elsewhere@domain` as a relay request, and refuses it to strangers.
fn routed(site: &mut Site<'_>) {
    let nouucp = site.mc.feature("nouucp").map(|(at, _)| at.clone());
    if site.import.config.section("").get("relay_domains").is_none() {
        if let Some(at) = nouucp {
            site.meaningless(&at, "FEATURE(nouucp)", "`!` is a letter like any other");
        }
        return;
    }
    let mut rule = refusal(
        "ways through others",
        "550",
        "5.7.1",
        "Relaying denied",
        "sendmail refuses user%host@domain and host!user@domain where the domain is only relayed to",
    );
    rule.set("recipient", Value::text(format!("pcre:{ROUTED}")), "");
    rule.set("destination", Value::text("relay"), "");
    rule.set("stranger", Value::Plain("true".to_owned()), "");
    site.add_rule(rule);
    site.import.files.push(OutputFile {
        path: ROUTED.to_owned(),
        text: "/[%!].*@/\tREJECT\n".to_owned(),
        secret: false,
    });
    if let Some(at) = nouucp {
        site.carried(
            &at,
            "FEATURE(nouucp)",
            "[[access]] for strangers; for others `!` is a letter like any other",
        );
    }
}

fn refusal(name: &str, code: &str, status: &str, text: &str, comment: &str) -> Section {
    let mut rule = Section::new("access", comment);
    rule.set("name", Value::text(name), "");
    rule.set("verdict", Value::text("refuse"), "");
    rule.set("code", Value::Plain(code.to_owned()), "");
    rule.set("status", Value::text(status), "");
    rule.set("text", Value::text(text), "");
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_lists() {
        let of = |message| said(message, "bl.example");
        let own =
            |code: &str, status: &str, text: &str| (code.to_owned(), status.to_owned(), text.to_owned());
        #[rustfmt::skip]
        let cases = [
            ("",                                                        own("550", "5.7.1", "Rejected: {address} listed at bl.example")),
            (r#""550 5.7.1 Mail from " $&{client_addr} " refused""#,    own("550", "5.7.1", "Mail from {address} refused")),
            (r#""451 later""#,                                          own("451", "4.7.1", "later")),
            (r#""see " $&{other}"#,                                     own("550", "5.7.1", "Rejected: {address} listed at bl.example")),
            ("quarantine",                                              own("550", "5.7.1", "Rejected: {address} listed at bl.example")),
        ];
        for (message, expected) in cases {
            assert_eq!(of(message), expected, "{message}");
        }
    }
}
