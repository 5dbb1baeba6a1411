//! The name of this host.

use postern_mail::Domain;

use crate::config::file::Postern;
use crate::config::problem::Problems;

/// The name of this host: as written, or the machine's own if that is fully qualified. After a mistake it is a
/// placeholder, so that the other checks can continue.
pub(super) fn hostname(file: &Postern, problems: &mut Problems) -> (String, Domain) {
    let name = match &file.hostname {
        Some(name) => name.value.clone(),
        None => machine_name(),
    };
    match Domain::parse(&name, true) {
        Ok(domain @ Domain::Name(_)) if file.hostname.is_some() || name.contains('.') => {
            return (domain.to_string(), domain);
        }
        // It was written, and has been reported.
        _ if problems.are_about("hostname") => {}
        _ => problems.error(
            None,
            format!("`hostname` is missing, and the name of the machine, {name:?}, is not a full one"),
            "",
            "add for example `hostname = \"mx.example.org\"` above the first line in brackets",
        ),
    }
    let stand_in = "localhost";
    (stand_in.to_owned(), Domain::Name(stand_in.into()))
}

fn machine_name() -> String {
    let name = nix::unistd::gethostname().ok();
    name.and_then(|name| name.into_string().ok()).unwrap_or_default()
}

/// The name of this host for a file that may have mistakes.
pub(in crate::config) fn name_of_host(file: &Postern) -> String {
    hostname(file, &mut Problems::default()).0
}
