//! `postern route`: the way that mail for an address takes, and what decides it.

use postern_mail::Mailbox;
use postern_net::resolver::Resolver;
use postern_policy::origin::Origin;
use postern_policy::route::{Route, Target, TlsLevel, route};
use serde::Serialize;

use super::explain::where_to;
use crate::args::RouteArgs;
use crate::config::Config;
use crate::config::kinds::Choice;
use crate::exit::{Exit, Failure};
use crate::{locate, output, rights};

/// The way of one address.
#[derive(Debug, Serialize)]
struct Way {
    address: String,
    /// Where to, with the addresses that were found.
    next_hop: String,
    /// How much TLS, as `tls` in `[[route]]` says it; none where the mail does not leave over the network.
    tls: Option<&'static str>,
    /// Whether the host's certificate must be valid for its name.
    verify: bool,
    /// The certificates of which the host must show one, in SHA-256.
    fingerprints: Vec<String>,
    /// The `[[login]]`.
    login: Option<String>,
    /// From which address and under which name, and how much at once, where that is not as usual.
    lane: Option<String>,
    /// The rule that decides.
    rule: &'static str,
    /// Why.
    reason: String,
    /// Where it is written: a file and a line.
    place: Option<String>,
    #[serde(skip)]
    end: End,
}

/// What becomes of the mail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// It goes its way.
    Delivered,
    /// It is refused or thrown away.
    Over,
    /// Nobody knows now.
    Unknown,
}

/// Shows the way of each address; how it ends says whether all have one.
pub(crate) fn run(args: &RouteArgs) -> Result<(), Failure> {
    let path = locate::existing(&args.listing.config)?;
    let config = super::checked(&path)?;
    rights::enter(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))?;
    let ways = runtime.block_on(async {
        let resolver = Resolver::new(&config.resolver)
            .map_err(|error| Failure::from_error(Exit::Config, "cannot look up names", &error))?;
        let mut ways = Vec::new();
        for address in &args.addresses {
            ways.push(way(&config, &resolver, address, args).await);
        }
        Ok::<_, Failure>(ways)
    })?;
    if args.listing.json.json {
        output::print_json(&ways)?;
    } else {
        let head = ["address", "next hop", "TLS", "login", "lane", "decided by"];
        let rows = ways.iter().map(row).collect();
        output::print_table(&head, &[], &[0], rows)?;
    }
    let has = |end| ways.iter().any(|way| way.end == end);
    if has(End::Unknown) {
        Err(Failure::silent(Exit::TryAgain))
    } else if has(End::Over) {
        Err(Failure::silent(Exit::No))
    } else {
        Ok(())
    }
}

async fn way(config: &Config, resolver: &Resolver, address: &Mailbox, args: &RouteArgs) -> Way {
    config.receive.learn_route(address).await;
    let origin = Origin {
        sender: &args.from,
        login: args.login.as_deref(),
        filtered: args.filtered,
        detour: None,
    };
    let found = route(address, &origin, &config.deliver.routes);
    let next_hop = where_to(config, resolver, &found, address).await;
    of(address, &found, next_hop)
}

/// What is told of a way that was found.
fn of(address: &Mailbox, found: &Route<'_>, next_hop: String) -> Way {
    let leaves = matches!(found.target.as_ref(), Target::Hosts { .. } | Target::Mx);
    let tls = TlsLevel::WORDS.iter().find(|(_, level)| *level == found.tls);
    let lane = found.lane.to_string();
    let digits = |pin: &[u8; 32]| pin.iter().map(|octet| format!("{octet:02x}")).collect();
    let verdict: &dyn postern_policy::rule::Verdict = found;
    Way {
        address: address.to_string(),
        next_hop,
        tls: tls.map(|(word, _)| *word).filter(|_| leaves),
        verify: found.verify && leaves,
        fingerprints: found.lane.pins.fingerprints().iter().map(digits).collect(),
        login: found.login.map(|login| login.name.to_string()),
        lane: (!lane.is_empty()).then(|| lane.trim().to_owned()),
        rule: found.rule.name(),
        reason: verdict.reason().to_string(),
        place: (!found.place.is_empty()).then(|| found.place.to_string()),
        end: match found.target.as_ref() {
            Target::Refuse(_) | Target::Discard => End::Over,
            Target::Unknown(_) => End::Unknown,
            _ => End::Delivered,
        },
    }
}

fn row(way: &Way) -> Vec<String> {
    let certificate = if !way.fingerprints.is_empty() {
        ", by fingerprint"
    } else if way.verify {
        ", verified"
    } else {
        ""
    };
    let tls = way.tls.map(|tls| format!("{tls}{certificate}"));
    let place = way.place.as_ref().map(|place| format!(" in {place}"));
    vec![
        way.address.clone(),
        way.next_hop.clone(),
        tls.unwrap_or_default(),
        way.login.clone().unwrap_or_default(),
        way.lane.clone().unwrap_or_default(),
        format!(
            "{}{}",
            way.rule,
            place.unwrap_or_else(|| format!(": {}", way.reason))
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use postern_policy::DomainSet;
    use postern_policy::route::{Hop, Pins, Protocol, RouteRule, RouteTable};

    use super::*;

    #[test]
    fn ways_are_told() {
        let mut pinned = RouteRule::new(
            DomainSet::new(["partner.example"]).unwrap(),
            Target::Hosts {
                via: vec![Hop::parse("mx.partner.example:25", 25).unwrap()],
                protocol: Protocol::Smtp,
            },
        );
        pinned.tls = TlsLevel::Required;
        pinned.verify = true;
        pinned.lane.pins = Pins::new(vec![[0xab; 32]]);
        pinned.place = "postern.toml:12".into();
        let table = RouteTable {
            rules: vec![
                pinned,
                RouteRule::new(DomainSet::new(["gone.example"]).unwrap(), Target::Discard),
            ],
            local_domains: DomainSet::new(["here.example"]).unwrap(),
            local: Target::Maildir(PathBuf::from("/var/mail")),
            ..RouteTable::default()
        };
        let origin = Origin {
            sender: &postern_mail::ReversePath::Null,
            login: None,
            filtered: false,
            detour: None,
        };
        #[rustfmt::skip]
        let cases = [
            // address               TLS                          decided by                                  end
            ("a@partner.example",    "required, by fingerprint",  "route.rule in postern.toml:12",            End::Delivered),
            ("a@here.example",       "",                          "route.local: a domain of this server",     End::Delivered),
            ("a@far.example",        "opportunistic",             "route.mx: MX records decide",              End::Delivered),
            ("a@gone.example",       "",                          "route.rule: named in [[route]]",           End::Over),
        ];
        for (address, tls, decided, end) in cases {
            let address: Mailbox = address.parse().unwrap();
            let way = of(&address, &route(&address, &origin, &table), String::new());
            let row = row(&way);
            assert_eq!(
                (row[2].as_str(), row[5].as_str(), way.end),
                (tls, decided, end),
                "{address}"
            );
        }
    }
}
