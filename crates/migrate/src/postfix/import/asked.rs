//! What restrictions ask others: policy services, DNS lists, owners of addresses, next hops.

use super::super::text::words;
use super::Site;
use super::run::Run;
use super::tables::{Behind, Edit, Entry, Reference};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::settings::Time;

pub(super) fn carry_over(site: &mut Site<'_>) {
    recipients(site);
    if !site.asked.is_empty() {
        let domains: Vec<String> = site.asked.iter().cloned().collect();
        site.import.config.section("").set(
            "ask_next_hop",
            Value::list(domains),
            "reject_unverified_recipient",
        );
    }
    for parameter in [
        "address_verify_map",
        "address_verify_sender",
        "address_verify_positive_expire_time",
    ] {
        site.meaningless(
            parameter,
            "answers of next hops are remembered for six hours, refusals for five minutes",
        );
    }
    let code = site.value("unverified_recipient_reject_code");
    if code == "550" || code.is_empty() {
        site.carried("unverified_recipient_reject_code", "ask_next_hop");
    } else {
        let difference = "who is unknown there is refused for good (550 5.1.1), not for now";
        site.changed("unverified_recipient_reject_code", "ask_next_hop", difference);
    }
}

/// `relay_recipient_maps`. A line for a whole domain whose next hop is asked would say that all of it exists.
fn recipients(site: &mut Site<'_>) {
    let at = site.at("relay_recipient_maps");
    let asked = site.asked.clone();
    let mut tables = Vec::new();
    for word in site.words("relay_recipient_maps") {
        let is_of_asked = |entry: &Entry| {
            let domain = entry.key.strip_prefix('@');
            domain.is_some_and(|domain| asked.contains("*") || asked.contains(&domain.to_ascii_lowercase()))
        };
        let entries = Reference::of(&word).and_then(|table| site.entries(&table, &at));
        for entry in entries.iter().flatten().filter(|entry| is_of_asked(entry)) {
            site.import.carried(&entry.at, &entry.key, "ask_next_hop");
        }
        let edit = |entry: &Entry| is_of_asked(entry).then_some(Edit::Drop);
        tables.extend(site.edited(&word, &at, "relay_recipient_maps", &edit));
    }
    if tables.is_empty() {
        site.meaningless("relay_recipient_maps", "it is empty: all recipients are taken");
    } else {
        site.set(
            "",
            "relay_recipients",
            Value::list(tables),
            "relay_recipient_maps",
        );
    }
}

/// Asks a domain's next hop which recipients exist.
pub(super) fn ask(site: &mut Site<'_>, at: &Origin, what: &str, domain: String) {
    site.asked.insert(domain);
    site.import.carried(at, what, "ask_next_hop");
}

/// `reject_unverified_recipient` in a list: the next hops of all domains.
pub(super) fn everywhere(run: &mut Run<'_, '_>) {
    run.site.asked.insert("*".to_owned());
    run.carried("reject_unverified_recipient", "ask_next_hop");
}

/// Postfix takes a sender that canonical maps have for one that exists.
pub(super) fn listed_otherwise(site: &mut Site<'_>, rule: &mut Section) {
    let mut tables = Vec::new();
    for parameter in ["sender_canonical_maps", "canonical_maps"] {
        let at = site.at(parameter);
        for word in site.words(parameter) {
            // Services rewrite all addresses, those that nobody has too.
            let is_list = Reference::of(&word).is_some_and(|table| table.behind() != Behind::Service);
            if is_list {
                tables.extend(site.table(&word, &at, parameter));
            }
        }
    }
    if !tables.is_empty() {
        rule.set("sender", Value::Not(tables), "canonical maps have them");
    }
}

