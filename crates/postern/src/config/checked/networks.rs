//! Networks whose clients are trusted.

use ipnet::IpNet;
use postern_policy::breadth;

use super::checking::values;
use crate::config::problem::Problems;
use crate::config::read::At;

/// Clients trusted by address must be in networks that can belong to a site.
pub(super) fn refuse_everybody(
    networks: &At<Vec<At<IpNet>>>,
    what: &str,
    label: &'static str,
    problems: &mut Problems,
) {
    let remedy = "list the networks of your own hosts";
    let mut alone = false;
    for network in networks
        .value
        .iter()
        .filter(|network| breadth::is_everybody(network))
    {
        alone = true;
        let title = match network.prefix_len() {
            0 => format!("{what} contains every address"),
            _ => format!(
                "{what} contains {}, which is too large to be yours",
                network.value
            ),
        };
        problems.error(network.span.clone(), title, label, remedy);
    }
    if !alone && breadth::are_everybody(&values(networks)) {
        let title = format!("{what} together contain nearly all addresses");
        problems.error(networks.span.clone(), title, label, remedy);
    }
}
