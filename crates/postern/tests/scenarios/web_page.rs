//! The web page in a real Chromium, with hostile mail in the queue: `tests/browser/page.mjs` looks at each page, acts, forges and logs out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use postern_testkit::process::{free_port, wait_until};
use serde_json::Value;

use crate::harness::Site;

/// What a remote host says.
const REPLY: &str = "451 4.3.0 <script>window.pwned=1</script>\"><img src=x onerror=window.pwned=1> javascript:window.pwned=1";

/// What a sender writes.
const SUBJECT: &str = "\"><script>window.pwned=1</script><img src=x onerror=window.pwned=1> \u{202e}moc";

const PASSWORD: &str = "a long test word";

/// A host that takes no mail, and says so in hostile words.
fn hostile_host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || refuse(stream));
        }
    });
    port
}

fn refuse(mut stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    stream.write_all(b"220 hostile.example\r\n").ok()?;
    while let Some(Ok(line)) = lines.next() {
        let reply = match line.get(..4)?.to_ascii_uppercase().as_str() {
            "EHLO" => "250-hostile.example\r\n250-8BITMIME\r\n250 SMTPUTF8",
            "QUIT" => "221 bye",
            _ => REPLY,
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).ok()?;
    }
    Some(())
}

/// Where `scripts/fetch-browser` has put playwright-core and axe-core.
fn tools() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let folder = target.join("browser");
    let there =
        folder.join("node_modules/playwright-core").is_dir() && folder.join("node_modules/axe-core").is_dir();
    assert!(
        there,
        "playwright-core and axe-core are missing: run scripts/fetch-browser"
    );
    folder
}

fn chromium() -> &'static str {
    let path = "/usr/bin/chromium";
    assert!(
        Path::new(path).exists(),
        "{path} is missing: it is in Debian's package chromium"
    );
    path
}

fn site(page: u16) -> Site {
    let hop = hostile_host();
    let extra = format!(
        "[[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{hop}\"]\ntls = \"none\"\n[retry]\nintervals = [\"1h\"]\n\
         [[http]]\naddress = \"127.0.0.1:{page}\"\nserves = [\"web\"]\n\
         [administration]\nadminister = [\"admin@relay.test\"]\nread = [\"reader@relay.test\"]\nown = true\n"
    );
    let site = Site::relay(hop, &extra);
    for login in ["admin@relay.test", "reader@relay.test", "other@relay.test"] {
        site.add_user(login, PASSWORD);
    }
    let set = site.run_with(
        &["user", "passwd", "tester@relay.test", "--password-stdin"],
        PASSWORD,
    );
    assert!(set.status.success(), "{set:?}");
    site
}

/// Queues mail that stays, and returns the id of the hostile message and its session.
fn queue(site: &Site) -> (String, String) {
    let mut tester = site.tls_client(site.submission);
    assert!(
        tester
            .login("tester@relay.test", PASSWORD)
            .unwrap()
            .starts_with("235")
    );
    for subject in [SUBJECT, "the second", "the third"] {
        let content = format!("Subject: {subject}\r\n\r\nhello");
        let reply = tester.mail(
            "tester@relay.test",
            &["x@outside.example", "y@outside.example"],
            &content,
        );
        assert!(reply.unwrap().starts_with("250"));
    }
    let mut stranger = site.client();
    stranger.say("EHLO <script>window.pwned=1</script>").unwrap();
    stranger.say("EHLO stranger").unwrap();
    stranger.say("MAIL FROM:<a@b.example>").unwrap();
    assert!(
        stranger
            .say("RCPT TO:<x@elsewhere.example>")
            .unwrap()
            .starts_with("550")
    );
    let listed = || -> Value { serde_json::from_str(&site.ok(&["queue", "list", "--json"])).unwrap() };
    wait_until("a try of each message", || {
        let all = listed();
        let all = all.as_array().unwrap();
        all.len() == 3
            && all.iter().all(|one| {
                one["last_reply"]
                    .as_str()
                    .is_some_and(|reply| reply.contains("pwned"))
            })
    });
    let id = listed()[0]["queue"].as_str().unwrap().to_owned();
    let shown: Value = serde_json::from_str(&site.ok(&["queue", "show", &id, "--json"])).unwrap();
    (id, shown["session"].as_str().unwrap().to_owned())
}

