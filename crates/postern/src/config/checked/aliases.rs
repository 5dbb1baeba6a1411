//! Aliases: the file, whose mistakes are located in that file, and those by address and domain.

use std::sync::Arc;

use futures_util::FutureExt as _;
use postern_directory::addresses::{AddressAliases, Found, Gives, Inline, Looked, Source};
use postern_directory::aliases::Aliases;
use postern_mail::{Domain, Mailbox};
use postern_policy::DomainSet;
use postern_policy::alias::{Form, Goal, Key, Rank, goals};

use postern_table::{Format, Reference};

use super::domain_sets::domains_and_tables;
use super::{Checking, files, tables};
use crate::config::file::{AliasForm, AliasTable};
use crate::config::place;
use crate::config::problem::Span;
use crate::config::read::At;
use crate::config::shown::Shown;

/// Most entries of a table checked individually.
const ENTRIES_CHECKED: usize = 100_000;

pub(super) fn check(c: &mut Checking<'_>, shown: &Shown) -> Aliases {
    let unknown_users = unknown_users(c);
    file(c)
        .with_list_sender(*c.file.list_sender)
        .with_unknown_users(unknown_users.as_deref())
        .with_addresses(addresses(c, shown))
}

fn file(c: &mut Checking<'_>) -> Aliases {
    let Some(path) = &c.file.aliases else {
        return Aliases::default();
    };
    if !files::readable(path, "the aliases", c.problems) {
        return Aliases::default();
    }
    let local = c.local_domains.clone();
    match Aliases::load(&path.value, &|domain| local.contains(domain)) {
        Ok(aliases) => {
            for left_out in aliases.warnings() {
                c.problems.warning(
                    path.span.clone(),
                    left_out.to_string(),
                    "in this file",
                    "take it out of the file, or hand the mail over by LMTP",
                );
            }
            aliases
        }
        Err(mistakes) => {
            for mistake in mistakes {
                c.problems.error(
                    path.span.clone(),
                    mistake.to_string(),
                    "in this file",
                    format!("correct line {} of {}", mistake.line, mistake.file.display()),
                );
            }
            Aliases::default()
        }
    }
}

/// Domains that have only aliases.
pub(super) fn alias_domains(c: &mut Checking<'_>) -> DomainSet {
    let listed = |list: &At<Vec<At<String>>>, domain: &str| {
        list.iter().any(|other| other.eq_ignore_ascii_case(domain))
    };
    for domain in &c.file.alias_domains.value {
        if domain.value == "*" {
            c.problems.error(
                domain.span.clone(),
                "`alias_domains` with \"*\"",
                "which domains are meant?",
                "list the domains that have aliases and no mailboxes",
            );
        }
        for (other, list) in [
            ("local_domains", &c.file.local_domains),
            ("relay_domains", &c.file.relay_domains),
        ] {
            if listed(list, domain) {
                c.problems.warning(
                    domain.span.clone(),
                    format!("{:?} is in `{other}` as well", domain.value),
                    "has no effect: aliases hold there, too",
                    "keep it in one of the two lists",
                );
            }
        }
    }
    domains_and_tables(&c.file.alias_domains, "alias_domains", c)
}

/// Where mail for unknown users goes, if it is a valid address.
fn unknown_users(c: &mut Checking<'_>) -> Option<String> {
    let written = c.file.unknown_users.as_ref()?;
    let bad = match read(&written.value, Form::Own) {
        Ok(goals)
            if goals
                .iter()
                .all(|goal| matches!(goal, Goal::Address(_) | Goal::Name(_))) =>
        {
            return Some(written.value.clone());
        }
        Ok(_) => "it names no address".to_owned(),
        Err(error) => error,
    };
    c.problems.error(
        written.span.clone(),
        format!("`unknown_users`: {bad}"),
        "not an address",
        "write an address, or \"@hub.example.org\" for the same name there",
    );
    None
}

