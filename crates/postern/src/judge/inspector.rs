//! Judges strangers' mail: SPF is queried while the message arrives, the rest when it is complete.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use postern_events::{Judged, Observers};
use postern_mail::{Envelope, Header, Mailbox};
use postern_net::resolver::Resolver;
use postern_policy::authenticity::Action;
use postern_seal::judge::{Judgement, Moment, Watch, spf};
use postern_spool::{
    Arrival, Assembly, Hold, Inspection, InspectionFuture, Inspector, NewBodies, Origin, Refusal, Stage,
};
use tokio_util::task::AbortOnDropHandle;

use super::dns::Bounded;
use super::reports::Reports;
use super::verdict;
use crate::config::JudgeSettings;

/// Judges strangers' messages, and removes forged results from authenticated users' mail.
pub(crate) struct Judge {
    settings: Arc<JudgeSettings>,
    resolver: Resolver,
    observers: Observers,
    /// The counts for reports.
    reports: Arc<Reports>,
}

impl Judge {
    /// `None` if no checks are made: then it costs nothing.
    pub(crate) fn new(
        settings: JudgeSettings,
        resolver: Resolver,
        observers: Observers,
        reports: Arc<Reports>,
    ) -> Option<Self> {
        let settings = Arc::new(settings);
        (!settings.checks.is_none()).then_some(Self {
            settings,
            resolver,
            observers,
            reports,
        })
    }

    fn dns(&self) -> Bounded {
        Bounded::new(
            self.resolver.clone(),
            self.settings.lookup_timeout,
            self.settings.timeout,
        )
    }
}

impl Inspector for Judge {
    fn stage(&self) -> Stage {
        Stage::Judge
    }

    fn begin(&self, arrival: &Arrival<'_>) -> Option<Box<dyn Inspection>> {
        if arrival.login.is_some() {
            return Some(Box::new(Cleaning(Arc::clone(&self.settings))));
        }
        let client = arrival.client?;
        if !client.mx || arrival.login.is_some() || arrival.origin != Origin::Stranger {
            return None;
        }
        let facts = Facts {
            session: arrival.session.unwrap_or_default().to_owned(),
            listener: client.listener.to_owned(),
            peer: client.peer.ip(),
            helo: client.helo.to_owned(),
            sender: sender(arrival.envelope).cloned(),
        };
        let spf = self.settings.checks.needs_spf().then(|| {
            let (facts, dns) = (facts.clone(), self.dns());
            let receiver = self.settings.hostname.clone();
            AbortOnDropHandle::new(tokio::spawn(
                async move { ask_spf(&dns, &facts, &receiver).await },
            ))
        });
        Some(Box::new(Judging {
            settings: Arc::clone(&self.settings),
            resolver: self.resolver.clone(),
            observers: self.observers.clone(),
            reports: Arc::clone(&self.reports),
            facts,
            spf,
            watch: None,
        }))
    }
}

/// Removes from authenticated users' mail everything that claims to be from this server (RFC 8601 section 5). Machines that
/// relay by network or certificate may have judged mail on its behalf.
struct Cleaning(Arc<JudgeSettings>);

impl Inspection for Cleaning {
    fn header<'a>(&'a mut self, _: &'a Header) -> InspectionFuture<'a> {
        async { Ok(()) }.boxed()
    }

    fn body<'a>(&'a mut self, _: &'a [u8]) -> InspectionFuture<'a> {
        async { Ok(()) }.boxed()
    }

    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        _: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a> {
        let own = assembly.own_fields();
        verdict::forget_forged(assembly.header_mut(), own, &self.0.authserv_id);
        async { Ok(()) }.boxed()
    }
}

fn sender(envelope: &Envelope) -> Option<&Mailbox> {
    envelope.sender.mailbox()
}

async fn ask_spf(dns: &Bounded, facts: &Facts, receiver: &str) -> spf::Outcome {
    let asked = spf::Asked {
        ip: facts.peer,
        helo: &facts.helo,
        sender: facts.sender.as_ref(),
        receiver,
        time: Timestamp::now().as_second(),
    };
    spf::check(dns, &asked).await
}