/// Each page and act in a real browser. `POSTERN_SHOTS` names a folder for pictures of the pages.
#[test]
fn the_web_page_in_a_browser() {
    let (tools, chromium) = (tools(), chromium());
    let page = free_port();
    let mut site = site(page);
    site.start();
    let (id, session) = queue(&site);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/page.mjs");
    let driven = Command::new("node")
        .arg(script)
        .env("TOOLS", tools)
        .env("CHROMIUM", chromium)
        .env("BASE", format!("http://127.0.0.1:{page}"))
        .env("HOSTILE_ID", id)
        .env("SESSION_ID", session)
        .env("PASSWORD", PASSWORD)
        .env("SHOTS", std::env::var_os("POSTERN_SHOTS").unwrap_or_default())
        .output()
        .expect("node, from Debian's package nodejs");
    let said = String::from_utf8_lossy(&driven.stdout);
    assert!(
        driven.status.success() && said.contains("all checks of the page passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&driven.stderr)
    );
}

/// Messages of the large queue.
const MANY: u32 = 1_000_000;

/// Fills the queue of a stopped server; nothing of it is due within a day.
fn fill(site: &Site) {
    let database = rusqlite::Connection::open(site.path("state/queue.db")).unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    let first = postern_mail::QueueId::new(now - 86_400_000, 0).as_i64();
    let filled = database.execute_batch(&format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
         BEGIN;
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {MANY})
         INSERT INTO message (id, sender, received_at, size, recipients, unfinished, body_kind, smtputf8, origin)
             SELECT {first} + i * 100, 'user' || (i % 5000) || '@client.example', {now} - 86400000, 1024, 1, 1, 0, 0, 0 FROM n;
         INSERT INTO body SELECT id, zeroblob(300), zeroblob(724) FROM message;
         INSERT INTO recipient (message_id, idx, state, due_at, attempts, warned, domain, address, notify, relay, status, reply)
             SELECT id, 0, 1, {now} + 86400000, 3, 0, printf('d%04d.example', (id - {first}) / 100 % 1000),
                 printf('someone@d%04d.example', (id - {first}) / 100 % 1000), 0, 'mx.example[192.0.2.1]', '4.4.1', '451 4.4.1 no answer'
             FROM message;
         UPDATE totals SET messages = {MANY}, recipients = {MANY}, bytes = {MANY} * 1024;
         COMMIT;"
    ));
    filled.unwrap();
}

/// The time that a page takes, as curl measures it: the least of five.
fn time_of(base: &str, jar: &Path, address: &str) -> f64 {
    let once = || {
        let output = Command::new("curl")
            .args(["-sS", "--fail", "-o", "/dev/null", "-w", "%{time_total}", "-b"])
            .arg(jar)
            .arg(format!("{base}{address}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{address}: {output:?}");
        String::from_utf8(output.stdout).unwrap().parse::<f64>().unwrap()
    };
    (0..5).map(|_| once()).fold(f64::MAX, f64::min)
}

/// `cargo test --release -p postern --test scenarios -- --ignored --nocapture a_million_in_the_page`
#[test]
#[ignore = "takes a minute and 2 GiB of disk"]
fn a_million_in_the_page() {
    let page = free_port();
    let mut site = site(page);
    site.start();
    assert!(site.take_server().terminate().success());
    fill(&site);
    site.start();
    let base = format!("http://127.0.0.1:{page}");
    let jar = site.path("jar");
    let said = Command::new("curl")
        .args([
            "-sS",
            "--fail",
            "-H",
            "Sec-Fetch-Site: same-origin",
            "--data-urlencode",
            "login=admin@relay.test",
        ])
        .args(["--data-urlencode", &format!("password={PASSWORD}"), "-c"])
        .arg(&jar)
        .arg(format!("{base}/login"))
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    let ids = site.ok(&["queue", "list", "--domain", "d0500.example", "--json"]);
    let ids: Value = serde_json::from_str(&ids).unwrap();
    let id = |one: Option<&Value>| one.unwrap()["queue"].as_str().unwrap().to_owned();
    let (middle, last) = (
        id(ids.as_array().unwrap().get(500)),
        id(ids.as_array().unwrap().last()),
    );
    for (what, address) in [
        ("the first page", "/queue".to_owned()),
        ("the middle", format!("/queue?after={middle}")),
        ("the end", format!("/queue?after={last}")),
        ("a domain", "/queue?domain=d0999.example".to_owned()),
        ("a sender", "/queue?sender=user4999%40client.example".to_owned()),
        ("on hold", "/queue?held=yes".to_owned()),
        ("a message", format!("/queue/{middle}")),
        ("the overview", "/".to_owned()),
    ] {
        println!("{what}: {:.1} ms", time_of(&base, &jar, &address) * 1_000.0);
    }
}
