//! Aliases that lead back to themselves. sendmail breaks such a loop at a user of the machine who stands in it; Postern does not start with one.

use std::collections::BTreeMap;

/// An alias that leads back to one before it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Loop {
    /// The names, from the first to the one that leads back: `root`, `anna`.
    pub(super) names: Vec<String>,
    /// The line of the alias that leads back, from 1.
    pub(super) line: u32,
}

/// An alias: its line, and what it leads to as it is written.
struct Alias {
    line: u32,
    targets: Vec<String>,
}

/// The aliases without loops, and the loops. In the place of what leads back stands the name itself with a `\`, so that its user has the mail.
///
/// An alias over several lines stays as it is: its loop is told of, and has to be broken by hand.
pub(super) fn broken(text: &str, is_own: &dyn Fn(&str) -> bool) -> (String, Vec<Loop>) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut loops = Vec::new();
    // Each round takes at least one target out of the way.
    while let Some(found) = first_loop(&lines, is_own) {
        let (Some(first), Some(last)) = (found.names.first(), found.names.last()) else {
            break;
        };
        let place = found.line as usize - 1;
        let is_long = lines
            .get(place + 1)
            .is_some_and(|next| next.starts_with([' ', '\t']));
        let Some(line) = lines.get_mut(place).filter(|_| !is_long && loops.len() < 100) else {
            loops.push(found);
            break;
        };
        let (name, targets) = line.split_once(':').unwrap_or((line, ""));
        let kept = targets.split(',').map(|target| match local(target, is_own) {
            Some(name) if name == *first => format!(" \\{last}"),
            _ => target.to_owned(),
        });
        *line = format!("{name}:{}", kept.collect::<Vec<_>>().join(","));
        loops.push(found);
    }
    (lines.join("\n") + "\n", loops)
}

fn first_loop(lines: &[String], is_own: &dyn Fn(&str) -> bool) -> Option<Loop> {
    let mut aliases: BTreeMap<String, Alias> = BTreeMap::new();
    let mut current: Option<String> = None;
    for (number, line) in (1..).zip(lines) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, targets) = match (line.starts_with([' ', '\t']), &current) {
            (true, Some(name)) => (name.clone(), line.as_str()),
            (true, None) => continue,
            (false, _) => match line.split_once(':') {
                Some((name, targets)) => (name.trim().trim_matches('"').to_ascii_lowercase(), targets),
                None => continue,
            },
        };
        current = Some(name.clone());
        let alias = aliases.entry(name).or_insert(Alias {
            line: number,
            targets: Vec::new(),
        });
        alias
            .targets
            .extend(targets.split(',').filter_map(|target| local(target, is_own)));
    }
    let mut done = std::collections::BTreeSet::new();
    aliases
        .keys()
        .find_map(|name| follow(name, &aliases, &mut Vec::new(), &mut done))
}

fn follow(
    name: &str,
    aliases: &BTreeMap<String, Alias>,
    above: &mut Vec<String>,
    done: &mut std::collections::BTreeSet<String>,
) -> Option<Loop> {
    let alias = aliases.get(name)?;
    if done.contains(name) || above.len() > 50 {
        return None;
    }
    above.push(name.to_owned());
    for target in &alias.targets {
        // A name that leads to itself is the user.
        if target == name {
            continue;
        }
        if let Some(place) = above.iter().position(|one| one == target) {
            return Some(Loop {
                names: above.split_off(place),
                line: alias.line,
            });
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
    fn loops_end_at_a_user() {
        #[rustfmt::skip]
        let cases: [(&str, &str, &str, &[(&[&str], u32)]); 6] = [
            ("none",              "postmaster: root\nroot: anna\n",             "postmaster: root\nroot: anna\n",              &[]),
            ("two",               "anna: root\nroot: anna, x@far.test\n",       "anna: root\nroot: \\root, x@far.test\n",      &[(&["anna", "root"], 2)]),
            ("by an address",     "root: Anna@own.test\nanna: root\n",          "root: \\root\nanna: root\n",                  &[(&["anna", "root"], 1)]),
            ("itself",            "self: self\n",                               "self: self\n",                                &[]),
            ("others' domains",   "root: root@far.test\n",                      "root: root@far.test\n",                       &[]),
            ("over lines",        "a: b,\n  x@far.test\nb: a,\n  y@far.test\n", "a: b,\n  x@far.test\nb: a,\n  y@far.test\n",  &[(&["a", "b"], 3)]),
        ];
        for (shows, text, expected, loops) in cases {
            let (made, found) = broken(text, &|domain| domain == "own.test");
            assert_eq!(made, expected, "{shows}");
            let found: Vec<(Vec<&str>, u32)> = found
                .iter()
                .map(|one| (one.names.iter().map(String::as_str).collect(), one.line))
                .collect();
            let loops: Vec<(Vec<&str>, u32)> = loops
                .iter()
                .map(|(names, line)| (names.to_vec(), *line))
                .collect();
            assert_eq!(found, loops, "{shows}");
        }
    }
}
