//! The next hop of a recipient's mail: the hosts, their addresses, and how far DNS proves them.

use postern_mail::{Mailbox, Proof};
use postern_net::resolver::{Dnssec, MxRecord, ResolveError, Resolver};
use postern_net::tls::TlsaSet;
use postern_policy::origin::Origin;
use postern_policy::route::{Hop, HopHost, Route, Target, TlsLevel, route};
use postern_policy::rule::Ruling;
use postern_policy::transport::{HostDemand, TlsHosts, Way, wants_tlsa};

use super::course::Course;
use crate::args::ExplainSessionArgs;
use crate::config::Config;
use crate::config::kinds::Choice;

/// Most hosts of one next hop that are looked up; others are only listed.
const HOSTS_MAX: usize = 5;

/// A step for the next hop of a recipient.
pub(super) async fn way(
    course: &mut Course<'_>,
    resolver: &Resolver,
    mailbox: &Mailbox,
    login: Option<&str>,
    args: &ExplainSessionArgs,
) {
    let detour = course.detour.clone();
    let origin = Origin {
        sender: &args.from,
        login,
        filtered: false,
        detour: detour.as_deref(),
    };
    let config = course.config;
    config.receive.learn_route(mailbox).await;
    let found = route(mailbox, &origin, &config.deliver.routes);
    let to = where_to(config, resolver, &found, mailbox).await;
    let leaves = matches!(found.target.as_ref(), Target::Hosts { .. } | Target::Mx);
    let mut to = if leaves { to + &security(&found) } else { to };
    if !found.place.is_empty() || !found.lane.is_usual() {
        to.push_str(&found.lane.to_string());
    }
    if !found.place.is_empty() {
        to = format!("{to}, in {}", found.place);
    }
    let ruling = Ruling {
        rule: found.rule,
        reason: &to,
    };
    course.add_at(format!("mail to {mailbox}"), &ruling, (None, &found.place));
}

/// Where a route leads, in words: the hosts with their addresses, or what else there is.
pub(in crate::commands) async fn where_to(
    config: &Config,
    resolver: &Resolver,
    found: &Route<'_>,
    mailbox: &Mailbox,
) -> String {
    let look = Look {
        resolver,
        tls: found.tls,
        tls_hosts: &config.deliver.tls_hosts,
    };
    match (found.target.as_ref(), mailbox.domain().name()) {
        (Target::Hosts { via, .. }, _) => look.route(via).await,
        (Target::Maildir(folder), _) => folder.display().to_string(),
        (Target::System { .. }, _) => {
            let place = config.deliver.system.as_ref().map_or("", |system| &system.place);
            let user = mailbox.unquoted_local();
            let separator = config.deliver.routes.separator;
            let name = separator.and_then(|separator| user.split_once(separator));
            let name = name.map_or(&*user, |(name, _)| name).to_lowercase();
            format!(
                "{name}, a user of this machine: {}",
                place.replace("{user}", &name)
            )
        }
        (Target::Pipe { name, .. }, _) => format!("the program of [[pipe]] {name}"),
        (Target::Discard, _) => "nowhere: it is thrown away".to_owned(),
        (Target::Refuse(text), _) => text.to_string(),
        (Target::Unknown(why), _) => format!("it waits: {why}"),
        (Target::Local, _) => "nowhere: local delivery is not configured".to_owned(),
        (Target::Mx, Some(domain)) => look.domain(domain, config.deliver.mx_port).await,
        (Target::Mx, None) => format!("{}: an address literal", mailbox.domain()),
    }
}

/// ` tls=required verify=true login=isp`: the keys of the route that differ from the defaults.
fn security(found: &Route<'_>) -> String {
    let mut text = String::new();
    if found.tls != TlsLevel::Opportunistic || found.verify {
        let word = TlsLevel::WORDS.iter().find(|(_, level)| *level == found.tls);
        text = format!(
            " tls={} verify={}",
            word.map_or("", |(word, _)| word),
            found.verify
        );
    }
    if let Some(login) = found.login {
        text.push_str(" login=");
        text.push_str(&login.name);
    }
    text
}

