//! `ldap_routing`: addresses redirected by LDAP.

use super::{Site, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

/// The name of the table.
const TABLE: &str = "ldap-routing";

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
    put(site, at, &server, own(1));
    if let Some(spec) = spec {
        site.carried(&spec.at, "confLDAP_DEFAULT_SPEC", "[[table]] ldap-routing");
    }
    let what = "FEATURE(ldap_routing): mailHost";
    let remedy = "routes do not ask LDAP: a [[route]] for the domains, or one with `recipients`, says which host they go to";
    site.missing(at, what, Weight::Mail, remedy);
    if own(2).is_some_and(|what| what != "passthru") {
        let remedy =
            "addresses that LDAP does not have are not refused: name the table in `relay_recipients` too";
        site.missing(at, "FEATURE(ldap_routing): bounce", Weight::Mail, remedy);
    }
}

fn put(site: &mut Site<'_>, at: &Origin, server: &Server, map: Option<&str>) {
    let filter = map
        .and_then(|map| option(map, "-k"))
        .unwrap_or_else(|| FILTER.to_owned());
    let attribute = map
        .and_then(|map| option(map, "-v"))
        .unwrap_or_else(|| "mailRoutingAddress".to_owned());
    let mut table = Section::new("table", format!("FEATURE(ldap_routing), {}", short(at)));
    table.set("name", Value::text(TABLE), "");
    table.set("kind", Value::text("ldap"), "");
    table.set("servers", Value::list(server.urls.clone()), "");
    table.set("search_base", Value::text(server.base.clone()), "");
    table.set(
        "filter",
        Value::text(filter.replace("%0", "{key}").replace("%s", "{key}")),
        "",
    );
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
    let mut alias = Section::new("alias", format!("FEATURE(ldap_routing), {}", short(at)));
    alias.set("table", Value::text(format!("table:{TABLE}")), "");
    alias.set("form", Value::text("own"), "");
    site.import.config.add(alias);
    site.carried(
        at,
        "FEATURE(ldap_routing): mailRoutingAddress",
        "[[table]], [[alias]]",
    );
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
