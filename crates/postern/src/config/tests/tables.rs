//! Tables in a configuration: each is opened, and each mistake has its file and line.

use postern_mail::Domain;

use super::{LISTENER, PLAIN, Site, found_in};

#[test]
fn mistakes_with_tables() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str)] = &[
        ("a name that no table has",   "relay_domains = [\"table:custmers\"]\n[[table]]\nname = \"customers\"\nkind = \"text\"\ntext = \"a.example x\"", "there is no [[table]] with the name \"custmers\""),
        ("what to write instead",      "relay_domains = [\"table:custmers\"]\n[[table]]\nname = \"customers\"\nkind = \"text\"\ntext = \"a.example x\"", "write \"table:customers\""),
        ("two of one name",            "[[table]]\nname = \"a\"\nkind = \"text\"\ntext = \"a x\"\n[[table]]\nname = \"a\"\nkind = \"text\"\ntext = \"a x\"", "two [[table]] have the name \"a\""),
        ("a file that is not there",   "relay_domains = [\"hash:none\"]",                              "does not exist"),
        ("a compiled file",            "relay_domains = [\"hash:domains.db\"]",                        "its text is what is read"),
        ("a service without a port",   "relay_recipients = \"tcp:127.0.0.1\"",                         "names no service"),
        ("what is no table",           "relay_recipients = \"domains\"",                               "names no table"),
        ("a line without a value",     "[[table]]\nname = \"a\"\nkind = \"text\"\ntext = \"a x\\nb\"", "line 2: \"b\" has no value"),
        ("a key twice",                "[[table]]\nname = \"a\"\nkind = \"text\"\ntext = \"a x\\na y\"", "\"a\" is there already, at line 1"),
        ("a pattern that looks ahead", "[[table]]\nname = \"a\"\nkind = \"text\"\nformat = \"pcre\"\ntext = \"/a(?=b)/ x\"", "looks around"),
        ("no domain",                  "relay_domains = [\"inline:{a..b=x}\"]",                        "which is not a domain"),
        ("all domains",                "relay_domains = [\"inline:{*=x}\"]",                           "which is not a domain"),
        ("a table of itself",          "[[table]]\nname = \"a\"\nkind = \"tables\"\ntables = [\"table:a\"]", "includes itself"),
        ("a query without a key",      "[[table]]\nname = \"a\"\nkind = \"sql\"\nengine = \"mysql\"\nservers = [\"127.0.0.1\"]\ndatabase = \"d\"\nuser = \"u\"\nquery = \"SELECT 1\"", "same for everybody"),
        ("SQL without servers",        "[[table]]\nname = \"a\"\nkind = \"sql\"\nengine = \"mysql\"\nquery = \"SELECT :key\"", "`servers` is missing"),
        ("no filter",                  "[[table]]\nname = \"a\"\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1/\"]\nsearch_base = \"o=x\"\nattribute = \"mail\"\nfilter = \"(mail={key}\"", "not a valid one of LDAP"),
        ("an unknown placeholder",     "[[table]]\nname = \"a\"\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1/\"]\nsearch_base = \"o=x\"\nattribute = \"mail\"\nfilter = \"(mail={user})\"", "unknown placeholder"),
        ("an odd name",                "[[table]]\nname = \"a b\"\nkind = \"text\"\ntext = \"a x\"",  "not a name"),
        ("a kind that is none",        "[[table]]\nname = \"a\"\nkind = \"fil\"",                      "did you mean \"file\""),
    ];
    for (shows, lines, want) in cases {
        let found = found_in(lines).join("\n");
        assert!(found.contains(want), "{shows}: {found}");
    }
}

#[test]
fn domains_and_recipients_from_tables() {
    let lines = "local_domains = [\"home.example\", \"list:domains\"]\n\
                 relay_domains = [\"table:customers\", \"pcre:patterns\"]\n\
                 relay_recipients = [\"hash:recipients\"]\n\
                 [[table]]\nname = \"all\"\nkind = \"tables\"\ntables = [\"table:customers\", \"hash:recipients\"]\n\
                 [[table]]\nname = \"customers\"\nkind = \"file\"\npath = \"customers\"\n\
                 [[directory]]\nkind = \"table\"\nrecipients = \"hash:recipients\"\n\
                 [[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:25\"]\n";
    let site = Site::new(&format!("{PLAIN}{lines}{LISTENER}"));
    site.file(
        "domains",
        "# own\none.example two.example\n.below.example\n",
        0o644,
    )
    .file("customers", "three.example x\n", 0o644)
    .file("patterns", "/^p[0-9]+\\.example$/ x\n", 0o644)
    .file("recipients", "ann@one.example x\n", 0o644);
    let (config, report) = site.load().unwrap_or_else(|report| panic!("{report:?}"));
    assert!(report.is_empty(), "{report:?}");
    let relay = &config.receive.relay;
    let is =
        |set: &postern_policy::DomainSet, name: &str| set.contains_by_name(&name.parse::<Domain>().unwrap());
    for (name, local, behind) in [
        ("home.example", true, false),
        ("two.example", true, false),
        ("a.below.example", true, false),
        ("three.example", false, true),
        // Nothing has been queried yet.
        ("p7.example", false, false),
    ] {
        assert_eq!(is(&relay.local_domains, name), local, "{name}");
        assert_eq!(is(&relay.relay_domains, name), behind, "{name}");
    }
    assert_eq!(config.receive.domain_tables.len(), 1);
    assert_eq!(config.receive.relay_recipients.len(), 1);
    assert!(
        config
            .directories
            .iter()
            .any(postern_directory::DirectorySettings::knows_recipients)
    );
    assert_eq!(config.tables.names().collect::<Vec<_>>(), ["customers", "all"]);
}
