//! `postern reload`.

use crate::args::ReloadArgs;
use crate::control::acts;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::{locate, output};

/// Makes the running server reload its configuration, and shows its answer.
pub(crate) fn run(args: &ReloadArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    let written = super::written(&locate::existing(&args.listing.config)?)?;
    let Some(mut client) = super::reach(&written)? else {
        return Err(Failure::new(
            Exit::Unavailable,
            format!(
                "no server runs on {}; where `state_dir` was changed, stop the server, move the folder and start it again",
                written.state_dir().display()
            ),
        ));
    };
    let result = client
        .ask(&Request::Reload)
        .map_err(|failure| Failure::new(Exit::Config, failure.message))?;
    if args.listing.json.json {
        return output::print_json(&result);
    }
    for warning in result["warnings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|warning| warning.as_str())
    {
        eprintln!("warning: {warning}");
    }
    output::print("reloaded")
}
