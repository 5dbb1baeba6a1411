//! `ldap_routing`: addresses redirected by LDAP.

use super::{Site, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

/// The name of the table of addresses that lead elsewhere.
const TABLE: &str = "ldap-routing";

/// The name of the table of hosts.
const HOSTS: &str = "ldap-routing-hosts";

/// sendmail's own filter, if a site names none.
const FILTER: &str = "(&(objectClass=inetLocalMailRecipient)(mailLocalAddress={key}))";

pub(super) fn carry_over(site: &mut Site<'_>) {
    let mc = site.mc;
    let spec = mc.option("confLDAP_DEFAULT_SPEC");
    for (name, at, arguments) in mc.all_calls() {
        if name.starts_with("LDAPROUTE_") {
            let what = format!("{name}({})", arguments.join(", "));
            match name {
                "LDAPROUTE_DOMAIN" => {
                    let why = "LDAP is asked about every address that mail is taken for";
                    site.changed(at, &what, "[[alias]]", why);
                }
                _ => site.missing(
                    at,
                    &what,
                    Weight::Mail,
                    "write [[alias]] entries for these domains",
                ),
            }
        }
    }
    let Some((at, arguments)) = mc.feature("ldap_routing") else {
        if let Some(spec) = spec {
            site.meaningless(&spec.at, "confLDAP_DEFAULT_SPEC", "no feature asks LDAP");
        }
        return;
    };
    let server = spec.and_then(|spec| Server::read(&spec.what));
    let Some(server) = server.filter(|server| !server.urls.is_empty() && !server.base.is_empty()) else {
        let remedy = "neither server nor base is known: set a [[table]] with `kind = \"ldap\"`, and an [[alias]] with it";
        site.missing(at, "FEATURE(ldap_routing)", Weight::Mail, remedy);
        return;
    };
    let own = |place: usize| {
        arguments
            .get(place)
            .map(|map| map.trim())
            .filter(|map| !map.is_empty())
    };
    let local = site.import.config.section("").get("hostname").cloned();
    let address = Table {
        name: TABLE,
        attribute: "mailRoutingAddress",
        map: own(1),
        except: String::new(),
        whole_domains: false,
    };
    put(site, at, &server, &address);
    let mut alias = Section::new("alias", format!("FEATURE(ldap_routing), {}", short(at)));
    alias.set("table", Value::text(format!("table:{TABLE}")), "");
    alias.set("form", Value::text("own"), "");
    site.import.config.add(alias);
    let what = "FEATURE(ldap_routing): mailRoutingAddress";
    site.carried(at, what, "[[table]], [[alias]]");
    let host = Table {
        name: HOSTS,
        attribute: "mailHost",
        map: own(0),
        // Mail of this machine's own users stays here.
        except: match local {
            Some(Value::Text(name)) => format!("(!(mailHost={name}))"),
            _ => String::new(),
        },
        whole_domains: own(4).is_none(),
    };
    put(site, at, &server, &host);
    let mut route = Section::new("route", format!("FEATURE(ldap_routing), {}", short(at)));
    route.set("table", Value::list([format!("table:{HOSTS}")]), "");
    route.set("form", Value::text("mailertable"), "");
    site.import.config.add(route);
    let difference = "mail goes to the host that LDAP names; with a mailRoutingAddress it goes where that address leads, whatever mailHost says";
    site.changed(
        at,
        "FEATURE(ldap_routing): mailHost",
        "[[table]], [[route]]",
        difference,
    );
    if let Some(spec) = spec {
        site.carried(&spec.at, "confLDAP_DEFAULT_SPEC", "[[table]] ldap-routing");
    }
    if own(2).is_some_and(|what| what != "passthru") {
        bounce(site, at);
    }
}

/// Whether addresses that LDAP does not have are refused: those of relayed domains are, if all of these are asked about.
fn bounce(site: &mut Site<'_>, at: &Origin) {
    let what = "FEATURE(ldap_routing): bounce";
    let asked: Vec<String> = site
        .mc
        .calls("LDAPROUTE_DOMAIN")
        .flat_map(|(_, arguments)| arguments.iter().flat_map(|list| list.split_whitespace()))
        .map(str::to_ascii_lowercase)
        .collect();
    let relayed = match site.import.config.section("").get("relay_domains") {
        Some(Value::List(domains)) => domains.clone(),
        _ => Vec::new(),
    };
    let mut relayed = relayed
        .iter()
        .map(|domain| domain.trim_start_matches("*.").to_ascii_lowercase());
    if relayed.len() > 0 && relayed.all(|domain| asked.contains(&domain)) {
        let tables = [TABLE, HOSTS].map(|name| format!("table:{name}"));
        site.set("", "relay_recipients", Value::list(tables), at, what);
    } else {
        let remedy = "addresses that LDAP does not have are not refused: if it has all those of `relay_domains`, name its tables in `relay_recipients`";
        site.missing(at, what, Weight::Mail, remedy);
    }
}

/// A table of the directory.
struct Table<'a> {
    name: &'static str,
    attribute: &'static str,
    /// What the site says of it in place of sendmail's own.
    map: Option<&'a str>,
    /// What an entry must not have, as a filter; empty for nothing.
    except: String,
    /// Whether an entry may be for a whole domain, as `@example.org`.
    whole_domains: bool,
}

