//! Where mail for local domains goes: virtual mailboxes, LMTP, system users.

use super::super::text::words;
use super::tables::{Behind, Reference};
use super::{Site, domains, pipes, transports};
use crate::config::{Section, Value};
use crate::report::Weight;

/// Where Dovecot accepts mail by LMTP, if configured.
const DOVECOT: &str = "unix:/run/dovecot/lmtp";

pub(super) fn carry_over(site: &mut Site<'_>) {
    delimiter(site);
    let is_virtual =
        site.is_set("virtual_mailbox_domains") && !site.value("virtual_mailbox_domains").is_empty();
    let has_users = has_users(site);
    if is_virtual {
        domains::known_by(site, "virtual_mailbox_maps");
        virtual_transport(site, has_users);
    } else {
        for parameter in ["virtual_mailbox_maps", "virtual_transport"] {
            site.meaningless(parameter, "virtual_mailbox_domains names none");
        }
    }
    let mailboxes = [
        "virtual_mailbox_base",
        "virtual_minimum_uid",
        "virtual_uid_maps",
        "virtual_gid_maps",
        "virtual_mailbox_limit",
    ];
    for parameter in mailboxes {
        site.meaningless(
            parameter,
            "who delivers knows where the mailboxes are, and how large",
        );
    }
    if has_users {
        users(site);
    } else {
        nobody_here(site);
    }
    let why = "the file system, or who keeps the mailboxes, has quotas";
    site.meaningless("mailbox_size_limit", why);
}

/// Whether mail for `mydestination` goes to system users: it contains more than `localhost`.
fn has_users(site: &Site<'_>) -> bool {
    site.words("mydestination")
        .iter()
        .any(|domain| domain != "localhost" && !domain.starts_with("localhost."))
}

/// `recipient_delimiter`, which is empty unless set.
fn delimiter(site: &mut Site<'_>) {
    let delimiter = site.value("recipient_delimiter");
    let mut letters = delimiter.chars();
    let first = letters.next().map(String::from).unwrap_or_default();
    let comment = site.comment("recipient_delimiter");
    if first != "+" {
        site.import
            .config
            .section("identity")
            .set("tag_separator", Value::text(first), comment);
    }
    if letters.next().is_some() {
        let difference = "one character parts a name from its detail: the first of those";
        site.changed("recipient_delimiter", "[identity] tag_separator", difference);
    } else {
        site.carried("recipient_delimiter", "[identity] tag_separator");
    }
}

/// `virtual_transport`: where the virtual mailboxes are.
fn virtual_transport(site: &mut Site<'_>, has_users: bool) {
    let written = site.value("virtual_transport");
    let (transport, rest) = written.split_once(':').unwrap_or((&written, ""));
    match transport {
        "lmtp" => {
            let hosts = transports::lmtp_hosts(site, rest);
            to_lmtp(site, &hosts, "virtual_transport", has_users);
        }
        "virtual" => maildirs(site, has_users),
        name if site
            .master
            .service(name, "unix")
            .is_some_and(|service| service.command == "pipe") =>
        {
            site.lanes.insert(name.to_owned());
            if to_program(site, name, has_users) {
                return;
            }
            let hosts = vec![DOVECOT.to_owned()];
            to_lmtp(site, &hosts, "virtual_transport", has_users);
            let difference = "no program is started for each message: have Dovecot take mail by LMTP (protocols = imap lmtp, and a \
                unix_listener of `service lmtp` that the user of Postern may write to), and name its socket in [delivery] lmtp";
            site.changed("virtual_transport", "[delivery] lmtp", difference);
        }
        _ => {
            let remedy = "write a [[route]] for the domains of virtual_mailbox_domains";
            site.missing("virtual_transport", Weight::Mail, remedy);
        }
    }
}

/// Virtual mailboxes that Postfix's virtual(8) writes to.
fn maildirs(site: &mut Site<'_>, has_users: bool) {
    let base = site.value("virtual_mailbox_base");
    let base = base.trim_end_matches('/');
    let pattern = format!("{base}/{{domain}}/{{local}}");
    let place = match names_of(site, "virtual_mailbox_domains").filter(|_| has_users) {
        Some(domains) => {
            let mut route = Section::new("route", site.comment("virtual_transport"));
            route.set("domains", Value::list(domains), "");
            route.set("to", Value::text("maildir"), "");
            route.set("maildir", Value::text(pattern.clone()), "");
            site.import.config.add(route);
            "[[route]] maildir"
        }
        None => {
            let value = Value::text(pattern.clone());
            site.set("delivery", "maildir", value, "virtual_transport");
            "[delivery] maildir"
        }
    };
    let difference = format!(
        "mailboxes are Maildirs at {pattern}, which Postern itself writes to: change their owner once, and move those that virtual_mailbox_maps puts elsewhere"
    );
    let at = site.at("virtual_mailbox_maps");
    site.import.changed(&at, "virtual mailboxes", place, difference);
    elsewhere(site, base);
}

