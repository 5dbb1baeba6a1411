//! Signatures and chains.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt as _;
use postern_mail::Header;
use postern_seal::judge::{Checks, Judgement, Moment, Watch, dkim::best};
use postern_seal::{Algorithm, KeyRecord, RsaBits, SigningKey};
use postern_testkit::judges::{Bringer, authres, dkimpy, opendkim, rsa_sha1};

use crate::Bench;
use crate::forge::{MESSAGE, TAGS, dkim, field, link, with};
use crate::table::{Row, write};

/// When the messages are judged. Other judges use the current time, so expiry times are far in the past.
const NOW: u64 = 1_796_000_000;

/// The client that delivers all messages.
pub(crate) const BRINGER: Bringer<'static> = Bringer {
    ip: "192.0.2.7",
    helo: "mx.good.example",
    sender: "a@good.example",
};

/// The keys that sign.
pub(crate) struct Keys {
    pub(crate) rsa: SigningKey,
    /// The key's file, for other signers.
    file: String,
    ed: SigningKey,
}

impl Keys {
    pub(crate) fn make() -> Self {
        let make = |algorithm| SigningKey::generate(algorithm, RsaBits::default()).unwrap();
        let (rsa, file) = make(Algorithm::RsaSha256);
        Self {
            rsa,
            file: file.to_string(),
            ed: make(Algorithm::Ed25519Sha256).0,
        }
    }
}

/// The records of the keys, valid and invalid.
pub(crate) fn zone(keys: &Keys) -> String {
    let (rsa, ed) = (
        KeyRecord::of(&keys.rsa).to_string(),
        KeyRecord::of(&keys.ed).to_string(),
    );
    let p = BASE64_STANDARD.encode(keys.rsa.public());
    format!(
        "sel._domainkey.good.example TXT {rsa}
         ed._domainkey.good.example TXT {ed}
         sel._domainkey.forwarder.example TXT {rsa}
         a.b._domainkey.good.example TXT {rsa}
         sel._domainkey.example.example TXT {rsa}
         two._domainkey.good.example TXT hello
         two._domainkey.good.example TXT {rsa}
         revoked._domainkey.good.example TXT v=DKIM1; k=rsa; p=
         service._domainkey.good.example TXT v=DKIM1; k=rsa; s=tlsrpt; p={p}
         sha1._domainkey.good.example TXT v=DKIM1; k=rsa; h=sha1; p={p}
         testing._domainkey.good.example TXT v=DKIM1; k=rsa; t=y; p={p}
         strict._domainkey.good.example TXT v=DKIM1; k=rsa; t=s; p={p}
         version._domainkey.good.example TXT v=DKIM2; k=rsa; p={p}
         kind._domainkey.good.example TXT v=DKIM1; k=ed25519; p={p}
         bare._domainkey.good.example TXT p={p}
         other._domainkey.good.example TXT {ed}
         weak._domainkey.good.example TXT v=DKIM1; k=rsa; p={WEAK}
         busy.example SERVFAIL
"
    )
}

/// A key of 512 bits, made for these tests and used for nothing else.
const WEAK: &str = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKM9syxWYiZBnD6bdG0NUN+aIea+v2sg0HOxCRB3pywl7+j8wV2Y9VVs+xXkf0kaRWsUzf2gzB0VdlhWFvEz4BsCAwEAAQ==";

fn judgement(bench: &Bench, message: &str) -> Judgement {
    let (header, body) = Header::split(message.as_bytes());
    let mut watch = Watch::new(Header::parse(header.to_vec()), Checks::ALL);
    watch.body(&message.as_bytes()[body..]);
    let moment = Moment { now: NOW, chance: 0 };
    watch.finish(&bench.zone, None, moment).now_or_never().unwrap()
}

/// rspamd's result for one of its checks.
pub(crate) fn rspamd(bench: &Bench, message: &str, words: &[(&str, &str)]) -> String {
    let symbols = bench.rspamd.symbols(message.as_bytes(), BRINGER);
    let found = words.iter().find(|(symbol, _)| symbols.contains_key(*symbol));
    found.map_or("none", |(_, word)| word).to_owned()
}

