//! The conditions of a rule.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use postern_policy::access::condition::{ListTerm, TlsTest, stage_of_list};
use postern_policy::access::keys::Subject;
use postern_policy::access::names::{AddressSet, NameSet};
use postern_policy::access::networks::NetworkSet;
use postern_policy::access::times::TimeWindow;
use postern_policy::access::{Condition, Test};
use postern_policy::breadth;
use postern_policy::origin::LoginSet;
use postern_policy::relay::CertificateRule;
use postern_table::Reference;

use super::super::screen::dns_list;
use super::build::Build;
use crate::config::distance::nearest;
use crate::config::file::{Access, DESTINATIONS, FAULTS, Matcher};
use crate::config::problem::Span;
use crate::config::read::At;

/// The versions of TLS.
const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

/// Conditions of the same form: the key, its value, the subject of table look-ups, and the test for a set of listed
/// values.
type Row<'a, S> = (
    &'static str,
    &'a Option<At<Matcher>>,
    Option<Subject>,
    fn(S) -> Test,
);

impl Build<'_, '_> {
    /// All conditions of a rule. An invalid one is left out, and its mistake is recorded.
    pub(super) fn conditions(&mut self, table: &At<Access>) -> Vec<Condition> {
        let mut all = Vec::new();
        self.networks(table, &mut all);
        self.host_names(table, &mut all);
        self.addresses(table, &mut all);
        self.session(table, &mut all);
        self.lists(table, &mut all);
        all
    }

    fn networks(&mut self, table: &At<Access>, all: &mut Vec<Condition>) {
        let kinds: [Row<'_, NetworkSet>; 2] = [
            ("client", &table.client, Some(Subject::Client), Test::Client),
            ("sender_mx", &table.sender_mx, None, Test::SenderMx),
        ];
        for (key, written, subject, test) in kinds {
            self.condition(key, written, subject, all, |build, items| {
                let mut networks: Vec<IpNet> = Vec::new();
                for item in items {
                    match network(&item.value) {
                        Some(network) => networks.push(network),
                        None => build.bad(
                            item.span.clone(),
                            key,
                            "not a network",
                            "write it as \"192.0.2.0/24\", \"2001:db8::/32\" or as one address, without bits behind the prefix",
                        ),
                    }
                }
                let set: NetworkSet = networks.into_iter().collect();
                (!set.is_empty()).then(|| test(set)).into_iter().collect()
            });
        }
    }

    fn host_names(&mut self, table: &At<Access>, all: &mut Vec<Condition>) {
        let kinds: [Row<'_, NameSet>; 3] = [
            (
                "client_name",
                &table.client_name,
                Some(Subject::ClientName),
                Test::ClientName,
            ),
            (
                "reverse_name",
                &table.reverse_name,
                Some(Subject::ReverseName),
                Test::ReverseName,
            ),
            ("helo", &table.helo, Some(Subject::Helo), Test::Helo),
        ];
        for (key, written, subject, test) in kinds {
            self.condition(key, written, subject, all, |build, items| {
                let mut set = NameSet::default();
                for item in items {
                    if let Err(error) = set.insert(&item.value) {
                        build.bad_pattern(item.span.clone(), key, &error);
                    }
                }
                vec![test(set)]
            });
        }
    }

    fn addresses(&mut self, table: &At<Access>, all: &mut Vec<Condition>) {
        let kinds: [Row<'_, AddressSet>; 3] = [
            ("sender", &table.sender, Some(Subject::Sender), Test::Sender),
            (
                "recipient",
                &table.recipient,
                Some(Subject::Recipient),
                Test::Recipient,
            ),
            ("author", &table.author, None, Test::Author),
        ];
        for (key, written, subject, test) in kinds {
            self.condition(key, written, subject, all, |build, items| {
                let mut set = AddressSet::default();
                for item in items {
                    if let Err(error) = set.insert(&item.value) {
                        build.bad_pattern(item.span.clone(), key, &error);
                    }
                }
                vec![test(set)]
            });
        }
    }

