//! Local domains, domains relayed to, and aliases.

use std::sync::Arc;

use super::{FOLDER, Site, active};
use crate::config::Value;
use crate::report::Weight;
use crate::{Located, Origin};

pub(super) fn carry_over(site: &mut Site<'_>) {
    let cw = site.mc.option("confCW_FILE").cloned();
    let uses_cw = site.mc.feature("use_cw_file").map(|(at, _)| at.clone());
    let mut local = words_of(site, "LOCAL_DOMAIN", "local_domains");
    if let Some(at) = cw.as_ref().map(|it| it.at.clone()).or(uses_cw) {
        local.extend(listed(
            site,
            cw.as_ref(),
            "local-host-names",
            &at,
            "local_domains",
        ));
    }
    put(site, "local_domains", local);
    let cr = site.mc.option("confCR_FILE").cloned();
    let mut relayed = words_of(site, "RELAY_DOMAIN", "relay_domains");
    let default = Origin::line(&Arc::from(format!("{FOLDER}relay-domains")), 1);
    let is_there = cr.is_some() || site.files.read(&default.file).is_ok();
    if is_there {
        let at = cr.as_ref().map_or(default, |it| it.at.clone());
        relayed.extend(listed(site, cr.as_ref(), "relay-domains", &at, "relay_domains"));
    }
    put(site, "relay_domains", relayed);
    aliases(site);
}

fn put(site: &mut Site<'_>, key: &str, domains: Vec<String>) {
    if !domains.is_empty() {
        site.import.config.section("").set(key, Value::list(domains), "");
    }
}

/// The arguments of a macro that names domains.
fn words_of(site: &mut Site<'_>, name: &'static str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mc = site.mc;
    for (at, arguments) in mc.calls(name) {
        let words = arguments.iter().flat_map(|argument| argument.split_whitespace());
        found.extend(words.map(str::to_owned));
        site.carried(at, &format!("{name}({})", arguments.join(", ")), key);
    }
    found
}

/// The domains that a file lists.
fn listed(
    site: &mut Site<'_>,
    option: Option<&Located<String>>,
    name: &str,
    at: &Origin,
    key: &str,
) -> Vec<String> {
    let default = format!("{FOLDER}{name}");
    let path = option.and_then(|it| {
        it.what
            .split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(str::to_owned)
    });
    let path = path.unwrap_or(default);
    let Some(text) = site.text(&path, at, name) else {
        return Vec::new();
    };
    if at.file.as_ref() != path {
        site.carried(at, name, format!("{key}, from {path}"));
    }
    let file: Arc<str> = Arc::from(path);
    let mut found = Vec::new();
    for (number, line) in active(&text) {
        site.carried(&Origin::line(&file, number), line, key);
        found.push(line.to_owned());
    }
    found
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
    let mut kept = Vec::new();
    for path in paths {
        if path.contains(':') {
            site.missing(
                &at,
                &format!("ALIAS_FILE {path}"),
                Weight::Mail,
                "aliases come from text files alone",
            );
        } else if let Some(text) = site.text(&path, &at, "ALIAS_FILE") {
            let file: Arc<str> = Arc::from(path.as_str());
            for (number, line) in active(&text) {
                let name = line.split(':').next().unwrap_or_default();
                site.carried(
                    &Origin::line(&file, number),
                    &format!("alias {name}"),
                    format!("aliases = \"{path}\""),
                );
            }
            kept.push(path);
        }
    }
    if site.mc.option("ALIAS_FILE").is_some() {
        site.carried(&at, "ALIAS_FILE", "aliases");
    }
    let value = match kept.as_slice() {
        [] => return,
        [one] => Value::text(one.clone()),
        several => Value::list(several.to_vec()),
    };
    site.import
        .config
        .section("")
        .set("aliases", value, "the file itself goes on being read");
}