/// Signatures of one message.
pub(crate) fn signatures(bench: &Bench, keys: &Keys, faults: &mut Vec<String>) -> String {
    let rsa = |tags: &str| dkim(&keys.rsa, tags);
    let of = |from: &str, to: &str| rsa(&TAGS.replacen(from, to, 1));
    let good = rsa(TAGS);
    let more = |tags: &str| rsa(&format!("{TAGS}; {tags}"));
    let changed = |from: &str, to: &str| with(&good).replacen(from, to, 1);
    let over = of("h=from:", "h=from:from:");
    let two = MESSAGE.replacen("To: b", "To: c@here.example\r\nTo: b", 1);
    let two_to = field(
        "DKIM-Signature",
        &keys.rsa,
        &format!("{TAGS}; a=rsa-sha256"),
        &two,
    ) + &two;
    let sha1 = rsa_sha1(MESSAGE.as_bytes(), "good.example", "sel", &keys.file);
    let broken = "DKIM-Signature: v=1; a=rsa-sha256; d=good.example; s=sel; junk\r\n";
    #[rustfmt::skip]
    let cases: Vec<(&str, String, &str, &str)> = vec![
        // what the case shows                     message                                                     ours         why others say something else
        ("RSA, as it should be",                   with(&good),                                                "pass",      ""),
        ("Ed25519",                                with(&dkim(&keys.ed, &TAGS.replace("s=sel", "s=ed"))),      "pass",      ""),
        ("RSA and Ed25519",                        with(&format!("{good}{}", dkim(&keys.ed, &TAGS.replace("s=sel", "s=ed")))), "pass", ""),
        ("`c=simple/simple`",                      with(&of("relaxed/relaxed", "simple/simple")),              "pass",      ""),
        ("without `c=`",                           with(&of("c=relaxed/relaxed; ", "")),                       "pass",      ""),
        ("no signature",                           MESSAGE.to_owned(),                                         "none",      ""),
        ("another body",                           changed("Hello", "Bye"),                                    "fail",      ""),
        ("another subject",                        changed("one  two", "three"),                               "fail",      ""),
        ("blanks in the subject, relaxed",         changed("one  two", "one two"),                             "pass",      ""),
        ("blanks in the subject, simple",          with(&of("relaxed/relaxed", "simple/simple")).replacen("one  two", "one two", 1), "fail", ""),
        ("blanks at the end of a line, relaxed",   changed("world  ", "world"),                                "pass",      ""),
        ("empty lines at the end",                 format!("{}\r\n\r\n", with(&good)),                         "pass",      ""),
        ("two fields `To`",                        two_to,                                                     "pass",      "RFC 6376 section 5.4.2: of two fields the lower one is meant first"),
        ("a field more that is not signed",        changed("To:", "X-New: 1\r\nTo:"),                          "pass",      ""),
        ("a second `From` above",                  changed("From: A", "From: x@evil.example\r\nFrom: A"),      "pass",      "RFC 6376 section 5.4.2: the lower one is signed, and the signature holds; DMARC never passes here with two"),
        ("a second `From`, signed against",        with(&over).replacen("From: A", "From: x@evil.example\r\nFrom: A", 1), "fail", ""),
        ("`x=` has passed",                        with(&more("t=1600000000; x=1600000001")),                  "fail",      ""),
        ("`x=` before `t=`",                       with(&more("t=1600000001; x=1600000000")),                  "permerror", ""),
        ("`x=` in the future",                     with(&more("x=4000000000")),                                "pass",      ""),
        ("`l=` of the whole body",                 with(&more("l=17")),                                        "pass",      ""),
        ("`l=`, text behind it",                   format!("{}Buy now!\r\n", with(&more("l=17"))),             "pass",      ""),
        ("`l=` of more than there is",             with(&more("l=1700")),                                      "fail",      "RFC 6376 section 3.5: `l=` must not be larger than the body"),
        ("`i=` below `d=`",                        with(&more("i=x@sub.good.example")),                        "pass",      ""),
        ("`i=` outside of `d=`",                   with(&more("i=x@evil.example")),                            "permerror", "RFC 6376 section 6.1.1: it has to be the same domain, or below"),
        ("`From` not signed",                      with(&of("h=from:to", "h=to")),                             "permerror", "RFC 6376 section 5.4: the author has to be signed"),
        ("a tag twice",                            with(&more("d=good.example")),                              "permerror", "RFC 6376 section 3.2: then the whole list is void"),
        ("no `v=`",                                with(&of("v=1; ", "")),                                     "permerror", ""),
        ("another version",                        with(&of("v=1", "v=2")),                                    "permerror", ""),
        ("an unknown tag",                         with(&more("zz=1")),                                        "pass",      ""),
        ("`q=` that is not known",                 with(&more("q=other")),                                     "permerror", "RFC 6376 section 3.5: unknown methods are passed over, and no other is left"),
        ("no key",                                 with(&of("s=sel", "s=none")),                               "permerror", ""),
        ("no answer from DNS",                     with(&of("d=good.example", "d=busy.example")),              "temperror", ""),
        ("the key is revoked",                     with(&of("s=sel", "s=revoked")),                            "permerror", ""),
        ("the key is for another service",         with(&of("s=sel", "s=service")),                            "permerror", "RFC 6376 section 3.6.1: such a key must not be used for mail"),
        ("the key allows SHA-1 alone",             with(&of("s=sel", "s=sha1")),                               "permerror", "RFC 6376 section 3.6.1, `h=`"),
        ("the key is tried out",                   with(&of("s=sel", "s=testing")),                            "pass",      ""),
        ("a strict key, `i=` below `d=`",          with(&rsa(&format!("{}; i=x@sub.good.example", TAGS.replace("s=sel", "s=strict")))), "permerror", "RFC 6376 section 3.6.1, `t=s`"),
        ("the key's record is of another version", with(&of("s=sel", "s=version")),                            "permerror", "RFC 6376 section 3.6.1: such a record must be discarded"),
        ("the record is of another kind",          with(&of("s=sel", "s=kind")),                               "permerror", "RFC 6376 section 6.1.2: the kind of the key has to be that of `a=`"),
        ("the record has `p=` alone",              with(&of("s=sel", "s=bare")),                               "pass",      ""),
        ("a key of 512 bits",                      with(&of("s=sel", "s=weak")),                               "policy",    ""),
        ("rsa-sha1",                               with(&sha1),                                                "policy",    "RFC 8301 section 3.1: such signatures must not be taken for good"),
        ("rsa-sha1 before a good one",             with(&format!("{sha1}{good}")),                             "pass",      ""),
        ("a key with a dot in its selector",       with(&of("s=sel", "s=a.b")),                                "pass",      ""),
        ("another domain's signature",             with(&of("d=good.example", "d=forwarder.example")),         "pass",      ""),
        ("a broken signature before a good one",   with(&format!("{broken}{good}")),                           "pass",      "opendkim gives up at anything that is not a list of tags; RFC 6376 section 6.1 goes on with the next"),
        ("nine broken ones before a good one",     with(&format!("{}{good}", of("s=sel", "s=none").repeat(9))), "pass",     "the signature that holds counts, however many do not (RFC 6376 section 4.2)"),
    ];
    let messages: Vec<&[u8]> = cases
        .iter()
        .map(|(_, message, _, _)| message.as_bytes())
        .collect();
    let by_dkimpy = dkimpy(bench.unbound.port(), &messages);
    let words = [
        ("R_DKIM_ALLOW", "pass"),
        ("R_DKIM_TEMPFAIL", "temperror"),
        ("R_DKIM_REJECT", "fail"),
        ("R_DKIM_PERMFAIL", "permerror"),
        ("R_DKIM_NA", "none"),
    ];
    read_by_others(bench, &cases);
    let rows: Vec<Row<'_>> = cases
        .iter()
        .zip(by_dkimpy)
        .map(|((shows, message, want, why), (theirs, _))| {
            let by_opendkim = opendkim(message.as_bytes(), bench.unbound.port());
            Row {
                shows,
                want,
                ours: any(&judgement(bench, message)),
                theirs: vec![theirs, by_opendkim.to_owned(), rspamd(bench, message, &words)],
                why,
            }
        })
        .collect();
    write(&["dkimpy", "opendkim", "rspamd"], &rows, faults)
}