/// What is known about a message at its beginning.
#[derive(Clone, Debug)]
struct Facts {
    session: String,
    listener: String,
    peer: IpAddr,
    helo: String,
    sender: Option<Mailbox>,
}

/// One message.
struct Judging {
    settings: Arc<JudgeSettings>,
    resolver: Resolver,
    observers: Observers,
    reports: Arc<Reports>,
    facts: Facts,
    spf: Option<AbortOnDropHandle<spf::Outcome>>,
    /// The checks, from the header on.
    watch: Option<Watch>,
}

impl Inspection for Judging {
    fn header<'a>(&'a mut self, header: &'a Header) -> InspectionFuture<'a> {
        self.watch = Some(Watch::new(header.clone(), self.settings.checks));
        async { Ok(()) }.boxed()
    }

    fn body<'a>(&'a mut self, octets: &'a [u8]) -> InspectionFuture<'a> {
        if let Some(watch) = &mut self.watch {
            watch.body(octets);
        }
        async { Ok(()) }.boxed()
    }

    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        _: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a> {
        self.judge(assembly).boxed()
    }
}

impl Judging {
    async fn judge(mut self: Box<Self>, assembly: &mut Assembly) -> Result<(), Refusal> {
        let watch = self.watch.take();
        let Some(watch) = watch else { return Ok(()) };
        let dns = Bounded::new(
            self.resolver.clone(),
            self.settings.lookup_timeout,
            self.settings.timeout,
        );
        let spf = match self.spf.take() {
            // It ends by itself, within its time limit.
            Some(asked) => asked.await.ok(),
            None => None,
        };
        let moment = Moment {
            now: u64::try_from(Timestamp::now().as_second()).unwrap_or(0),
            chance: rand::random_range(0..100),
        };
        let judgement = watch.finish(&dns, spf, moment).await;
        let facts = &self.facts;
        let who = (facts.peer, facts.helo.as_str(), facts.sender.as_ref());
        let verdict = verdict::of(&judgement, who, &self.settings);
        let verdict = verdict.map_err(|error| not_written(&error))?;
        self.tell(assembly, &judgement, &verdict);
        if self.settings.reports.is_some() {
            self.reports.count(&judgement, facts.peer, &verdict);
        }
        if let (Action::Reject, Some(decided)) = (verdict.action, &verdict.decided) {
            return Err(Refusal::of(decided, decided.told()));
        }
        if let (Action::Hold, Some(decided)) = (verdict.action, &verdict.decided) {
            assembly
                .hold
                .get_or_insert_with(|| Hold::by_rule(decided.rule, decided));
        }
        let own = assembly.own_fields();
        let applied = verdict.apply(assembly.header_mut(), own, &self.settings.authserv_id);
        applied.map_err(|error| not_written(&error))
    }

    fn tell(&self, assembly: &Assembly, judgement: &Judgement, verdict: &verdict::Verdict) {
        let facts = &self.facts;
        let results = &verdict.results;
        let author = judgement.author.as_ref().ok().map(ToString::to_string);
        self.observers.tell(Judged {
            session: &facts.session,
            queue: &assembly.id,
            listener: &facts.listener,
            peer: facts.peer,
            from: &assembly.envelope.sender,
            author: author.as_deref(),
            spf: results.spf.map(|result| result.word()),
            dkim: results.dkim.map(|result| result.word()),
            dmarc: results.dmarc.map(|(result, _)| result.word()),
            arc: results.arc.map(|result| result.word()),
            rule: verdict.decided.map(|decided| decided.rule),
            action: verdict.action.word(),
            reason: verdict
                .decided
                .as_ref()
                .map(|decided| decided as &dyn std::fmt::Display),
        });
    }
}

/// The results cannot be written: without them, later readers would not know that the message was judged.
fn not_written(error: &postern_mail::fields::FieldError) -> Refusal {
    Refusal {
        rule: postern_policy::Rule::BodyInspected,
        code: 451,
        status: Some(postern_mail::Status(4, 3, 0)),
        text: "Local error, try again later".to_owned(),
        reason: format!("Authentication-Results cannot be written: {error}"),
    }
}