fn put(site: &mut Site<'_>, at: &Origin, server: &Server, wanted: &Table<'_>) {
    let map = wanted.map;
    let filter = map
        .and_then(|map| option(map, "-k"))
        .unwrap_or_else(|| FILTER.to_owned());
    let mut filter = filter.replace("%0", "{key}").replace("%s", "{key}");
    if wanted.whole_domains {
        let one = "(mailLocalAddress={key})";
        filter = filter.replace(one, &format!("(|{one}(mailLocalAddress=@{{key}}))"));
    }
    if !wanted.except.is_empty() {
        filter = format!("(&{filter}{})", wanted.except);
    }
    let attribute = map
        .and_then(|map| option(map, "-v"))
        .unwrap_or_else(|| wanted.attribute.to_owned());
    let mut table = Section::new("table", format!("FEATURE(ldap_routing), {}", short(at)));
    table.set("name", Value::text(wanted.name), "");
    table.set("kind", Value::text("ldap"), "");
    table.set("servers", Value::list(server.urls.clone()), "");
    table.set("search_base", Value::text(server.base.clone()), "");
    table.set("filter", Value::text(filter), "");
    table.set("attribute", Value::text(attribute), "");
    if let Some(name) = &server.name {
        table.set("bind_dn", Value::text(name.clone()), "");
        if let Some(password) = server.secret.as_ref().and_then(|path| site.files.read(path).ok()) {
            let path = "secrets/ldap-routing.password";
            let first = password.lines().next().unwrap_or_default();
            site.import.secret(path, format!("{first}\n"));
            table.set("bind_password_file", Value::text(path), "");
        }
    }
    site.import.config.add(table);
}

/// A server, as in `-h ldap.example.org -b "dc=example,dc=org"`.
#[derive(Debug, Default, Eq, PartialEq)]
struct Server {
    urls: Vec<String>,
    base: String,
    name: Option<String>,
    secret: Option<String>,
}

impl Server {
    fn read(spec: &str) -> Option<Self> {
        let port = option(spec, "-p")
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let hosts = option(spec, "-h").unwrap_or_default();
        let mut urls: Vec<String> = hosts
            .split_whitespace()
            .map(|host| format!("ldap://{host}{port}/"))
            .collect();
        urls.extend(
            option(spec, "-H")
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned),
        );
        Some(Self {
            urls,
            base: option(spec, "-b")?,
            name: option(spec, "-d"),
            secret: option(spec, "-P"),
        })
    }
}

/// The value of `-b value`, `-bvalue` or `-b "a value"`.
fn option(spec: &str, name: &str) -> Option<String> {
    let start = format!(" {spec}");
    let (_, rest) = start.split_once(&format!(" {name}"))?;
    let rest = rest.trim_start();
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(' ').next()?,
    };
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        let server = |urls: &[&str], base: &str, name: Option<&str>| {
            Some(Server {
                urls: urls.iter().map(|url| (*url).to_owned()).collect(),
                base: base.to_owned(),
                name: name.map(str::to_owned),
                secret: None,
            })
        };
        #[rustfmt::skip]
        let cases = [
            ("-h ldap.a.example -b dc=a,dc=example",               server(&["ldap://ldap.a.example/"], "dc=a,dc=example", None)),
            ("-h \"one two\" -p 3890 -b \"o=A B\" -d cn=x,o=A",    server(&["ldap://one:3890/", "ldap://two:3890/"], "o=A B", Some("cn=x,o=A"))),
            ("-H ldaps://l.example -bdc=example",                  server(&["ldaps://l.example"], "dc=example", None)),
            ("-h ldap.a.example",                                  None),
        ];
        for (spec, expected) in cases {
            assert_eq!(Server::read(spec), expected, "{spec}");
        }
    }
}
