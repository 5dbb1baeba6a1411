//! How an address is followed through the aliases, step by step, for display.

use std::collections::{HashSet, VecDeque};

use postern_mail::{Domain, Mailbox};

use super::known::Residents;
use crate::addresses::Step;
use crate::aliases::Target;

/// Most steps that are shown.
const STEPS_MAX: usize = 200;

impl Residents<'_> {
    /// The entries that mail for an address goes through, in the order in which they are met; tables that cannot be queried now
    /// are skipped.
    pub async fn trail(&self, address: &Mailbox) -> Vec<Step> {
        let addresses = self.aliases.addresses();
        let is_local = |domain: &Domain| self.is_local(domain);
        let mut open = VecDeque::from([(address.clone(), true)]);
        let mut seen = HashSet::new();
        let mut steps = Vec::new();
        while let Some((address, by_address)) = open.pop_front() {
            if steps.len() >= STEPS_MAX || !seen.insert((address.key(), by_address)) {
                continue;
            }
            if by_address && let Ok(Some(expansion)) = addresses.expand(&address, &is_local).await {
                steps.extend(expansion.steps);
                let names = expansion.names.iter();
                let names = names.filter_map(|name| Mailbox::new(name, self.main_domain.clone()).ok());
                open.extend(
                    expansion
                        .addresses
                        .into_iter()
                        .chain(names)
                        .map(|next| (next, false)),
                );
                continue;
            }
            let Some(step) = self.in_file(&address, &mut open) else {
                continue;
            };
            steps.push(step);
        }
        steps
    }

    /// The alias in the file that matches an address.
    fn in_file(&self, address: &Mailbox, open: &mut VecDeque<(Mailbox, bool)>) -> Option<Step> {
        if !self.is_local(address.domain()) {
            return None;
        }
        let bare = self.without_detail(address);
        let mut candidates = [Some(address), bare.as_ref()].into_iter().flatten();
        let alias = candidates.find(|candidate| self.is_alias(candidate))?;
        let name = alias.unquoted_local();
        let targets = self.targets(alias);
        for target in &targets {
            match target {
                Target::Address(mailbox) => open.push_back((mailbox.clone(), true)),
                // What a chain in the file ends in is not an alias there.
                Target::Local(_) | Target::Discard | Target::Refused(_) => {}
            }
        }
        let shown: Vec<String> = targets.iter().map(ToString::to_string).collect();
        Some(Step {
            address: address.clone(),
            key: name.to_string(),
            value: shown.join(", "),
            place: self.aliases.place(&name).unwrap_or_default(),
        })
    }
}
