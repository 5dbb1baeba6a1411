//! Tables compared with Postfix's own `postmap -q`: the same files, the same keys, the same values; real databases and
//! slapd.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use postern_directory::tables::{CacheRules, Lookup, Source, Tables, read_external};
use postern_table::{Address, External, Plan, Reference, Subject};
use postern_testkit::mariadb::{self, MariaDb};
use postern_testkit::postgres::{self, Postgres};
use postern_testkit::process::program;
use postern_testkit::slapd::{PEOPLE, ROOT_DN, ROOT_PASSWORD, Slapd, SlapdOptions, person};
use tempfile::TempDir;

/// A folder with a Postfix configuration that only says where its table types are.
struct Postmap(TempDir);

impl Postmap {
    fn new() -> Self {
        let _ = program("/usr/sbin/postmap", "postfix");
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("main.cf"),
            "compatibility_level = 3.6\nmyhostname = mx.example\n",
        )
        .unwrap();
        for package in ["pcre", "mysql", "pgsql", "sqlite", "ldap", "lmdb", "cdb"] {
            let _ = program(
                &format!("/usr/lib/postfix/postfix-{package}.so"),
                &format!("postfix-{package}"),
            );
        }
        fs::copy(
            "/etc/postfix/dynamicmaps.cf",
            folder.path().join("dynamicmaps.cf"),
        )
        .unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/usr/sbin/postmap");
        command.arg("-c").arg(self.path());
        command
    }

    /// Compiles a table.
    fn compile(&self, table: &str) {
        let output = self.command().arg(table).output().unwrap();
        assert!(
            output.status.success(),
            "{table}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The value of each key, as Postfix finds it.
    fn values(&self, table: &str, keys: &[&str]) -> Vec<Option<String>> {
        let mut child = self
            .command()
            .args(["-q", "-", table])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input: String = keys.iter().map(|key| format!("{key}\n")).collect();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("fatal"), "{table}: {told}");
        let printed = String::from_utf8_lossy(&output.stdout);
        let mut lines = printed.lines().peekable();
        let value = |key: &&str| {
            let found =
                lines.next_if(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with('\t')))?;
            Some(found[key.len() + 1..].to_owned())
        };
        keys.iter().map(value).collect()
    }
}

fn open(table: &str) -> Lookup {
    let reference = Reference::parse(table).unwrap_or_else(|error| panic!("{error}"));
    let mut tables = Tables::default();
    tables
        .open(&reference)
        .unwrap_or_else(|mistakes| panic!("{table}: {mistakes:?}"))
}

/// Compares Postern's values with Postfix's.
async fn compare(postmap: &Postmap, table: &str, keys: &[&str]) {
    let lookup = open(table);
    let theirs = postmap.values(table, keys);
    let mut found = 0;
    for (key, theirs) in keys.iter().zip(theirs) {
        let ours = lookup.get(key).await.unwrap_or_else(|down| panic!("{down}"));
        let ours = ours.map(|answer| answer.value);
        assert_eq!(ours, theirs, "{table}, the key {key:?}: ours beside Postfix's");
        found += usize::from(ours.is_some());
    }
    assert!(found > 0, "{table}: nothing was found, so nothing was compared");
    assert!(found < keys.len(), "{table}: no key was there that is not found");
}

#[tokio::test]
async fn postmap_says_the_same_of_keys() {
    let postmap = Postmap::new();
    let text = "# comment\nuser@Example.ORG\tone, two  \n@example.org   three\n\"quo ted\"@x.org quoted value\n\
                cont@x.org first\n   second\n\t third\n# between\n fourth\nbare x\nback\\ slash y\n.below.org :\n";
    let keys = [
        "user@example.org",
        "USER@EXAMPLE.ORG",
        "@example.org",
        "\"quo ted\"@x.org",
        "quo ted@x.org",
        "cont@x.org",
        "bare",
        "back\\ slash",
        ".below.org",
        "second",
        "# comment",
        "one,",
        "nobody",
    ];
    for kind in ["texthash", "hash", "btree", "lmdb", "cdb"] {
        let path = postmap.write(&format!("keys-{kind}"), text);
        let table = format!("{kind}:{path}");
        if kind != "texthash" {
            postmap.compile(&table);
        }
        compare(&postmap, &table, &keys).await;
    }
    let inline = "inline:{ a=b, { c = d, e f }, G=h }";
    compare(&postmap, inline, &["a", "c", "g", "G", "d", "x"]).await;
    let path = postmap.write("chain", "a@x.org b@x.org\nc@x.org d@x.org\n");
    let union = format!("unionmap:{{texthash:{path}, inline:{{a@x.org=z, e@x.org=f}}}}");
    compare(&postmap, &union, &["a@x.org", "c@x.org", "e@x.org", "x"]).await;
    let pipe = format!("pipemap:{{texthash:{path}, inline:{{b@x.org=z}}}}");
    compare(&postmap, &pipe, &["a@x.org", "c@x.org", "x"]).await;
}

