//! The body of the fuzz target: messages with seals, modified in transit, judged with name servers that answer arbitrarily.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt as _;
use futures_util::future::ready;
use jiff::Timestamp;
use postern_mail::{Header, Mailbox};
use postern_policy::authenticity::{ArcResult, DkimResult, DmarcResult, Results, SpfResult};

use super::arc::{Found, Sealer, seal};
use super::results::{has_result, is_by, result_of};
use super::{Checks, Judgement, Moment, Watch, spf};
use crate::canon::{self, BodyCanon, Canonicalization, Form};
use crate::dns::{Dns, Family, Lookup, NoAnswer};
use crate::sign::{OVERSIGNED, SIGNED};
use crate::{Algorithm, BodyHasher, FieldNames, KeyRecord, RsaBits, Signer, SigningKey};

/// The domain whose seals are real.
const OURS: &str = "signer.example";

/// Our name in `Authentication-Results`.
const HERE: &str = "mx.here.example";

/// The time of it all.
const NOW: u64 = 1_700_000_000;

/// Most queries that one message may cause. SPF: ten terms with ten hosts each and what they need; 20 signatures with their keys
/// and organizational domains; 51 keys of a chain.
const QUESTIONS_MAX: usize = 600;

/// The key behind our seals. Ed25519, which signs fast.
static KEY: LazyLock<Arc<SigningKey>> = LazyLock::new(|| {
    let made = SigningKey::generate(Algorithm::Ed25519Sha256, RsaBits::default());
    Arc::new(made.expect("random numbers").0)
});

/// One message. The first octet of `input` says how it is sealed, what follows are parts between octets 0xFF, which occurs
/// neither in 7-bit messages nor in UTF-8: the sender, the message, its modifications (three octets each: position and new
/// value), and the answers to queries in order.
///
/// # Panics
///
/// On a wrong result: a seal that verifies for a different message, a pass that no DNS answer justifies, a verdict that depends
/// on how the body was split, a field that is read differently than it was written, endless queries.
pub fn message(input: &[u8]) {
    let Some((&how, rest)) = input.split_first() else {
        return;
    };
    let mut parts = rest.split(|octet| *octet == 0xff);
    let sender = parts.next().unwrap_or_default();
    let written = parts.next().unwrap_or_default();
    let damage = parts.next().unwrap_or_default();
    let answers: Vec<&[u8]> = parts.collect();
    let sender = std::str::from_utf8(sender)
        .ok()
        .and_then(|text| text.parse().ok());

    let sealed = Sealed::new(written, how);
    let arrived = damaged(&sealed.text, damage);
    let case = Case { sender, how };
    let judged = case.judge(&Answers::new(&answers), &arrived, usize::from(how >> 5) * 5 + 1);
    let again = case.judge(&Answers::new(&answers), &arrived, usize::MAX);
    assert_eq!(
        format!("{judged:?}"),
        format!("{again:?}"),
        "cuts make no difference"
    );
    sealed.compare(&arrived, &judged);
    told_as_judged(&judged, case.sender.as_ref());
    without_dns(&case.judge(&Answers::silent(), &arrived, usize::MAX));
}

struct Case {
    sender: Option<Mailbox>,
    how: u8,
}

impl Case {
    fn judge(&self, dns: &Answers<'_>, message: &[u8], cut: usize) -> Judgement {
        let (header, body) = Header::split(message);
        let mut watch = Watch::new(Header::parse(header.to_vec()), Checks::ALL);
        for piece in message[body..].chunks(cut) {
            watch.body(piece);
        }
        let asked = spf::Asked {
            ip: if self.how & 1 == 0 {
                IpAddr::from([192, 0, 2, 1])
            } else {
                IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1_u16])
            },
            helo: "client.example",
            sender: self.sender.as_ref(),
            receiver: HERE,
            time: 0,
        };
        let moment = Moment {
            now: NOW,
            chance: self.how % 100,
        };
        let judgement = async {
            let spf = spf::check(dns, &asked).await;
            watch.finish(dns, Some(spf), moment).await
        };
        let judgement = judgement.now_or_never().expect("the answers are there");
        assert!(
            dns.asked.load(Ordering::Relaxed) <= QUESTIONS_MAX,
            "too many questions"
        );
        judgement
    }
}

