//! `[[rewrite]]`.

use postern_directory::rewriting::Rewriting;
use postern_mail::Domain;
use postern_policy::rewrite::{Append, Class, MasqueradeList, Rule, Tables, Way, When, Whose};
use postern_table::{Format, Reference};

use super::super::domain_sets::domains_and_tables;
use super::super::{Checking, tables};
use super::circles;
use super::common::{addresses, listeners, names, origin, whose};
use crate::config::file::{RewriteForm, RewriteTable};
use crate::config::read::At;

const TABLE: &str = "[[rewrite]]";

/// The rules, if there are any.
pub(super) fn check(c: &mut Checking<'_>) -> Option<Rewriting> {
    let written = &c.file.rewrite.value;
    if written.is_empty() {
        return None;
    }
    names(written.iter().map(|table| table.name.as_ref()), TABLE, c.problems);
    let mut rewriting = Rewriting {
        rules: Vec::new(),
        tables: Vec::new(),
        origin: origin(c),
        local: c.local_domains.clone(),
        separator: *c.file.identity.tag_separator,
        domain_tables: Vec::new(),
    };
    let asked_before = c.domain_tables.len();
    for table in written {
        if let Some(rule) = rule(table, &mut rewriting, c) {
            warn_of_signatures(table, &rule, c);
            rewriting.rules.push(rule);
        }
    }
    rewriting.domain_tables = c.domain_tables[asked_before..].to_vec();
    // They are only queried here, when an address is rewritten.
    c.domain_tables.truncate(asked_before);
    if !c.problems.have_errors() {
        circles::check(&rewriting, c);
    }
    Some(rewriting)
}

fn rule(table: &At<RewriteTable>, rewriting: &mut Rewriting, c: &mut Checking<'_>) -> Option<Rule> {
    let name = table.name.as_ref()?;
    let when = *table.at;
    let classes: Vec<Class> = table
        .classes
        .as_ref()?
        .value
        .iter()
        .map(|class| class.value)
        .collect();
    if classes.is_empty() {
        c.problems.error(
            table.classes.as_ref().and_then(|classes| classes.span.clone()),
            format!("the rule {:?} applies to no addresses", name.value),
            "empty",
            "write for example `classes = [\"envelope_sender\", \"header_sender\"]`",
        );
    }
    let way = way(table, when, rewriting, c)?;
    check_classes(table, &way, &classes, c);
    let domains = table
        .domains
        .as_ref()
        .map(|domains| domains_and_tables(domains, "domains", c));
    Some(Rule {
        name: name.value.as_str().into(),
        when,
        classes: classes.into_iter().collect(),
        whose: whose(table.clients.as_ref(), Whose::inside(), when, TABLE, c),
        listeners: listeners(table.listeners.as_ref(), when, TABLE, c),
        domains,
        exceptions: addresses(&table.exceptions.value, "exceptions", TABLE, c),
        way,
        signed: *table.signed,
    })
}

/// The one way of a rule.
fn way(table: &At<RewriteTable>, when: When, rewriting: &mut Rewriting, c: &mut Checking<'_>) -> Option<Way> {
    let ways = [
        ("table", table.table.is_some()),
        ("masquerade_domains", table.masquerade_domains.is_some()),
        ("masquerade_as", table.masquerade_as.is_some()),
        (
            "append_origin",
            table.append_origin.is_some() || table.append_domain.is_some(),
        ),
    ];
    let given: Vec<&str> = ways
        .iter()
        .filter(|(_, given)| *given)
        .map(|(key, _)| *key)
        .collect();
    let [one] = given[..] else {
        let (title, label) = match given.is_empty() {
            true => ("a [[rewrite]] without a method".to_owned(), "changes nothing"),
            false => (
                format!("a [[rewrite]] with {}", given.join(" and ")),
                "two ways at once",
            ),
        };
        c.problems.error(
            table.span.clone(),
            title,
            label,
            "write `table`, `masquerade_domains`, `masquerade_as`, or `append_origin` with `append_domain`, and a [[rewrite]] for each",
        );
        return None;
    };
    check_beside(table, one, c);
    Some(match one {
        "table" => by_tables(table, when, rewriting, c)?,
        "masquerade_domains" => Way::Masquerade(masquerade_list(table, c)),
        "masquerade_as" => {
            if table.domains.is_none() {
                c.problems.error(
                    table.masquerade_as.as_ref().and_then(|domain| domain.span.clone()),
                    "`masquerade_as` without `domains`",
                    "every address there is would move to this domain",
                    "add `domains` with those of your machines, for example `domains = [\"gate.example.org\", \"*.example.org\"]`",
                );
            }
            Way::MasqueradeAs(domain(table.masquerade_as.as_ref())?)
        }
        _ => Way::Append(Append {
            origin: domain(table.append_origin.as_ref()),
            domain: domain(table.append_domain.as_ref()),
        }),
    })
}

