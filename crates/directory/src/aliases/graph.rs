//! The aliases and where they lead.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postern_mail::{Domain, Mailbox};

use super::files::Entry;
use super::parse::Goal;
use super::target::{AliasMistake, DEPTH_MAX, End, TARGETS_MAX, Target};

/// The prefix that makes a list's name its owner's.
const OWNER: &str = "owner-";

/// Aliases by lower-case name, with their targets linked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    by_name: HashMap<String, usize>,
    nodes: Vec<Vec<Link>>,
    /// For each alias the name of its owner alias, if it has one.
    owners: Vec<Option<Arc<str>>>,
    /// Where each is written.
    lines: Vec<usize>,
    file: PathBuf,
}

#[derive(Clone, Debug)]
enum Link {
    Alias(usize),
    End(Target),
}

/// Why following an alias was given up.
enum TooFar {
    Loop(Vec<usize>),
    Depth,
    Targets,
}

/// Follows one alias to all its final targets.
struct Walk<'a> {
    graph: &'a Graph,
    path: Vec<usize>,
    /// Aliases already followed: each counts once.
    followed: HashSet<usize>,
    seen: HashSet<Target>,
    ends: Vec<End>,
}

impl Graph {
    /// Links the aliases and checks that each leads somewhere within bounds.
    pub(crate) fn build(
        path: &Path,
        entries: Vec<Entry>,
        is_local: &dyn Fn(&Domain) -> bool,
        mistakes: &mut Vec<AliasMistake>,
    ) -> Self {
        let mut by_name: HashMap<String, usize> = HashMap::with_capacity(entries.len());
        let mut lines = Vec::with_capacity(entries.len());
        let mut kept: Vec<(String, Vec<Goal>)> = Vec::with_capacity(entries.len());
        let mistake = |line, message| AliasMistake {
            file: path.to_owned(),
            line,
            message,
        };
        for entry in entries {
            let key = entry.name.to_lowercase();
            if let Some(&first) = by_name.get(&key) {
                let message = format!(
                    "{:?} is there already, at line {}: put the two together",
                    entry.name, lines[first]
                );
                mistakes.push(mistake(entry.line, message));
                continue;
            }
            by_name.insert(key.clone(), kept.len());
            lines.push(entry.line);
            kept.push((key, entry.targets));
        }
        let link = |(name, targets): (String, Vec<Goal>)| {
            targets
                .into_iter()
                .map(|target| link(&by_name, is_local, &name, target))
                .collect()
        };
        let owner = |(name, _): &(String, Vec<Goal>)| {
            let owner = format!("{OWNER}{name}");
            let has = by_name.contains_key(&owner) && !name.starts_with(OWNER);
            has.then(|| Arc::from(owner))
        };
        let owners = kept.iter().map(owner).collect();
        let nodes = kept.into_iter().map(link).collect();
        let graph = Self {
            by_name,
            nodes,
            owners,
            lines,
            file: path.to_owned(),
        };
        graph.check(&mistake, mistakes);
        graph
    }

    fn check(&self, mistake: &dyn Fn(usize, String) -> AliasMistake, mistakes: &mut Vec<AliasMistake>) {
        let mut in_loops = HashSet::new();
        for (index, &line) in self.lines.iter().enumerate() {
            match self.walk(index) {
                Ok(_) => {}
                // Reported once, at the first of its aliases.
                Err(TooFar::Loop(members)) => {
                    if in_loops.is_disjoint(&members.iter().copied().collect()) {
                        mistakes.push(mistake(
                            self.lines[members[0]],
                            format!("loop: {}", self.names(&members)),
                        ));
                    }
                    in_loops.extend(members);
                }
                Err(TooFar::Depth) => {
                    let message = format!("{:?} goes through over {DEPTH_MAX} aliases", self.name(index));
                    mistakes.push(mistake(line, message));
                }
                Err(TooFar::Targets) => {
                    let message = format!("{:?} has over {TARGETS_MAX} targets", self.name(index));
                    mistakes.push(mistake(line, message));
                }
            }
        }
    }

    pub(crate) fn ends(&self, local: &str) -> Option<Vec<End>> {
        let index = *self.by_name.get(&local.to_lowercase())?;
        self.walk(index).ok()
    }

    /// The file and the line where an alias is defined.
    pub(crate) fn place(&self, local: &str) -> Option<String> {
        let index = self.by_name.get(&local.to_lowercase())?;
        Some(format!("{}:{}", self.file.display(), self.lines.get(*index)?))
    }

    pub(crate) fn contains(&self, local: &str) -> bool {
        self.by_name.contains_key(&local.to_lowercase())
    }

    pub(crate) fn names_of_all(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn walk(&self, index: usize) -> Result<Vec<End>, TooFar> {
        let mut walk = Walk {
            graph: self,
            path: Vec::new(),
            followed: HashSet::new(),
            seen: HashSet::new(),
            ends: Vec::new(),
        };
        walk.follow(index, None)?;
        Ok(walk.ends)
    }

    fn name(&self, index: usize) -> &str {
        self.by_name
            .iter()
            .find(|(_, found)| **found == index)
            .map_or("", |(name, _)| name)
    }

    fn names(&self, members: &[usize]) -> String {
        let names: Vec<&str> = members
            .iter()
            .chain(&members[..1])
            .map(|&index| self.name(index))
            .collect();
        names.join(" -> ")
    }
}

impl Walk<'_> {
    fn follow(&mut self, index: usize, owner: Option<&Arc<str>>) -> Result<(), TooFar> {
        if let Some(at) = self.path.iter().position(|&open| open == index) {
            return Err(TooFar::Loop(self.path[at..].to_vec()));
        }
        if self.path.len() >= DEPTH_MAX {
            return Err(TooFar::Depth);
        }
        if !self.followed.insert(index) {
            return Ok(());
        }
        self.path.push(index);
        // The innermost list counts.
        let owner = self.graph.owners[index].as_ref().or(owner);
        for link in &self.graph.nodes[index] {
            match link {
                Link::Alias(next) => self.follow(*next, owner)?,
                Link::End(target) => self.end(target, owner)?,
            }
        }
        self.path.pop();
        Ok(())
    }

    fn end(&mut self, target: &Target, owner: Option<&Arc<str>>) -> Result<(), TooFar> {
        if self.seen.insert(target.clone()) {
            if self.ends.len() >= TARGETS_MAX {
                return Err(TooFar::Targets);
            }
            self.ends.push(End {
                target: target.clone(),
                owner: owner.cloned(),
            });
        }
        Ok(())
    }
}

/// Where one target of the alias `name` leads. An alias that names itself means the mailbox, as with sendmail.
fn link(
    by_name: &HashMap<String, usize>,
    is_local: &dyn Fn(&Domain) -> bool,
    name: &str,
    target: Goal,
) -> Link {
    let find = |local: &str| {
        let key = local.to_lowercase();
        by_name.get(&key).copied().filter(|_| key != name)
    };
    let address = |mailbox: Mailbox| match find(&mailbox.unquoted_local()) {
        Some(index) if is_local(mailbox.domain()) => Link::Alias(index),
        _ => Link::End(Target::Address(mailbox)),
    };
    match target {
        Goal::Name(local) => find(&local).map_or_else(|| Link::End(Target::Local(local)), Link::Alias),
        Goal::Mailbox(local) => Link::End(Target::Local(local)),
        Goal::Address(mailbox) => address(mailbox),
        Goal::Discard => Link::End(Target::Discard),
        Goal::Refuse(text) => Link::End(Target::Refused(text)),
    }
}
