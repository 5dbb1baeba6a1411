//! One line a mistake: where it is, and what to do about it.

use super::found_in;

#[test]
fn each_mistake_has_its_line_and_remedy() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str, &str)] = &[
        // what the case shows         line 3 and on                                  problem                        remedy
        ("a key misspelt",             "mesage_size_limit = \"1 MiB\"",               "3: error: unknown key `mesage_size_limit`", "did you mean `message_size_limit`?"),
        ("a key from nowhere",         "colour = 1",                                  "3: error: unknown key `colour`", "remove it; known here:"),
        ("a key of another table",     "queue_only_load = 8.0",                       "3: error: unknown key `queue_only_load`", "belongs into [admission]"),
        ("a key behind a table",       "[log]\nprivacy = []",                         "4: error: unknown key `privacy` in [log]", "move it above the first line in brackets"),
        ("a table misspelt",           "[admision]",                                  "3: error: unknown key `admision`", "did you mean `admission`?"),
        ("a text for a number",        "[limits]\nrecipients = \"100\"",              "4: error: `recipients` in [limits] has the wrong type", "`recipients = 1000`"),
        ("a number for a duration",    "[timeouts]\ncommand = 300",                   "4: error: `command` in [timeouts] has the wrong type", "`command = \"5m\"`"),
        ("a text for a list",          "local_domains = \"example.org\"",             "3: error: `local_domains` has the wrong type", "`local_domains = [\"example.org\"]`"),
        ("a table for tables",         "[directory]\nkind = \"users\"",               "3: error: `directory` may stand several times", "write `[[directory]]`"),
        ("a value for a table",        "log = 1",                                     "3: error: `log` has the wrong type", "write [log]"),
        ("a duration without unit",    "[timeouts]\ncommand = \"300\"",               "4: error: `command` in [timeouts] has a value", "\"5m\""),
        ("a duration out of range",    "[timeouts]\ncommand = \"2d\"",                "4: error: `command` in [timeouts] has a value", "`command = \"1h\"`"),
        ("a size without unit",        "message_size_limit = \"25 MB of\"",           "3: error: `message_size_limit` has a value", "\"25 MiB\""),
        ("a size out of range",        "message_size_limit = \"1 KiB\"",              "3: error: `message_size_limit` has a value", "\"64 KiB\""),
        ("a number out of range",      "[limits]\nrecipients = 10",                   "4: error: `recipients` in [limits] has a value", "`recipients = 100`"),
        ("a negative number",          "[limits]\nrecipients = -1",                   "4: error: `recipients` in [limits] has a value", "`recipients = 100`"),
        ("a fraction out of range",    "[admission]\ndelay_load = -1.5",              "4: error: `delay_load` in [admission] has a value", "10.0"),
        ("a word misspelt",            "[log]\nformat = \"jason\"",                   "4: error: `format` in [log] has a value", "did you mean \"json\"?"),
        ("a word from nowhere",        "[log]\nformat = \"xml\"",                     "4: error: `format` in [log] has a value", "choose \"readable\" or \"json\""),
        ("a host name without dot",    "[delivery]\nown_names = [\"mx\"]",            "4: error: `own_names` in [delivery] has a value", "full name"),
        ("a domain that is none",      "relay_domains = [\"a..b\"]",                  "3: error: `relay_domains` has a value", "example.org"),
        ("an open relay by domain",    "relay_domains = [\"*\"]",                     "3: error: `relay_domains` with \"*\" would relay", "list the domains"),
        ("an open relay by network",   "[relay]\nnetworks = [\"0.0.0.0/0\"]",         "4: error: `networks` in [relay] holds every address", "own hosts"),
        ("one in two halves",          "[relay]\nnetworks = [\"0.0.0.0/1\", \"128.0.0.0/1\"]", "4: error: `networks` in [relay] together hold every", "own hosts"),
        ("host bits in a network",     "[relay]\nnetworks = [\"192.0.2.1/24\"]",      "4: error: `networks` in [relay] has a value", "\"192.0.2.0/24\""),
        ("no network",                 "[relay]\nnetworks = [\"office\"]",            "4: error: `networks` in [relay] has a value", "192.0.2.0/24"),
        ("Kerberos 4",                 "[auth]\nmechanisms = [\"KERBEROS_V4\"]",      "4: error: `mechanisms` in [auth] has a value", "remove it from the list"),
        ("a slip in a mechanism",      "[auth]\nmechanisms = [\"GSAPI\"]",            "4: error: `mechanisms` in [auth] has a value", "this version has PLAIN, LOGIN"),
        ("Kerberos without keytab",    "[auth]\nmechanisms = [\"GSSAPI\"]",           "4: error: GSSAPI needs a keytab", "ktadd -k"),
        ("a keytab that is not there", "[auth]\nmechanisms = [\"GSSAPI\"]\n[kerberos]\nkeytab = \"none\"", "6: error: cannot read the keytab", "relative ones"),
        ("no Kerberos library",        "[auth]\nmechanisms = [\"GSSAPI\"]\n[kerberos]\nkeytab = \"none\"\nlibrary = \"libnone.so\"", "7: error: GSSAPI cannot be offered: the library libnone.so", "libgssapi-krb5-2"),
        ("a keytab for nothing",       "[kerberos]\nkeytab = \"none\"",               "4: warning: there is a keytab, and GSSAPI is off", "mechanisms"),
        ("tokens of nobody",           "[auth]\nmechanisms = [\"XOAUTH2\"]",          "4: error: XOAUTH2 needs a provider", "remove it from the list"),
        ("keys of nobody",             "[auth]\nmechanisms = [\"CRAM-MD5\"]",         "4: warning: CRAM-MD5 is never offered", "kind = \"users\""),
        ("EXTERNAL for nobody",        "[auth]\nmechanisms = [\"EXTERNAL\"]",         "4: warning: EXTERNAL is on, and no certificate", "[[auth.certificate]]"),
        ("a day in quotes",            "[[auth.mechanism]]\nname = \"PLAIN\"\nuntil = \"2027-03-31\"", "5: error: `until` in [[auth.mechanism]] has the wrong type", "2027-03-31"),
        ("an hour for a day",          "[[auth.mechanism]]\nname = \"PLAIN\"\nuntil = 2027-03-31T10:00:00", "5: error: `until` in [[auth.mechanism]] has a value", "2027-03-31"),
        ("a day that is over",         "[[auth.mechanism]]\nname = \"PLAIN\"\nuntil = 2020-03-31", "5: warning: PLAIN is not offered any more", "remove it"),
        ("conditions for what is off", "[[auth.mechanism]]\nname = \"NTLM\"",          "4: warning: conditions for NTLM, which is off", "add it to"),
        ("a certificate of nobody",    "[[auth.certificate]]\nlogin = \"a\"",         "3: error: a certificate without", "add one of them"),
        ("a mechanism twice",          "[auth]\nmechanisms = [\"PLAIN\", \"plain\"]", "4: warning: the mechanism PLAIN is listed twice", "remove it here"),
        ("delays the wrong way round", "[auth]\nfirst_delay = \"30s\"",               "4: error: `first_delay` in [auth] is longer", "longer one"),
        ("a privacy flag misspelt",    "privacy = [\"goawy\"]",                       "3: error: `privacy` has a value", "goaway"),
        ("a directory without kind",   "[[directory]]\nservers = []",                 "3: error: `kind` is missing in [[directory]]", "`kind = \"ldap\"`"),
        ("a kind of later",            "[[directory]]\nkind = \"oauth\"",             "4: error: `kind` in [[directory]] has a value", "\"users\", \"ldap\", \"saslauthd\" or \"sql\""),
        ("SQL without engine",         "[[directory]]\nkind = \"sql\"\npassword_query = \"SELECT p FROM u WHERE l = :login\"", "3: error: `engine` is missing", "add for example `engine = "),
        ("an unknown engine",          "[[directory]]\nkind = \"sql\"\nengine = \"postgres\"\npassword_query = \":login\"", "5: error: `engine`", "did you mean \"postgresql\"?"),
        ("SQLite without file",        "[[directory]]\nkind = \"sql\"\nengine = \"sqlite\"\npassword_query = \":login\"", "3: error: `file` is missing", "`file = \"accounts.db\"`"),
        ("SQL without servers",        "[[directory]]\nkind = \"sql\"\nengine = \"mysql\"\ndatabase = \"a\"\nuser = \"b\"\npassword_query = \":login\"", "3: error: `servers` is missing", "`servers = [\"db.example.org\"]`"),
        ("a URL as database server",   "[[directory]]\nkind = \"sql\"\nengine = \"mysql\"\nservers = [\"mysql://db/x\"]\ndatabase = \"a\"\nuser = \"b\"\npassword_query = \":login\"", "6: error: `servers`", "write host, host:port"),
        ("a query for everybody",      "[[directory]]\nkind = \"sql\"\nengine = \"mysql\"\nservers = [\"db\"]\ndatabase = \"a\"\nuser = \"b\"\npassword_query = \"SELECT p FROM u\"", "9: error: `password_query` would find the same", ":login"),
        ("an unknown scheme",          "[[directory]]\nkind = \"sql\"\nengine = \"mysql\"\nservers = [\"db\"]\ndatabase = \"a\"\nuser = \"b\"\npassword_query = \":login\"\ndefault_scheme = \"ROT13\"", "10: error: `default_scheme`", "SSHA512"),
        ("hashes in the clear",        "[[directory]]\nkind = \"sql\"\nengine = \"mysql\"\nservers = [\"db\"]\ndatabase = \"a\"\nuser = \"b\"\npassword_query = \":login\"\ntls = \"never\"", "6: warning: stored passwords cross the network", "leave out"),
        ("a key of another kind",      "[[directory]]\nkind = \"users\"\nservers = [\"ldap://x/\"]", "5: error: unknown key `servers` in [[directory]] of kind \"users\"", "belongs into [[directory]] of kind \"ldap\""),
        ("servers and a domain",       "[[directory]]\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1/\"]\ndiscover = \"example.org\"\nsearch_base = \"dc=x\"", "6: error: `discover` beside `servers`", "keep `servers`"),
        ("discovery in the clear",     "[[directory]]\nkind = \"ldap\"\ndiscover = \"example.org\"\nsearch_base = \"dc=x\"", "5: warning: passwords cross the network", "`starttls = true`"),
        ("groups that nobody finds",   "[[directory]]\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1/\"]\nsearch_base = \"dc=x\"\nallowed_groups = [\"mail\"]", "7: error: `allowed_groups` without a way", "member_of_attribute"),
        ("a mechanism without keys",   "[[directory]]\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1/\"]\nsearch_base = \"dc=x\"\nkeys = [\"PLAIN\"]", "7: error: PLAIN needs no stored key", "SCRAM-SHA-256"),
        ("a flavour misspelt",         "[[directory]]\nkind = \"ldap\"\nflavour = \"active_directory\"\nservers = [\"ldap://127.0.0.1/\"]\nsearch_base = \"dc=x\"", "5: error: `flavour`", "\"active-directory\""),
        ("a mechanism in the wrong query", "[[directory]]\nkind = \"sql\"\nengine = \"mysql\"\nservers = [\"db\"]\ndatabase = \"a\"\nuser = \"b\"\npassword_query = \"SELECT :login, :mechanism\"", "9: error: `password_query` has :mechanism", ":login"),
        ("LDAP without servers",       "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"", "3: error: `servers` is missing", "add for example `servers = ["),
        ("no server in the list",      "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = []", "6: error: `servers` in [[directory]] is empty", "at least one"),
        ("no LDAP address",            "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = [\"ldap.example.org\"]", "6: error: `servers`", "ldap://"),
        ("passwords in the clear",     "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = [\"ldap://192.0.2.1/\"]", "6: warning: passwords cross the network in the clear", "starttls"),
        ("a filter for everybody",     "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = [\"ldap://[::1]/\"]\nfilter = \"(uid=*)\"", "7: error: the filter finds the same entries", "(uid={login})"),
        ("a filter that is none",      "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = [\"ldap://[::1]/\"]\nfilter = \"(uid={login}\"", "7: error: the filter is no LDAP filter", "RFC 4515"),
        ("half of an identity",        "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = [\"ldap://[::1]/\"]\nbind_dn = \"cn=a\"", "7: error: `bind_dn` without", "bind_password_file"),
        ("a directory twice",          "[[directory]]\nkind = \"users\"\n[[directory]]\nkind = \"users\"", "5: warning: the same directory twice", "remove one"),
        ("a route to nowhere",         "[[route]]\ndomains = [\"*\"]",                "3: error: a route that leads nowhere", "`via = [\"host:25\"]`"),
        ("a route with two ends",      "[[route]]\ndomains = [\"*\"]\nvia = [\"a.example\"]\nto = \"mx\"", "6: error: a route with both", "remove one"),
        ("a hop that is none",         "[[route]]\ndomains = [\"*\"]\nvia = [\"a:b:c\"]", "5: error: `via` in [[route]] has a value", "host:port"),
        ("a route in a circle",        "[[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:2525\"]", "5: error: a route that leads back", "the next server"),
        ("a domain routed twice",      "[[route]]\ndomains = [\"a.example\", \"A.example\"]\nto = \"mx\"", "4: warning: an earlier route", "remove it"),
        ("verified, but not required", "[[route]]\ndomains = [\"*\"]\nto = \"mx\"\nverify = true", "6: error: `verify` on a route whose TLS is not required", "tls = \"required\""),
        ("one Maildir for all",        "[delivery]\nmaildir = \"mail\"",              "4: error: the Maildir pattern puts the mail of all", "{local}"),
        ("no such placeholder",        "[delivery]\nmaildir = \"{user}/{local}\"",    "4: error: the Maildir pattern has a placeholder", "{domain}"),
        ("no intervals",               "[retry]\nintervals = []",                     "4: error: `intervals` in [retry] is empty", "\"5m\""),
        ("a warning after the bounce", "[retry]\nexpire_after = \"1h\"\nwarn_after = \"2h\"", "5: error: `warn_after` in [retry] is not before", "shorter"),
        ("a certificate rule of air",  "[tls]\n[[relay.certificate]]\nname = \"x\"",  "4: error: a certificate rule without", "postern cert show"),
        ("a fingerprint that is none", "[[relay.certificate]]\nname = \"x\"\nfingerprint = \"12\"", "5: error: `fingerprint` in [[relay.certificate]] has a value", "postern cert show"),
        ("an address without port",    "[[listener]]\naddress = \"127.0.0.1\"",       "4: error: `address` in [[listener]] has a value", "\"192.0.2.1:25\""),
        ("a listener without address", "[[listener]]\nrole = \"mx\"",                 "3: error: `address` is missing in [[listener]]", "`address = \"0.0.0.0:25\"`"),
        ("TLS without certificate",    "[[listener]]\naddress = \"127.0.0.1:1\"\ntls = \"implicit\"", "5: error: the listener 127.0.0.1:1 offers TLS", "postern cert ca"),
        ("logins without TLS",         "[[listener]]\naddress = \"127.0.0.1:1\"\nauth = \"offer\"", "5: warning: nobody can log in", "[tls]"),
        ("logins needed without TLS",  "[[listener]]\naddress = \"127.0.0.1:1\"\nauth = \"require\"", "5: error: nobody can log in", "[tls]"),
        ("a submission without TLS",   "[[listener]]\naddress = \"127.0.0.1:1\"\nrole = \"submission\"", "3: error: nobody can log in", "[tls]"),
        ("logins without mechanism",   "[auth]\nmechanisms = []\n[[listener]]\naddress = \"127.0.0.1:1\"\nauth = \"offer\"", "4: error: nobody can log in", "mechanisms = ["),
        ("logins without users",       "[auth]\nplaintext = \"always\"\n[[listener]]\naddress = \"127.0.0.1:1\"\nrole = \"submission\"", "5: warning: nobody can log in", "kind = \"users\""),
        ("a submission for nobody",    "[[listener]]\naddress = \"127.0.0.1:1\"\nrole = \"submission\"\nauth = \"off\"", "5: warning: the listener 127.0.0.1:1 takes mail from nobody", "require"),
        ("loads in the wrong order",   "[admission]\ndelay_load = 20.0\nrefuse_load = 12.0", "4: warning: `delay_load` is never reached", "below 12"),
        ("a missing certificate",      "[tls]\ncertificate = \"x.crt\"\nkey = \"x.key\"", "4: error: cannot read the certificate x.crt", "relative ones start at"),
        ("a reserve too small",        "[spool]\nlog_size = \"64 MiB\"",               "4: warning: `reserve` in [spool] may be too small", "reserve = \"144 MiB\""),
        ("a log in no folder",         "[log]\nfile = \"nowhere/mail.log\"",          "4: error: the folder nowhere of the log", "mkdir -p nowhere"),
        ("a missing folder",           "aliases = \"mail/aliases\"",                  "3: error: cannot read the aliases mail/aliases", "the folder mail does not exist"),
        ("a folder for a file",        "aliases = \".\"",                             "3: error: the aliases . is no file", "name the file itself"),
        ("no such word to fill in",    "greeting = \"{hostname} {foo}\"",             "3: error: `greeting` has a placeholder", "{hostname}"),
        ("a greeting of no host",      "greeting = \"Hello\"",                        "3: warning: `greeting` does not begin with", "{hostname}"),
        ("an empty text",              "greeting = \"\"",                             "3: error: `greeting` has a value", "leave the key out"),
        ("a control character",        "greeting = \"a\\nb\"",                        "3: error: `greeting` has a value", "for example"),
        ("a quote that does not end",  "greeting = \"a",                              "3: error: not TOML", "quotes"),
        ("a key twice",                "aliases = \"a\"\naliases = \"b\"",            "4: error: not TOML: duplicate key", "quotes"),
    ];
    let mut missed = Vec::new();
    for (shows, lines, problem, remedy) in cases {
        let found = found_in(lines);
        let hit = found.iter().any(|found| {
            let (title, rest) = found.split_once(" | ").unwrap();
            title.starts_with(problem) && rest.contains(remedy)
        });
        if !hit {
            let found = found.join("\n  ");
            missed.push(format!(
                "{shows}: expected\n  {problem} … | … {remedy} …\nfound\n  {found}"
            ));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
