//! `postern user address`, `postern user group`, `postern user delegate`.

use postern_directory::UserStore;

use super::user_outcome::done;
use crate::args::{AddressCommand, DelegateCommand, GroupCommand};
use crate::exit::Failure;

/// Adds or removes a further address.
pub(super) fn address(store: &UserStore, command: &AddressCommand) -> Result<(), Failure> {
    match command {
        AddressCommand::Add { login, address } => done(
            store.add_address(login, address),
            &format!("{login} has the address {address}"),
        ),
        AddressCommand::Remove { login, address } => done(
            store.remove_address(login, address),
            &format!("{login} no longer has the address {address}"),
        ),
    }
}

/// Adds to a group or removes from it.
pub(super) fn group(store: &UserStore, command: &GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::Add { login, group } => done(
            store.add_group(login, group),
            &format!("{login} is in the group {group}"),
        ),
        GroupCommand::Remove { login, group } => done(
            store.remove_group(login, group),
            &format!("{login} is no longer in the group {group}"),
        ),
    }
}

/// Adds or removes a delegate.
pub(super) fn delegate(store: &UserStore, command: &DelegateCommand) -> Result<(), Failure> {
    match command {
        DelegateCommand::Add { owner, delegate } => done(
            store.add_delegate(owner, delegate),
            &format!("{delegate} may send in the name of {owner}"),
        ),
        DelegateCommand::Remove { owner, delegate } => done(
            store.remove_delegate(owner, delegate),
            &format!("{delegate} may no longer send in the name of {owner}"),
        ),
    }
}
