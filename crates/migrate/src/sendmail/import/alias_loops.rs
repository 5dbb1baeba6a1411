//! Aliases that lead back to themselves. sendmail delivers mail for a name in such a loop to the user of that name, and bounces it if there is
//! none; Postern does not start with a loop.

use std::collections::{BTreeMap, BTreeSet};

/// Most loops that are broken.
const LOOPS_MAX: usize = 100;

/// Most aliases in a row that are followed.
const DEPTH_MAX: usize = 50;

/// An alias: its lines, the first and the one behind the last, and where it leads.
struct Alias {
    first: usize,
    end: usize,
    targets: Vec<String>,
}

/// The aliases without loops, and the loops, each by its names in order. Where an alias leads on in a loop, its own name stands instead, with a
/// `\` that keeps it from being followed.
pub(super) fn broken(text: &str, is_own: &dyn Fn(&str) -> bool) -> (String, Vec<Vec<String>>) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut loops = Vec::new();
    while loops.len() < LOOPS_MAX {
        let aliases = aliases(&lines, is_own);
        let mut done = BTreeSet::new();
        let Some(names) = aliases
            .keys()
            .find_map(|name| follow(name, &aliases, &mut Vec::new(), &mut done))
        else {
            break;
        };
        for (name, next) in names.iter().zip(names.iter().cycle().skip(1)) {
            let Some(alias) = aliases.get(name) else { continue };
            for (place, line) in lines.iter_mut().enumerate().take(alias.end).skip(alias.first) {
                *line = without(line, place == alias.first, name, next, is_own);
            }
        }
        loops.push(names);
    }
    (lines.join("\n") + "\n", loops)
}

/// A line of the alias `name` that leads to itself where it led to `next`.
fn without(line: &str, is_first: bool, name: &str, next: &str, is_own: &dyn Fn(&str) -> bool) -> String {
    let (before, targets) = match line.split_once(':').filter(|_| is_first) {
        Some((before, targets)) => (format!("{before}:"), targets),
        None => (String::new(), line),
    };
    let targets = targets.split(',').map(|target| match local(target, is_own) {
        Some(to) if to == next => format!(" \\{name}"),
        _ => target.to_owned(),
    });
    before + &targets.collect::<Vec<_>>().join(",")
}

fn aliases(lines: &[String], is_own: &dyn Fn(&str) -> bool) -> BTreeMap<String, Alias> {
    let mut aliases: BTreeMap<String, Alias> = BTreeMap::new();
    let mut current: Option<String> = None;
    for (place, line) in lines.iter().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let targets = if line.starts_with([' ', '\t']) {
            line.as_str()
        } else {
            let Some((name, targets)) = line.split_once(':') else {
                continue;
            };
            current = Some(name.trim().trim_matches('"').to_ascii_lowercase());
            targets
        };
        let Some(name) = &current else { continue };
        let alias = aliases.entry(name.clone()).or_insert(Alias {
            first: place,
            end: place,
            targets: Vec::new(),
        });
        alias.end = place + 1;
        alias
            .targets
            .extend(targets.split(',').filter_map(|target| local(target, is_own)));
    }
    aliases
}

/// The names of a loop that `name` leads into.
fn follow(
    name: &str,
    aliases: &BTreeMap<String, Alias>,
    above: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    let alias = aliases.get(name)?;
    if done.contains(name) || above.len() > DEPTH_MAX {
        return None;
    }
    above.push(name.to_owned());
    for target in &alias.targets {
        // A name that leads to itself is the user.
        if target == name {
            continue;
        }
        if let Some(place) = above.iter().position(|one| one == target) {
            return Some(above.split_off(place));
        }
        if let Some(found) = follow(target, aliases, above, done) {
            return Some(found);
        }
    }
    above.pop();
    done.insert(name.to_owned());
    None
}

/// The name that a target leads to, if it is one of this machine: `anna`, `Anna@own.example`.
fn local(target: &str, is_own: &dyn Fn(&str) -> bool) -> Option<String> {
    let target = target.trim().trim_matches('"').to_ascii_lowercase();
    if target.is_empty() || target.starts_with(['\\', '|', '/', ':']) {
        return None;
    }
    match target.rsplit_once('@') {
        Some((name, domain)) => is_own(domain).then(|| name.to_owned()),
        None => Some(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_loops_lead_to_their_users() {
        #[rustfmt::skip]
        let cases: [(&str, &str, &str, &[&[&str]]); 7] = [
            ("none",              "postmaster: root\nroot: anna\n",             "postmaster: root\nroot: anna\n",              &[]),
            ("two",               "anna: root\nroot: anna, x@far.test\n",       "anna: \\anna\nroot: \\root, x@far.test\n",    &[&["anna", "root"]]),
            ("three",             "a: b\nb: c\nc: a\nd: a\n",                   "a: \\a\nb: \\b\nc: \\c\nd: a\n",              &[&["a", "b", "c"]]),
            ("by an address",     "root: Anna@own.test\nanna: root\n",          "root: \\root\nanna: \\anna\n",                &[&["anna", "root"]]),
            ("itself",            "self: self\n",                               "self: self\n",                                &[]),
            ("others' domains",   "root: root@far.test\n",                      "root: root@far.test\n",                       &[]),
            ("over lines",        "a: x@far.test,\n  b\nb: a,\n  y@far.test\n", "a: x@far.test,\n \\a\nb: \\b,\n  y@far.test\n", &[&["a", "b"]]),
        ];
        for (shows, text, expected, loops) in cases {
            let (made, found) = broken(text, &|domain| domain == "own.test");
            assert_eq!(made, expected, "{shows}");
            assert_eq!(found, loops, "{shows}");
            assert_eq!(
                broken(&made, &|domain| domain == "own.test").1.len(),
                0,
                "{shows}"
            );
        }
    }
}