fn addresses(c: &mut Checking<'_>, shown: &Shown) -> AddressAliases {
    let mut sources = Vec::new();
    let places = place::of_tables(shown, "[[alias]]");
    let written = &c.file.alias.value;
    // Entries that differ in nothing but their addresses share a source; each source keeps what its entries have in common.
    for gives in [Gives::Targets, Gives::NewAddress] {
        for keep_detail in [true, false] {
            let mut inline = Inline::default();
            for (number, table) in written.iter().enumerate() {
                if table.keep_detail.as_ref().is_none_or(|keep| keep.value) != keep_detail {
                    continue;
                }
                let place = places.get(number).map_or("[[alias]]", String::as_str);
                add(table, gives, place, &mut inline, c);
            }
            if !inline.is_empty() {
                sources.push(Source {
                    table: Arc::new(inline),
                    form: Form::Own,
                    gives,
                    keep_detail,
                });
            }
        }
    }
    for table in written {
        sources.extend(of_tables(table, c));
    }
    let addresses = AddressAliases {
        sources,
        domains: c.alias_domains.clone(),
        separator: *c.file.identity.tag_separator,
    };
    if !c.problems.have_errors() {
        find_circles(&addresses, c);
    }
    warn_of_foreign(c);
    addresses
}

/// Adds the entries of one `[[alias]]`.
fn add(table: &At<AliasTable>, gives: Gives, place: &str, inline: &mut Inline, c: &mut Checking<'_>) {
    if table.table.is_some() && table.from.is_none() {
        return;
    }
    if gives == Gives::Targets && table.from.as_ref().is_none_or(|from| from.is_empty()) {
        c.problems.error(
            table.span.clone(),
            "an alias without addresses",
            "never used",
            "name them by `from`, or tables with entries by `table`",
        );
    }
    let Some(value) = value(table, gives, c) else {
        return;
    };
    for from in table.from.iter().flat_map(|list| &list.value) {
        let found = Found {
            value: value.clone(),
            place: place.to_owned(),
        };
        // An invalid left-hand side was reported when it was read.
        if let Ok(Some(earlier)) = inline.insert(from, found) {
            let title = format!(
                "an alias for {:?} is there already, in {}",
                from.value, earlier.place
            );
            c.problems.error(
                from.span.clone(),
                title,
                "which one is meant?",
                "put the two together, or remove one",
            );
        }
    }
}

/// The tables of one `[[alias]]`.
fn of_tables(written: &At<AliasTable>, c: &mut Checking<'_>) -> Vec<Source> {
    let Some(references) = &written.table else {
        return Vec::new();
    };
    let beside = [
        ("from", written.from.is_some()),
        ("to", written.to.is_some()),
        ("refuse", written.refuse.is_some()),
        ("moved_to", written.moved_to.is_some()),
    ];
    if let Some((key, _)) = beside.iter().find(|(_, is_there)| *is_there) {
        c.problems.error(
            references.span.clone(),
            format!("`table` in [[alias]] beside `{key}`"),
            "a table has both sides of its entries",
            "write an [[alias]] of its own for the other",
        );
        return Vec::new();
    }
    let mut sources = Vec::new();
    for reference in &references.value {
        let Some(lookup) = tables::open(&reference.value, reference.span.clone(), c) else {
            continue;
        };
        let form = match written.form.as_ref().map(|form| form.value) {
            Some(form) => form,
            None if matches!(reference.value, Reference::File(Format::Sendmail, _)) => AliasForm::Sendmail,
            None => AliasForm::Postfix,
        };
        let (form, gives) = match form {
            AliasForm::Own => (Form::Own, Gives::Targets),
            AliasForm::Postfix => (Form::Postfix, Gives::Targets),
            AliasForm::Sendmail => (Form::Sendmail, Gives::Targets),
            AliasForm::Relocated => (Form::Postfix, Gives::NewAddress),
        };
        let source = Source {
            table: Arc::new(Looked(lookup)),
            form,
            gives,
            keep_detail: written
                .keep_detail
                .as_ref()
                .map_or_else(|| form.keeps_detail(), |keep| keep.value),
        };
        check_entries(&source, reference.span.clone(), c);
        sources.push(source);
    }
    sources
}

/// Checks the entries of a table that can be listed: an invalid right-hand side would defer mail.
fn check_entries(source: &Source, span: Option<Span>, c: &mut Checking<'_>) {
    if source.gives == Gives::NewAddress {
        return;
    }
    for (key, found) in source.table.entries().into_iter().take(ENTRIES_CHECKED) {
        if let Err(error) = read(&found.value, source.form) {
            let title = format!("the alias {key:?} in {}: {error}", found.place);
            c.problems.warning(
                span.clone(),
                title,
                "its mail waits",
                "correct this line of the table",
            );
        }
    }
}

