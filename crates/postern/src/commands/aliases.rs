//! `postern aliases`: all aliases, and where an address leads.

use postern_directory::{Directories, Lead};
use postern_mail::Mailbox;
use serde::Serialize;

use crate::args::AliasesArgs;
use crate::config::Config;
use crate::exit::{Exit, Failure, chain};
use crate::{locate, output, rights};

/// One entry.
#[derive(Debug, Serialize)]
struct Entry {
    /// Its left-hand side.
    alias: String,
    /// Where it leads.
    to: String,
    /// Where it is written.
    place: String,
}

/// Where an address leads.
#[derive(Debug, Serialize)]
struct Followed {
    address: String,
    /// The entries on the way.
    steps: Vec<Entry>,
    /// The final recipients.
    reaches: Vec<Reached>,
    /// Why it has no recipients.
    refused: Option<String>,
}

/// A final recipient.
#[derive(Debug, Serialize)]
struct Reached {
    address: String,
    /// The envelope sender, if that is the owner of a list.
    sender: Option<String>,
}

/// Lists aliases, or follows addresses.
pub(crate) fn run(args: &AliasesArgs) -> Result<(), Failure> {
    let path = locate::existing(&args.listing.config)?;
    let config = super::checked(&path)?;
    if args.addresses.is_empty() {
        return list(&entries(&config), args.listing.json.json);
    }
    rights::enter(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let followed = runtime.block_on(follow(&config, &args.addresses))?;
    if args.listing.json.json {
        output::print_json(&followed)?;
    } else {
        followed.iter().try_for_each(show)?;
    }
    if followed.iter().any(|one| one.refused.is_some()) {
        return Err(Failure::silent(Exit::No));
    }
    Ok(())
}

fn entries(config: &Config) -> Vec<Entry> {
    let aliases = &config.aliases;
    let mut all = Vec::new();
    for source in &aliases.addresses().sources {
        for (alias, found) in source.table.entries() {
            all.push(Entry {
                alias,
                to: found.value,
                place: found.place,
            });
        }
    }
    for name in aliases.names() {
        let targets = aliases.lookup(name).unwrap_or_default();
        let to: Vec<String> = targets.iter().map(ToString::to_string).collect();
        all.push(Entry {
            alias: name.to_owned(),
            to: to.join(", "),
            place: aliases.place(name).unwrap_or_default(),
        });
    }
    all
}

fn list(entries: &[Entry], json: bool) -> Result<(), Failure> {
    if json {
        return output::print_json(entries);
    }
    if entries.is_empty() {
        return output::print("no aliases");
    }
    table(entries)
}

fn table(entries: &[Entry]) -> Result<(), Failure> {
    let rows = entries
        .iter()
        .map(|entry| vec![entry.alias.clone(), entry.to.clone(), entry.place.clone()]);
    output::print_table(&["alias", "leads to", "in"], &[], &[2], rows.collect())
}

async fn follow(config: &Config, addresses: &[Mailbox]) -> Result<Vec<Followed>, Failure> {
    let directories = Directories::open(super::those_there(config.directories.clone()))
        .await
        .map_err(|error| Failure::new(Exit::InputOutput, chain(&error)))?;
    let residents = config.receive.residents(&directories, &config.aliases);
    let mut all = Vec::new();
    for address in addresses {
        let steps = residents.trail(address).await.into_iter().map(|step| Entry {
            alias: step.key,
            to: step.value,
            place: step.place,
        });
        let steps = steps.collect();
        let itself = || Reached {
            address: address.to_string(),
            sender: None,
        };
        let (reaches, refused) = match residents.lead(address).await {
            Lead::Itself => (vec![itself()], None),
            Lead::Alias(members) => {
                let members = members.into_iter().map(|member| Reached {
                    address: member.address.to_string(),
                    sender: member.sender.map(|sender| sender.to_string()),
                });
                (members.collect(), None)
            }
            Lead::Refused(text) => (Vec::new(), Some(text.to_string())),
            Lead::Broken => (Vec::new(), Some("none of its targets exists".to_owned())),
            Lead::Nobody => (Vec::new(), Some("unknown address".to_owned())),
            Lead::Unknown(reason) => (Vec::new(), Some(reason)),
        };
        all.push(Followed {
            address: address.to_string(),
            steps,
            reaches,
            refused,
        });
    }
    Ok(all)
}

fn show(followed: &Followed) -> Result<(), Failure> {
    output::print(&format!("{}:", followed.address))?;
    if !followed.steps.is_empty() {
        table(&followed.steps)?;
    }
    for one in &followed.reaches {
        output::print(&match &one.sender {
            Some(sender) => format!("reaches {}, under the sender {sender}", one.address),
            None => format!("reaches {}", one.address),
        })?;
    }
    match &followed.refused {
        Some(why) => output::print(&format!("reaches nobody: {why}")),
        None => Ok(()),
    }
}
