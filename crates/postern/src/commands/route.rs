//! `postern route`: the way that mail for an address takes, and what decides it.

use postern_directory::{Directories, Lead};
use postern_mail::Mailbox;
use postern_net::resolver::{ResolveError, Resolver};
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
        let directories = directories(&config, &args.addresses).await;
        let residents = directories
            .as_ref()
            .map(|directories| config.receive.residents(directories, &config.aliases));
        let mut ways = Vec::new();
        for address in &args.addresses {
            let mut way = way(&config, &resolver, address, args).await;
            if let Some(residents) = residents.as_ref().filter(|_| is_here(&config, address)) {
                way.lead(&residents.lead(address).await);
            }
            ways.push(way);
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
    let mut way = of(address, &found, next_hop);
    if let (Target::Mx, Some(domain)) = (found.target.as_ref(), address.domain().name()) {
        way.end = by_dns(resolver, domain).await;
    }
    way
}

fn is_here(config: &Config, address: &Mailbox) -> bool {
    config.receive.relay.is_here(address.domain())
}

/// Who knows the users of this server, if one of the addresses may be of them and the directories can be opened.
async fn directories(config: &Config, addresses: &[Mailbox]) -> Option<Directories> {
    if !addresses.iter().any(|address| is_here(config, address)) {
        return None;
    }
    Directories::open(super::those_there(config.directories.clone()))
        .await
        .ok()
}

/// What becomes of mail for a domain, by what DNS says of its hosts.
async fn by_dns(resolver: &Resolver, domain: &str) -> End {
    let hosts = match resolver.proven_mx(domain).await.found {
        Ok(records) => Ok(records.iter().any(|record| !record.exchange.is_empty())),
        Err(ResolveError::NoData(_)) => {
            let addresses = resolver.proven_addresses(domain).await.found;
            addresses.map(|addresses| !addresses.is_empty())
        }
        Err(error) => Err(error),
    };
    end(&hosts)
}

/// Whether there are hosts that take the mail.
fn end(hosts: &Result<bool, ResolveError>) -> End {
    match hosts {
        Ok(true) => End::Delivered,
        Ok(false) => End::Over,
        Err(error) if error.is_temporary() => End::Unknown,
        Err(_) => End::Over,
    }
}

impl Way {
    /// Takes what is known of an address in a domain of this server.
    fn lead(&mut self, lead: &Lead) {
        match lead {
            Lead::Alias(_) => self.next_hop = format!("an alias: see `postern aliases {}`", self.address),
            Lead::Nobody => {
                "nowhere: no such user".clone_into(&mut self.next_hop);
                self.end = End::Over;
            }
            Lead::Broken => {
                "nowhere: an alias, none of whose targets exists".clone_into(&mut self.next_hop);
                self.end = End::Over;
            }
            Lead::Refused(text) => {
                self.next_hop = format!("nowhere: an alias refuses it: {text}");
                self.end = End::Over;
            }
            Lead::Itself | Lead::Unknown(_) => {}
        }
    }
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
        let address: Mailbox = "a@here.example".parse().unwrap();
        #[rustfmt::skip]
        let cases = [
            // who it is               next hop                                        end
            (Lead::Itself,             "/var/mail",                                    End::Delivered),
            (Lead::Alias(Vec::new()),  "an alias: see `postern aliases a@here.example`", End::Delivered),
            (Lead::Nobody,             "nowhere: no such user",                        End::Over),
        ];
        for (lead, next_hop, end) in cases {
            let mut way = of(
                &address,
                &route(&address, &origin, &table),
                "/var/mail".to_owned(),
            );
            way.lead(&lead);
            assert_eq!((way.next_hop.as_str(), way.end), (next_hop, end));
        }
    }

    #[test]
    fn a_domain_without_hosts_is_the_end() {
        let name = || "gone.example".to_owned();
        let temporary = ResolveError::Temporary {
            name: name(),
            reason: "timed out".to_owned(),
        };
        #[rustfmt::skip]
        let cases = [
            // what DNS says                             what becomes of it
            (Ok(true),                                   End::Delivered),
            (Ok(false),                                  End::Over),
            (Err(ResolveError::NoSuchDomain(name())),    End::Over),
            (Err(ResolveError::NoData(name())),          End::Over),
            (Err(ResolveError::Bogus(name())),           End::Unknown),
            (Err(temporary),                             End::Unknown),
        ];
        for (hosts, wanted) in cases {
            assert_eq!(end(&hosts), wanted, "{hosts:?}");
        }
    }
}
