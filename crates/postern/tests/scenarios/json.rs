//! `--json` of every command: on success and failure it prints one JSON document, whose fields are documented.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use postern_testkit::process::{free_port, wait_until};
use serde_json::Value;

use super::harness::Site;

/// Commands without JSON output, and why.
const WITHOUT: [(&str, &str); 7] = [
    (
        "serve",
        "runs until it is stopped; its log has a format for programs",
    ),
    ("mailbox-helper", "runs until it is stopped"),
    ("pam-helper", "runs until it is stopped"),
    ("sendmail", "answers as sendmail does"),
    ("history export", "prints lines of JSON in any case"),
    ("completions", "prints a script for a shell"),
    ("man", "writes manual pages"),
];

type Arguments = Option<&'static [&'static str]>;

/// All other commands, in an order in which each has what it needs: arguments with which it succeeds, if possible here, and with
/// which it fails. `QUEUE` is a waiting message, `MX` the server, `CLOSED` a port without a listener, `SITE` sendmail files.
#[rustfmt::skip]
const COMMANDS: &[(&str, Arguments, Arguments)] = &[
    // command                    succeeds                                                                 fails
    ("init",                      Some(&["made"]),                                                         Some(&["made"])),
    ("check",                     Some(&["--offline"]),                                                    Some(&["--config", "wrong.toml"])),
    ("import sendmail",           Some(&["SITE", "--output", "moved"]),                                    Some(&["nowhere"])),
    ("import postfix",            None,                                                                    Some(&["nowhere"])),
    ("import check",              None,                                                                    Some(&["--log", "nowhere"])),
    ("config show",               Some(&["--changed"]),                                                    Some(&["--config", "wrong.toml"])),
    ("user add",                  Some(&["carl@relay.test", "--generate"]),                                Some(&["carl@relay.test", "--generate"])),
    ("user passwd",               Some(&["carl@relay.test", "--generate"]),                                Some(&["nobody", "--generate"])),
    ("user disable",              Some(&["carl@relay.test"]),                                              Some(&["nobody"])),
    ("user enable",               Some(&["carl@relay.test"]),                                              Some(&["nobody"])),
    ("user list",                 Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("user show",                 Some(&["carl@relay.test"]),                                              Some(&["nobody"])),
    ("user import",               Some(&["--format", "dovecot", "passwd"]),                                Some(&["--format", "dovecot", "nowhere"])),
    ("user address add",          Some(&["carl@relay.test", "c@relay.test"]),                              Some(&["nobody", "c@relay.test"])),
    ("user address remove",       Some(&["carl@relay.test", "c@relay.test"]),                              Some(&["carl@relay.test", "c@relay.test"])),
    ("user group add",            Some(&["carl@relay.test", "staff"]),                                     Some(&["nobody", "staff"])),
    ("user group remove",         Some(&["carl@relay.test", "staff"]),                                     Some(&["carl@relay.test", "staff"])),
    ("user delegate add",         Some(&["carl@relay.test", "tester@relay.test"]),                         Some(&["nobody", "tester@relay.test"])),
    ("user delegate remove",      Some(&["carl@relay.test", "tester@relay.test"]),                         Some(&["carl@relay.test", "nobody"])),
    ("user app-password add",     Some(&["carl@relay.test", "printer"]),                                   Some(&["nobody", "printer"])),
    ("user app-password list",    Some(&["carl@relay.test"]),                                              Some(&["nobody"])),
    ("user app-password revoke",  Some(&["carl@relay.test", "printer"]),                                   Some(&["carl@relay.test", "printer"])),
    ("user complete",             Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("user remove",               Some(&["carl@relay.test"]),                                              Some(&["nobody"])),
    ("auth explain-token",        None,                                                                    Some(&["passwd"])),
    ("auth providers",            Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("auth lockouts",             Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("auth unlock",               None,                                                                    Some(&["--login", "tester@relay.test"])),
    ("auth report",               Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("auth explain",              Some(&["--login", "tester@relay.test"]),                                 Some(&["--login", "nobody@relay.test"])),
    ("explain",                   Some(&["--peer", "127.0.0.1", "--from", "a@b.example", "--to", "x@relay.test"]), Some(&["--peer", "192.0.2.1", "--from", "a@b.example", "--to", "x@outside.example"])),
    ("judge",                     Some(&["message", "--peer", "127.0.0.1"]),                               Some(&["nowhere", "--peer", "127.0.0.1"])),
    ("aliases",                   Some(&["list@relay.test"]),                                              Some(&["--config", "wrong.toml"])),
    ("directories",               Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("route",                     Some(&["x@relay.test"]),                                                 Some(&["x@relay.test", "--config", "wrong.toml"])),
    ("table",                     Some(&["words", "a"]),                                                   Some(&["words", "b"])),
    ("milters",                   None,                                                                    Some(&[])),
    ("milters try",               None,                                                                    Some(&["down", "message"])),
    ("login authorize",           None,                                                                    Some(&["nobody"])),
    ("cert ca",                   Some(&["--dir", "more"]),                                                Some(&["--dir", "more"])),
    ("cert issue",                Some(&["--dir", "more", "b.relay.test"]),                                Some(&["--dir", "nowhere", "b.relay.test"])),
    ("cert show",                 Some(&["more/ca.crt"]),                                                  Some(&["nowhere"])),
    ("dkim new",                  Some(&["relay.test"]),                                                   Some(&["relay.test"])),
    ("dkim records",              Some(&["relay.test"]),                                                   Some(&["other.test"])),
    ("dkim check",                None,                                                                    Some(&[])),
    ("dkim rotate",               Some(&["relay.test", "--switch"]),                                       Some(&["other.test"])),
    ("probe",                     Some(&["MX", "--tls", "none"]),                                           Some(&["CLOSED"])),
    ("probe load",                Some(&["MX", "--to", "x@relay.test", "--messages", "2"]),                Some(&["CLOSED", "--to", "x@relay.test", "--messages", "2"])),
    ("queue list",                Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("queue show",                Some(&["QUEUE"]),                                                        Some(&["0000000000000"])),
    ("queue hold",                Some(&["QUEUE"]),                                                        Some(&["0000000000000"])),
    ("queue release",             Some(&["QUEUE"]),                                                        Some(&["0000000000000"])),
    ("queue retry",               Some(&["QUEUE"]),                                                        Some(&["0000000000000"])),
    ("queue flush",               Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("queue remove",              Some(&["QUEUE"]),                                                        Some(&["0000000000000"])),
    ("queue recover",             Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("sessions list",             Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("sessions end",              Some(&["--all"]),                                                        Some(&["--login", "nobody"])),
    ("trace",                     Some(&["QUEUE"]),                                                        Some(&["nobody@nowhere.example"])),
    ("history acts",              Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("history status",            Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("account hold",              Some(&["tester@relay.test"]),                                            Some(&["tester@relay.test", "--config", "wrong.toml"])),
    ("account list",              Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("account show",              Some(&["tester@relay.test"]),                                            Some(&["nobody"])),
    ("account release",           Some(&["tester@relay.test"]),                                            Some(&["nobody"])),
    ("budgets try",               Some(&["draft.toml"]),                                                   Some(&["missing.toml"])),
    ("budgets show",              Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("api token create",          Some(&["backup", "--role", "read"]),                                     Some(&["backup", "--role", "read"])),
    ("api token list",            Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("api token revoke",          Some(&["backup"]),                                                       Some(&["backup"])),
    ("api factor list",           Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("api factor remove",         None,                                                                    Some(&["nobody"])),
    ("api link",                  None,                                                                    Some(&[])),
    ("reload",                    Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("stats",                     Some(&["--days", "2"]),                                                  Some(&["--config", "wrong.toml"])),
    ("status",                    Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("webhook",                   Some(&[]),                                                               Some(&["--config", "wrong.toml"])),
    ("webhook test",              None,                                                                    Some(&["nobody"])),
    ("version",                   Some(&[]),                                                               Some(&["extra"])),
];

/// The subcommands that do something, found through the help of each.
fn commands(site: &Site, above: &str, found: &mut BTreeSet<String>) {
    let words: Vec<&str> = above.split_whitespace().chain(["--help"]).collect();
    let help = site.ok(&words);
    let listed = help.split("Commands:\n").nth(1).unwrap_or_default();
    let below: Vec<&str> = listed
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    if !above.is_empty() && !help.contains("[OPTIONS] <COMMAND>") {
        found.insert(above.to_owned());
    }
    for name in below {
        commands(site, format!("{above} {name}").trim(), found);
    }
}

/// The names in the first columns of the tables of a document.
fn documented(document: &str) -> BTreeSet<String> {
    let path = format!("{}/../../docs/{document}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let columns = rows.filter_map(|line| line.split(" | ").next());
    let names = columns.flat_map(|column| column.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                found.insert(name.clone());
                names(value, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

fn site() -> Site {
    let top = "aliases = \"aliases\"\nlocal_domains = [\"relay.test\"]\n";
    let extra = "[[dkim]]\ndomain = \"relay.test\"\n\
        [[table]]\nname = \"words\"\nkind = \"file\"\npath = \"words\"\n\
        [[milter]]\nname = \"down\"\naddress = \"inet:127.0.0.1:1\"\non_failure = \"accept\"\n\
        [retry]\nintervals = [\"1h\"]\n";
    let mut site = Site::relay_with(free_port(), top, extra);
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let config = config.replace("relay_domains = [\"relay.test\"]\n", "");
    fs::write(site.path("postern.toml"), config).unwrap();
    fs::write(site.path("wrong.toml"), "hostnam = 1\n").unwrap();
    fs::write(
        site.path("aliases"),
        "x: tester\nlist: tester, y@outside.example\n",
    )
    .unwrap();
    fs::write(site.path("words"), "a b\n").unwrap();
    let draft = "[[budget]]\nname = \"draft\"\n[[budget.bound]]\ncount = \"sent_messages\"\nday = 0\naction = \"warn\"\n";
    fs::write(site.path("draft.toml"), draft).unwrap();
    fs::write(site.path("passwd"), "dave@relay.test:{PLAIN}a word of dave\n").unwrap();
    fs::write(
        site.path("message"),
        "From: a@b.example\nTo: x@relay.test\nSubject: x\n\nx\n",
    )
    .unwrap();
    site.start();
    site
}

/// The single document printed by a command. Progress may be on standard error.
fn document(command: &str, output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("postern {command}: {error}: {output:?}"))
}

#[test]
fn every_command_answers_in_json() {
    let site = site();
    let mut found = BTreeSet::new();
    commands(&site, "", &mut found);
    let known = COMMANDS.iter().map(|(command, ..)| *command);
    let known: BTreeSet<String> = known
        .chain(WITHOUT.iter().map(|(command, _)| *command))
        .map(str::to_owned)
        .collect();
    assert_eq!(found, known, "the commands, and those that this test knows");

    let taken = site
        .tester()
        .mail("tester@relay.test", &["y@outside.example"], "Subject: x\r\n\r\nx");
    assert!(taken.unwrap().starts_with("250 "));
    let listed = || -> Value { serde_json::from_str(&site.ok(&["queue", "list", "--json"])).unwrap() };
    wait_until("the first attempt", || listed()[0]["attempts"] == 1);
    let queue = listed()[0]["queue"].as_str().unwrap().to_owned();
    let sites = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../migrate/tests/sites/sendmail-office-smarthost"
    );
    let (mx, closed) = (
        format!("127.0.0.1:{}", site.mx),
        format!("127.0.0.1:{}", free_port()),
    );
    let meant = |word: &&str| -> String {
        match *word {
            "QUEUE" => queue.clone(),
            "SITE" => sites.to_owned(),
            "MX" => mx.clone(),
            "CLOSED" => closed.clone(),
            word => word.to_owned(),
        }
    };
    let mut printed = BTreeSet::new();
    let _open = site.client();
    for (command, succeeds, fails) in COMMANDS {
        for (arguments, well) in [(succeeds, true), (fails, false)] {
            let Some(arguments) = arguments else { continue };
            let words: Vec<String> = command
                .split(' ')
                .chain(["--json"])
                .map(str::to_owned)
                .chain(arguments.iter().map(meant))
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let output = site.run(&words);
            // A filter is down, which `status` ends with 1 for.
            let succeeded =
                output.status.success() || *command == "status" && output.status.code() == Some(1);
            assert_eq!(succeeded, well, "{words:?}: {output:?}");
            let value = document(command, &output);
            if value.get("error").is_some_and(Value::is_string) {
                assert_eq!(value["exit"], output.status.code().unwrap(), "{words:?}: {value}");
            }
            names(&value, &mut printed);
        }
    }
    let wrong = document(
        "user list",
        &site.run(&["user", "list", "--json", "--config", "wrong.toml"]),
    );
    assert_eq!(wrong["problems"][0]["severity"], "error", "{wrong}");

    let known: BTreeSet<String> = ["log.md", "json.md"].into_iter().flat_map(documented).collect();
    let unknown: Vec<&String> = printed.difference(&known).collect();
    assert!(
        unknown.is_empty(),
        "in neither docs/log.md nor docs/json.md: {unknown:?}"
    );
}