#[tokio::test]
async fn postmap_says_the_same_of_patterns_and_networks() {
    let postmap = Postmap::new();
    let both = "/^(bounce|news)-(.*)@ads\\./ REJECT $1 of ${2} $(1)x $$\n/^A$/i upper\n/^a.c$/ dot\n\
                if /@partner\\./\n/^info@/ PREPEND X-Partner: yes\n!/^[a-z]+@/ odd\n  value\nendif\n\
                !/@/ no address\n|^/slash$| delimiter\n/^[][a-c]{2,3}@x$/ brackets\n/^b[[:digit:]]+@/ digits\n\
                /\\.(exe|scr)$/ attachment .$1\n/\\{x/ brace\n";
    let keys = [
        "bounce-7@ads.example",
        "news-@ads.example",
        "a",
        "A",
        "abc",
        "info@partner.example",
        "8@partner.example",
        "x@partner.example",
        "word",
        "/slash",
        "[b]@x",
        "abcd@x",
        "b12@y",
        "b@y",
        "a@b.EXE",
        "a@{x",
        "a@b",
    ];
    let pcre = format!(
        "{both}/^\\d+\\s\\w@(?:x|y)$/ short classes\n/^(?i:UP)\\x40Z$/i flags\n/^\\Qa.b\\E@q$/ quoted\n"
    );
    let path = postmap.write("patterns.pcre", &pcre);
    let more: Vec<&str> = keys
        .iter()
        .copied()
        .chain(["12 a@x", "up@Z", "up@z", "a.b@q", "axb@q"])
        .collect();
    compare(&postmap, &format!("pcre:{path}"), &more).await;
    let regexp = format!("{both}/^\\<word\\>@x$/ borders\n/^[\\.]@x$/ a backslash is one\n");
    let path = postmap.write("patterns.regexp", &regexp);
    let more: Vec<&str> = keys.iter().copied().chain(["word@x", ".@x", "\\@x"]).collect();
    compare(&postmap, &format!("regexp:{path}"), &more).await;
    let networks = "10.1.0.0/16 one\n10.0.0.0/8 ten\nif 192.168.0.0/16\n!192.168.1.0/24 other\n192.168.1.7 seven\nendif\n\
                    [2001:db8::]/32 v6\n[2001:db9::/32] v6 too\n2001:dba::1 host\n!172.16.0.0/12 far\n172.16.3.4/32 near\n";
    let path = postmap.write("networks.cidr", networks);
    let keys = [
        "10.1.2.3",
        "10.2.2.3",
        "192.168.1.7",
        "192.168.1.8",
        "192.168.2.1",
        "2001:db8::9",
        "2001:db9::9",
        "2001:dba::1",
        "2001:dba::2",
        "8.8.8.8",
        "172.16.3.4",
        "172.16.3.5",
        "host.example",
    ];
    compare(&postmap, &format!("cidr:{path}"), &keys).await;
}

/// Rows in SQL that all engines accept.
const ROWS: &str = "CREATE TABLE aliases (source VARCHAR(190), destination VARCHAR(190), active INTEGER NOT NULL);\
    CREATE TABLE alias_domains (name VARCHAR(190), target VARCHAR(190));\
    INSERT INTO aliases VALUES ('board@x.org', 'rosa@x.org', 1), ('board@x.org', 'hugo@x.org', 1), ('off@x.org', 'z@x.org', 0),\
        ('@x.org', 'all@x.org', 1), ('o''brien@x.org', 'pat@x.org', 1), ('null@x.org', NULL, 1), ('empty@x.org', '', 1);\
    INSERT INTO alias_domains VALUES ('alt.org', 'x.org');";

const KEYS: [&str; 11] = [
    "board@x.org",
    "BOARD@X.org",
    "off@x.org",
    "@x.org",
    "o'brien@x.org",
    "null@x.org",
    "empty@x.org",
    "nobody@x.org",
    "x' OR '1'='1",
    "u@alt.org",
    "alt.org",
];

/// A site's queries, run on one engine by both.
async fn compare_sql(postmap: &Postmap, kind: &str, place: &str) {
    let files = [
        (
            "query",
            "query = SELECT destination FROM aliases WHERE source='%s' AND active=1",
        ),
        (
            "parts",
            "query = SELECT destination FROM aliases WHERE source='%u@%d' AND active = 1\nresult_format = <%u>%D",
        ),
        (
            "label",
            "query = SELECT destination FROM aliases WHERE source = 'board@%2.%1'",
        ),
        (
            "old",
            "table = aliases\nselect_field = destination\nwhere_field = source\nadditional_conditions = and active = 1",
        ),
        (
            "domain",
            "query = SELECT destination FROM aliases WHERE source='%s'\ndomain = x.org",
        ),
    ];
    for (name, text) in files {
        let path = postmap.write(&format!("{kind}-{name}.cf"), &format!("{place}{text}\n"));
        compare(postmap, &format!("{kind}:{path}"), &KEYS).await;
    }
    let concat = match kind {
        "sqlite" => "'%u' || '@' || target",
        _ => "CONCAT('%u', '@', target)",
    };
    let path = postmap.write(
        &format!("{kind}-alias-domain.cf"),
        &format!("{place}query = SELECT {concat} FROM alias_domains WHERE name='%d'\n"),
    );
    compare(
        postmap,
        &format!("proxy:{kind}:{path}").replace("proxy:", ""),
        &KEYS,
    )
    .await;
}