/// Who may use which sender.
pub(super) fn owners(run: &mut Run<'_, '_>, word: &str) {
    let tables = run.site.tables("smtpd_sender_login_maps");
    run.site.carried("smtpd_sender_login_maps", "[identity] owners");
    let identity = run.site.import.config.section("identity");
    if !tables.is_empty() {
        identity.set("owners", Value::list(tables), "smtpd_sender_login_maps");
    }
    let for_strangers = matches!(
        word,
        "reject_sender_login_mismatch" | "reject_unauthenticated_sender_login_mismatch"
    );
    let for_logins = word != "reject_unauthenticated_sender_login_mismatch";
    let has_auth = run.has_auth();
    if for_logins {
        let relay = run.site.import.config.section("relay");
        relay.set("senders", Value::text("own"), word);
        relay.set("machine_senders", Value::text("any"), "it is about logins");
        let difference = "a login with another's sender hears so at MAIL (553 5.7.1), not at RCPT; `From` in the message is looked at, too";
        run.changed(word, "[relay] senders", difference);
    }
    if for_strangers && has_auth && !run.is_submission() {
        let identity = run.site.import.config.section("identity");
        identity.set("strangers", Value::text("owned"), word);
        run.carried(word, "[identity] strangers");
    } else if for_strangers && !for_logins {
        let why = "Postfix takes no notice of it where no login is offered: `strangers = \"owned\"` in [identity] would keep \
            strangers from using your addresses";
        let what = word.to_owned();
        let at = run.at.clone();
        run.site.import.meaningless(&at, &what, why);
    }
}