/// A message with our seals, and what they cover.
struct Sealed {
    text: Vec<u8>,
    dkim: Option<Covered>,
    arc: Option<Covered>,
    forms: Canonicalization,
}

/// What a seal must cover: the fields of each name, from the bottom, and the body, in canonical form.
#[derive(Debug, Eq, PartialEq)]
struct Covered {
    all: Vec<Vec<Vec<u8>>>,
    lowest: Vec<Vec<Vec<u8>>>,
    body: Vec<u8>,
}

impl Sealed {
    fn new(written: &[u8], how: u8) -> Self {
        let form = |bit: u8| {
            if how & bit == 0 {
                Form::Relaxed
            } else {
                Form::Simple
            }
        };
        let forms = Canonicalization {
            header: form(2),
            body: form(4),
        };
        let mut sealed = Self {
            text: written.to_vec(),
            dkim: None,
            arc: None,
            forms,
        };
        // Continuation lines at the start of the header would continue the seal.
        if matches!(written.first(), Some(b' ' | b'\t')) {
            return sealed;
        }
        if how & 8 == 0 {
            sealed.sign();
        }
        if how & 16 == 0 {
            sealed.link();
        }
        sealed
    }

    fn sign(&mut self) {
        let signer = Signer {
            domain: OURS.to_owned(),
            selector: "k".to_owned(),
            key: Arc::clone(&KEY),
            canonicalization: self.forms,
            fields: Arc::new(FieldNames::default()),
            expires: None,
        };
        let (header, hash) = self.parts(self.forms.body);
        let now = Timestamp::from_second(NOW as i64).expect("a time");
        let Ok(field) = signer.sign(&header, &hash, now) else {
            return;
        };
        self.text.splice(..0, field.raw().iter().copied());
        self.dkim = Some(Covered::of(&self.text, self.forms, &SIGNED, None));
    }

    fn link(&mut self) {
        let (header, hash) = self.parts(Form::Relaxed);
        let found = Found {
            chain: ArcResult::None,
            links: 0,
            results: "mx.forwarder.example; spf=pass; dmarc=pass",
            body: &hash,
            now: NOW,
        };
        let sealer = Sealer {
            domain: OURS.to_owned(),
            selector: "k".to_owned(),
            key: Arc::clone(&KEY),
        };
        let chained = header
            .fields()
            .any(|field| field.name().to_ascii_lowercase().starts_with(b"arc-"));
        let Ok(fields) = seal(&header, &found, &sealer) else {
            return;
        };
        let link: Vec<u8> = fields
            .iter()
            .flat_map(|field| field.raw().iter().copied())
            .collect();
        self.text.splice(..0, link);
        if !chained {
            self.arc = Some(Covered::of(
                &self.text,
                Canonicalization::RELAXED,
                &[],
                Some("From"),
            ));
        }
    }

    fn parts(&self, form: Form) -> (Header, crate::BodyHash) {
        let (header, body) = Header::split(&self.text);
        let mut hasher = BodyHasher::new(form, None);
        hasher.feed(&self.text[body..]);
        (Header::parse(header.to_vec()), hasher.finish())
    }

    /// A valid seal covers what it covered when it was made, and the seal of an unchanged message is valid.
    fn compare(&self, arrived: &[u8], judged: &Judgement) {
        let whole = arrived == self.text;
        if let Some(covered) = &self.dkim {
            let ours = |outcome: &&super::dkim::Outcome| {
                outcome.domain.as_deref() == Some(OURS) && outcome.selector.as_deref() == Some("k")
            };
            let holds = judged
                .dkim
                .iter()
                .filter(ours)
                .any(|outcome| outcome.result == DkimResult::Pass);
            if holds {
                let now = Covered::of(arrived, self.forms, &SIGNED, None);
                assert!(now.has_all_of(covered), "a signature of another message holds");
            }
            assert!(holds || !whole, "our own signature does not hold: {judged:?}");
        }
        if let (Some(covered), Some(outcome)) = (&self.arc, &judged.arc) {
            if outcome.result == ArcResult::Pass
                && outcome.links == 1
                && outcome.sealer.as_deref() == Some(OURS)
            {
                let now = Covered::of(arrived, Canonicalization::RELAXED, &[], Some("From"));
                assert_eq!(&now, covered, "a link of another message holds");
            }
            assert!(
                outcome.result == ArcResult::Pass || !whole,
                "our own link does not hold: {judged:?}"
            );
        }
    }
}

