//! Whether receivers can verify signatures: part of `postern check`.

use postern_net::resolver::Resolver;
use postern_policy::identity::SenderRule;

use super::dkim::look;
use crate::config::Config;
use crate::config::problem::Problems;

/// Checks the keys of each `[[dkim]]`, and unless `offline` their records. DNS may have them later, so missing ones are a
/// warning.
pub(super) fn check(config: &Config, offline: bool, found: &mut Problems) {
    if config.dkim.len() > 1 && config.receive.identity.senders == SenderRule::Any {
        found.warning(
            config.places.dkim(&config.dkim[0].domain),
            "users of one domain can have mail of another signed",
            "every user may send with any address",
            "set `senders = \"own\"` in [relay] if the domains belong to different people",
        );
    }
    let (Ok(resolver), false) = (Resolver::new(&config.resolver), offline) else {
        return;
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    for domain in &config.dkim {
        let place = config.places.dkim(&domain.domain);
        let name = &domain.domain;
        let lines = match runtime.block_on(look(config, domain, &resolver)) {
            Ok(lines) => lines,
            Err(reason) => {
                found.error(
                    place,
                    reason,
                    "its keys cannot be used",
                    "see `postern dkim check`",
                );
                continue;
            }
        };
        if lines.is_empty() {
            let remedy = format!("`postern dkim new {name}` makes keys and prints their records");
            found.warning(
                place,
                format!("there are no DKIM keys for {name}"),
                "its mail is not signed",
                remedy,
            );
            continue;
        }
        for line in lines.iter().filter(|line| line.is_amiss()) {
            found.warning(
                place.clone(),
                format!(
                    "the DKIM key {} of {name} cannot be verified: {}",
                    line.selector, line.finding
                ),
                "asked just now",
                format!("{}; `postern dkim check {name}` shows the record", line.remedy),
            );
        }
    }
}
