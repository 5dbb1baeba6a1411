//! `postern dkim new`: the first keys of a domain.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use jiff::Timestamp;
use postern_net::file::{Existing, write_private};
use postern_seal::SigningKey;
use postern_seal::rotation::{KeyRing, Stage};

use super::common::{enter, failed, table, tell};
use super::records::as_text;
use crate::args::{ConfigArg, NewKeyArgs};
use crate::control::acts;
use crate::dkim::folder::KeyFolder;
use crate::dkim::records::RecordLine;
use crate::dkim::rotate::Record;
use crate::exit::{Exit, Failure};
use crate::{output, rights};

pub(super) fn run(config: &ConfigArg, args: &NewKeyArgs) -> Result<(), Failure> {
    match &args.dir {
        Some(folder) => in_folder(folder, args),
        None => managed(config, args),
    }
}

/// Keys below the state directory.
fn managed(config: &ConfigArg, args: &NewKeyArgs) -> Result<(), Failure> {
    let (config, client) = enter(config)?;
    let domain = &args.domain;
    let written = config.dkim.iter().find(|one| one.domain == *domain);
    if written.is_some_and(|written| !written.is_managed()) {
        let text = format!(
            "[[dkim.key]] names the keys of {domain}: `--dir FOLDER` makes another file for it, and without [[dkim.key]] \
             the keys below `state_dir` are used"
        );
        return Err(Failure::new(Exit::No, text));
    }
    let folder = KeyFolder::of(&config.state_dir, domain);
    let locked = folder.lock().map_err(failed)?;
    if !folder.ring().map_err(failed)?.keys.is_empty() {
        return Err(Failure::new(
            Exit::CannotCreate,
            format!(
                "{domain} has keys already: `postern dkim rotate {domain}` makes those that follow them, \
                 `postern dkim records {domain}` shows their records"
            ),
        ));
    }
    let algorithms = args.algorithm.algorithms();
    let made = locked.make(algorithms, args.bits, args.selector.as_deref(), Timestamp::now());
    let made = made.map_err(failed)?;
    drop(locked);
    acts::record(&config.acts, "dkim new", Some(domain.clone()), None);
    let line = |selector: &String| {
        let key = folder.key(selector).map_err(failed)?;
        Ok(RecordLine::of(
            Record::of(domain, selector, &key),
            Some(Stage::Next),
        ))
    };
    let lines = made.iter().map(line).collect::<Result<Vec<_>, Failure>>()?;
    tell(client);
    if args.json.json {
        return output::print_json(&lines);
    }
    let next = match written {
        Some(_) => format!(
            "They sign once DNS shows these records: the running server looks by itself, `postern dkim rotate {domain} --continue` at once."
        ),
        None => format!(
            "Then add this to {}:\n\n{}\n\nThey sign once DNS shows these records: the running server looks by itself, \
             `postern dkim rotate {domain} --continue` at once.",
            config.path.display(),
            table(domain)
        ),
    };
    output::print(&format!(
        "made {}\n\n{}\n{next}",
        made.join(" and "),
        as_text(&lines)
    ))
}

/// Keys in a folder, for `[[dkim.key]]`.
fn in_folder(folder: &Path, args: &NewKeyArgs) -> Result<(), Failure> {
    rights::enter(folder)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::io(&format!("cannot make the folder {}", folder.display()), &error))?;
    let domain = &args.domain;
    let (mut lines, mut tables) = (Vec::new(), String::new());
    for algorithm in args.algorithm.algorithms() {
        let selector = match (&args.selector, lines.is_empty()) {
            (Some(selector), true) => selector.clone(),
            (Some(selector), false) => format!("{selector}-{}", algorithm.key_type()),
            (None, _) => KeyRing::default().free_selector(*algorithm, Timestamp::now()),
        };
        let (key, pem) = SigningKey::generate(*algorithm, args.bits)
            .map_err(|error| Failure::from_error(Exit::System, "cannot make a key", &error))?;
        let path = folder.join(format!("{domain}.{selector}.pem"));
        write_private(&path, pem.as_bytes(), Existing::Keep)
            .map_err(|error| Failure::io(&format!("cannot write {}", path.display()), &error))?;
        let file = std::path::absolute(&path).unwrap_or(path);
        tables.push_str(&format!(
            "\n    [[dkim.key]]\n    selector = \"{selector}\"\n    file = \"{}\"\n",
            file.display()
        ));
        lines.push(RecordLine::of(Record::of(domain, &selector, &key), None));
    }
    if args.json.json {
        return output::print_json(&lines);
    }
    output::print(&format!(
        "{}\nOnce DNS has them, add this to the configuration and reload the server:\n\n{}\n{tables}",
        as_text(&lines),
        table(domain)
    ))
}
