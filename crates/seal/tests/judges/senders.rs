//! Clients and authors: SPF and DMARC.

use futures_util::FutureExt as _;
use postern_mail::Header;
use postern_seal::judge::{Checks, Moment, Watch, spf};
use postern_testkit::judges::{Bringer, pyspf};

use crate::Bench;
use crate::table::{Row, write};

/// A record, our result, and why others get a different one.
#[rustfmt::skip]
const RECORDS: [(&str, &str, &str); 24] = [
    ("v=spf1 ip4:192.0.2.0/24 -all",                  "pass",      ""),
    ("v=spf1 a:host.example -all",                    "pass",      ""),
    ("v=spf1 mx:host.example ~all",                   "pass",      ""),
    ("v=spf1 ip4:198.51.100.1 -all",                  "fail",      ""),
    ("v=spf1 ip4:198.51.100.1 ~all",                  "softfail",  ""),
    ("v=spf1",                                        "neutral",   ""),
    ("v=spf1 include:fails.example ?all",             "neutral",   ""),
    ("v=spf1 include:passes.example -all",            "pass",      ""),
    ("v=spf1 redirect=fails.example",                 "fail",      ""),
    ("v=spf1 redirect=passes.example",                "pass",      ""),
    ("v=spf1 ?all redirect=passes.example",           "neutral",   ""),
    ("v=spf1 exists:%{ir}.%{v}.list.example -all",    "pass",      ""),
    ("v=spf1 exists:%{l1r-}.users.example -all",      "pass",      "RFC 7208 section 7.3: the parts are reversed first, then so many of the right are kept"),
    ("v=spf1 ip4:moo -all",                           "permerror", ""),
    ("v=spf1 ip4:192.0.2.0/24 ip4:moo",               "permerror", "RFC 7208 section 4.6: a mistake anywhere in the record voids it"),
    ("v=spf1 a:n1.example a:n2.example a:n3.example ip4:192.0.2.7", "permerror", "RFC 7208 section 4.6.4: at most two look-ups may find nothing"),
    ("v=spf1 include:loop.example -all",              "permerror", ""),
    ("v=spf1 include:none.example -all",              "permerror", ""),
    ("v=spf1 a:c1.example a:c2.example a:c3.example a:c4.example a:c5.example a:c6.example a:c7.example a:c8.example a:c9.example a:ca.example a:cb.example ip4:192.0.2.7", "permerror", "RFC 7208 section 4.6.4: at most ten look-ups"),
    ("v=spf1 -all:moo",                               "permerror", ""),
    ("v=spf1 a:host.busy.example -all",               "temperror", ""),
    ("v=spf1 ip4:192.0.2.0/24 a:host.busy.example",   "pass",      ""),
    ("v=spf10 -all",                                  "none",      ""),
    ("V=SPF1 IP4:192.0.2.0/24 -ALL",                  "pass",      ""),
];

/// `From`, our result, and why rspamd gets a different one.
#[rustfmt::skip]
const AUTHORS: [(&str, &str, &str, &str); 12] = [
    ("SPF of the same domain",          "a@reject.example",               "pass",      ""),
    ("of one above",                    "a@sub.reject.example",           "pass",      ""),
    ("strict, of one above",            "a@sub.strict.example",           "fail",      ""),
    ("of another domain",               "a@other.example",                "fail",      ""),
    ("`p=quarantine`",                  "a@quarantine.example",           "fail",      ""),
    ("`p=none`",                        "a@nothing.example",              "fail",      ""),
    ("no record",                       "a@silent.example",               "none",      ""),
    ("two records",                     "a@two.example",                  "none",      ""),
    ("another text beside it",          "a@beside.example",               "fail",      ""),
    ("`v=` not first",                  "a@late.example",                 "none",      ""),
    ("`p=` unknown, with `rua=`",       "a@unknown.example",              "fail",      ""),
    ("no answer from DNS",              "a@x.busy.example",               "temperror", ""),
];

/// The records.
pub(crate) fn zone() -> String {
    let mut zone = String::from(
        "host.example A 192.0.2.7
         host.example MX 10 host.example.
         fails.example TXT v=spf1 -all
         passes.example TXT v=spf1 ip4:192.0.2.7 -all
         loop.example TXT v=spf1 include:loop.example -all
         7.2.0.192.in-addr.list.example A 127.0.0.2
         first.users.example A 127.0.0.2
         reject.example TXT v=spf1 ip4:192.0.2.7 -all
         sub.strict.example TXT v=spf1 -all
         strict.example TXT v=spf1 ip4:192.0.2.7 -all
         _dmarc.reject.example TXT v=DMARC1; p=reject
         _dmarc.strict.example TXT v=DMARC1; p=reject; aspf=s; adkim=s
         _dmarc.other.example TXT v=DMARC1; p=reject
         _dmarc.quarantine.example TXT v=DMARC1; p=quarantine
         _dmarc.nothing.example TXT v=DMARC1; p=none
         _dmarc.two.example TXT v=DMARC1; p=reject
         _dmarc.two.example TXT v=DMARC1; p=none
         _dmarc.beside.example TXT v=DMARC1; p=reject
         _dmarc.beside.example TXT hello
         _dmarc.late.example TXT p=reject; v=DMARC1
         _dmarc.unknown.example TXT v=DMARC1; p=moo; rua=mailto:r@unknown.example
",
    );
    for number in 1..12 {
        zone.push_str(&format!("c{number:x}.example A 198.51.100.9\n"));
    }
    for (number, (record, _, _)) in RECORDS.iter().enumerate() {
        zone.push_str(&format!("spf{number}.example TXT {record}\n"));
    }
    zone
}

