//! System users: their mailboxes, the aliases file, unknown users, and users who may send as anybody.

use std::sync::Arc;

use super::{FOLDER, Site, active, alias_loops, short, table_path};
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::{Located, Origin};

pub(super) fn carry_over(site: &mut Site<'_>) {
    aliases(site);
    mailers(site);
    trusted(site);
}

fn aliases(site: &mut Site<'_>) {
    let option = site.mc.option("ALIAS_FILE").cloned();
    let file: Arc<str> = Arc::from(format!("{FOLDER}aliases"));
    let at = option
        .as_ref()
        .map_or_else(|| Origin::line(&file, 1), |it| it.at.clone());
    let paths = option.map_or_else(
        || vec![file.to_string()],
        |it| it.what.split(',').map(|path| path.trim().to_owned()).collect(),
    );
    let mut kept: Vec<(String, String)> = Vec::new();
    for path in paths {
        if path.contains(':') {
            site.missing(
                &at,
                &format!("ALIAS_FILE {path}"),
                Weight::Mail,
                "aliases come from text files; an [[alias]] may name a [[table]] of another kind",
            );
        } else if let Some(text) = site.text(&path, &at, "ALIAS_FILE") {
            entries(site, &path, &text);
            kept.push((path, text));
        }
    }
    if site.mc.option("ALIAS_FILE").is_some() {
        site.carried(&at, "ALIAS_FILE", "aliases");
    }
    let text = match kept.as_slice() {
        [] => return,
        [(_, text)] => text.clone(),
        several => merged(several),
    };
    let broken = without_loops(site, &at, &text);
    let value = match (kept.as_slice(), broken) {
        ([(path, _)], None) => (Value::text(path.clone()), "the file itself goes on being read"),
        (several, broken) => {
            let is_private = several.iter().any(|(path, _)| site.files.is_private(path));
            site.import.file("aliases", broken.unwrap_or(text), is_private);
            let why = if several.len() > 1 {
                "the files of ALIAS_FILE in one"
            } else {
                "without loops: see report.txt"
            };
            (Value::text("aliases"), why)
        }
    };
    let top = site.import.config.section("");
    top.set("aliases", value.0, value.1);
    top.set(
        "list_sender",
        Value::text("owner"),
        "as sendmail: what owner-list leads to",
    );
}

/// The aliases without those that lead back to themselves; `None` where there are none.
fn without_loops(site: &mut Site<'_>, at: &Origin, text: &str) -> Option<String> {
    let own = match site.import.config.section("").get("local_domains") {
        Some(Value::List(domains)) => domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        _ => Vec::new(),
    };
    let (made, loops) = alias_loops::broken(text, &|domain| own.iter().any(|one| one == domain));
    for names in &loops {
        let what = format!("aliases: {}", names.join(", "));
        let difference = "they lead in a loop. Mail for each name goes to the user of that name, as with sendmail; where there is no such user it is \
            refused at once, where sendmail took it and sent it back";
        site.changed(at, &what, "aliases", difference);
    }
    (!loops.is_empty()).then_some(made)
}

/// The aliases of several files, in order. Of those with the same name, the first counts; the others become comments.
fn merged(files: &[(String, String)]) -> String {
    let mut all = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for (path, text) in files {
        all.push_str(&format!("# From {path}.\n"));
        let mut is_out = false;
        for line in text.lines() {
            let is_alias = !line.trim().is_empty() && !line.starts_with(['#', ' ', '\t']);
            if is_alias {
                let name = line.split(':').next().unwrap_or_default();
                is_out = !seen.insert(name.trim().trim_matches('"').to_ascii_lowercase());
            }
            all.push_str(if is_out { "# " } else { "" });
            all.push_str(line);
            all.push('\n');
        }
    }
    all
}

