//! Seals mail that an alias forwards to the outside (RFC 8617): so its receiver learns our results.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use postern_deliver::Settings as DeliverSettings;
use postern_events::{Observers, notice, shown};
use postern_mail::{Domain, Envelope, Header};
use postern_policy::authenticity::ArcResult;
use postern_receive::Settings as ReceiveSettings;
use postern_seal::judge::arc::{Chain, Found, Sealer, seal};
use postern_seal::judge::dkim::Hashers;
use postern_seal::judge::results::{has_result, is_by, result_of};
use postern_seal::{Algorithm, BodyHash, BodyHasher, Form};
use postern_smtp::client::needs::EightBit;
use postern_spool::{Arrival, Assembly, Inspection, InspectionFuture, Inspector, NewBodies, Origin, Stage};

use crate::dkim::{Fragile, Signers, convert, hash};

/// Seals messages, after all other inspectors.
#[derive(Clone)]
pub(crate) struct ArcSealer {
    /// The domain that seals.
    pub(crate) domain: Domain,
    /// The name of this server in its results.
    pub(crate) authserv_id: Arc<str>,
    /// The keys of `[[dkim]]`.
    pub(crate) signers: Arc<ArcSwap<Signers>>,
    /// The settings of reception: which domains are local.
    pub(crate) receive: Arc<ArcSwap<ReceiveSettings>>,
    /// The settings of delivery: in which form mail leaves.
    pub(crate) delivery: Arc<ArcSwap<DeliverSettings>>,
    pub(crate) observers: Observers,
}

impl Inspector for ArcSealer {
    fn stage(&self) -> Stage {
        Stage::Signer
    }

    fn begin(&self, arrival: &Arrival<'_>) -> Option<Box<dyn Inspection>> {
        let judged = arrival.client.is_some_and(|client| client.mx) && arrival.origin == Origin::Stranger;
        if !judged || !self.leaves(arrival.envelope) {
            return None;
        }
        Some(Box::new(Sealing {
            sealer: self.clone(),
            body: BodyHasher::new(Form::Relaxed, None),
            fragile: Fragile::default(),
        }))
    }
}

impl ArcSealer {
    /// Whether it has outside recipients. Strangers reach those only through aliases.
    fn leaves(&self, envelope: &Envelope) -> bool {
        let settings = self.receive.load();
        let own = |domain: &Domain| {
            settings.relay.local_domains.contains(domain)
                || settings.relay.alias_domains.contains_by_name(domain)
                || settings.relay.relay_domains.contains_by_name(domain)
        };
        envelope
            .recipients
            .iter()
            .any(|recipient| !own(recipient.address.domain()))
    }

    /// The key that seals: RSA if there is one, since every verifier supports it.
    fn key(&self) -> Option<Sealer> {
        let signers = self.signers.load();
        let found = signers.find(&self.domain)?;
        let rsa = found
            .with
            .iter()
            .find(|signer| signer.key.algorithm() == Algorithm::RsaSha256);
        let signer = rsa.or_else(|| found.with.first())?;
        Some(Sealer {
            domain: signer.domain.clone(),
            selector: signer.selector.clone(),
            key: Arc::clone(&signer.key),
        })
    }
}

/// One message.
struct Sealing {
    sealer: ArcSealer,
    body: BodyHasher,
    fragile: Fragile,
}

impl Inspection for Sealing {
    fn header<'a>(&'a mut self, _: &'a Header) -> InspectionFuture<'a> {
        async { Ok(()) }.boxed()
    }

    fn body<'a>(&'a mut self, octets: &'a [u8]) -> InspectionFuture<'a> {
        self.body.feed(octets);
        self.fragile.feed(octets);
        async { Ok(()) }.boxed()
    }

    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        bodies: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a> {
        async move {
            let Self {
                sealer,
                body,
                fragile,
            } = *self;
            let Some(results) = sealer.results(assembly) else {
                sealer.not_sealed(assembly, &"the message was not judged");
                return Ok(());
            };
            let (mut body, fragile) = if assembly.is_body_replaced() {
                hash(assembly, bodies.spool(), Form::Relaxed).await?
            } else {
                (body.finish(), fragile)
            };
            if fragile.is_found()
                && sealer.converts(&results)
                && let Some(converted) = convert(assembly, bodies, Form::Relaxed).await?
            {
                body = converted;
            }
            sealer.seal(assembly, &results, &body);
            Ok(())
        }
        .boxed()
    }
}

impl ArcSealer {
    /// The results for the message, from our field.
    fn results(&self, assembly: &mut Assembly) -> Option<String> {
        let own = assembly.own_fields();
        assembly
            .header_mut()
            .named("Authentication-Results")
            .find(|(place, field)| *place >= own && is_by(field.value(), &self.authserv_id))
            .map(|(_, field)| String::from_utf8_lossy(&field.unfolded()).replace(";\t", ";\n\t"))
    }

    /// Whether a message that may change in transit is converted before it is sealed. One with a valid signature is not: nearly
    /// all hosts accept it unchanged, and the signature is worth more to them than our seal.
    fn converts(&self, results: &str) -> bool {
        self.delivery.load().eight_bit == EightBit::Convert && !has_result(results, "dkim", "pass")
    }

    fn not_sealed(&self, assembly: &Assembly, reason: &dyn std::fmt::Display) {
        notice!(self.observers, Accept Info "not sealed", Queue = shown(&assembly.id), Reason = shown(reason));
    }

    fn seal(&self, assembly: &mut Assembly, results: &str, body: &BodyHash) {
        let own = assembly.own_fields();
        let id = assembly.id;
        let found = results.split_once(';').map_or("", |(_, found)| found);
        let Some(chain) = result_of(found, "arc").and_then(|word| ArcResult::from_word(&word)) else {
            return self.not_sealed(assembly, &"its chain was not checked: \"arc\" is not in `checks`");
        };
        let Some(key) = self.key() else {
            return self.not_sealed(assembly, &format_args!("there is no key for {}", self.domain));
        };
        let header = assembly.header_mut();
        let links = Chain::read(header, &mut Hashers::default()).len().unwrap_or(0);
        let found = Found {
            chain,
            links,
            results,
            body,
            now: u64::try_from(Timestamp::now().as_second()).unwrap_or(0),
        };
        let sealed = seal(header, &found, &key).map_err(|error| error.to_string());
        let put = sealed.and_then(|fields| {
            for (at, field) in fields.iter().enumerate() {
                header
                    .insert(own + at, field)
                    .map_err(|error| error.to_string())?;
            }
            Ok(())
        });
        match put {
            Ok(()) => notice!(self.observers, Accept Info "sealed", Queue = shown(&id), Domain = key.domain),
            Err(reason) => self.not_sealed(assembly, &reason),
        }
    }
}