impl Covered {
    /// From a message: all fields of the oversigned names, and of those in `lowest`.
    fn of(text: &[u8], forms: Canonicalization, lowest: &[&str], only: Option<&str>) -> Self {
        let (header, body) = Header::split(text);
        let header = Header::parse(header.to_vec());
        let fields = |name: &&str| {
            let named = header.named(name).map(|(_, field)| {
                let mut out = Vec::new();
                canon::field(forms.header, field.raw(), &mut out);
                out
            });
            named.rev().collect()
        };
        let mut canonical = Vec::new();
        let mut canon = BodyCanon::new(forms.body);
        canon.feed(&text[body..], &mut |octets| canonical.extend_from_slice(octets));
        canon.finish(&mut |octets| canonical.extend_from_slice(octets));
        let all = OVERSIGNED
            .iter()
            .filter(|name| only.is_none_or(|only| only == **name));
        Self {
            all: all.map(fields).collect(),
            lowest: lowest.iter().map(fields).collect(),
            body: canonical,
        }
    }

    fn has_all_of(&self, signed: &Self) -> bool {
        let lowest = self.lowest.iter().zip(&signed.lowest);
        self.all == signed.all
            && self.body == signed.body
            && lowest.into_iter().all(|(now, then)| now.starts_with(then))
    }
}

/// A message with some octets changed.
fn damaged(text: &[u8], damage: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for change in damage.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]]));
        if let Some(octet) = text.get_mut(place) {
            *octet = change[2];
        }
    }
    text
}

/// The `Authentication-Results` field is a single one, ours, and says the same to its readers.
fn told_as_judged(judged: &Judgement, sender: Option<&Mailbox>) {
    let field = judged
        .field(HERE, sender, "client.example")
        .expect("a field that can be sent");
    assert_eq!(Header::parse(field.raw().to_vec()).len(), 1);
    assert!(
        field
            .raw()
            .split(|octet| *octet == b'\n')
            .all(|line| line.len() < 998)
    );
    let text = judged.text(HERE, sender, "client.example");
    assert!(is_by(text.as_bytes(), HERE));
    let Results { spf, dmarc, arc, .. } = judged.results(|_| true);
    assert_eq!(
        result_of(&text, "spf").as_deref(),
        spf.map(SpfResult::word),
        "{text}"
    );
    assert_eq!(
        result_of(&text, "dmarc").as_deref(),
        dmarc.map(|(result, _)| result.word()),
        "{text}"
    );
    assert_eq!(
        result_of(&text, "arc").as_deref(),
        arc.map(ArcResult::word),
        "{text}"
    );
    let passes = judged
        .dkim
        .iter()
        .any(|outcome| outcome.result == DkimResult::Pass);
    assert_eq!(has_result(&text, "dkim", "pass"), passes, "{text}");
    if judged
        .dmarc
        .as_ref()
        .is_some_and(|outcome| outcome.result == DmarcResult::Pass)
    {
        assert!(passes || spf == Some(SpfResult::Pass), "{text}");
    }
}

/// If no query is answered, nothing passes and nothing fails permanently.
fn without_dns(judged: &Judgement) {
    let results = judged.results(|_| true);
    assert!(!matches!(
        results.spf,
        Some(SpfResult::Pass | SpfResult::Fail | SpfResult::SoftFail)
    ));
    assert!(
        judged
            .dkim
            .iter()
            .all(|outcome| outcome.result != DkimResult::Pass)
    );
    assert!(!matches!(
        results.dmarc,
        Some((DmarcResult::Pass | DmarcResult::Fail, _))
    ));
    assert!(results.arc != Some(ArcResult::Pass) && !results.vouched);
}