/// What each alias becomes; lines that begin with a blank belong to the previous one.
fn entries(site: &mut Site<'_>, path: &str, text: &str) {
    let file: Arc<str> = Arc::from(path);
    let mut aliases: Vec<(Origin, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let is_more = line.starts_with([' ', '\t']);
        match aliases.last_mut() {
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            Some((at, alias)) if is_more => {
                at.last = number;
                alias.push(' ');
                alias.push_str(line.trim());
            }
            _ => aliases.push((Origin::line(&file, number), line.to_owned())),
        }
    }
    let to = format!("aliases = \"{path}\"");
    for (at, alias) in aliases {
        let (name, targets) = alias.split_once(':').unwrap_or((&alias, ""));
        let what = format!("alias {}", name.trim());
        match targets.split(',').map(str::trim).find_map(Odd::of) {
            Some(odd) => odd.report(site, &at, &what, &to),
            None if name.starts_with("owner-") && site.mc.feature("genericstable").is_some() => {
                let difference = "Mail of the list is sent as the address that this alias leads to. genericstable does not change it.";
                site.changed(&at, &what, to.clone(), difference);
            }
            None => site.carried(&at, &what, to.clone()),
        }
    }
}

/// A target that is not supported here, or is handled differently.
enum Odd {
    Program,
    File,
    Moved,
}

impl Odd {
    fn of(target: &str) -> Option<Self> {
        let target = target.trim_matches('"').trim();
        if target.starts_with('|') {
            Some(Self::Program)
        } else if target.starts_with('/') && target != "/dev/null" {
            Some(Self::File)
        } else if target.to_ascii_uppercase().ends_with(".REDIRECT") {
            Some(Self::Moved)
        } else {
            None
        }
    }

    fn report(&self, site: &mut Site<'_>, at: &Origin, what: &str, to: &str) {
        match self {
            Self::Program => site.missing(
                at,
                what,
                Weight::Mail,
                "Postern runs no program for a message. This target is left out; an alias with no other target is refused. \
                 Let the program take mail by LMTP, and name its socket in a [[route]].",
            ),
            Self::File => site.missing(
                at,
                what,
                Weight::Mail,
                "no file is written, so this target is left out, and an alias without another one is refused: lead to a user, \
                 whose mailbox is such a file",
            ),
            Self::Moved => site.changed(
                at,
                what,
                to,
                "who writes there is told the new address at once, by 551 5.1.6; sendmail took the mail and sent it back",
            ),
        }
    }
}

/// `MAILER(local)` and `MAILER(procmail)`: system users have mailboxes.
fn mailers(site: &mut Site<'_>) {
    let mc = site.mc;
    let mut is_local = false;
    for (at, arguments) in mc.calls("MAILER") {
        let name = arguments.first().map_or("", String::as_str);
        let what = format!("MAILER({name})");
        match name {
            "smtp" => site.carried(at, &what, "delivery by SMTP"),
            "local" | "procmail" => {
                if !is_local {
                    users(site, at);
                    is_local = true;
                }
                let difference = "users of this machine have their mailboxes as before. Accounts with a number below 1000, and nobody, have none; \
                    sendmail delivered to them too. With Dovecot or Cyrus, set [delivery] lmtp instead. Start the helper: `systemctl enable --now postern-mailbox`.";
                site.changed(
                    at,
                    &what,
                    "[[directory]] kind = \"system\", [system_users]",
                    difference,
                );
            }
            _ => site.missing(
                at,
                &what,
                Weight::Mail,
                "no such mailer; Dovecot and Cyrus take mail by LMTP: [delivery] lmtp",
            ),
        }
    }
}

/// Adds the system users and their mailboxes.
fn users(site: &mut Site<'_>, at: &Origin) {
    let mut system = Section::new("directory", format!("users of this machine, {}", short(at)));
    system.set("kind", Value::text("system"), "");
    site.import.config.add(system);
    let delivery = site.import.config.section("delivery");
    delivery.set("system_users", Value::Plain("true".to_owned()), "");
    let is_forwarding = site
        .mc
        .option("confFORWARD_PATH")
        .is_none_or(|path| !path.what.trim().is_empty());
    if let Some(path) = site.mc.option("confFORWARD_PATH") {
        let difference = "~/.forward and its kin with a detail are looked for below home folders alone";
        site.changed(&path.at, "confFORWARD_PATH", "[system_users] forward", difference);
    }
    let section = site.import.config.section("system_users");
    section.set(
        "forward",
        Value::Plain(is_forwarding.to_string()),
        "~/.forward counts, as with sendmail",
    );
    procmail(site);
}