/// `check_policy_service inet:127.0.0.1:10023`, or in braces with its own settings.
pub(super) fn service(run: &mut Run<'_, '_>, written: &str) {
    let parts = words(written);
    let address = parts
        .first()
        .map_or("", String::as_str)
        .trim_matches(',')
        .to_owned();
    let what = format!("check_policy_service {address}");
    let option = |name: &str| {
        parts
            .iter()
            .skip(1)
            .find_map(|part| part.split_once('=').filter(|(key, _)| key.trim() == name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let Some(socket) = socket(run, &address, &what) else {
        return;
    };
    let default_action =
        option("default_action").unwrap_or_else(|| run.site.value("smtpd_policy_service_default_action"));
    let timeout = option("timeout").unwrap_or_else(|| run.site.value("smtpd_policy_service_timeout"));
    for parameter in [
        "smtpd_policy_service_default_action",
        "smtpd_policy_service_timeout",
    ] {
        run.site.carried(parameter, "[[policy_service]]");
    }
    let known: Vec<&Section> = run.site.import.config.sections("policy_service").collect();
    let found = known
        .iter()
        .find(|known| known.get("address") == Some(&Value::text(socket.clone())));
    let name = match found.and_then(|found| found.get("name")) {
        Some(Value::Text(name)) => name.clone(),
        _ => {
            let name = format!("service {}", known.len() + 1);
            let mut section = Section::new("policy_service", what.clone());
            section.set("name", Value::text(name.clone()), "");
            section.set("address", Value::text(socket), "");
            let timeout = Time::read(&timeout, "s").map_or_else(|| "100s".to_owned(), |time| time.text);
            section.set("timeout", Value::text(timeout), "");
            if default_action.eq_ignore_ascii_case("DUNNO") || default_action.eq_ignore_ascii_case("OK") {
                section.set("optional", Value::plain(true), "");
            }
            run.site.import.config.add(section);
            name
        }
    };
    let mut rule = run.rule(&what);
    rule.set("verdict", Value::text("policy"), "");
    rule.set("service", Value::text(name), "");
    run.put(rule, &what);
}

fn socket(run: &mut Run<'_, '_>, address: &str, what: &str) -> Option<String> {
    let Some((kind, rest)) = address.split_once(':') else {
        run.missing(what, Weight::Mail, "the address of the service is not understood");
        return None;
    };
    if kind == "inet" {
        return Some(address.to_owned());
    }
    let name = rest.rsplit('/').next().unwrap_or(rest).to_owned();
    let spawned = run
        .site
        .master
        .service(&name, "unix")
        .filter(|service| service.command == "spawn");
    if let Some(service) = spawned {
        let at = service.at.clone();
        let is_spf = service.arguments.iter().any(|argument| argument.contains("spf"));
        let remedy = if is_spf {
            "Postfix starts this program itself; Postern checks SPF without it: `checks = [\"spf\"]` and `spf_fail = \"reject\"` in [judge]"
        } else {
            "Postfix starts this program itself: have systemd run it on a socket, and name that in a [[policy_service]]"
        };
        run.site.lanes.insert(name.clone());
        run.site
            .import
            .missing(&at, &format!("{name} unix spawn"), Weight::Mail, remedy);
        run.missing(what, Weight::Mail, remedy);
        return None;
    }
    Some(format!("unix:{}", run.site.below_queue(rest)))
}

/// Whether a restriction queries a DNS list.
pub(super) fn is_list(word: &str) -> bool {
    word.starts_with("reject_rbl_client")
        || word.starts_with("reject_rhsbl_")
        || word.starts_with("permit_dnswl_client")
        || word.starts_with("permit_rhswl_client")
        || word == "reject_maps_rbl"
}

/// `reject_rbl_client bl.example.org=127.0.0.2`.
pub(super) fn list(run: &mut Run<'_, '_>, word: &str, written: &str) {
    let what = format!("{word} {written}");
    let subject = match word {
        "reject_rbl_client" | "permit_dnswl_client" => "client",
        "reject_rhsbl_sender" => "sender",
        "reject_rhsbl_helo" => "helo",
        _ => {
            let remedy = "lists are asked about the client's address, HELO and the sender's domain: see `subject` of [[dns_list]]";
            return run.missing(&what, Weight::Mail, remedy);
        }
    };
    let (zone, answers) = written
        .split_once('=')
        .map_or((written, ""), |(zone, answers)| (zone, answers));
    let Some(name) = dns_list(run.site, zone, answers, subject, 1, &what) else {
        return run.missing(
            &what,
            Weight::Mail,
            "its answers are not understood: write a [[dns_list]] for it",
        );
    };
    let mut rule = run.rule(&what);
    rule.set("dns_list", Value::list([name]), "");
    if word.starts_with("permit") {
        return run.push(rule, &what, "accept");
    }
    let (code, status, text) = reply(run.site, zone, subject);
    run.refuse(&mut rule, code, &status, &text);
    run.put(rule, &what);
}

/// The list with this zone and these answers, created if there is none.
pub(super) fn dns_list(
    site: &mut Site<'_>,
    zone: &str,
    answers: &str,
    subject: &str,
    score: i32,
    what: &str,
) -> Option<String> {
    let zone = zone.trim_end_matches('.').to_ascii_lowercase();
    let wanted = if answers.is_empty() {
        Vec::new()
    } else {
        ranges(answers)?
    };
    let key = format!("{answers}|{subject}");
    if let Some((name, _)) = site
        .lists
        .iter()
        .find(|(name, known)| *known == key && (*name == zone || name.starts_with(&format!("{zone}-"))))
    {
        return Some(name.clone());
    }
    let count = site
        .lists
        .iter()
        .filter(|(name, _)| *name == zone || name.starts_with(&format!("{zone}-")))
        .count();
    let name = if count == 0 {
        zone.clone()
    } else {
        format!("{zone}-{}", count + 1)
    };
    let mut section = Section::new("dns_list", what);
    section.set("zone", Value::text(zone), "");
    if count > 0 {
        section.set("name", Value::text(name.clone()), "");
    }
    if subject != "client" {
        section.set("subject", Value::text(subject), "");
    }
    if !wanted.is_empty() {
        section.set("answers", Value::list(wanted), "");
    }
    if score != 1 {
        section.set("score", Value::plain(score), "");
    }
    site.import.config.add(section);
    site.lists.push((name.clone(), key));
    Some(name)
}

/// `127.0.0.[2..9;11]` as ranges and single answers.
fn ranges(text: &str) -> Option<Vec<String>> {
    let Some((before, rest)) = text.split_once('[') else {
        return text
            .parse::<std::net::Ipv4Addr>()
            .is_ok()
            .then(|| vec![text.to_owned()]);
    };
    let (inside, after) = rest.split_once(']')?;
    if !after.is_empty() || before.matches('.').count() != 3 {
        return None;
    }
    let mut found = Vec::new();
    for part in inside.split([';', ',']) {
        let answer = |number: &str| {
            let address = format!("{before}{}", number.trim());
            address.parse::<std::net::Ipv4Addr>().is_ok().then_some(address)
        };
        found.push(match part.split_once("..") {
            Some((from, to)) => format!("{}-{}", answer(from)?, answer(to)?),
            None => answer(part)?,
        });
    }
    Some(found)
}

/// The reply to a listed client: `rbl_reply_maps`, or `default_rbl_reply`.
fn reply(site: &mut Site<'_>, zone: &str, subject: &str) -> (u16, String, String) {
    let code: u16 = site.value("maps_rbl_reject_code").parse().unwrap_or(554);
    let mut template = site.value("default_rbl_reply");
    site.carried("default_rbl_reply", "[[access]] text");
    site.carried("maps_rbl_reject_code", "[[access]] code");
    let at = site.at("rbl_reply_maps");
    for word in site.words("rbl_reply_maps") {
        let entries = Reference::of(&word).and_then(|table| site.entries(&table, &at));
        for entry in entries.unwrap_or_default() {
            let domain = entry.key.split('=').next().unwrap_or_default();
            if domain.eq_ignore_ascii_case(zone) {
                template.clone_from(&entry.value);
                site.import.carried(&entry.at, &entry.key, "[[access]] text");
            }
        }
    }
    site.carried("rbl_reply_maps", "[[access]] text");
    if template.is_empty() {
        "$rbl_code 5.7.1 Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain"
            .clone_into(&mut template);
    }
    let (class, what) = match subject {
        "sender" => ("Sender address", "{sender}"),
        "helo" => ("Helo command", "{helo}"),
        _ => ("Client host", "{address}"),
    };
    let code_text = code.to_string();
    let places = [
        ("$rbl_class", class),
        ("$rbl_what", what),
        ("$rbl_domain", zone),
        ("$rbl_code", code_text.as_str()),
        ("$client_address", "{address}"),
        ("$client_name", "{name}"),
        ("$client", "{address}"),
        ("$helo_name", "{helo}"),
        ("$sender", "{sender}"),
        ("$recipient", "{recipient}"),
        ("$rbl_reason", ""),
        ("$rbl_txt", ""),
    ];
    let mut text = without_conditions(&template);
    for (place, value) in places {
        text = text
            .replace(place, value)
            .replace(&format!("${{{}}}", &place[1..]), value);
    }
    let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let (code, rest) = match first.parse::<u16>() {
        Ok(code) if (400..600).contains(&code) => (code, rest),
        _ => (code, text.as_str()),
    };
    match rest.split_once(' ') {
        Some((status, words))
            if status.len() > 2
                && status.split('.').count() == 3
                && status
                    .bytes()
                    .all(|octet| octet.is_ascii_digit() || octet == b'.') =>
        {
            (code, status[2..].to_owned(), words.to_owned())
        }
        _ => (code, "7.1".to_owned(), rest.to_owned()),
    }
}

/// A template without `${name?text}`: the list's TXT text is not known here.
fn without_conditions(template: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, inside)) = rest.split_once("${") {
        text.push_str(before);
        let Some((name, after)) = inside.split_once('}') else {
            rest = inside;
            break;
        };
        if !name.contains(['?', ':']) {
            text.push_str(&format!("${{{name}}}"));
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The differences for clients that may not relay, whichever restriction says so.
pub(super) fn relay_differences(site: &mut Site<'_>) {
    let lists = ["smtpd_relay_restrictions", "smtpd_recipient_restrictions"];
    let set = lists.iter().find(|list| {
        site.is_set(list)
            && site
                .words(list)
                .iter()
                .any(|word| word == "reject_unauth_destination")
    });
    let Some(list) = set else { return };
    let at = site.at(list);
    let difference = "who may not relay hears 550 5.7.1 where Postfix said 554 5.7.1; both are permanent";
    site.import
        .changed(&at, "reject_unauth_destination", "[relay]", difference);
    let difference = "strangers always reach postmaster and abuse, whatever the rules say: `exempt_recipients` (RFC 5321 section 4.5.1)";
    site.import.changed(&at, list, "exempt_recipients", difference);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_replies() {
        let table: &[(&str, Option<&[&str]>)] = &[
            ("127.0.0.2", Some(&["127.0.0.2"])),
            ("127.0.0.[2..9]", Some(&["127.0.0.2-127.0.0.9"])),
            (
                "127.0.0.[2;4;10..11]",
                Some(&["127.0.0.2", "127.0.0.4", "127.0.0.10-127.0.0.11"]),
            ),
            ("127.0.[0..2].3", None),
            ("x", None),
        ];
        for (text, expected) in table {
            let expected: Option<Vec<String>> =
                expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
            assert_eq!(ranges(text), expected, "{text}");
        }
        assert_eq!(without_conditions("a${x?; $x} ${name}b"), "a ${name}b");
    }
}
