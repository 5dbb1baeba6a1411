//! Signs messages on their way into the queue, after all other inspectors.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use postern_deliver::Settings as DeliverSettings;
use postern_events::{NotSigned, Observers, Signed};
use postern_mail::{Header, Mailbox, NewField};
use postern_policy::rule::{Rule, Verdict};
use postern_policy::signing::{SigningFacts, Source, signing};
use postern_seal::{Algorithm, BodyHash, BodyHasher, Form, Signer};
use postern_smtp::client::needs::EightBit;
use postern_spool::{Arrival, Assembly, Inspection, InspectionFuture, Inspector, NewBodies, Origin, Stage};

use super::Signers;
use super::author::Authors;
use super::sevenbit::{self, Fragile};

/// Signs for all sessions.
#[derive(Clone)]
pub(crate) struct DkimSigner {
    pub(crate) signers: Arc<ArcSwap<Signers>>,
    /// The settings of delivery: where mail goes, and in which form.
    pub(crate) delivery: Arc<ArcSwap<DeliverSettings>>,
    pub(crate) observers: Observers,
}

impl Inspector for DkimSigner {
    fn stage(&self) -> Stage {
        Stage::Signer
    }

    fn begin(&self, arrival: &Arrival<'_>) -> Option<Box<dyn Inspection>> {
        let signers = self.signers.load_full();
        // Mail from the after-queue filter was signed when it first arrived.
        if matches!(arrival.origin, Origin::Stranger | Origin::Filtered) || signers.is_empty() {
            return None;
        }
        Some(Box::new(Signing {
            signer: self.clone(),
            signers,
            claimed: Authors::default(),
            sender: arrival.envelope.sender.mailbox().cloned(),
            body: None,
        }))
    }
}

/// One message.
struct Signing {
    signer: DkimSigner,
    signers: Arc<Signers>,
    /// The authors given by the client.
    claimed: Authors,
    /// The sender of the envelope, who becomes the author of a message without one.
    sender: Option<Mailbox>,
    /// The hash of the body as it arrives, in the form in which the author's domain signs it.
    body: Option<Arriving>,
}

struct Arriving {
    form: Form,
    hasher: BodyHasher,
    fragile: Fragile,
}

impl Inspection for Signing {
    fn header<'a>(&'a mut self, header: &'a Header) -> InspectionFuture<'a> {
        self.claimed = Authors::of(header);
        let author = self.claimed.first().or(self.sender.as_ref());
        let found = author.and_then(|author| self.signers.find(author.domain()));
        self.body = found.and_then(|found| found.with.first()).map(|signer| {
            let form = signer.canonicalization.body;
            Arriving {
                form,
                hasher: BodyHasher::new(form, None),
                fragile: Fragile::default(),
            }
        });
        Box::pin(async { Ok(()) })
    }

    fn body<'a>(&'a mut self, octets: &'a [u8]) -> InspectionFuture<'a> {
        if let Some(arriving) = &mut self.body {
            arriving.hasher.feed(octets);
            arriving.fragile.feed(octets);
        }
        Box::pin(async { Ok(()) })
    }

    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        bodies: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a> {
        Box::pin(async move {
            let Self {
                signer,
                signers,
                claimed,
                sender,
                body,
            } = *self;
            let authors = Authors::of(assembly.header_mut());
            let facts = SigningFacts {
                source: source(assembly.origin),
                from_fields: authors.fields,
                authors: authors.mailboxes.as_deref(),
                author_rule: assembly.author_rule,
                answers: assembly.answers_for_author,
                judged: &claimed.domains(),
                completed: claimed.fields == 0 && sender.is_some() && authors.first() == sender.as_ref(),
            };
            let keys = match signing(&facts, &signers) {
                Ok(found) if !found.with.is_empty() => found.with,
                Ok(found) => {
                    signer.not_signed(assembly, Rule::DkimNoKey, &found);
                    return Ok(());
                }
                Err(unsigned) => {
                    // Mail of domains without signing is not worth reporting.
                    if unsigned.rule() != Rule::DkimNoDomain {
                        signer.not_signed(assembly, unsigned.rule(), &unsigned);
                    }
                    return Ok(());
                }
            };
            let form = keys[0].canonicalization.body;
            let arriving = body.filter(|body| body.form == form && !assembly.is_body_replaced());
            let (mut hash, fragile) = match arriving {
                Some(body) => (body.hasher.finish(), body.fragile),
                None => sevenbit::hash(assembly, bodies.spool(), form).await?,
            };
            if fragile.is_found()
                && signer.converts(assembly)
                && let Some(converted) = sevenbit::convert(assembly, bodies, form).await?
            {
                hash = converted;
            }
            signer.sign(assembly, keys, hash).await;
            Ok(())
        })
    }
}

impl DkimSigner {
    /// Whether a message that may change in transit is converted before it is signed.
    fn converts(&self, assembly: &Assembly) -> bool {
        let delivery = self.delivery.load();
        delivery.eight_bit == EightBit::Convert && !sevenbit::stays_here(assembly, &delivery.routes)
    }

    async fn sign(&self, assembly: &mut Assembly, keys: &[Signer], hash: BodyHash) {
        let header = assembly.header_mut();
        let fields = match fields(header, keys, hash).await {
            Ok(fields) => fields,
            Err(reason) => return self.not_signed(assembly, Rule::DkimFailed, &reason),
        };
        for field in fields.iter().rev() {
            if let Err(error) = header.insert(0, field) {
                return self.not_signed(assembly, Rule::DkimFailed, &error);
            }
        }
        let selectors: Vec<&str> = keys.iter().map(|key| key.selector.as_str()).collect();
        self.observers.tell(Signed {
            queue: &assembly.id,
            session: assembly.session.as_deref(),
            rule: Rule::DkimSigned,
            domain: &keys[0].domain,
            signatures: &selectors.join(" "),
        });
    }

    fn not_signed(&self, assembly: &Assembly, rule: Rule, reason: &dyn std::fmt::Display) {
        self.observers.tell(NotSigned {
            queue: &assembly.id,
            session: assembly.session.as_deref(),
            rule,
            reason,
        });
    }
}

/// The fields of the signatures. RSA takes a millisecond of CPU time, so that is done on a blocking thread.
async fn fields(header: &Header, keys: &[Signer], hash: BodyHash) -> Result<Vec<NewField>, String> {
    let now = Timestamp::now();
    let sign = move |header: &Header, keys: &[Signer]| {
        let signed = keys.iter().map(|key| key.sign(header, &hash, now));
        signed
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())
    };
    if keys.iter().all(|key| key.algorithm() == Algorithm::Ed25519Sha256) {
        return sign(header, keys);
    }
    let (header, keys) = (header.clone(), keys.to_vec());
    let done = tokio::task::spawn_blocking(move || sign(&header, &keys)).await;
    done.unwrap_or_else(|error| Err(error.to_string()))
}

fn source(origin: Origin) -> Source {
    match origin {
        Origin::Smtp => Source::Client,
        Origin::Local => Source::Local,
        Origin::Report => Source::Report,
        Origin::Stranger | Origin::Filtered => Source::Stranger,
    }
}
