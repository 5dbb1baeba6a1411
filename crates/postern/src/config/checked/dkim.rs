//! `[[dkim]]`: one table per domain, keys that can sign, each with its own selector.

use std::sync::Arc;

use postern_policy::signing::Scope;
use postern_seal::rotation::RotationSettings;
use postern_seal::sign::{OVERSIGNED, SIGNED};
use postern_seal::{FieldNames, SigningKey};
use zeroize::Zeroizing;

use super::{Checking, files, smarthosts, values};
use crate::config::file::DkimTable;
use crate::config::read::At;
use crate::dkim::{DkimDomain, GivenKey};

/// Largest file of a key, in octets.
const KEY_FILE_MAX: u64 = 64 << 10;

pub(super) fn check(c: &mut Checking<'_>) -> Vec<DkimDomain> {
    let file = c.file;
    let mut domains: Vec<DkimDomain> = Vec::new();
    for written in &file.dkim.value {
        let keys = keys(written, c);
        let Some(domain) = &written.domain else { continue };
        if domains.iter().any(|earlier| earlier.domain == domain.value) {
            c.problems.error(
                domain.span.clone(),
                format!("two [[dkim]] tables are for {}", domain.value),
                "which one is meant?",
                "keep one, with all keys of the domain",
            );
        }
        warn_of_rotation(written, c);
        warn_of_early_end(written, c);
        let names = |list: &Option<At<Vec<At<String>>>>, usual: &[&str]| match list {
            Some(list) => values(&list.value),
            None => usual.iter().map(|name| (*name).to_owned()).collect(),
        };
        domains.push(DkimDomain {
            domain: domain.value.clone(),
            scope: Scope {
                subdomains: *written.subdomains,
                any_login: *written.any_login,
            },
            given: keys,
            fields: Arc::new(FieldNames::new(
                names(&written.oversign, &OVERSIGNED),
                names(&written.headers, &SIGNED),
            )),
            canonicalization: *written.canonicalization,
            expires: written.expire_after.as_ref().map(|time| time.value),
            automatic: *written.automatic,
            rotation: RotationSettings {
                every: written.rotate_every.as_ref().map(|time| time.value),
                keep_old: *written.keep_old,
            },
        });
    }
    domains
}

fn keys(written: &At<DkimTable>, c: &mut Checking<'_>) -> Vec<GivenKey> {
    let mut keys: Vec<GivenKey> = Vec::new();
    for table in &written.key.value {
        let (Some(selector), Some(file)) = (&table.selector, &table.file) else {
            continue;
        };
        if keys.iter().any(|earlier| earlier.selector == selector.value) {
            c.problems.error(
                selector.span.clone(),
                format!("two keys have the selector {:?}", selector.value),
                "there is one record for both",
                "give each key a selector of its own",
            );
        }
        if !files::secret(file, "the DKIM key", c.problems) {
            continue;
        }
        smarthosts::warn_of_owner(file, c);
        let read = postern_trust::read_bounded(&file.value, KEY_FILE_MAX).map(Zeroizing::new);
        let key = read
            .map_err(|error| (error.to_string(), "cannot be read"))
            .and_then(|pem| {
                SigningKey::from_pem(&pem)
                    .map_err(|error| (format!("{}: {error}", file.display()), "cannot sign"))
            });
        match key {
            Ok(key) => keys.push(GivenKey {
                selector: selector.value.clone(),
                key: Arc::new(key),
            }),
            Err((title, label)) => c.problems.error(
                file.span.clone(),
                title,
                label,
                "make a key by `postern dkim new DOMAIN --dir FOLDER`",
            ),
        }
    }
    keys
}

/// Keys created by somebody else must be replaced by them.
fn warn_of_rotation(written: &At<DkimTable>, c: &mut Checking<'_>) {
    if let (Some(every), false) = (&written.rotate_every, written.key.is_empty()) {
        c.problems.warning(
            every.span.clone(),
            "`rotate_every` with keys in files",
            "without effect",
            "remove [[dkim.key]], and make keys below `state_dir` by `postern dkim new`, or remove this",
        );
    }
}

/// A signature that expires while the mail is still queued fails at the receiver.
fn warn_of_early_end(written: &At<DkimTable>, c: &mut Checking<'_>) {
    let Some(end) = &written.expire_after else { return };
    if end.value <= *c.file.retry.expire_after {
        c.problems.warning(
            end.span.clone(),
            "signatures expire before mail does",
            "not longer than `expire_after` in [retry]",
            "make it longer by some days, or leave it out",
        );
    }
}