/// Answers in the order of the queries. The first octet gives the kind; records are separated by octets 0xFE.
struct Answers<'a> {
    answers: &'a [&'a [u8]],
    record: String,
    silent: bool,
    asked: AtomicUsize,
}

impl<'a> Answers<'a> {
    fn new(answers: &'a [&'a [u8]]) -> Self {
        Self {
            answers,
            record: KeyRecord::of(&KEY).to_string(),
            silent: false,
            asked: AtomicUsize::new(0),
        }
    }

    fn silent() -> Self {
        Self {
            silent: true,
            ..Self::new(&[])
        }
    }

    fn next(&self) -> Result<Vec<&'a [u8]>, NoAnswer> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        if self.silent {
            return Err(NoAnswer::Temporary("no answer".to_owned()));
        }
        match self.answers.get(number).and_then(|answer| answer.split_first()) {
            None | Some((b'0', _)) => Err(NoAnswer::Nothing),
            Some((b'1', _)) => Err(NoAnswer::Temporary("no answer".to_owned())),
            Some((_, records)) => Ok(records.split(|octet| *octet == 0xfe).collect()),
        }
    }

    fn texts(&self) -> Result<Vec<String>, NoAnswer> {
        let records = self.next()?;
        Ok(records
            .into_iter()
            .map(|record| String::from_utf8_lossy(record).into_owned())
            .collect())
    }
}

impl Dns for Answers<'_> {
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>> {
        if name == "k._domainkey.signer.example" && !self.silent {
            self.asked.fetch_add(1, Ordering::Relaxed);
            return ready(Ok(vec![self.record.clone().into_bytes()])).boxed();
        }
        ready(
            self.next()
                .map(|records| records.into_iter().map(<[u8]>::to_vec).collect()),
        )
        .boxed()
    }

    fn addresses<'a>(&'a self, _host: &'a str, family: Family) -> Lookup<'a, Vec<IpAddr>> {
        let address = |record: &[u8]| {
            let octet = record.first().copied().unwrap_or(0);
            match family {
                Family::V4 => IpAddr::from([192, 0, 2, octet]),
                Family::V6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(octet)]),
            }
        };
        ready(
            self.next()
                .map(|records| records.into_iter().map(address).collect()),
        )
        .boxed()
    }

    fn mx<'a>(&'a self, _domain: &'a str) -> Lookup<'a, Vec<String>> {
        ready(self.texts()).boxed()
    }

    fn names(&self, _address: IpAddr) -> Lookup<'_, Vec<String>> {
        ready(self.texts()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::message;

    const PLAIN: &[u8] = b"From: a@signer.example\r\nTo: b@x.example\r\nSubject: c\r\n\r\nd \r\n e\r\n\r\n";

    fn input(how: u8, sender: &[u8], text: &[u8], damage: &[u8], answers: &[&[u8]]) -> Vec<u8> {
        let mut parts = vec![sender, text, damage];
        parts.extend(answers);
        [&[how][..], &parts.join(&0xff)].concat()
    }

    #[test]
    fn seals_of_all_forms_hold_and_one_octet_breaks_them() {
        for how in 0..32 {
            message(&input(
                how,
                b"a@signer.example",
                PLAIN,
                b"",
                &[b"2v=spf1 a -all", b"2\x01"],
            ));
            for place in 0..=1_500_u16 {
                let [high, low] = place.to_be_bytes();
                if place % 13 == u16::from(how) % 13 {
                    message(&input(how, b"", PLAIN, &[high, low, b'x'], &[]));
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text(how: u8, text in "(From: a@signer.example\r\n)?[a-zA-Z:=; \r\n@.-]{0,200}", answers in "[012v=spf1 a\u{e4}:./%-]{0,80}") {
            let answers: Vec<&[u8]> = answers.split('\u{e4}').map(str::as_bytes).collect();
            message(&input(how, b"a@signer.example", text.as_bytes(), b"", &answers));
        }
    }
}