fn domain(written: Option<&At<String>>) -> Option<Domain> {
    Domain::parse(&written?.value, true).ok()
}

fn by_tables(
    table: &At<RewriteTable>,
    when: When,
    rewriting: &mut Rewriting,
    c: &mut Checking<'_>,
) -> Option<Way> {
    let references = &table.table.as_ref()?.value;
    let is_sendmail = |one: &At<Reference>| matches!(one.value, Reference::File(Format::Sendmail, _));
    let sendmail = match table.form.as_ref().map(|form| form.value) {
        Some(form) => form == RewriteForm::Sendmail,
        None => references.first().is_some_and(is_sendmail),
    };
    let coming_in = when == When::In;
    rewriting.tables.push(tables::open_all(references, c));
    Some(Way::Tables(Tables {
        number: rewriting.tables.len() - 1,
        sendmail,
        keep_detail: table.keep_detail.as_ref().map_or(coming_in, |keep| keep.value),
        repeat: table
            .repeat
            .as_ref()
            .map_or(coming_in && !sendmail, |repeat| repeat.value),
    }))
}

fn masquerade_list(table: &At<RewriteTable>, c: &mut Checking<'_>) -> MasqueradeList {
    let mut list = MasqueradeList::default();
    for entry in table.masquerade_domains.iter().flat_map(|list| &list.value) {
        if let Err(error) = list.push(&entry.value) {
            let whole = error.to_string();
            let (label, remedy) = whole.split_once("; ").unwrap_or((&whole, "write a domain"));
            c.problems.error(
                entry.span.clone(),
                "`masquerade_domains` in [[rewrite]] has an invalid value",
                label,
                remedy,
            );
        }
    }
    list
}

/// Keys that only make sense for tables.
fn check_beside(table: &At<RewriteTable>, way: &str, c: &mut Checking<'_>) {
    if way == "table" {
        return;
    }
    let for_tables = [
        ("form", table.form.as_ref().map(|at| at.span.clone())),
        (
            "keep_detail",
            table.keep_detail.as_ref().map(|at| at.span.clone()),
        ),
        ("repeat", table.repeat.as_ref().map(|at| at.span.clone())),
    ];
    for (key, span) in for_tables {
        if let Some(span) = span {
            c.problems.warning(
                span,
                format!("`{key}` in [[rewrite]] without `table`"),
                "has no effect",
                "remove it",
            );
        }
    }
}

/// Appending a domain to bare names only concerns the header; in the envelope there are none left by
/// then.
fn check_classes(table: &At<RewriteTable>, way: &Way, classes: &[Class], c: &mut Checking<'_>) {
    let Way::Append(append) = way else { return };
    if append.domain.is_none() && !classes.iter().any(|class| class.is_in_header()) {
        c.problems.warning(
            table
                .append_origin
                .as_ref()
                .and_then(|origin| origin.span.clone()),
            "`append_origin` for the envelope alone",
            "has no effect: addresses of the envelope have a domain by then",
            "write `bare_addresses = \"complete\"` in the [[listener]], and `origin` above all tables",
        );
    }
}

/// Rewriting on the way out breaks signatures made on the way in.
fn warn_of_signatures(table: &At<RewriteTable>, rule: &Rule, c: &mut Checking<'_>) {
    if rule.when != When::Out || !rule.classes.in_header() || c.file.dkim.is_empty() {
        return;
    }
    let (title, label) = match rule.signed {
        true => (
            format!(
                "the rule {:?} breaks the signatures that [[dkim]] makes",
                rule.name
            ),
            "rewrites header fields behind the signer",
        ),
        false => (
            format!(
                "the rule {:?} leaves the header of mail that [[dkim]] signs as it is",
                rule.name
            ),
            "a signature would break",
        ),
    };
    c.problems.warning(
        table.span.clone(),
        title,
        label,
        "write `at = \"in\"`: mail is then rewritten before it is signed",
    );
}