/// Looks hosts up.
struct Look<'a> {
    resolver: &'a Resolver,
    tls: TlsLevel,
    tls_hosts: &'a TlsHosts,
}

impl Look<'_> {
    /// The hosts of a route; those with a name are looked up if DNSSEC matters for them.
    async fn route(&self, via: &[Hop]) -> String {
        let mut texts = Vec::new();
        for (index, hop) in via.iter().enumerate() {
            let mut text = hop.to_string();
            if let HopHost::Name(name) = &hop.host {
                text.push_str(self.demanded(name));
            }
            if self.proves() && index < HOSTS_MAX {
                match &hop.host {
                    HopHost::Name(name) => text.push_str(&self.addresses(name, hop.port, None).await),
                    HopHost::Mx(name) => {
                        text.push(' ');
                        text.push_str(&self.domain(name, hop.port).await);
                    }
                    HopHost::Ip(_) | HopHost::Unix(_) => {}
                }
            }
            texts.push(text);
        }
        texts.join(" ")
    }

    /// `MX (secure): mx.example.org [192.0.2.1] (secure)`.
    async fn domain(&self, domain: &str, port: u16) -> String {
        let answer = self.resolver.proven_mx(domain).await;
        let records = match answer.found {
            // The domain is its own host (RFC 5321 section 5.1).
            Err(ResolveError::NoData(_)) => vec![MxRecord {
                preference: 0,
                exchange: domain.to_owned(),
            }],
            Err(error) => return format!("MX{}: {error}", self.word(answer.proof)),
            Ok(records) => records,
        };
        let mut text = format!("MX{}:", self.word(answer.proof));
        for (index, record) in records.iter().enumerate() {
            text.push(' ');
            text.push_str(match record.exchange.as_str() {
                "" => "none, the domain accepts no mail (RFC 7505)",
                host => host,
            });
            text.push_str(self.demanded(&record.exchange));
            if !record.exchange.is_empty() && index < HOSTS_MAX {
                text.push_str(&self.addresses(&record.exchange, port, Some(answer.proof)).await);
            }
        }
        text
    }

    /// ` [192.0.2.1 2001:db8::1] (secure, TLSA records that can be used)`.
    async fn addresses(&self, host: &str, port: u16, mx: Option<Proof>) -> String {
        let answer = self.resolver.proven_addresses(host).await;
        let proof = answer.proof;
        let found = match answer.found {
            Ok(addresses) => {
                let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                texts.join(" ")
            }
            Err(error) => error.to_string(),
        };
        if !self.proves() {
            return format!(" [{found}]");
        }
        let way = Way {
            mx,
            addresses: Some(proof),
        };
        let mut tlsa = String::new();
        if wants_tlsa(self.tls, way) {
            tlsa = self.tlsa(host, answer.canonical.as_deref(), port).await;
        }
        format!(" [{found}] ({proof}{tlsa})")
    }

    /// `, TLSA records that can be used`.
    async fn tlsa(&self, host: &str, canonical: Option<&str>, port: u16) -> String {
        for base in canonical.into_iter().chain([host]) {
            let answer = self.resolver.tlsa(base, port).await;
            match (answer.found, answer.proof) {
                (Ok(records), Proof::Secure) if TlsaSet::read(&records).is_some() => {
                    return ", TLSA records that can be used".to_owned();
                }
                (Ok(_), Proof::Secure) => return ", TLSA records none of which can be used".to_owned(),
                (Err(error), _) if error.is_temporary() => return format!(", TLSA records: {error}"),
                _ => {}
            }
        }
        ", no proven TLSA records".to_owned()
    }

    /// What `[delivery.tls]` says about a host.
    fn demanded(&self, host: &str) -> &'static str {
        match self.tls_hosts.demand(host) {
            HostDemand::Nothing => "",
            HostDemand::Never => " (`never` in [delivery.tls])",
            HostDemand::Always => " (`always` in [delivery.tls])",
            HostDemand::Verified => " (`verified` in [delivery.tls])",
        }
    }

    fn word(&self, proof: Proof) -> String {
        if self.proves() {
            format!(" ({proof})")
        } else {
            String::new()
        }
    }

    fn proves(&self) -> bool {
        self.resolver.dnssec() != Dnssec::Off
    }
}