/// Others read our results in our field.
fn read_by_others(bench: &Bench, cases: &[(&str, String, &str, &str)]) {
    let judgements: Vec<Judgement> = cases
        .iter()
        .map(|(_, message, _, _)| judgement(bench, message))
        .collect();
    let values: Vec<String> = judgements
        .iter()
        .map(|one| one.text("mx.here.example", None, "x"))
        .collect();
    let read = authres(&values);
    assert_eq!(read.len(), values.len());
    for ((judgement, value), read) in judgements.iter().zip(&values).zip(read) {
        let mut words = vec!["mx.here.example".to_owned()];
        words.extend(judgement.dkim.iter().map(|one| format!("dkim={}", one.result)));
        if judgement.dkim.is_empty() {
            words.push("dkim=none".to_owned());
        }
        words.extend(judgement.dmarc.iter().map(|one| format!("dmarc={}", one.result)));
        words.extend(judgement.arc.iter().map(|one| format!("arc={}", one.result)));
        assert_eq!(read, words.join(" "), "{value}");
    }
}

/// Our result for all signatures; one by a testing key counts normally.
fn any(judgement: &Judgement) -> String {
    best(&judgement.dkim).word().to_owned()
}

/// Chains of forwarders.
pub(crate) fn chains(bench: &Bench, keys: &Keys, faults: &mut Vec<String>) -> String {
    let add = |instance, validation, message: &str| link(&keys.rsa, instance, validation, message);
    let one = add(1, "none", MESSAGE);
    let three = add(3, "pass", &add(2, "pass", &one));
    let long = (2..=51).fold(one.clone(), |message, instance| add(instance, "pass", &message));
    #[rustfmt::skip]
    let cases: Vec<(&str, String, &str, &str)> = vec![
        ("none",                       MESSAGE.to_owned(),                                 "none", ""),
        ("one link",                   one.clone(),                                        "pass", ""),
        ("three links",                three.clone(),                                      "pass", ""),
        ("another body",               three.replace("Hello", "Bye"),                      "fail", ""),
        ("another subject",            three.replace("one  two", "three"),                 "fail", ""),
        ("other results in link 1",    three.replacen("i=1; forwarder.example; dmarc=pass", "i=1; forwarder.example; dmarc=fail", 1), "fail", ""),
        ("`cv=fail`",                  add(2, "fail", &one),                               "fail", ""),
        ("`cv=none` in link 2",        add(2, "none", &one),                               "fail", ""),
        ("`cv=pass` in link 1",        add(1, "pass", MESSAGE),                            "fail", ""),
        ("link 2 is missing",          add(3, "pass", &one),                               "fail", ""),
        ("instance 0",                 one.replace("i=1;", "i=0;"),                        "fail", ""),
        ("51 links",                   long,                                               "fail", "RFC 8617 section 4.2.1: at most 50"),
    ];
    let messages: Vec<&[u8]> = cases
        .iter()
        .map(|(_, message, _, _)| message.as_bytes())
        .collect();
    let by_dkimpy = dkimpy(bench.unbound.port(), &messages);
    let words = [
        ("ARC_ALLOW", "pass"),
        ("ARC_DNSFAIL", "temperror"),
        ("ARC_REJECT", "fail"),
        ("ARC_INVALID", "fail"),
        ("ARC_NA", "none"),
    ];
    let rows: Vec<Row<'_>> = cases
        .iter()
        .zip(by_dkimpy)
        .map(|((shows, message, want, why), (_, theirs))| Row {
            shows,
            want,
            ours: judgement(bench, message).arc.unwrap().result.word().to_owned(),
            theirs: vec![theirs, rspamd(bench, message, &words)],
            why,
        })
        .collect();
    write(&["dkimpy", "rspamd"], &rows, faults)
}