/// Most mailboxes in other places that the report names individually.
const NAMED_MAX: usize = 20;

/// Reports mailboxes that `virtual_mailbox_maps` puts in a different place than Postern.
fn elsewhere(site: &mut Site<'_>, base: &str) {
    let at = site.at("virtual_mailbox_maps");
    let mut others = Vec::new();
    for word in site.words("virtual_mailbox_maps") {
        let table = Reference::of(&word).filter(|table| table.behind() != Behind::Patterns);
        let Some(table) = table else { continue };
        for entry in site.entries(&table, &at).unwrap_or_default() {
            let Some((local, domain)) = entry.key.rsplit_once('@') else {
                continue;
            };
            let (local, domain) = (local.to_ascii_lowercase(), domain.to_ascii_lowercase());
            let difference = if local.is_empty() {
                format!(
                    "Postfix kept all of them in {base}/{}; each address has a Maildir of its own here. To keep one, write an [[alias]] for each other address",
                    entry.value
                )
            } else if !entry.value.ends_with('/') {
                format!(
                    "{base}/{} is an mbox; the mail goes into a Maildir at {base}/{domain}/{local}. Convert it, or have Dovecot take the mail by LMTP",
                    entry.value
                )
            } else if entry.value.trim_end_matches('/') != format!("{domain}/{local}") {
                format!(
                    "it was at {base}/{}: move it to {base}/{domain}/{local}",
                    entry.value
                )
            } else {
                continue;
            };
            others.push((entry.at, format!("mailbox {}", entry.key), difference));
        }
    }
    let more = others.len().saturating_sub(NAMED_MAX);
    for (at, what, difference) in others.into_iter().take(NAMED_MAX) {
        site.import.changed(&at, &what, "[[route]] maildir", difference);
    }
    if more > 0 {
        let difference = format!("{more} more mailboxes of virtual_mailbox_maps are at another place");
        site.import
            .changed(&at, "further mailboxes", "[[route]] maildir", difference);
    }
}

/// The domains of a list, if it only has names.
fn names_of(site: &Site<'_>, parameter: &str) -> Option<Vec<String>> {
    let named = words(&site.value(parameter));
    let is_name = |name: &String| !name.contains([':', '/', '$', '!', '[']);
    (!named.is_empty() && named.iter().all(is_name)).then_some(named)
}

/// Passes mail for virtual mailboxes to a program, as before. False if that is not possible.
fn to_program(site: &mut Site<'_>, transport: &str, has_users: bool) -> bool {
    let named = names_of(site, "virtual_mailbox_domains");
    // Mail for users of this machine goes another way, and which domains a database has is not known here.
    if has_users && named.is_none() {
        return false;
    }
    let service = site.master.service(transport, "unix").cloned();
    let Some(name) = service.and_then(|service| pipes::pipe(site, &service)) else {
        return false;
    };
    if let Some(named) = named.filter(|_| has_users) {
        let mut route = Section::new("route", site.comment("virtual_transport"));
        route.set("domains", Value::list(named), "");
        route.set("to", Value::text("pipe"), "");
        route.set("pipe", Value::text(name), "");
        site.import.config.add(route);
    } else {
        site.set("delivery", "pipe", Value::text(name), "virtual_transport");
    }
    site.carried("virtual_transport", "[[pipe]]");
    true
}

fn to_lmtp(site: &mut Site<'_>, hosts: &[String], parameter: &str, has_users: bool) {
    let named = names_of(site, "virtual_mailbox_domains");
    if let Some(named) = named.filter(|_| has_users && parameter == "virtual_transport") {
        let mut route = Section::new("route", site.comment(parameter));
        route.set("domains", Value::list(named), "");
        route.set("via", Value::list(hosts.to_vec()), "");
        route.set("protocol", Value::text("lmtp"), "");
        site.import.config.add(route);
        site.carried(parameter, "[[route]]");
    } else {
        site.set("delivery", "lmtp", Value::list(hosts.to_vec()), parameter);
    }
    let queue = site.value("queue_directory");
    if let Some(socket) = hosts.iter().find(|host| host.contains(&queue)) {
        let difference = format!(
            "{} lies in a folder of Postfix's that the user of Postern cannot enter: give `service lmtp` of Dovecot a unix_listener elsewhere, and name that",
            socket.trim_start_matches("unix:")
        );
        site.changed(parameter, "[delivery] lmtp", difference);
    }
}