/// `FEATURE(local_procmail)`, which `OSTYPE(linux)` implies unless mail is delivered by LMTP.
fn procmail(site: &mut Site<'_>) {
    let mc = site.mc;
    let linux = mc
        .calls("OSTYPE")
        .find(|(_, arguments)| arguments.first().is_some_and(|name| name == "linux"));
    // The later of the two counts.
    let place = |name: &str| {
        let named = |arguments: &[String]| arguments.first().is_some_and(|first| first == name);
        mc.calls("FEATURE")
            .collect::<Vec<_>>()
            .iter()
            .rposition(|(_, arguments)| named(arguments))
    };
    let is_lmtp = place("local_lmtp") > place("local_procmail");
    let (at, arguments) = match (mc.feature("local_procmail"), linux) {
        (Some((at, _)), _) if is_lmtp => {
            site.meaningless(
                at,
                "FEATURE(local_procmail)",
                "FEATURE(local_lmtp) takes its place",
            );
            return;
        }
        (Some(feature), _) => feature,
        (None, Some((at, _))) if mc.feature("local_lmtp").is_none() => {
            let difference = "procmail delivers, as before. If nobody has a .procmailrc, remove `agent`: Postern then delivers itself.";
            site.changed(at, "OSTYPE(linux)", "[system_users] agent", difference);
            (at, &[][..])
        }
        _ => return,
    };
    let path = arguments
        .first()
        .map(|path| path.trim())
        .filter(|path| !path.is_empty());
    let path = path.or_else(|| mc.option("PROCMAIL_MAILER_PATH").map(|it| it.what.trim()));
    let usual = "procmail -a $h -d $u";
    let words = arguments
        .get(1)
        .map(|words| words.trim())
        .filter(|words| !words.is_empty());
    let mut agent = vec![path.unwrap_or("/usr/bin/procmail").to_owned()];
    for word in words.unwrap_or(usual).split_whitespace().skip(1) {
        agent.push(word.replace("$h", "{detail}").replace("$u", "{user}"));
    }
    if agent.iter().any(|word| word.contains('$')) {
        site.missing(
            at,
            "FEATURE(local_procmail)",
            Weight::Mail,
            "set `agent` in [system_users] by hand",
        );
        return;
    }
    let section = site.import.config.section("system_users");
    section.set("agent", Value::list(agent), "");
    site.carried(at, "FEATURE(local_procmail)", "[system_users] agent");
}

/// Users who may write as anybody: root and daemon, and those that a file lists.
fn trusted(site: &mut Site<'_>) {
    let mut users = vec!["root".to_owned(), "daemon".to_owned()];
    let option = site.mc.option("confCT_FILE");
    let feature = site.mc.feature("use_ct_file").map(|(at, _)| at.clone());
    if let Some(at) = option.map(|it| it.at.clone()).or(feature) {
        let path = table_path(option.map_or("", |it| it.what.as_str()), "trusted-users");
        if let Some(text) = site.text(&path, &at, "trusted users") {
            site.carried(&at, "trusted users", "[local] trusted_users");
            let file: Arc<str> = Arc::from(path);
            for (number, line) in active(&text) {
                site.carried(&Origin::line(&file, number), line, "[local] trusted_users");
                users.push(line.to_owned());
            }
        }
    }
    if let Some(Located { at, what }) = site.mc.option("confTRUSTED_USERS") {
        users.extend(
            what.split([' ', ','])
                .filter(|user| !user.is_empty())
                .map(str::to_owned),
        );
        site.carried(at, "confTRUSTED_USERS", "[local] trusted_users");
    }
    for (at, arguments) in site.mc.calls("LOCAL_USER") {
        let what = format!("LOCAL_USER({})", arguments.join(", "));
        site.meaningless(
            at,
            &what,
            "addresses without a domain stay local only where SMART_HOST took all of them",
        );
    }
    users.dedup();
    let mut seen = std::collections::BTreeSet::new();
    users.retain(|user| seen.insert(user.clone()));
    let local = site.import.config.section("local");
    local.set(
        "trusted_users",
        Value::list(users),
        "programs of this machine call sendmail as before",
    );
}
