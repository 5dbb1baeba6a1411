//! `postern check`: whether the filters answer and accept the negotiation.

use std::error::Error;
use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use nix::unistd::{geteuid, getgid};
use postern_filter::{Address, Failure, Filter, Service, Timeouts};
use postern_policy::milter::OnFailure;
use postern_receive::MilterSettings;

use crate::config::Config;
use crate::config::problem::Problems;
use crate::exit::chain;
use crate::rights::Account;

/// How long a filter may take to connect, and to negotiate.
const PATIENCE: Duration = Duration::from_secs(5);

/// Negotiates with all of them at once. One that does not answer now may answer later, so that is a
/// warning.
pub(super) fn look(config: &Config, found: &mut Problems) {
    let milters = &config.receive.milters;
    if milters.is_empty() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let answers = runtime.block_on(join_all(milters.iter().map(ask)));
    for (milter, answer) in milters.iter().zip(answers) {
        let Err(failure) = answer else { continue };
        let filter = &milter.filter;
        let title = format!(
            "the filter {} does not work at {}: {}",
            filter.name,
            filter.address,
            chain(&failure)
        );
        found.warning(
            config.places.milter(&filter.name),
            title,
            "asked just now",
            remedy(milter, &failure),
        );
    }
}

async fn ask(milter: &MilterSettings) -> Result<(), Failure> {
    let usual = milter.filter.timeouts;
    let filter = Filter {
        timeouts: Timeouts {
            connect: usual.connect.min(PATIENCE),
            command: usual.command.min(PATIENCE),
            ..usual
        },
        ..milter.filter.clone()
    };
    Service::new(filter, |_, _| {}).negotiate().await.map(drop)
}

fn remedy(milter: &MilterSettings, failure: &Failure) -> String {
    let meanwhile = match milter.on_failure {
        OnFailure::Accept => "mail goes on without it",
        OnFailure::Tempfail => "mail is refused for now",
        OnFailure::Reject => "mail is refused for good",
        OnFailure::Hold => "mail is held",
    };
    let mut cause = failure.source();
    let mut forbidden = false;
    while let Some(error) = cause {
        let refused = error.downcast_ref::<io::Error>();
        forbidden |= refused.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        cause = error.source();
    }
    match &milter.filter.address {
        Address::Unix(path) if forbidden => format!(
            "let {} connect, for example as a member of the group of {}; until then {meanwhile}",
            Account::of(geteuid(), getgid()),
            path.display()
        ),
        _ => format!("start it, or correct the [[milter]]; until then {meanwhile}"),
    }
}
