//! `alias_maps`, virtual aliases, relocated users, and where mail for unknown users goes.

use std::collections::BTreeSet;

use super::super::text::{logical_lines, words};
use super::Site;
use super::tables::{Behind, Reference};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

/// The aliases file next to the new configuration.
const ALIASES: &str = "aliases";

/// The reply to senders whose mail used to go to a program or file, or to a transport that is a program.
pub(super) const NOT_SET_UP: &str = "450 4.3.0 The way to this address is not set up yet";

pub(super) fn carry_over(site: &mut Site<'_>) {
    local(site);
    virtual_aliases(site);
    relocated(site);
    let luser = site.value("luser_relay");
    if !luser.is_empty() {
        let to = luser
            .replace("$user", "%1")
            .replace("$local", "%1")
            .replace("$extension", "%2");
        if to.contains('$') {
            site.missing(
                "luser_relay",
                Weight::Mail,
                "set `unknown_users`; %1 stands for the name",
            );
        } else if let Some(host) = to.strip_prefix("%1@") {
            site.set(
                "",
                "unknown_users",
                Value::text(format!("@{host}")),
                "luser_relay",
            );
        } else {
            site.set("", "unknown_users", Value::text(to), "luser_relay");
        }
    }
    if site.value("owner_request_special") == "no" {
        site.set(
            "",
            "list_sender",
            Value::text("unchanged"),
            "owner_request_special",
        );
    } else {
        site.carried("owner_request_special", "list_sender");
    }
}

/// The files of `alias_maps` become one: names are local parts, for all of `mydestination`.
fn local(site: &mut Site<'_>) {
    let at = site.at("alias_maps");
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    let mut waiting = Vec::new();
    let mut is_private = false;
    for word in site.words("alias_maps") {
        let table = Reference::of(&word);
        match table.as_ref().map(|table| (table.behind(), table.rest.clone())) {
            // Postfix's own default, on a machine without such a file.
            Some((Behind::Keys, path)) if !site.is_set("alias_maps") && site.files.read(&path).is_err() => {}
            Some((Behind::Keys, path)) => {
                if let Some(file) = site.text(&path, &at, "alias_maps") {
                    is_private |= site.files.is_private(&path);
                    text.push_str(&format!("# From {path}.\n"));
                    waiting.extend(one_file(site, &path, &file, &mut seen, &mut text));
                }
            }
            Some((
                Behind::Database | Behind::Patterns | Behind::Itself | Behind::Others | Behind::Service,
                _,
            )) => {
                let Some(table) = site.table(&word, &at, "alias_maps") else {
                    continue;
                };
                let mut alias = Section::new("alias", site.comment("alias_maps"));
                alias.set("table", Value::text(table), "");
                site.import.config.add(alias);
                let difference = "entries of this table hold for all domains that mail is taken for, where a name has no domain for those of local_domains; programs and files in it do not count";
                site.import
                    .changed(&at, &format!("alias_maps: {word}"), "[[alias]] table", difference);
            }
            _ => {
                let remedy = "put these aliases into a file, SQL or LDAP, and name that";
                site.import
                    .missing(&at, &format!("alias_maps: {word}"), Weight::Mail, remedy);
            }
        }
    }
    let text = without_loops(site, &text);
    site.carried("alias_maps", "aliases");
    site.meaningless(
        "alias_database",
        "the text itself is read: no `newaliases` is needed",
    );
    hold_back(site, &waiting);
    if text.is_empty() {
        return;
    }
    site.import.file(ALIASES, text, is_private);
    let comment = site.comment("alias_maps");
    site.import
        .config
        .section("")
        .set("aliases", Value::text(ALIASES), comment);
}

