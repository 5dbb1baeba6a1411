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
        ("a table for tables",         "[directory]\nkind = \"users\"",               "3: error: `directory` can be repeated", "write `[[directory]]`"),
        ("a value for a table",        "log = 1",                                     "3: error: `log` has the wrong type", "write [log]"),
        ("a duration without unit",    "[timeouts]\ncommand = \"300\"",               "4: error: `command` in [timeouts] has an invalid value", "\"5m\""),
        ("a duration out of range",    "[timeouts]\ncommand = \"2d\"",                "4: error: `command` in [timeouts] has an invalid value", "`command = \"1h\"`"),
        ("a size without unit",        "message_size_limit = \"25 MB of\"",           "3: error: `message_size_limit` has an invalid value", "\"25 MiB\""),
        ("a size out of range",        "message_size_limit = \"1 KiB\"",              "3: error: `message_size_limit` has an invalid value", "\"64 KiB\""),
        ("a number out of range",      "[limits]\nrecipients = 10",                   "4: error: `recipients` in [limits] has an invalid value", "`recipients = 100`"),
        ("a negative number",          "[limits]\nrecipients = -1",                   "4: error: `recipients` in [limits] has an invalid value", "`recipients = 100`"),
        ("a fraction out of range",    "[admission]\ndelay_load = -1.5",              "4: error: `delay_load` in [admission] has an invalid value", "10.0"),
        ("a word misspelt",            "[log]\nformat = \"jason\"",                   "4: error: `format` in [log] has an invalid value", "did you mean \"json\"?"),
        ("a word from nowhere",        "[log]\nformat = \"xml\"",                     "4: error: `format` in [log] has an invalid value", "choose \"readable\" or \"json\""),
        ("a host name without dot",    "[delivery]\nown_names = [\"mx\"]",            "4: error: `own_names` in [delivery] has an invalid value", "full name"),
        ("a domain that is none",      "relay_domains = [\"a..b\"]",                  "3: error: `relay_domains` has an invalid value", "example.org"),
        ("an open relay by domain",    "relay_domains = [\"*\"]",                     "3: error: `relay_domains` with \"*\" would relay", "list the domains"),
        ("an open relay by network",   "[relay]\nnetworks = [\"0.0.0.0/0\"]",         "4: error: `networks` in [relay] contains every address", "own hosts"),
        ("half of one",                "[relay]\nnetworks = [\"0.0.0.0/1\"]",         "4: error: `networks` in [relay] contains 0.0.0.0/1, which is too large", "own hosts"),
        ("one of IPv6",                "[relay]\nnetworks = [\"2000::/3\"]",          "4: error: `networks` in [relay] contains 2000::/3", "own hosts"),
        ("one in another spelling",    "[relay]\nnetworks = [\"::ffff:0:0/96\"]",     "4: error: `networks` in [relay] contains every address", "own hosts"),
        ("a balancer anywhere",        "[[listener]]\naddress = \"127.0.0.1:26\"\nproxy_protocol = [\"0.0.0.0/1\"]", "5: error: `proxy_protocol` in [[listener]] contains 0.0.0.0/1", "own hosts"),
        ("host bits in a network",     "[relay]\nnetworks = [\"192.0.2.1/24\"]",      "4: error: `networks` in [relay] has an invalid value", "\"192.0.2.0/24\""),
        ("no network",                 "[relay]\nnetworks = [\"office\"]",            "4: error: `networks` in [relay] has an invalid value", "192.0.2.0/24"),
        ("a bar above the longest",    "[auth]\nbar_time = \"1d\"",                 "4: error: `bar_time` in [auth] is longer than", "longer"),
        ("a network barred first",     "[auth]\nnetwork_failures_until_bar = 20",    "4: warning: `network_failures` in [auth] is never reached", "above"),
        ("MySQL without names",        "[[directory]]\nkind = \"sql\"\nengine = \"mysql\"\nservers = [\"127.0.0.1\"]\ndatabase = \"d\"\nuser = \"u\"\npassword_query = \"SELECT hash FROM a WHERE login = :login\"", "9: warning: `password_query` of MySQL does not give", "name AS login"),
        ("Kerberos 4",                 "[auth]\nmechanisms = [\"KERBEROS_V4\"]",      "4: error: `mechanisms` in [auth] has an invalid value", "remove it from the list"),
        ("a slip in a mechanism",      "[auth]\nmechanisms = [\"GSAPI\"]",            "4: error: `mechanisms` in [auth] has an invalid value", "this version has PLAIN, LOGIN"),
        ("Kerberos without keytab",    "[auth]\nmechanisms = [\"GSSAPI\"]",           "4: error: GSSAPI needs a keytab", "ktadd -k"),
        ("a keytab that is not there", "[auth]\nmechanisms = [\"GSSAPI\"]\n[kerberos]\nkeytab = \"none\"", "6: error: cannot read the keytab", "relative ones"),
        ("no Kerberos library",        "[auth]\nmechanisms = [\"GSSAPI\"]\n[kerberos]\nkeytab = \"none\"\nlibrary = \"libnone.so\"", "7: error: GSSAPI cannot be used: the library libnone.so", "libgssapi-krb5-2"),
        ("a keytab for nothing",       "[kerberos]\nkeytab = \"none\"",               "4: warning: a keytab is configured, but GSSAPI is off", "mechanisms"),
        ("tokens of nobody",           "[auth]\nmechanisms = [\"XOAUTH2\"]",          "4: error: XOAUTH2 needs a provider", "remove it from the list"),
        ("tokens by a secret key", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\nalgorithms = [\"HS256\"]", "6: error: `algorithms` in [[auth.provider]] has an invalid value", "there are RS256"),
        ("tokens without signature", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\nalgorithms = [\"none\"]", "6: error: `algorithms` in [[auth.provider]] has an invalid value", "there are RS256"),
        ("no algorithm at all", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\nalgorithms = []", "6: error: `algorithms` in [[auth.provider]] is empty", "RS256"),
        ("no claim for the login", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\nlogin_claim = []", "6: error: `login_claim` in [[auth.provider]] is empty", "email"),
        ("tokens for everybody", "[[auth.provider]]\nissuer = \"https://id.example/\"", "4: error: `audience` is missing for https://id.example/", "aud"),
        ("asked, for everybody", "[[auth.provider]]\nissuer = \"https://id.example/\"\nintrospection_url = \"https://id.example/i\"", "4: error: `audience` is missing", "clients"),
        ("an issuer without address", "[[auth.provider]]\nissuer = \"id.example\"\naudience = [\"a\"]", "4: error: cannot find the keys of id.example", "jwks_url"),
        ("a provider in the clear", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\njwks_url = \"http://id.example/keys\"", "6: error: `jwks_url` in [[auth.provider]] has an invalid value", "https://"),
        ("two ways to check", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\njwks_url = \"https://id.example/k\"\nintrospection_url = \"https://id.example/i\"", "7: error: both `jwks_url` and `introspection_url`", "keep one"),
        ("a secret of nobody", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\nclient_secret_file = \"x\"", "6: error: `client_secret_file` without `client_id`", "client_id"),
        ("a missing secret", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\nclient_id = \"c\"\nclient_secret_file = \"x\"", "7: error: cannot read the client's secret x", "make the file"),
        ("a missing set of keys", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\njwks_file = \"x.json\"", "6: error: cannot read the keys x.json", "make the file"),
        ("an issuer twice", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\n[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]", "7: error: two providers with the issuer", "join them"),
        ("a provider for all logins", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\n[[auth.provider]]\nissuer = \"https://b.example/\"\naudience = [\"a\"]", "3: warning: https://id.example/ may vouch for every user", "domains"),
        ("two to ask for all logins",  "[[auth.provider]]\nissuer = \"https://id.example/\"\nclients = [\"a\"]\ntokeninfo_url = \"https://id.example/i\"\ndomains = [\"a.example\"]\n[[auth.provider]]\nissuer = \"https://b.example/\"\nclients = [\"a\"]\ntokeninfo_url = \"https://b.example/i\"", "9: error: https://id.example/ and https://b.example/ could be asked", "own `domains`"),
        ("two to ask for one domain",  "[[auth.provider]]\nissuer = \"https://id.example/\"\nclients = [\"a\"]\ntokeninfo_url = \"https://id.example/i\"\ndomains = [\"a.example\"]\n[[auth.provider]]\nissuer = \"https://b.example/\"\nclients = [\"a\"]\ntokeninfo_url = \"https://b.example/i\"\ndomains = [\"A.example\", \"b.example\"]", "9: error: https://id.example/ and https://b.example/ could be asked", "own `domains`"),
        ("a provider that nobody asks", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]", "3: warning: providers of tokens are configured, but OAUTHBEARER and XOAU", "mechanisms"),
        ("a question without secret", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\nintrospection_url = \"https://id.example/i\"", "6: warning: the provider is asked about tokens without", "client_id"),
        ("tokens without TLS",         "[auth]\nmechanisms = [\"XOAUTH2\"]\nplaintext = \"always\"\n[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\n[[listener]]\naddress = \"127.0.0.1:1\"\nauth = \"require\"", "11: error: nobody can authenticate on the listener", "[tls]"),
        ("keys of nobody",             "[auth]\nmechanisms = [\"CRAM-MD5\"]",         "4: warning: CRAM-MD5 is never offered", "kind = \"users\""),
        ("EXTERNAL for nobody",        "[auth]\nmechanisms = [\"EXTERNAL\"]",         "4: warning: EXTERNAL is on, but no certificate is mapped to a user", "[[auth.certificate]]"),
        ("a day in quotes",            "[[auth.mechanism]]\nname = \"PLAIN\"\nuntil = \"2027-03-31\"", "5: error: `until` in [[auth.mechanism]] has the wrong type", "2027-03-31"),
        ("an hour for a day",          "[[auth.mechanism]]\nname = \"PLAIN\"\nuntil = 2027-03-31T10:00:00", "5: error: `until` in [[auth.mechanism]] has an invalid value", "2027-03-31"),
        ("a day that is over",         "[[auth.mechanism]]\nname = \"PLAIN\"\nuntil = 2020-03-31", "5: warning: PLAIN is no longer offered", "remove it"),
        ("conditions for what is off", "[[auth.mechanism]]\nname = \"NTLM\"",          "4: warning: conditions for NTLM, which is off", "add it to"),
        ("a certificate of nobody",    "[[auth.certificate]]\nlogin = \"a\"",         "3: error: a certificate rule without `email`, `issuer`, `subject` and ", "add one of them"),
        ("a mechanism twice",          "[auth]\nmechanisms = [\"PLAIN\", \"plain\"]", "4: warning: the mechanism PLAIN is listed twice", "remove it here"),
        ("delays the wrong way round", "[auth]\nfirst_delay = \"30s\"",               "4: error: `first_delay` in [auth] is longer", "longer"),
        ("shares of more than all",    "[admission]\nknown_percent = 90",            "4: error: `mx_percent`, `submission_percent`", "make them smaller"),
        ("a privacy flag misspelt",    "privacy = [\"goawy\"]",                       "3: error: `privacy` has an invalid value", "goaway"),
        ("a directory without kind",   "[[directory]]\nservers = []",                 "3: error: `kind` is missing in [[directory]]", "`kind = \"ldap\"`"),
        ("a kind of later",            "[[directory]]\nkind = \"oauth\"",             "4: error: `kind` in [[directory]] has an invalid value", "\"saslauthd\""),
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
        ("one account of two realms",  "[kerberos]\nkeytab = \"none\"\nrealms = [\"A.TEST\", \"B.TEST\"]\n[[directory]]\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1/\"]\nsearch_base = \"dc=x\"\nfilter = \"(uid={local})\"", "10: error: `filter` does not look at the domain, and [kerberos] has 2 realms", "{domain}"),
        ("one account of all domains", "[[auth.provider]]\nissuer = \"https://id.example/\"\naudience = [\"a\"]\n[[directory]]\nkind = \"sql\"\nengine = \"sqlite\"\nfile = \"a.db\"\npassword_query = \"SELECT p FROM u WHERE l = :local\"", "10: warning: `password_query` does not look at the domain", ":domain"),
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
        ("a filter that is none",      "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = [\"ldap://[::1]/\"]\nfilter = \"(uid={login}\"", "7: error: the filter is not a valid LDAP filter", "RFC 4515"),
        ("half of an identity",        "[[directory]]\nkind = \"ldap\"\nsearch_base = \"dc=x\"\nservers = [\"ldap://[::1]/\"]\nbind_dn = \"cn=a\"", "7: error: `bind_dn` without", "bind_password_file"),
        ("a directory twice",          "[[directory]]\nkind = \"users\"\n[[directory]]\nkind = \"users\"", "5: warning: the same directory twice", "remove one"),
        ("neither a socket nor a server for Dovecot",  "[[directory]]\nkind = \"dovecot\"",           "3: error: neither a socket nor a server for Dovecot", "socket ="),
        ("a Dovecot that is twice",    "[[directory]]\nkind = \"dovecot\"\nsocket = \"/a\"\nserver = \"b:1\"", "6: error: both `socket` and `server`", "remove one"),
        ("a Dovecot without a port",   "[[directory]]\nkind = \"dovecot\"\nserver = \"localhost\"", "5: error: `server` in [[directory]] names no port", "127.0.0.1:12345"),
        ("a Dovecot far away",         "[[directory]]\nkind = \"dovecot\"\nserver = \"imap.example:12345\"", "5: warning: passwords cross the network", "`socket`"),
        ("a socket without a place",   "[[auth_socket]]\nprotocol = \"saslauthd\"",  "3: error: a socket without a place", "path ="),
        ("a socket that is twice",     "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \"a\"\naddress = \"127.0.0.1:1\"", "6: error: a socket with both", "remove one"),
        ("a socket for the world",     "[[auth_socket]]\nprotocol = \"dovecot\"\naddress = \"0.0.0.0:1\"", "5: error: passwords would cross the network", "`path`"),
        ("a socket in no folder",      "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \"nowhere/auth\"", "5: error: the folder nowhere of the socket", "mkdir -p nowhere"),
        ("a socket in place of a file", "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \".\"", "5: error: . exists and is not a socket", "another path"),
        ("a socket for strangers",     "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \"auth\"\nmode = \"0666\"", "6: warning: anyone on this machine can try passwords on this socket", "0660"),
        ("a port for strangers",       "[[auth_socket]]\nprotocol = \"dovecot\"\naddress = \"127.0.0.1:12345\"", "5: warning: anyone on this machine can try passwords on this port, and g", "`path`"),
        ("saslauthd without PLAIN",    "[[auth_socket]]\nprotocol = \"saslauthd\"\npath = \"auth\"\nmechanisms = [\"CRAM-MD5\"]", "6: error: nobody can authenticate through this socket", "PLAIN"),
        ("PLAIN off for saslauthd",    "[auth]\nmechanisms = [\"SCRAM-SHA-256\"]\n[[auth_socket]]\nprotocol = \"saslauthd\"\npath = \"auth\"", "5: error: nobody can authenticate through this socket", "PLAIN"),
        ("rights that are none",       "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \"auth\"\nmode = \"rw\"", "6: error: `mode` in [[auth_socket]] has an invalid value", "0660"),
        ("two sockets in one place",   "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \"auth\"\n[[auth_socket]]\nprotocol = \"saslauthd\"\npath = \"auth\"", "6: error: two sockets at auth", "another path"),
        ("networks nobody tells",      "[[auth_socket]]\nprotocol = \"saslauthd\"\npath = \"auth\"\nnetworks = [\"10.0.0.0/8\"]", "6: error: saslauthd's protocol gives no client addresses, so nobody wo", "dovecot"),
        ("masters without mail",       "[[auth_socket]]\nprotocol = \"dovecot-master\"\npath = \"auth\"", "3: error: a `dovecot-master` socket without `mail_user` or `home`", "mail_user"),
        ("mail of root",               "[[auth_socket]]\nprotocol = \"dovecot-master\"\npath = \"auth\"\nmail_user = \"root\"\nhome = \"/m/{login}\"", "6: error: mail processes would work as root", "useradd"),
        ("one home for all",           "[[auth_socket]]\nprotocol = \"dovecot-master\"\npath = \"auth\"\nmail_user = \"nobody\"\nhome = \"/m\"", "7: error: `home` in [[auth_socket]] is not a valid pattern", "{login}"),
        ("homes for nobody",           "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \"auth\"\nhome = \"/m/{login}\"", "6: error: `mail_user` and `home` are for", "second socket"),
        ("only what binds to TLS",     "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \"auth\"\nmechanisms = [\"SCRAM-SHA-256-PLUS\"]", "6: error: nobody can authenticate through this socket", "SCRAM-SHA-256"),
        ("a socket without users",     "[[auth_socket]]\nprotocol = \"dovecot\"\npath = \"auth\"", "3: warning: nobody can authenticate through [[auth_socket]]", "kind = \"users\""),
        ("a route to nowhere",         "[[route]]\ndomains = [\"*\"]",                "3: error: a route without a target", "`via = [\"host:25\"]`"),
        ("a route with two ends",      "[[route]]\ndomains = [\"*\"]\nvia = [\"a.example\"]\nto = \"mx\"", "6: error: a route with both", "remove one"),
        ("a hop that is none",         "[[route]]\ndomains = [\"*\"]\nvia = [\"a:b:c\"]", "5: error: `via` in [[route]] has an invalid value", "host:port"),
        ("a route in a loop",        "[[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:2525\"]", "5: error: a route back", "the next server"),
        ("a domain routed twice",      "[[route]]\ndomains = [\"a.example\", \"A.example\"]\nto = \"mx\"", "4: warning: an earlier route", "remove it"),
        ("verified, but not required", "[[route]]\ndomains = [\"*\"]\nto = \"mx\"\nverify = true", "6: error: `verify` on a route whose TLS is not required", "tls = \"required\""),
        ("senders in the air",         "[[route]]\ndomains = [\"*\"]\nto = \"mx\"\nsenders = []", "6: error: `senders` in [[route]] is empty", "leave the key out"),
        ("a sender that is none",      "[[route]]\ndomains = [\"*\"]\nto = \"mx\"\nsenders = [\"acaird\"]", "6: error: `senders` in [[route]] has an invalid value", "@example.org"),
        ("a login of nobody",          "[[route]]\ndomains = [\"*\"]\nvia = [\"a.example\"]\ntls = \"required\"\nlogin = \"isp\"", "7: error: there is no [[login]] \"isp\"", "name = \"isp\""),
        ("a password for anyone",      "[[route]]\ndomains = [\"*\"]\nvia = [\"a.example\"]\nlogin = \"isp\"", "6: error: the credentials \"isp\" would be sent to a host that is not verified", "send-password-to-anyone"),
        ("a password unverified",      "[[route]]\ndomains = [\"*\"]\nvia = [\"a.example\"]\ntls = \"required\"\nverify = false\nlogin = \"isp\"", "8: error: the credentials \"isp\" would be sent", "leave out `verify`"),
        ("a password for DNS",         "[[route]]\ndomains = [\"*\"]\nto = \"mx\"\ntls = \"required\"\nlogin = \"isp\"", "7: error: credentials on a route without hosts", "by `via`"),
        ("an exception without need",  "[[route]]\ndomains = [\"*\"]\nvia = [\"a.example\"]\nlogin_to_unverified_host = \"prove-to-anyone\"", "6: warning: `login_to_unverified_host` on a route without", "remove it"),
        ("STARTTLS on port 465",       "[[route]]\ndomains = [\"*\"]\nvia = [\"a.example:465\"]\ntls = \"required\"", "5: warning: port 465 uses implicit TLS", "implicit"),
        ("implicit TLS on port 25",    "[[route]]\ndomains = [\"*\"]\nvia = [\"a.example\"]\ntls = \"implicit\"", "5: warning: port 25 does not use implicit TLS", "usually 465"),
        ("a login without proof",      "[[login]]\nname = \"isp\"\nlogin = \"a\"",  "3: error: credentials without a secret", "password_file"),
        ("a login that is unused",     "[[login]]\nname = \"isp\"\nlogin = \"a\"",  "4: warning: no route uses the login \"isp\"", "login = \"isp\""),
        ("one of two keys",             "[[login]]\nname = \"isp\"\nlogin = \"a\"\ncertificate = \"x.crt\"", "6: error: `certificate` in [[login]] without `key`", "key = "),
        ("tokens without a provider",        "[[login]]\nname = \"isp\"\nlogin = \"a\"\n[login.token]\ngrant = \"refresh-token\"\nclient_id = \"x\"", "6: error: tokens without a provider", "issuer = "),
        ("a client without a secret",  "[[login]]\nname = \"isp\"\nlogin = \"a\"\n[login.token]\ngrant = \"client-credentials\"\nissuer = \"https://id.example\"\nclient_id = \"x\"", "6: error: client credentials without a secret", "client_secret_file"),
        ("a token in the clear",       "[[login]]\nname = \"isp\"\nlogin = \"a\"\n[login.token]\ngrant = \"refresh-token\"\ntoken_endpoint = \"http://id.example/token\"\nclient_id = \"x\"", "8: error: `token_endpoint` in [login.token] has an invalid value", "https://"),
        ("no password file",           "[[login]]\nname = \"isp\"\nlogin = \"a\"\npassword_file = \"no.pass\"", "6: error: cannot read the password file no.pass", "relative ones start"),
        ("one Maildir for all",        "[delivery]\nmaildir = \"mail\"",              "4: error: the Maildir pattern puts all mail into one folder", "{local}"),
        ("no such placeholder",        "[delivery]\nmaildir = \"{user}/{local}\"",    "4: error: the Maildir pattern has an unknown placeholder", "{domain}"),
        ("relaying by what is off",    "[relay]\nlogin_mechanisms = [\"CRAM-MD5\"]", "4: warning: CRAM-MD5 may relay but is not offered", "add it to `mechanisms`"),
        ("a grant without users",          "[[identity.grant]]\nname = \"x\"\nact_as = [\"a\"]", "3: error: a grant without users", "logins = ["),
        ("a grant without permissions",         "[[identity.grant]]\nname = \"x\"\nlogins = [\"a\"]", "3: error: a grant without permissions", "addresses = ["),
        ("a grant without effect",     "[[identity.grant]]\nname = \"x\"\nlogins = [\"a\"]\naddresses = [\"*\"]", "6: warning: a grant of addresses has no effect", "senders = \"own\""),
        ("no address in a grant",      "[[identity.grant]]\nname = \"x\"\nlogins = [\"a\"]\naddresses = [\"sales\"]", "6: error: `addresses` in [[identity.grant]] has an invalid value", "*@example.org"),
        ("half a pattern",             "[[identity.grant]]\nname = \"x\"\nlogins = [\"a*\"]\nact_as = [\"b\"]", "5: error: `logins` in [[identity.grant]] has an invalid value", "*@example.org"),
        ("domains with one Maildir",   "local_domains = [\"a.test\", \"b.test\"]\n[delivery]\nmaildir = \"mail/{local}\"", "5: warning: users of the same name", "/{domain}/{local}"),
        ("a route with one Maildir",   "[[route]]\ndomains = [\"*.a.test\"]\nto = \"maildir\"\nmaildir = \"mail/{local}\"", "6: warning: users of the same name", "/{domain}/{local}"),
        ("recipients nobody knows",    "local_domains = [\"a.test\"]\n[[directory]]\nkind = \"saslauthd\"", "4: warning: no directory can tell which recipients", "local_recipients = \"any\""),
        ("Maildirs for any name",      "local_domains = [\"a.test\"]\nlocal_recipients = \"any\"", "4: warning: every name in `local_domains`", "`lmtp`"),
        ("a tag of ordinary letters",  "[identity]\ntag_separator = \"x\"",        "4: error: `tag_separator` in [identity] has an invalid value", "\"+\""),
        ("no intervals",               "[retry]\nintervals = []",                     "4: error: `intervals` in [retry] is empty", "\"5m\""),
        ("a warning after the bounce", "[retry]\nexpire_after = \"1h\"\nwarn_after = \"2h\"", "5: error: `warn_after` in [retry] is not before", "shorter"),
        ("a certificate rule of air",  "[tls]\n[[relay.certificate]]\nname = \"x\"",  "4: error: a certificate rule without", "postern cert show"),
        ("a fingerprint that is none", "[[relay.certificate]]\nname = \"x\"\nfingerprint = \"12\"", "5: error: `fingerprint` in [[relay.certificate]] has an invalid value", "postern cert show"),
        ("an address without port",    "[[listener]]\naddress = \"127.0.0.1\"",       "4: error: `address` in [[listener]] has an invalid value", "\"192.0.2.1:25\""),
        ("a listener without address", "[[listener]]\nrole = \"mx\"",                 "3: error: `address` is missing in [[listener]]", "`address = \"0.0.0.0:25\"`"),
        ("TLS without certificate",    "[[listener]]\naddress = \"127.0.0.1:1\"\ntls = \"implicit\"", "5: error: the listener 127.0.0.1:1 offers TLS", "postern cert ca"),
        ("logins without TLS",         "[[listener]]\naddress = \"127.0.0.1:1\"\nauth = \"offer\"", "5: warning: nobody can authenticate on the listener", "[tls]"),
        ("logins needed without TLS",  "[[listener]]\naddress = \"127.0.0.1:1\"\nauth = \"require\"", "5: error: nobody can authenticate on the listener", "[tls]"),
        ("a submission without TLS",   "[[listener]]\naddress = \"127.0.0.1:1\"\nrole = \"submission\"", "3: error: nobody can authenticate on the listener", "[tls]"),
        ("logins without mechanism",   "[auth]\nmechanisms = []\n[[listener]]\naddress = \"127.0.0.1:1\"\nauth = \"offer\"", "4: error: nobody can authenticate on the listener", "mechanisms = ["),
        ("logins without users",       "[auth]\nplaintext = \"always\"\n[[listener]]\naddress = \"127.0.0.1:1\"\nrole = \"submission\"", "5: warning: nobody can authenticate on the listener", "kind = \"users\""),
        ("a submission for nobody",    "[[listener]]\naddress = \"127.0.0.1:1\"\nrole = \"submission\"\nauth = \"off\"", "5: warning: the listener 127.0.0.1:1 takes mail from nobody", "require"),
        ("loads in the wrong order",   "[admission]\ndelay_load = 20.0\nrefuse_load = 12.0", "4: warning: `delay_load` is never reached", "below 12"),
        ("a missing certificate",      "[tls]\ncertificate = \"x.crt\"\nkey = \"x.key\"", "4: error: cannot read the certificate x.crt", "relative ones start at"),
        ("a reserve too small",        "[spool]\nlog_size = \"64 MiB\"",               "4: warning: `reserve` in [spool] may be too small", "reserve = \"144 MiB\""),
        ("a log in no folder",         "[log]\nfile = \"nowhere/mail.log\"",          "4: error: the folder nowhere of the log", "mkdir -p nowhere"),
        ("a missing folder",           "aliases = \"mail/aliases\"",                  "3: error: cannot read the aliases mail/aliases", "the folder mail does not exist"),
        ("a folder for a file",        "aliases = \".\"",                             "3: error: the aliases . is not a file", "name the file itself"),
        ("no such word to fill in",    "greeting = \"{hostname} {foo}\"",             "3: error: `greeting` has an unknown placeholder", "{hostname}"),
        ("a greeting of no host",      "greeting = \"Hello\"",                        "3: warning: `greeting` does not begin with", "{hostname}"),
        ("an empty text",              "greeting = \"\"",                             "3: error: `greeting` has an invalid value", "leave the key out"),
        ("a control character",        "greeting = \"a\\nb\"",                        "3: error: `greeting` has an invalid value", "for example"),
        ("a quote that does not end",  "greeting = \"a",                              "3: error: not TOML", "quotes"),
        ("a key twice",                "aliases = \"a\"\naliases = \"b\"",            "4: error: the key `aliases` is written twice in one table", "keep one"),
        ("a table twice",              "[limits]\nrecipients = 200\n[limits]\nsessions = 1", "5: error: the table [limits] is written twice", "below one of the two"),
        ("single brackets twice",      "[directory]\nkind = \"users\"\n[directory]\nkind = \"users\"", "5: error: [directory] can be repeated", "[[directory]] each time"),
        ("single brackets once",       "[directory]\nkind = \"users\"",               "3: error: `directory` can be repeated", "write `[[directory]]`"),
        ("both kinds of brackets",     "[route]\n[[route]]\ndomains = [\"*\"]",       "4: error: [[route]] is used beside [route]", "each time"),
        ("typographic quotes",         "greeting = “hello”",                          "3: error: typographic quote “ in place of \"", "plain quotes"),
        ("single typographic quotes",  "local_domains = [‘a.test’]",                  "3: error: typographic quote ‘", "plain quotes"),
        ("passwords for everybody",    "[auth]\nplaintext = \"always\"\n[[listener]]\naddress = \"0.0.0.0:587\"\nrole = \"submission\"", "4: warning: passwords cross the network in the clear to 0.0.0.0:587", "private network"),
        ("a local domain that leaves", "local_domains = [\"a.test\"]\n[[route]]\ndomains = [\"a.test\"]\nvia = [\"b.test\"]", "5: warning: \"a.test\" is in `local_domains`, and this route", "`relay_domains`"),
        ("one of a local pattern",     "local_domains = [\"*.a.test\"]\n[[route]]\ndomains = [\"x.a.test\"]\nto = \"mx\"", "5: warning: \"x.a.test\" is in `local_domains`", "`relay_domains`"),
        ("a relay domain to nowhere",  "relay_domains = [\"a.test\"]",               "3: warning: no route says where the mail for \"a.test\" goes", "to = \"mx\""),
        ("a pattern to nowhere",       "relay_domains = [\"*.a.test\"]\n[[route]]\ndomains = [\"a.test\"]\nto = \"mx\"", "3: warning: no route says where the mail for \"*.a.test\"", "via"),
        ("two routes, one Maildir",    "[[route]]\ndomains = [\"a.test\"]\nto = \"maildir\"\nmaildir = \"m/{local}\"\n[[route]]\ndomains = [\"b.test\"]\nto = \"maildir\"\nmaildir = \"m/{local}\"", "10: warning: users of the same name in a.test and b.test", "m/{domain}/{local}"),
        ("a route into local mail",    "local_domains = [\"a.test\"]\n[[route]]\ndomains = [\"b.test\"]\nto = \"maildir\"", "5: warning: users of the same name in a.test and b.test", "{domain}/{local}"),
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

/// What looks like those mistakes and is none.
#[test]
fn what_is_meant_is_not_warned_of() {
    #[rustfmt::skip]
    let cases = [
        ("a local domain by LMTP",       "local_domains = [\"a.test\"]\n[[route]]\ndomains = [\"a.test\"]\nvia = [\"unix:/l\"]\nprotocol = \"lmtp\""),
        ("all but local ones",           "local_domains = [\"a.test\"]\n[[route]]\ndomains = [\"*\"]\nvia = [\"b.test\"]"),
        ("a relay domain with a route",  "relay_domains = [\"a.test\", \"*.b.test\"]\n[[route]]\ndomains = [\"A.test\", \"*.b.test\"]\nto = \"mx\""),
        ("a relay domain and all",       "relay_domains = [\"a.test\"]\n[[route]]\ndomains = [\"*\"]\nvia = [\"b.test\"]"),
        ("passwords on loopback",        "[auth]\nplaintext = \"always\"\n[[listener]]\naddress = \"127.0.0.1:587\"\nauth = \"offer\""),
        ("Maildirs of their own",        "[[route]]\ndomains = [\"a.test\"]\nto = \"maildir\"\nmaildir = \"m/{local}\"\n[[route]]\ndomains = [\"b.test\"]\nto = \"maildir\"\nmaildir = \"n/{local}\""),
        ("one domain, two conditions",   "[[route]]\ndomains = [\"a.test\"]\nto = \"maildir\"\nmaildir = \"m/{local}\"\n[[route]]\ndomains = [\"a.test\"]\nsenders = [\"<>\"]\nto = \"maildir\"\nmaildir = \"m/{local}\""),
    ];
    for (shows, lines) in cases {
        let found = found_in(lines);
        assert_eq!(found, [""; 0], "{shows}");
    }
}

#[test]
fn a_bad_fingerprint_is_one_mistake() {
    for table in ["relay", "auth"] {
        let login = if table == "auth" { "login" } else { "name" };
        let lines = format!("[[{table}.certificate]]\n{login} = \"x\"\nfingerprint = \"12\"");
        let found = found_in(&lines);
        let about = |words: &str| found.iter().filter(|found| found.contains(words)).count();
        assert_eq!(about("`fingerprint` in"), 1, "{found:?}");
        assert_eq!(about("names no certificate"), 0, "{found:?}");
    }
}