/// Mail for system users.
fn users(site: &mut Site<'_>) {
    let transport = site.value("mailbox_transport");
    if let Some(rest) = transport.strip_prefix("lmtp:") {
        let hosts = transports::lmtp_hosts(site, rest);
        to_lmtp(site, &hosts, "mailbox_transport", true);
        known_users(site);
        return;
    }
    site.missing(
        "mailbox_transport",
        Weight::Mail,
        "programs are not started for each message: Dovecot and Cyrus take mail by LMTP",
    );
    known_users(site);
    let delivery = site.import.config.section("delivery");
    let is_taken = delivery.get("lmtp").is_some() || delivery.get("maildir").is_some();
    let comment = site.comment("local_transport");
    match names_of(site, "mydestination") {
        Some(domains) if is_taken => {
            let mut route = Section::new("route", site.comment("mydestination"));
            route.set("domains", Value::list(domains), "");
            route.set("to", Value::text("system"), "");
            site.import.config.add(route);
        }
        None if is_taken => {
            let at = site.at("mydestination");
            let difference =
                "mail for users of this machine goes to the same server as that of virtual mailboxes";
            let to = "[delivery]";
            site.import
                .changed(&at, "mailboxes of mydestination", to, difference);
            return;
        }
        _ => {
            let delivery = site.import.config.section("delivery");
            delivery.set("system_users", Value::plain(true), comment);
        }
    }
    let at = site.at("local_transport");
    let difference = "Users of this machine have their mailboxes as before, but a helper writes to them, not the server. Start the helper: `systemctl enable --now postern-mailbox`.";
    site.import.changed(
        &at,
        "mailboxes of this machine",
        "[delivery] system_users",
        difference,
    );
    mailbox(site);
    forwarding(site);
}

/// Which users exist.
fn known_users(site: &mut Site<'_>) {
    let maps = site.words("local_recipient_maps");
    if maps.is_empty() {
        site.set("", "local_recipients", Value::text("any"), "local_recipient_maps");
        return;
    }
    if maps.iter().any(|map| map.contains("unix:passwd")) {
        let mut directory = Section::new("directory", site.comment("local_recipient_maps"));
        directory.set("kind", Value::text("system"), "");
        site.import.config.add(directory);
    }
    let at = site.at("local_recipient_maps");
    let aliases = site.words("alias_maps");
    let mut tables = Vec::new();
    for map in maps {
        let is_known = map.contains("unix:passwd") || aliases.contains(&map);
        if !is_known {
            tables.extend(site.table(&map, &at, "local_recipient_maps"));
        }
    }
    if !tables.is_empty() {
        let mut directory = Section::new("directory", site.comment("local_recipient_maps"));
        directory.set("kind", Value::text("table"), "");
        directory.set("recipients", Value::list(tables), "");
        site.import.config.add(directory);
    }
    site.carried("local_recipient_maps", "[[directory]]");
}

fn mailbox(site: &mut Site<'_>) {
    for parameter in ["mailbox_command_maps", "mailbox_transport_maps"] {
        let remedy = "all users of this machine get their mail the same way: see [system_users]";
        site.missing(parameter, Weight::Mail, remedy);
    }
    for parameter in ["fallback_transport", "fallback_transport_maps"] {
        let remedy = "users who have no account here are refused: `unknown_users` sends their mail to another address, or to the same name at \
            another domain, for which a [[route]] says where";
        site.missing(parameter, Weight::Mail, remedy);
    }
    let command = site.value("mailbox_command");
    if !command.is_empty() {
        match agent(&command) {
            Some(agent) => {
                site.set("system_users", "agent", Value::list(agent), "mailbox_command");
                for parameter in ["home_mailbox", "mail_spool_directory"] {
                    site.meaningless(parameter, "mailbox_command comes before it");
                }
            }
            None => {
                let remedy =
                    "it needs a shell: put it into a script, and name that in `agent` of [system_users]";
                site.missing("mailbox_command", Weight::Mail, remedy);
            }
        }
        return;
    }
    site.meaningless("mailbox_command", "it is empty");
    let home = site.value("home_mailbox");
    let spool = site.value("mail_spool_directory");
    if !home.is_empty() {
        site.set(
            "system_users",
            "mailbox",
            Value::text(format!("~/{home}")),
            "home_mailbox",
        );
        site.meaningless("mail_spool_directory", "home_mailbox comes before it");
    } else if spool.trim_end_matches('/') != "/var/mail" {
        let form = if spool.ends_with('/') { "{user}/" } else { "{user}" };
        let path = format!("{}/{form}", spool.trim_end_matches('/'));
        site.set(
            "system_users",
            "mailbox",
            Value::text(path),
            "mail_spool_directory",
        );
    } else {
        site.carried("mail_spool_directory", "[system_users] mailbox");
        site.meaningless("home_mailbox", "it is empty");
    }
}