fn ask(bench: &Bench, bringer: Bringer<'_>) -> spf::Outcome {
    let sender = bringer.sender.parse().unwrap();
    let asked = spf::Asked {
        ip: bringer.ip.parse().unwrap(),
        helo: bringer.helo,
        sender: Some(&sender),
        receiver: "mx.here.example",
        time: 0,
    };
    spf::check(&bench.zone, &asked).now_or_never().unwrap()
}

/// Clients, with their senders' records.
pub(crate) fn clients(bench: &Bench, faults: &mut Vec<String>) -> String {
    let senders: Vec<String> = (0..RECORDS.len())
        .map(|number| format!("first-last@spf{number}.example"))
        .collect();
    let bringers: Vec<Bringer<'_>> = senders
        .iter()
        .map(|sender| Bringer {
            ip: "192.0.2.7",
            helo: "mx.good.example",
            sender,
        })
        .collect();
    let theirs = pyspf(bench.unbound.port(), &bringers);
    let words = [
        ("R_SPF_ALLOW", "pass"),
        ("R_SPF_FAIL", "fail"),
        ("R_SPF_SOFTFAIL", "softfail"),
        ("R_SPF_NEUTRAL", "neutral"),
        ("R_SPF_PERMFAIL", "permerror"),
        ("R_SPF_DNSFAIL", "temperror"),
        ("R_SPF_NA", "none"),
    ];
    let shown: Vec<String> = RECORDS
        .iter()
        .map(|(record, _, _)| format!("`{record}`"))
        .collect();
    let rows: Vec<Row<'_>> = (0..RECORDS.len())
        .map(|number| {
            let (_, want, why) = RECORDS[number];
            let message = format!("From: {}\r\nSubject: x\r\n\r\nHello\r\n", senders[number]);
            let symbols = bench.rspamd.symbols(message.as_bytes(), bringers[number]);
            let rspamd = words.iter().find(|(symbol, _)| symbols.contains_key(*symbol));
            Row {
                shows: &shown[number],
                want,
                ours: ask(bench, bringers[number]).result.word().to_owned(),
                theirs: vec![
                    theirs[number].clone(),
                    rspamd.map_or("none", |(_, word)| word).to_owned(),
                ],
                why,
            }
        })
        .collect();
    write(&["pyspf", "rspamd"], &rows, faults)
}

/// Authors, of mail whose sender passes SPF for `reject.example` or `strict.example`.
pub(crate) fn authors(bench: &Bench, faults: &mut Vec<String>) -> String {
    let words = [
        ("DMARC_POLICY_ALLOW", "pass"),
        ("DMARC_POLICY_REJECT", "fail"),
        ("DMARC_POLICY_QUARANTINE", "fail"),
        ("DMARC_POLICY_SOFTFAIL", "fail"),
        ("DMARC_DNSFAIL", "temperror"),
        ("DMARC_BAD_POLICY", "permerror"),
        ("DMARC_NA", "none"),
    ];
    let rows: Vec<Row<'_>> = AUTHORS
        .iter()
        .map(|(shows, author, want, why)| {
            let sender = if author.ends_with("strict.example") {
                "x@strict.example"
            } else {
                "x@reject.example"
            };
            let bringer = Bringer {
                ip: "192.0.2.7",
                helo: "mx.good.example",
                sender,
            };
            let message = format!("From: {author}\r\nSubject: x\r\n\r\nHello\r\n");
            let symbols = bench.rspamd.symbols(message.as_bytes(), bringer);
            let rspamd = words.iter().find(|(symbol, _)| symbols.contains_key(*symbol));
            let (header, body) = Header::split(message.as_bytes());
            let mut watch = Watch::new(Header::parse(header.to_vec()), Checks::ALL);
            watch.body(&message.as_bytes()[body..]);
            let moment = Moment { now: 0, chance: 0 };
            let judgement = watch.finish(&bench.zone, Some(ask(bench, bringer)), moment);
            let dmarc = judgement.now_or_never().unwrap().dmarc.unwrap();
            Row {
                shows,
                want,
                ours: dmarc.result.word().to_owned(),
                theirs: vec![rspamd.map_or("none", |(_, word)| word).to_owned()],
                why,
            }
        })
        .collect();
    write(&["rspamd"], &rows, faults)
}