/// Comments out aliases that lead back to themselves through names only: Postern rejects a file that has any.
fn without_loops(site: &mut Site<'_>, text: &str) -> String {
    let entries: Vec<(String, Vec<String>)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, targets)| (name.to_owned(), targets_of(targets)))
        .collect();
    let looping = looping(&entries);
    if looping.is_empty() {
        return text.to_owned();
    }
    let at = site.at("alias_maps");
    for name in &looping {
        let remedy =
            "it leads back to itself, so Postfix took its mail and bounced it: left out, and refused here";
        site.import
            .missing(&at, &format!("alias {name}: a loop"), Weight::Mail, remedy);
    }
    let mut kept = String::new();
    for line in text.lines() {
        let is_out = line
            .split_once(':')
            .is_some_and(|(name, _)| looping.contains(name));
        kept.push_str(if is_out { "# " } else { "" });
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// The aliases that lead back to themselves. One that names itself directly means the mailbox of that name.
fn looping(entries: &[(String, Vec<String>)]) -> BTreeSet<String> {
    let targets = |name: &str| {
        let own = name.to_owned();
        let entry = entries.iter().find(|(alias, _)| *alias == own);
        let targets = entry.map(|(_, targets)| targets.as_slice()).unwrap_or_default();
        targets
            .iter()
            .filter(move |target| !target.starts_with('\\') && !target.eq_ignore_ascii_case(&own))
            .map(|target| target.trim_matches('"').to_ascii_lowercase())
    };
    let mut looping = BTreeSet::new();
    for (name, _) in entries {
        let mut seen = BTreeSet::new();
        let mut open: Vec<String> = targets(name).collect();
        while let Some(next) = open.pop() {
            if next == *name {
                looping.insert(name.clone());
                break;
            }
            if seen.insert(next.clone()) {
                open.extend(targets(&next));
            }
        }
    }
    looping
}

/// Defers mail to aliases that lead only to programs and files, until somebody sets up another way.
fn hold_back(site: &mut Site<'_>, names: &[String]) {
    let domains = match site.import.config.section("").get("local_domains") {
        Some(Value::List(domains)) => domains.clone(),
        _ => Vec::new(),
    };
    let is_domain = |domain: &&String| !domain.contains(['*', ':', '/', '[', '!', '@']);
    let from: Vec<String> = names
        .iter()
        .flat_map(|name| {
            let domains = domains.iter().filter(is_domain);
            domains.map(move |domain| format!("{name}@{domain}"))
        })
        .collect();
    if from.is_empty() {
        return;
    }
    let comment = format!("programs and files in alias_maps: {}", names.join(", "));
    let mut alias = Section::new("alias", comment);
    alias.set("from", Value::list(from), "");
    alias.set("refuse", Value::text(NOT_SET_UP), "");
    site.import.config.add(alias);
}

/// Whether a name of an alias can be written as the local part of an address.
fn is_plain(name: &str) -> bool {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || "-_.+=".contains(letter);
    !name.is_empty() && name.chars().all(is_fine)
}

/// The remedy for targets that are programs and files.
fn remedy_of(is_held_back: bool) -> String {
    let fate = if is_held_back {
        "Until you set up another way, senders hear 450 and try again."
    } else {
        "This target is left out; an alias with no other target is refused."
    };
    format!(
        "Postern runs no program and writes no file for an alias. {fate} A list manager can take its mail by LMTP: \
         a [[route]] with `recipients`, `via` and `protocol = \"lmtp\"`."
    )
}

/// Reads one aliases file; returns the names of those that lead only to programs and files.
fn one_file(
    site: &mut Site<'_>,
    path: &str,
    file: &str,
    seen: &mut BTreeSet<String>,
    text: &mut String,
) -> Vec<String> {
    let mut waiting = Vec::new();
    for line in logical_lines(path, file) {
        let (name, targets) = line.what.split_once(':').unwrap_or((&line.what, ""));
        let name = name.trim().trim_matches('"').to_ascii_lowercase();
        let what = format!("alias {name}");
        if !seen.insert(name.clone()) {
            site.import
                .meaningless(&line.at, &what, "an earlier line with this name counts");
            continue;
        }
        let mut kept = Vec::new();
        let mut left_out = Vec::new();
        for target in targets_of(targets) {
            let bare = target.trim_matches('"');
            if bare.starts_with('|') || (bare.starts_with('/') && bare != "/dev/null") {
                left_out.push(target);
            } else if let Some(list) = include_of(bare) {
                kept.extend(included(site, &list, &line.at, &what));
            } else {
                kept.push(target);
            }
        }
        if !left_out.is_empty() {
            let is_held_back = kept.is_empty() && is_plain(&name);
            if is_held_back {
                waiting.push(name.clone());
            }
            site.import.missing(
                &line.at,
                &format!("{what}: {}", left_out.join(", ")),
                Weight::Mail,
                remedy_of(is_held_back),
            );
        }
        if kept.is_empty() {
            text.push_str(&format!("# {}\n", line.what));
            continue;
        }
        text.push_str(&format!("{name}: {}\n", kept.join(", ")));
        if left_out.is_empty() {
            site.import.carried(&line.at, &what, ALIASES);
        }
    }
    waiting
}

/// Targets, separated by commas outside quotes.
fn targets_of(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = found.last_mut() {
            last.push(letter);
        }
    }
    found.retain(|target| !target.trim().is_empty());
    found.iter().map(|target| target.trim().to_owned()).collect()
}

fn include_of(target: &str) -> Option<String> {
    let head = target.get(..":include:".len())?;
    head.eq_ignore_ascii_case(":include:")
        .then(|| target[":include:".len()..].trim().to_owned())
}