fn forwarding(site: &mut Site<'_>) {
    let path = if site.is_set("forward_path") {
        site.value("forward_path")
    } else {
        "$home/.forward".to_owned()
    };
    let comment = site.comment("forward_path");
    let users = site.import.config.section("system_users");
    users.set("forward", Value::plain(!path.is_empty()), comment);
    if path
        .split([',', ' '])
        .all(|part| part.is_empty() || part.starts_with("$home/.forward"))
    {
        site.carried("forward_path", "[system_users] forward");
    } else {
        let difference = ".forward files are looked for in the home folder alone";
        site.changed("forward_path", "[system_users] forward", difference);
    }
    if path.is_empty() {
        return;
    }
    let list = |site: &Site<'_>, name: &str| {
        if site.is_set(name) {
            site.words(name)
        } else {
            vec!["alias".to_owned(), "forward".to_owned()]
        }
    };
    for (parameter, key) in [
        ("allow_mail_to_commands", "forward_programs"),
        ("allow_mail_to_files", "forward_files"),
    ] {
        let allows = list(site, parameter).iter().any(|word| word == "forward");
        let comment = site.comment(parameter);
        site.import
            .config
            .section("system_users")
            .set(key, Value::plain(allows), comment);
        site.carried(parameter, format!("[system_users] {key}"));
    }
}

/// Programs that sites name without their folder, as Debian does: Postfix finds them by its path.
const PROGRAMS: [&str; 2] = ["/usr/bin/procmail", "/usr/bin/maildrop"];

/// The words of a command that needs no shell, with Postfix's variables as placeholders.
fn agent(command: &str) -> Option<Vec<String>> {
    const PLACES: [(&str, &str); 10] = [
        ("EXTENSION", "{detail}"),
        ("RECIPIENT", "{recipient}"),
        ("SENDER", "{sender}"),
        ("DOMAIN", "{domain}"),
        ("LOGNAME", "{user}"),
        ("USER", "{user}"),
        ("HOME", "{home}"),
        ("LOCAL", "{local}"),
        ("SHELL", ""),
        ("CLIENT_ADDRESS", ""),
    ];
    let mut found = Vec::new();
    for word in command.split_whitespace() {
        let bare = word.trim_matches(['"', '\'']);
        let bare = PROGRAMS
            .iter()
            .find(|path| found.is_empty() && path.strip_prefix("/usr/bin/") == Some(bare))
            .map_or(bare, |path| path);
        if bare.contains(['|', ';', '&', '<', '>', '`', '"', '\'', '(', '*', '?']) {
            return None;
        }
        let mut word = bare.to_owned();
        for (name, place) in PLACES {
            word = word
                .replace(&format!("${{{name}}}"), place)
                .replace(&format!("${name}"), place);
        }
        if word.contains('$') {
            return None;
        }
        found.push(word);
    }
    found.first()?.starts_with('/').then_some(found)
}

/// `mydestination` only has `localhost`.
fn nobody_here(site: &mut Site<'_>) {
    site.meaningless("local_transport", "no domain has its mail on this machine");
    if site.is_set("local_recipient_maps") && site.value("local_recipient_maps").is_empty() {
        let difference = "names at localhost that no alias has are refused; Postfix took all of them";
        site.changed("local_recipient_maps", "aliases", difference);
    } else {
        site.carried("local_recipient_maps", "aliases");
    }
    let about = [
        "mailbox_command",
        "home_mailbox",
        "mail_spool_directory",
        "mailbox_transport",
        "forward_path",
        "allow_mail_to_commands",
        "allow_mail_to_files",
    ];
    for parameter in about {
        site.meaningless(parameter, "no domain has its mail on this machine");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_become_agents() {
        let table: &[(&str, Option<&[&str]>)] = &[
            (
                "/usr/bin/procmail -a \"$EXTENSION\"",
                Some(&["/usr/bin/procmail", "-a", "{detail}"]),
            ),
            (
                "/usr/lib/dovecot/dovecot-lda -f \"$SENDER\" -a \"$RECIPIENT\"",
                Some(&[
                    "/usr/lib/dovecot/dovecot-lda",
                    "-f",
                    "{sender}",
                    "-a",
                    "{recipient}",
                ]),
            ),
            (
                "procmail -a \"$EXTENSION\"",
                Some(&["/usr/bin/procmail", "-a", "{detail}"]),
            ),
            ("deliver", None),
            ("/bin/a | /bin/b", None),
            ("/bin/a $UNKNOWN", None),
        ];
        for (command, expected) in table {
            let expected: Option<Vec<String>> =
                expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
            assert_eq!(agent(command), expected, "{command}");
        }
    }
}
