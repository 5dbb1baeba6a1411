//! The outcome of a change to the own users.

use postern_directory::users::UserError;

use crate::exit::{Exit, Failure};
use crate::output;

/// Why it failed, with the exit code for it.
pub(super) fn failure(error: &UserError) -> Failure {
    let exit = match error {
        UserError::Exists(_)
        | UserError::AddressTaken(_)
        | UserError::NoSuchUser(_)
        | UserError::NotTheirs { .. }
        | UserError::LabelTaken { .. }
        | UserError::NoSuchAppPassword { .. }
        | UserError::TooManyAppPasswords { .. } => Exit::No,
        UserError::BadLogin(_)
        | UserError::BadAddress(_)
        | UserError::BadPassword
        | UserError::BadLabel(_)
        | UserError::BadGroup(_)
        | UserError::OwnDelegate(_)
        | UserError::BadScope(_)
        | UserError::ExpiryPast => Exit::Usage,
        UserError::OpenToOthers { .. } => Exit::NoPermission,
        _ => Exit::InputOutput,
    };
    Failure::new(exit.unless_forbidden(error), crate::exit::chain(error))
}

/// Reports what was done, or why not.
pub(super) fn done(result: Result<(), UserError>, message: &str) -> Result<(), Failure> {
    result.map_err(|error| failure(&error))?;
    output::say(message)
}
