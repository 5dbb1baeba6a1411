//! Test accounts of developers: their mail is accepted, shown, and never delivered.

use postern_testkit::sink::Sink;

use crate::harness::Site;

const TESTER: &str = "tester@relay.test";

fn queue(site: &Site, arguments: &[&str]) -> Vec<serde_json::Value> {
    let all: Vec<&str> = [&["queue", "list", "--json"], arguments].concat();
    serde_json::from_str(&site.ok(&all)).unwrap()
}

#[test]
fn mail_of_a_test_account_stays() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[mail_sandbox]\nlogins = [\"Tester@RELAY.test\"]\nmessages = 3\n",
    );
    site.add_user("other@relay.test", "test word");
    site.start();
    let mut client = site.tester();
    let reply = client
        .mail(TESTER, &["a@x.test", "b@x.test"], "Subject: one\r\n\r\nhello\r\n")
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    client
        .say(&format!("MAIL FROM:<{TESTER}> RET=HDRS ENVID=1"))
        .unwrap();
    client
        .say("RCPT TO:<c@x.test> NOTIFY=SUCCESS,FAILURE,DELAY")
        .unwrap();
    let body = "Subject: two\r\n\r\nhello\r\n";
    client
        .send(format!("BDAT {} LAST\r\n{body}", body.len()).as_bytes())
        .unwrap();
    let reply = client.reply().unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    site.wait_for_log(&["ruled", "rule=sandbox.kept"]);

    let kept = queue(&site, &["--sandboxed"]);
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0]["rule"], "sandbox.kept");
    assert!(queue(&site, &["--held"]).is_empty());
    let listing = site.ok(&["queue", "list"]);
    assert!(listing.contains("sandboxed"), "{listing}");
    assert!(site.ok(&["status"]).contains("2 sandboxed"));
    let id = kept[0]["queue"].as_str().unwrap().to_owned();
    for act in ["release", "retry"] {
        let output = site.run(&["queue", act, &id]);
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("1 message in the sandbox: mail of test accounts is never delivered"),
            "{said}"
        );
    }
    let said = site.ok(&["queue", "flush"]);
    assert!(said.contains("2 messages in the sandbox"), "{said}");
    site.ok(&["queue", "release", "--all"]);

    // Not after a kill, and not when the key is gone.
    site.take_server().crash();
    site.start();
    assert_eq!(queue(&site, &["--sandboxed"]).len(), 2);
    let mut client = site.tester();
    assert!(
        client
            .mail(TESTER, &["d@x.test"], "Subject: three\r\n\r\nhello\r\n")
            .unwrap()
            .starts_with("250")
    );
    let full = client
        .mail(TESTER, &["e@x.test"], "Subject: four\r\n\r\nhello\r\n")
        .unwrap();
    assert!(
        full.starts_with("452 4.3.1 The sandbox for test mail is full"),
        "{full}"
    );

    // Others are delivered.
    let mut other = site.tls_client(site.submission);
    assert!(
        other
            .login("other@relay.test", "test word")
            .unwrap()
            .starts_with("235")
    );
    assert!(
        other
            .mail(
                "other@relay.test",
                &["a@x.test"],
                "Subject: real\r\n\r\nhello\r\n"
            )
            .unwrap()
            .starts_with("250")
    );
    let _ = sink.wait_for("Subject: real");
    assert_eq!(sink.total(), 1, "nothing else has left");
    assert!(
        site.ok(&["queue", "remove", "--sandboxed"])
            .contains("3 messages removed")
    );
    assert!(site.queue_is_empty());
}

#[test]
fn an_explanation_says_so() {
    let sink = Sink::start();
    let site = Site::relay(sink.port(), "[mail_sandbox]\nlogins = [\"tester@relay.test\"]\n");
    let (explained, text) = site.explained(&[
        "--peer",
        "192.0.2.1",
        "--listener",
        "submission",
        "--login",
        TESTER,
        "--from",
        TESTER,
        "--to",
        "a@x.test",
    ]);
    assert_eq!(explained["allowed"], true, "{text}");
    assert!(
        text.contains("sandbox.kept") && text.contains("mail of tester@relay.test is never delivered"),
        "{text}"
    );
}
