//! What DNSSEC proves about next hops, and where an administrator sees it.

use std::fs;

use postern_testkit::process::{free_port, wait_until};
use postern_testkit::signed::SignedZones;
use serde_json::Value;

use crate::harness::Site;

/// All mail by MX records; the hosts are on 127.0.0.2, where nothing accepts connections.
fn site(zones: &SignedZones, dnssec: &str, port: u16) -> Site {
    let extra = format!(
        "{}\n[delivery]\nmx_port = {port}\nmx_networks = [\"127.0.0.2/32\"]\n\
         [[route]]\ndomains = [\"*\"]\nto = \"mx\"\ntls = \"dane\"\n",
        zones.configuration(dnssec)
    );
    Site::relay(0, &extra)
}

fn zones(port: u16) -> SignedZones {
    let digest = "01".repeat(32);
    SignedZones::start(&format!(
        "
        signed.lab MX 10 mx.lab.
        mx.lab A 127.0.0.2
        _{port}._tcp.mx.lab TLSA 3 1 1 {digest}
        forged.lab MX 10 mx.lab.
        plain.lab MX 10 mx.plain.lab.
        mx.plain.lab A 127.0.0.2
        "
    ))
}

/// Why the mail of a recipient waits, as the queue shows it.
fn reply(site: &Site, to: &str) -> Option<String> {
    let listed: Value = serde_json::from_str(&site.ok(&["queue", "list", "--json"])).unwrap();
    let found = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["first_recipient"] == to);
    let text = found.and_then(|one| one["last_reply"].as_str());
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

#[test]
fn mail_to_a_tampered_domain_waits_and_says_why() {
    let port = free_port();
    let zones = zones(port);
    for dnssec in ["ad", "validate"] {
        let mut site = site(&zones, dnssec, port);
        let checked = site.ok(&["check"]);
        assert!(!checked.contains("dnssec"), "{checked}");
        site.start();
        let mut tester = site.tester();
        for domain in ["forged.lab", "signed.lab", "plain.lab"] {
            let to = format!("b@{domain}");
            let taken = tester.mail("tester@relay.test", &[&to], "Subject: x\r\n\r\nx");
            assert!(taken.unwrap().starts_with("250"), "{domain}");
        }
        wait_until("the reason", || reply(&site, "b@forged.lab").is_some());
        let why = reply(&site, "b@forged.lab").unwrap();
        assert!(
            why.contains("the MX records of forged.lab cannot be trusted"),
            "{why}"
        );
        site.wait_for_log(&["attempt", "mx:forged.lab", "dns.bogus", "proof=bogus"]);
        site.wait_for_log(&["attempt", "mx:signed.lab", "unreachable", "proof=secure"]);
        site.wait_for_log(&["attempt", "mx:plain.lab", "unreachable", "proof=insecure"]);
        let listed: Value =
            serde_json::from_str(&site.ok(&["queue", "list", "--destinations", "--json"])).unwrap();
        let of = |domain: &str| {
            let name = format!("mx:{domain} tls=dane");
            let all = listed.as_array().unwrap();
            let found = all.iter().find(|one| one["destination"] == name.as_str());
            let found = found.unwrap_or_else(|| panic!("{name} is not in {listed:#}"));
            [&found["proof"], &found["mx_proof"], &found["address_proof"]]
                .map(|proof| proof.as_str().unwrap_or("none").to_owned())
        };
        assert_eq!(of("forged.lab"), ["bogus", "bogus", "none"]);
        assert_eq!(of("signed.lab"), ["secure", "secure", "secure"]);
        assert_eq!(of("plain.lab"), ["insecure", "insecure", "insecure"]);
        let shown = site.ok(&["queue", "list", "--destinations"]);
        assert!(shown.contains("DNS") && shown.contains("bogus"), "{shown}");
        #[rustfmt::skip]
        let cases = [
            ("b@signed.lab", "MX (secure): mx.lab [127.0.0.2] (secure, TLSA records that can be used)"),
            ("b@plain.lab",  "MX (insecure): mx.plain.lab [127.0.0.2] (insecure)"),
            ("b@mx.lab",     "MX (secure): mx.lab [127.0.0.2] (secure, TLSA records that can be used)"),
            ("b@forged.lab", "MX (bogus): forged.lab: its DNSSEC signatures are wrong"),
        ];
        for (to, way) in cases {
            let client = [
                "explain",
                "--json",
                "--peer",
                "127.0.0.1",
                "--listener",
                "submission",
            ];
            let sender = [
                "--login",
                "tester@relay.test",
                "--from",
                "tester@relay.test",
                "--to",
                to,
            ];
            let said: Value = serde_json::from_str(&site.ok(&[&client[..], &sender].concat())).unwrap();
            let steps = said["steps"].as_array().unwrap();
            let reason = steps
                .iter()
                .find(|step| step["command"] == format!("mail to {to}").as_str())
                .and_then(|step| step["reason"].as_str());
            assert!(
                reason.is_some_and(|reason| reason.starts_with(way)),
                "{to}: {way}: {said:#}"
            );
        }
    }
}

#[test]
fn settings_that_cannot_prove_what_they_promise() {
    let zones = zones(25);
    let dns = |more: &str| {
        format!(
            "[dns]\nnameservers = [\"127.0.0.1:{}\"]\n{more}",
            zones.address().port()
        )
    };
    let route =
        |tls: &str, more: &str| format!("[[route]]\ndomains = [\"*\"]\nto = \"mx\"\ntls = \"{tls}\"\n{more}");
    let anchors = zones.anchors().display();
    #[rustfmt::skip]
    let cases = [
        // what the case shows                    configuration                                                                     complaint
        ("DANE without DNSSEC",                   dns("") + &route("dane", ""),                                                     "DANE without DNSSEC"),
        ("DANE alone without DNSSEC",             dns("") + &route("dane-only", ""),                                                "DANE without DNSSEC"),
        ("DANE that verifies by names",           dns("dnssec = \"validate\"\n") + &route("dane", "verify = true\n"),               "`verify` on a route with DANE has no effect"),
        ("a resolver far away",                   "[dns]\nnameservers = [\"192.0.2.1:53\"]\ndnssec = \"ad\"\n".to_owned(),             "believes the name server 192.0.2.1:53, which is not on this host"),
        ("anchors that nobody uses",              dns(&format!("trust_anchors = \"{anchors}\"\n")),                                 "`trust_anchors` in [dns] has no effect"),
        ("anchors that are not there",            dns("dnssec = \"validate\"\ntrust_anchors = \"/nonexistent\"\n"),                 "trust anchors /nonexistent"),
        ("anchors that are none",                 dns("dnssec = \"validate\"\ntrust_anchors = \"postern.toml\"\n"),                 "there is no DNSKEY record in it"),
    ];
    let site = Site::relay(1, "");
    let file = site.path("postern.toml");
    let plain = fs::read_to_string(&file).unwrap();
    for (shows, extra, complaint) in cases {
        fs::write(&file, format!("{plain}\n{extra}")).unwrap();
        let output = site.run(&["check"]);
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let whole = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(whole.contains(complaint), "{shows}: {text}");
    }
    let proven = dns("dnssec = \"ad\"\n") + &route("dane", "");
    fs::write(&file, format!("{plain}\n{proven}")).unwrap();
    let said = site.ok(&["check"]);
    assert!(!said.contains("DNSSEC"), "{said}");
}