/// A list's file is copied too. It often belongs to a user: links are not followed, and the report does not quote its lines.
fn included(site: &mut Site<'_>, path: &str, at: &Origin, what: &str) -> Option<String> {
    if let Some(known) = site.copies.get(path) {
        return Some(format!(":include:{known}"));
    }
    let text = match site.files.read_unlinked(path) {
        Ok(text) => text,
        Err(problem) => {
            let remedy = format!("{path}: {problem}; import again when it can be read");
            site.import.missing(at, what, Weight::Mail, remedy);
            return None;
        }
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    // Another list may have the same name in another folder.
    let copy = site.place("lists", path);
    let count = text.lines().count();
    let lines = Origin {
        file: path.into(),
        first: 1,
        last: u32::try_from(count).unwrap_or(u32::MAX).max(1),
    };
    site.import
        .carried(&lines, &format!("list {name}, {count} lines"), copy.clone());
    let is_private = site.files.is_private(path);
    site.import.file(&copy, text, is_private);
    site.copies.insert(path.to_owned(), copy.clone());
    Some(format!(":include:{copy}"))
}

fn virtual_aliases(site: &mut Site<'_>) {
    let at = site.at("virtual_alias_maps");
    let mut tables = Vec::new();
    for word in site.words("virtual_alias_maps") {
        tables.extend(site.table(&word, &at, "virtual_alias_maps"));
    }
    site.carried("virtual_alias_maps", "[[alias]]");
    if tables.is_empty() {
        return;
    }
    let mut alias = Section::new("alias", site.comment("virtual_alias_maps"));
    alias.set("table", Value::list(tables), "");
    site.import.config.add(alias);
    at_origin(site);
    let difference = "an alias that leads to nobody here is refused at RCPT; Postfix took it, and bounced";
    let at = site.at("virtual_alias_maps");
    site.import
        .changed(&at, "virtual_alias_maps", "[[alias]]", difference);
    site.meaningless("virtual_alias_expansion_limit", "how far aliases lead is bounded");
    site.meaningless("virtual_alias_recursion_limit", "how far aliases lead is bounded");
}

/// A key without a domain also matches at `$myorigin`, which need not be a domain of this server: on send-only machines, such
/// entries redirect root's mail.
fn at_origin(site: &mut Site<'_>) {
    let origin = super::domains::origin_of(site).unwrap_or_else(|| site.value("myhostname"));
    let is_local = match site.import.config.section("").get("local_domains") {
        Some(Value::List(domains)) => domains.iter().any(|domain| domain.eq_ignore_ascii_case(&origin)),
        _ => false,
    };
    if is_local || !origin.contains('.') {
        return;
    }
    let at = site.at("virtual_alias_maps");
    let mut text = String::new();
    for word in site.words("virtual_alias_maps") {
        let table = Reference::of(&word).filter(|table| table.behind() != Behind::Patterns);
        let Some(table) = table else { continue };
        for entry in site.entries(&table, &at).unwrap_or_default() {
            if !is_plain(&entry.key) || entry.key.contains('.') {
                continue;
            }
            let targets = words(&entry.value).into_iter().map(|target| {
                let is_whole = target.contains('@');
                if is_whole {
                    target
                } else {
                    format!("{target}@{origin}")
                }
            });
            let targets: Vec<String> = targets.collect();
            text.push_str(&format!("{}@{origin}\t{}\n", entry.key, targets.join(", ")));
        }
    }
    if text.is_empty() {
        return;
    }
    const TABLE: &str = "tables/virtual-at-origin";
    let text = format!("# Keys without a domain in virtual_alias_maps, at myorigin.\n{text}");
    site.import.file(TABLE, text, false);
    let mut alias = Section::new("alias", site.comment("virtual_alias_maps"));
    alias.set("table", Value::text(format!("hash:{TABLE}")), "");
    site.import.config.add(alias);
}

fn relocated(site: &mut Site<'_>) {
    let tables = site.tables("relocated_maps");
    if tables.is_empty() {
        return;
    }
    let mut alias = Section::new("alias", site.comment("relocated_maps"));
    alias.set("table", Value::list(tables), "");
    alias.set("form", Value::text("relocated"), "");
    site.import.config.add(alias);
    let difference = "who writes to somebody who has moved hears 551 5.1.6 with the new address (RFC 5321 section 3.4); Postfix said 550 5.1.6";
    site.changed("relocated_maps", "[[alias]] form = \"relocated\"", difference);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_found() {
        let cases = [
            (
                "a: b\nb: a\nc: a\n",
                "a b",
                "two that lead to each other, and one that leads there",
            ),
            ("a: a, b\n", "", "the mailbox of the same name"),
            ("a: \\b\nb: a\n", "", "a mailbox without aliases"),
            ("a: b@elsewhere.example\nb: a\n", "", "an address"),
            ("a: b\nb: c, d\nc: x\nd: A\n", "a b d", "a longer way"),
        ];
        for (text, expected, why) in cases {
            let entries: Vec<_> = text
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, targets)| (name.to_owned(), targets_of(targets)))
                .collect();
            let found: Vec<String> = looping(&entries).into_iter().collect();
            assert_eq!(found.join(" "), expected, "{why}");
        }
    }

    #[test]
    fn targets() {
        assert_eq!(targets_of("a, \"|b, c\" , d"), ["a", "\"|b, c\"", "d"]);
        assert_eq!(include_of(":Include: /etc/x"), Some("/etc/x".to_owned()));
        assert_eq!(include_of("ann"), None);
    }
}