#[tokio::test]
async fn postmap_says_the_same_of_sqlite() {
    let postmap = Postmap::new();
    let database = postmap.path().join("mail.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch(ROWS)
        .unwrap();
    compare_sql(&postmap, "sqlite", &format!("dbpath = {}\n", database.display())).await;
}

#[tokio::test]
async fn postmap_says_the_same_of_postgresql() {
    let postmap = Postmap::new();
    let server = Postgres::start_with(false);
    server.sql(ROWS);
    let place = format!(
        "hosts = inet:127.0.0.1:{}\nuser = {}\npassword = {}\ndbname = {}\n",
        server.port(),
        postgres::USER,
        postgres::PASSWORD,
        postgres::DATABASE
    );
    compare_sql(&postmap, "pgsql", &place).await;
}

#[tokio::test]
async fn postmap_says_the_same_of_mariadb_and_an_outage_is_told() {
    let postmap = Postmap::new();
    let mut server = MariaDb::start_with(false);
    server.sql(ROWS);
    let place = format!(
        "hosts = inet:127.0.0.1:{}\nuser = {}\npassword = {}\ndbname = {}\n",
        server.port(),
        mariadb::USER,
        mariadb::PASSWORD,
        mariadb::DATABASE
    );
    compare_sql(&postmap, "mysql", &place).await;

    let path = postmap.write(
        "outage.cf",
        &format!("{place}query = SELECT destination FROM aliases WHERE source='%s' AND active=1\nexpansion_limit = 1\n"),
    );
    let (source, warnings) = read_external(External::MySql, Path::new(&path)).unwrap();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.message.contains("chmod o-r")),
        "{warnings:?}"
    );
    let Source::Sql(mut settings) = source else {
        panic!("no SQL")
    };
    settings.timeout = Duration::from_secs(60);
    let long = CacheRules {
        time: Duration::from_secs(3_600),
        time_without: Duration::from_secs(3_600),
        entries: 100,
    };
    let lookup = Lookup::of_source("outage", Source::Sql(settings), long).unwrap();
    let down = lookup.get("board@x.org").await.unwrap_err();
    assert!(down.to_string().contains("more than 1 values"), "{down}");
    assert_eq!(lookup.get("nobody@x.org").await, Ok(None));
    let subject = Subject::Address(Address::of("somebody+shop@x.org", "+").unwrap());
    let hit = lookup.find(&Plan::Address.keys(&subject)).await.unwrap().unwrap();
    assert_eq!(
        (hit.key.text.as_str(), hit.answer.value.as_str()),
        ("@x.org", "all@x.org")
    );
    server.stop();
    // What was asked recently is known; what was not asked is not taken for a "no".
    assert_eq!(lookup.get("nobody@x.org").await, Ok(None));
    assert_eq!(lookup.get("@X.ORG").await.unwrap().unwrap().value, "all@x.org");
    let down = lookup.get("pat@x.org").await.unwrap_err();
    assert!(down.to_string().starts_with("outage cannot be asked:"), "{down}");
}

#[tokio::test]
async fn postmap_says_the_same_of_ldap() {
    let postmap = Postmap::new();
    let ldif = format!(
        "{}{}",
        person("rosa", &["rosa@x.org", "r@x.org"], "pass word"),
        person("o*brien", &["pat@x.org"], "pass word")
    );
    let server = Slapd::start_with(&SlapdOptions {
        ldif,
        ..SlapdOptions::default()
    });
    let place = format!(
        "server_host = ldap://127.0.0.1:{}\nversion = 3\nsearch_base = {PEOPLE}\nbind_dn = {ROOT_DN}\nbind_pw = {ROOT_PASSWORD}\n",
        server.port()
    );
    let keys = [
        "rosa@x.org",
        "r@x.org",
        "pat@x.org",
        "acaird@fccc.example",
        "nobody@x.org",
        "*",
        "*@x.org",
        "rosa)(uid=*",
        "rosa",
        "o*brien@y.org",
    ];
    for (name, text) in [
        ("mail", "query_filter = (mail=%s)\nresult_attribute = uid"),
        (
            "parts",
            "query_filter = (&(uid=%u)(objectClass=inetOrgPerson))\nresult_attribute = uid, sn\nresult_format = %s@%D",
        ),
        ("several", "query_filter = (mail=%s)\nresult_attribute = mail"),
        (
            "one level",
            "query_filter = (mail=%s)\nresult_attribute = uid\nscope = one\ndomain = x.org",
        ),
    ] {
        let path = postmap.write(
            &format!("{}.cf", name.replace(' ', "-")),
            &format!("{place}{text}\n"),
        );
        compare(&postmap, &format!("ldap:{path}"), &keys).await;
    }
}
