//! Parameters of `main.cf` that become one key each, or nothing.

mod families;
mod special;
mod table;

use super::Site;
use crate::Located;
use crate::config::{Section, Value};
use crate::postfix::reference;
use crate::report::Weight;
use crate::settings::{self, Line};

use families::Family;
pub use special::Special;
pub use table::ROWS;

pub(super) fn carry_over(site: &mut Site<'_>) {
    let names: Vec<String> = site.main.parameters().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        if site.told.contains(&name) {
            continue;
        }
        match ROWS.iter().find(|row| row.name == name) {
            Some(row) => {
                let value = site.value(&name);
                let name = row.name;
                row.goes.carry_over(&value, &mut Parameter { site, name });
            }
            None if is_referred_to(site, &name) => site.meaningless(&name, "a name that other lines use"),
            None if name == "message_drop_headers" => drop_headers(site),
            None => match families::of(&name) {
                Some(Family::Nothing(why)) => site.meaningless(&name, why),
                Some(Family::Missing(weight, remedy)) => site.missing(&name, weight, remedy),
                None => {
                    let remedy =
                        "unknown here; read what postconf(5) says about it, and look whether it matters";
                    site.missing(&name, Weight::Detail, remedy);
                }
            },
        }
    }
    if !site.is_set("message_size_limit") {
        let octets = site.value("message_size_limit");
        let comment = site.comment("message_size_limit");
        site.import
            .config
            .section("")
            .set("message_size_limit", Value::text(format!("{octets} B")), comment);
    }
}

/// `message_drop_headers`: fields that no message keeps.
fn drop_headers(site: &mut Site<'_>) {
    let fields = site.words("message_drop_headers");
    if fields.is_empty() {
        site.meaningless("message_drop_headers", settings::EMPTY);
        return;
    }
    let mut check = Section::new("header_check", site.comment("message_drop_headers"));
    check.set("name", Value::text("message_drop_headers"), "");
    check.set("fields", Value::list(fields), "");
    check.set("verdict", Value::text("remove"), "");
    site.import.config.add(check);
    site.carried("message_drop_headers", "[[header_check]] fields");
}

/// Whether another parameter, or a service, refers to this one.
fn is_referred_to(site: &Site<'_>, name: &str) -> bool {
    let mut parameters = site.main.parameters();
    let mut services = site.master.services().iter();
    parameters.any(|(_, Located { what, .. })| reference::names(what, name))
        || services.any(|service| {
            let mut overrides = service.overrides.iter();
            overrides.any(|(_, value)| reference::names(&value.what, name))
        })
}

/// A parameter being carried over.
struct Parameter<'s, 'a> {
    site: &'s mut Site<'a>,
    name: &'static str,
}

impl Line<Special> for Parameter<'_, '_> {
    fn set(&mut self, section: &str, key: &str, value: Value) {
        self.site.set(section, key, value, self.name);
    }

    fn set_else(&mut self, section: &str, key: &str, value: Value, difference: String) {
        let comment = self.site.comment(self.name);
        self.site.import.config.section(section).set(key, value, comment);
        let to = settings::path(section, key);
        self.site.changed(self.name, to, difference);
    }

    fn meaningless(&mut self, why: &str) {
        self.site.meaningless(self.name, why);
    }

    fn missing(&mut self, weight: Weight, remedy: &str) {
        self.site.missing(self.name, weight, remedy);
    }

    fn elsewhere(&mut self, to: &'static str) {
        let why = format!("it has no effect beside the other settings; otherwise it would be {to}");
        self.site.meaningless(self.name, why);
    }

    fn own(&mut self, own: Special, value: &str) {
        match own {
            Special::Greeting => greeting(self.site, value),
            Special::Extensions => extensions(self.site),
            Special::Switch(..) if value.is_empty() => self.meaningless(settings::EMPTY),
            Special::Switch(section, key) => self.set(section, key, Value::plain(value == "yes")),
        }
    }
}

/// The greeting: both servers add `ESMTP`.
fn greeting(site: &mut Site<'_>, value: &str) {
    let host = site.value("myhostname");
    let text = value.strip_prefix(host.as_str()).unwrap_or(value).trim();
    let text = text.strip_prefix("ESMTP").unwrap_or(text).trim();
    // The new server does not call itself Postfix.
    let raw = site
        .main
        .parameter("smtpd_banner")
        .map_or("", |it| it.what.as_str());
    let names = ["mail_name", "mail_version"].map(|name| (reference::names(raw, name), site.value(name)));
    let left_out: Vec<&str> = names
        .iter()
        .filter(|(is_named, value)| *is_named && !value.is_empty())
        .map(|(_, value)| value.as_str())
        .collect();
    let words = text.split_whitespace().filter(|word| !left_out.contains(word));
    let text = words.collect::<Vec<_>>().join(" ");
    if text.contains(['$', '{']) {
        let remedy = "set `greeting`; it has {hostname} and {date}";
        return site.missing("smtpd_banner", Weight::Detail, remedy);
    }
    let greeting = format!("{{hostname}} {text}");
    if left_out.is_empty() {
        return site.set("", "greeting", Value::text(greeting.trim()), "smtpd_banner");
    }
    let comment = site.comment("smtpd_banner");
    let top = site.import.config.section("");
    top.set("greeting", Value::text(greeting.trim()), comment);
    let difference = "`$mail_name` is left out, since this server is not Postfix";
    site.changed("smtpd_banner", "greeting", difference);
}

/// `chunking`, `dsn` and so on are disabled by name.
fn extensions(site: &mut Site<'_>) {
    let mut others = Vec::new();
    for word in site.words("smtpd_discard_ehlo_keywords") {
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "chunking" | "binarymime" | "smtputf8" | "dsn" => {
                let key = word.clone();
                let comment = site.comment("smtpd_discard_ehlo_keywords");
                site.import
                    .config
                    .section("extensions")
                    .set(&key, Value::plain(false), comment);
            }
            "silent-discard" | "etrn" | "vrfy" | "xclient" | "xforward" => {}
            _ => others.push(word),
        }
    }
    if others.is_empty() {
        site.carried("smtpd_discard_ehlo_keywords", "[extensions]");
    } else {
        let difference = format!("{} stay on", others.join(", "));
        site.changed("smtpd_discard_ehlo_keywords", "[extensions]", difference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_has_one_row() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|one, next| one < next));
    }
}