/// The destination or new address in an `[[alias]]`, as the right-hand side of an entry; `None` if it has neither.
fn value(table: &At<AliasTable>, gives: Gives, c: &mut Checking<'_>) -> Option<String> {
    let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    if gives == Gives::NewAddress {
        return text(&table.moved_to);
    }
    // Reported once, in the pass for targets.
    let kinds = [
        table.to.is_some(),
        table.refuse.is_some(),
        table.moved_to.is_some(),
    ];
    match kinds.iter().filter(|is_there| **is_there).count() {
        0 => c.problems.error(
            table.span.clone(),
            "an alias without a target",
            "none of `to`, `refuse` and `moved_to`",
            "add for example `to = [\"ann@example.org\"]`",
        ),
        1 => {}
        _ => c.problems.error(
            table.span.clone(),
            "an alias with more than one of `to`, `refuse` and `moved_to`",
            "which one is meant?",
            "keep one",
        ),
    }
    if let Some(refuse) = &table.refuse {
        let refuse = &refuse.value;
        return Some(format!("error:{}:{} {}", refuse.status, refuse.code, refuse.text));
    }
    let to = table.to.as_ref()?;
    if to.is_empty() && !c.problems.are_within(to.span.as_ref()) {
        c.problems.error(
            to.span.clone(),
            "`to` in [[alias]] is empty",
            "leads nowhere",
            "write \"/dev/null\" to throw the mail away, or `refuse` to refuse it",
        );
        return None;
    }
    for target in &to.value {
        if let Err(error) = read(&target.value, Form::Own) {
            bad_target(target.span.clone(), &error, c);
        }
    }
    let targets: Vec<&str> = to.iter().map(|target| target.value.as_str()).collect();
    Some(targets.join(", "))
}

fn bad_target(span: Option<Span>, error: &str, c: &mut Checking<'_>) {
    let (title, remedy) = error.split_once("; ").unwrap_or((error, "write an address"));
    c.problems
        .error(span, format!("an alias: {title}"), "leads nowhere", remedy);
}

/// Reads a right-hand side as if for some address, parts of which it may use.
fn read(value: &str, form: Form) -> Result<Vec<Goal>, String> {
    let sample =
        Mailbox::new("user+detail", Domain::Name("example.org".into())).map_err(|error| error.to_string())?;
    let key = Key {
        text: String::new(),
        rank: Rank::Domain,
        detail: None,
    };
    goals(value, &key, &sample, form, Some('+'), false).map_err(|error| error.to_string())
}

/// Follows every address mentioned: a loop among them is a mistake, found before any mail runs into it.
fn find_circles(addresses: &AddressAliases, c: &mut Checking<'_>) {
    let local = c.local_domains.clone();
    let is_local = |domain: &Domain| local.contains(domain);
    for from in c
        .file
        .alias
        .iter()
        .flat_map(|table| &table.from)
        .flat_map(|list| &list.value)
    {
        // An arbitrary address in the domain.
        let address = match from.value.strip_prefix('@') {
            Some(domain) => format!("anybody@{domain}"),
            None => from.value.clone(),
        };
        let Ok(address) = address.parse::<Mailbox>() else {
            continue;
        };
        if let Some(Err(trouble)) = addresses.expand(&address, &is_local).now_or_never() {
            c.problems.error(
                from.span.clone(),
                trouble.to_string(),
                "leads to no mailbox",
                "correct one of the entries on the way; `postern aliases` lists them",
            );
        }
    }
}

/// An alias in a domain whose mail does not come here only applies to mail from clients that may relay.
fn warn_of_foreign(c: &mut Checking<'_>) {
    let mut told: Vec<String> = Vec::new();
    for from in c
        .file
        .alias
        .iter()
        .flat_map(|table| &table.from)
        .flat_map(|list| &list.value)
    {
        let Some((_, domain)) = from.value.rsplit_once('@') else {
            continue;
        };
        let Ok(domain) = Domain::parse(domain, true) else {
            continue;
        };
        let ours = [&c.local_domains, &c.relay_domains, &c.alias_domains];
        if ours.iter().any(|set| set.contains_by_name(&domain)) || told.contains(&domain.to_string()) {
            continue;
        }
        told.push(domain.to_string());
        c.problems.warning(
            from.span.clone(),
            format!("an alias in {domain}, which is not one of this server's domains"),
            "applies only to mail from clients that may relay",
            format!(
                "add {:?} to `alias_domains`, `local_domains` or `relay_domains` if mail for it comes here",
                domain.to_string()
            ),
        );
    }
}