    fn session(&mut self, table: &At<Access>, all: &mut Vec<Condition>) {
        self.condition("tls", &table.tls, None, all, |build, items| {
            let test = |item: &At<String>| {
                Some(Test::Tls(match item.value.as_str() {
                    "none" => TlsTest::None,
                    "any" => TlsTest::Any,
                    "verified" => TlsTest::Verified,
                    version => TlsTest::Version(VERSIONS.into_iter().find(|known| *known == version)?),
                }))
            };
            build.each(
                items,
                "tls",
                "write \"none\", \"any\", \"verified\", \"TLSv1.2\" or \"TLSv1.3\"",
                test,
            )
        });
        self.condition("certificate", &table.certificate, None, all, |_, items| {
            vec![Test::Certificate(
                items.iter().map(|item| certificate(&item.value)).collect(),
            )]
        });
        self.condition(
            "login",
            &table.login,
            Some(Subject::Login),
            all,
            |build, items| {
                let mut tests = Vec::new();
                let (nobody, logins): (Vec<&At<String>>, Vec<_>) =
                    items.iter().partition(|item| item.value == "none");
                if !nobody.is_empty() {
                    tests.push(Test::NoLogin);
                }
                match LoginSet::new(logins.iter().map(|item| &item.value)) {
                    Ok(set) if !logins.is_empty() => tests.push(Test::Login(set)),
                    Ok(_) => {}
                    Err(error) => {
                        build.bad_pattern(logins.first().and_then(|item| item.span.clone()), "login", &error)
                    }
                }
                tests
            },
        );
        self.condition("listener", &table.listener, None, all, |build, items| {
            let known = super::super::milters::names_of_listeners(build.c);
            for item in items {
                build.number(item, &known, "listener", "[[listener]]");
            }
            let names: HashSet<Box<str>> = items.iter().map(|item| item.value.as_str().into()).collect();
            vec![Test::Listener(names)]
        });
        self.condition("destination", &table.destination, None, all, |build, items| {
            let test = |item: &At<String>| {
                let found = DESTINATIONS.into_iter().find(|(word, _)| *word == item.value);
                found.map(|(_, destination)| Test::Destination(destination))
            };
            build.each(
                items,
                "destination",
                "write \"local\", \"relay\" or \"elsewhere\"",
                test,
            )
        });
        self.condition("time", &table.time, None, all, |build, items| {
            let test = |item: &At<String>| item.value.parse::<TimeWindow>().ok().map(Test::Time);
            build.each(
                items,
                "time",
                "write \"Mon-Fri 08:00-18:00\", \"Sat,Sun\" or \"22:00-06:00\"",
                test,
            )
        });
        self.condition("fault", &table.fault, None, all, |build, items| {
            let mut tests = Vec::new();
            for item in items {
                match FAULTS.into_iter().find(|(word, _)| *word == item.value) {
                    Some((_, fault)) => tests.push(Test::Fault(fault)),
                    None => {
                        let words = || FAULTS.iter().map(|(word, _)| *word);
                        let remedy = match nearest(&item.value, words()) {
                            Some(near) => format!("did you mean {near:?}?"),
                            None => format!("choose from: {}", words().collect::<Vec<_>>().join(", ")),
                        };
                        build.bad(item.span.clone(), "fault", "unknown", remedy);
                    }
                }
            }
            tests
        });
        let mut alone = |key: &'static str, negated: bool, test: Test| {
            all.push(Condition {
                key,
                negated,
                tests: vec![test],
            });
        };
        if let Some(stranger) = &table.stranger {
            alone("stranger", !stranger.value, Test::Stranger);
        }
        if let Some(size) = &table.larger_than {
            alone("larger_than", false, Test::LargerThan(size.value));
        }
    }

    fn lists(&mut self, table: &At<Access>, all: &mut Vec<Condition>) {
        let Some(named) = &table.dns_list else {
            if let Some(score) = &table.dns_score {
                self.bad(
                    score.span.clone(),
                    "dns_score",
                    "without `dns_list`",
                    "name the lists: `dns_list = [\"bl.example.org\"]`",
                );
            }
            return;
        };
        let known: Vec<_> = self.c.file.dns_list.iter().filter_map(dns_list).collect();
        let names: Vec<String> = known.iter().map(|list| list.name.clone()).collect();
        let mut lists = Vec::new();
        for name in &named.value {
            let Some(found) = self.number(name, &names, "DNS list", "[[dns_list]]") else {
                continue;
            };
            let list = &known[found];
            let place = self.rules.lists.iter().position(|one| one == list);
            let number = place.unwrap_or_else(|| {
                self.rules.lists.push(list.clone());
                self.rules.lists.len() - 1
            });
            lists.push(ListTerm {
                list: number,
                // Without a threshold, one list is as good as another.
                score: if table.dns_score.is_some() { list.score } else { 1 },
                stage: stage_of_list(list),
            });
        }
        let least = table
            .dns_score
            .as_ref()
            .map_or(1, |score| i32::try_from(score.value).unwrap_or(i32::MAX));
        all.push(Condition {
            key: "dns_list",
            negated: false,
            tests: vec![Test::Lists { lists, least }],
        });
    }

    /// A condition from the written values, tables included.
    fn condition(
        &mut self,
        key: &'static str,
        written: &Option<At<Matcher>>,
        subject: Option<Subject>,
        all: &mut Vec<Condition>,
        plain: impl FnOnce(&mut Self, &[At<String>]) -> Vec<Test>,
    ) {
        let Some(written) = written else { return };
        if written.items.is_empty() {
            self.bad(
                written.span.clone(),
                key,
                "empty: it never holds",
                "name something, or leave the key out",
            );
            return;
        }
        let (tables, items): (Vec<At<String>>, Vec<At<String>>) = written
            .items
            .iter()
            .cloned()
            .partition(|item| Reference::is_meant(&item.value));
        let mut tests = if items.is_empty() {
            Vec::new()
        } else {
            plain(self, &items)
        };
        for table in tables {
            match subject {
                Some(subject) => tests.extend(self.members(key, &table, subject)),
                None => self.bad(
                    table.span.clone(),
                    key,
                    "tables are not allowed here",
                    "list what is meant one by one",
                ),
            }
        }
        all.push(Condition {
            key,
            negated: written.negated,
            tests,
        });
    }

    fn each(
        &mut self,
        items: &[At<String>],
        key: &str,
        remedy: &str,
        test: impl Fn(&At<String>) -> Option<Test>,
    ) -> Vec<Test> {
        let mut tests = Vec::new();
        for item in items {
            match test(item) {
                Some(test) => tests.push(test),
                None => self.bad(item.span.clone(), key, "unknown", remedy),
            }
        }
        tests
    }

    fn bad_pattern(&mut self, span: Option<Span>, key: &str, error: &dyn std::fmt::Display) {
        let whole = error.to_string();
        let (label, remedy) = whole
            .rsplit_once("; ")
            .unwrap_or((&whole, "see docs/configuration.md"));
        self.bad(span, key, label, remedy);
    }
}

/// A network without host bits, or a single address.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(one) = text.parse::<IpAddr>() {
        return Some(one.to_canonical().into());
    }
    let network: IpNet = text.parse().ok()?;
    (network.trunc() == network).then(|| breadth::canonical(network))
}

/// A certificate by its fingerprint, or by its subject.
fn certificate(text: &str) -> CertificateRule {
    let digits = text.chars().filter(|c| *c != ':').collect::<String>();
    let is_fingerprint = digits.len() == 64 && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    let written = Some(text.to_owned());
    CertificateRule {
        name: String::new(),
        issuer: None,
        subject: written.clone().filter(|_| !is_fingerprint),
        fingerprint: written.filter(|_| is_fingerprint),
    }
}
