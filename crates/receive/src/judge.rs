//! The questions that a session asks the rules. `explain` asks the same ones, so that both get the same answers.
//!
//! Nothing here waits, counts or logs: facts in, verdict out. Directories are asked by the caller.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use postern_directory::aliases::Aliases;
use postern_directory::{Directories, KeyKind};
use postern_mail::{Domain, ForwardPath, Mailbox, ParseOptions, ReversePath};
use postern_net::dial;
use postern_policy::alias::RefusalText;
use postern_policy::device::{Device, DeviceRefusal};
use postern_policy::identity::{
    self, Basis, Claimant, Claims, Identity, IdentityRules, SenderRefusal, SenderRule,
};
use postern_policy::local::LocalUser;
use postern_policy::login::{self, MechanismTraits, SessionFacts, Withheld};
use postern_policy::milter;
use postern_policy::origin::Origin;
use postern_policy::relay::{
    Acceptance, CertificateFacts, RelayFacts, RelayReason, RelayRefusal, RelayVerdict, relay,
};
use postern_policy::rule::{Rule, Told, Verdict};
use postern_policy::sandbox::Sandboxed;
use postern_policy::screen::finding::{
    ClientName, Demand, Finding, Known, judge_client, judge_helo_known, judge_sender,
};
use postern_policy::screen::helo::{HeloName, judge_own, judge_syntax};
use postern_policy::screen::score::{Score, Screened, judge as judge_score};
use postern_policy::srs::{SrsRefusal, is_rewritten};
use postern_sasl::{Layers, Mechanism, Needs};
pub use postern_smtp::server::Ground;

use crate::identity::alias_targets;
use crate::{AuthRule, AuthSettings, ListenerSettings, Plaintext, Role, Settings};

/// What is known of a client, and the rules that judge it.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The settings of all listeners.
    pub settings: &'a Settings,
    /// The listener that the client came to.
    pub listener: &'a ListenerSettings,
    /// The client's address.
    pub peer: IpAddr,
    /// Its certificate, if and only if it was verified.
    pub certificate: Option<&'a CertificateFacts>,
    /// Who it acts as, if it has authenticated.
    pub identity: Option<&'a Identity>,
    /// Whether the mechanism and strength of its authentication are trusted; see [`is_trusted`].
    pub trusted: bool,
    /// The local user who submits the message.
    pub local_user: Option<&'a LocalUser>,
}

/// Whether a login by this mechanism, in a session of this strength, may relay and name a submitter.
#[must_use]
pub fn is_trusted(settings: &Settings, mechanism: Mechanism, bits: u32) -> bool {
    settings.auth.trust.covers(mechanism.name(), bits)
}

impl<'a> Judge<'a> {
    /// The facts that decide whether it may relay to `recipient`; `own_literal` says that this is an address literal of this
    /// host.
    #[must_use]
    pub fn relay_facts<'b>(&'b self, recipient: &'b ForwardPath, own_literal: bool) -> RelayFacts<'b> {
        RelayFacts {
            peer: self.peer,
            login: self.identity.map(Identity::login),
            login_trusted: self.trusted,
            local_user: self.local_user.map(|user| user.label.as_str()),
            certificate: self.certificate,
            recipient,
            own_literal,
            listener_allows_strangers: self.listener.role == Role::Mx && !self.listener.filtered,
            listener_offers_login: self.listener.auth != AuthRule::Off,
        }
    }

    /// Why it may relay at all, if it may, whatever the recipient.
    #[must_use]
    pub fn relay_reason(&self) -> Option<RelayReason> {
        let facts = self.relay_facts(&ForwardPath::Postmaster, false);
        self.settings.relay.reason(&facts)
    }

    /// The relay verdict on a recipient, before checking that it exists.
    #[must_use]
    pub fn relay(&self, recipient: &ForwardPath, own_literal: bool) -> RelayVerdict {
        relay(&self.relay_facts(recipient, own_literal), &self.settings.relay)
    }

    /// Why a message is accepted whose recipients needed this ground.
    #[must_use]
    pub fn acceptance(&self, ground: Ground) -> Acceptance {
        match ground {
            Ground::Here => Acceptance::Local,
            Ground::Behind => Acceptance::RelayDomain,
            Ground::Relayed => {
                let by_lane = || {
                    self.device()
                        .map(|device| RelayReason::Device(device.name.to_string()))
                };
                let reason = self.relay_reason().or_else(by_lane);
                reason.map_or(Acceptance::Local, Acceptance::Relay)
            }
        }
    }

    /// Whether `MAIL` requires authentication first.
    #[must_use]
    pub fn lacks_login(&self) -> bool {
        self.listener.auth == AuthRule::Require && self.identity.is_none()
    }

    /// Whether an authenticated or local user may use the envelope's sender; `None` for others, whose sender is judged with the
    /// first remote recipient.
    #[must_use]
    pub fn sender(
        &self,
        sender: &ReversePath,
        aliases: &Aliases,
    ) -> Option<Result<Basis<'a>, SenderRefusal>> {
        let claimant = match (self.local_user, self.identity) {
            (Some(user), _) if user.trusted => return Some(Ok(Basis::Any)),
            (Some(user), _) => Claimant::Local(&user.identity),
            (None, identity) => Claimant::Login(identity?),
        };
        let targets = self.targets(aliases);
        Some(identity::send_as(
            claimant,
            sender,
            self.identity_rules(),
            &targets,
        ))
    }

    /// The rules that decide which senders it may use.
    #[must_use]
    pub fn identity_rules(&self) -> &'a IdentityRules {
        match self.local_user {
            Some(_) => &self.settings.local.identity,
            None => &self.settings.identity,
        }
    }

    /// Whether a machine, which relays by its network or certificate, may use the sender; `None` for an authenticated user.
    #[must_use]
    pub fn machine_sender(
        &self,
        sender: &ReversePath,
        aliases: &Aliases,
    ) -> Option<Result<Basis<'a>, SenderRefusal>> {
        if self.identity.is_some() || self.local_user.is_some() || self.listener.filtered {
            return None;
        }
        // Its lane says which senders it may use.
        if self.device().is_some() {
            return None;
        }
        let (machine, targets) = (Claimant::Machine(&self.settings.relay), self.targets(aliases));
        Some(identity::send_as(
            machine,
            sender,
            &self.settings.identity,
            &targets,
        ))
    }

    /// Whether a stranger may bring mail with this sender for a domain of this server; `None` for clients that have authenticated
    /// or may relay.
    #[must_use]
    pub fn stranger_sender(&self, sender: &ReversePath) -> Option<Result<(), SenderRefusal>> {
        if self.identity.is_some() || self.relay_reason().is_some() {
            return None;
        }
        let names = |device: &Arc<Device>| sender.mailbox().is_some_and(|sender| device.sends_as(sender));
        if self.device().is_some_and(names) {
            return None;
        }
        let (rules, relay) = (&self.settings.identity, &self.settings.relay);
        Some(identity::bring_as(sender, rules, relay))
    }

    /// Whether it may say with `AUTH=` who submitted a message (RFC 4954 section 5).
    ///
    /// # Errors
    ///
    /// Why not: the message is then treated as if it had said `AUTH=<>`.
    pub fn submitter(&self, submitter: &str, aliases: &Aliases) -> Result<(), SubmitterRefusal> {
        if self.identity.is_none() {
            return Err(SubmitterRefusal::NoLogin);
        }
        if !self.trusted {
            return Err(SubmitterRefusal::Untrusted);
        }
        let options = ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        };
        let may = self.settings.identity.senders == SenderRule::Any
            || Mailbox::parse(submitter, &options).is_ok_and(|mailbox| self.names(&mailbox, aliases).is_ok());
        if may {
            Ok(())
        } else {
            Err(SubmitterRefusal::Foreign)
        }
    }

    /// The rule by which an address belongs to the user; any does if `senders` does not restrict them.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn names(&self, address: &Mailbox, aliases: &Aliases) -> Result<Basis<'a>, SenderRefusal> {
        let rules = &self.settings.identity;
        if rules.senders == SenderRule::Any {
            return Ok(Basis::Any);
        }
        let targets = self.targets(aliases);
        self.identity
            .and_then(|identity| identity::covers(identity, address, rules, &targets))
            .ok_or(SenderRefusal::Envelope)
    }

    /// Who is responsible for the author of a message: an authenticated user, an untrusted local user, or a machine with a remote
    /// recipient.
    #[must_use]
    pub fn claimant(&self, ground: Ground) -> Option<Claimant<'a>> {
        match self.identity {
            _ if self.local_user.is_some() => {
                let user = self.local_user.filter(|user| !user.trusted)?;
                Some(Claimant::Local(&user.identity))
            }
            Some(identity) => Some(Claimant::Login(identity)),
            // The author of what a filter hands back was judged when it first came in.
            None if ground == Ground::Relayed && !self.listener.filtered && self.device().is_none() => {
                Some(Claimant::Machine(&self.settings.relay))
            }
            None => None,
        }
    }

    /// Whether it may send with these header fields; `None` if nobody is responsible for them.
    #[must_use]
    pub fn author(
        &self,
        ground: Ground,
        claims: &Claims<'_>,
        aliases: &Aliases,
    ) -> Option<Result<Basis<'a>, SenderRefusal>> {
        if self.local_user.is_some_and(|user| user.trusted) {
            return Some(Ok(Basis::Any));
        }
        let claimant = self.claimant(ground)?;
        let targets = self.targets(aliases);
        Some(identity::write_as(
            claimant,
            claims,
            self.identity_rules(),
            &targets,
        ))
    }

    /// Whether it is responsible for the author even where users may write any address: for signing. `from` has the values of
    /// `From`.
    #[must_use]
    pub fn answers_for(&self, from: &[&str], sender: &ReversePath, aliases: &Aliases) -> bool {
        let Some(identity) = self.identity else {
            return true;
        };
        let targets = self.targets(aliases);
        identity::answers_for(identity, from, sender, &self.settings.identity, &targets).is_some()
    }

    /// The facts that decide which mail filters are asked about a message of `size` octets; 0 if unknown.
    #[must_use]
    pub fn filter_facts(&self, size: u64) -> milter::Facts<'a> {
        let client = if self.identity.is_some() {
            milter::Client::Login
        } else if self.relay_reason().is_some() {
            milter::Client::Trusted
        } else {
            milter::Client::Stranger
        };
        milter::Facts {
            listener: &self.listener.name,
            peer: self.peer,
            client: Some(client),
            size,
        }
    }

    /// Whether a domain is local, or one for which this server relays.
    #[must_use]
    pub fn is_own_domain(&self, domain: &Domain) -> bool {
        let relay = &self.settings.relay;
        relay.is_here(domain) || relay.relay_domains.contains_by_name(domain)
    }

    /// The verdict on a stranger that brings mail from outside, from what was found out about it.
    #[must_use]
    pub fn screen(&self, seen: Seen<'_>) -> Screened {
        let screen = &self.settings.screen;
        let own = || {
            let (name, domains) = (&self.settings.hostname, &self.settings.relay.local_domains);
            judge_own(seen.helo, name, domains, dial::is_own)
        };
        let named = seen.client.and_then(|client| {
            let acts = (
                screen.act(Demand::ClientNamed),
                screen.act(Demand::ClientConfirmed),
            );
            judge_client(client, acts.0, acts.1)
        });
        let host = seen.helo.host().unwrap_or_default();
        let domain = seen.sender.unwrap_or_default();
        let findings: Vec<Finding> = [
            screen
                .demands(Demand::HeloSyntax)
                .then(|| judge_syntax(seen.helo))
                .flatten(),
            screen.demands(Demand::HeloForeign).then(own).flatten(),
            seen.helo_known.and_then(|known| judge_helo_known(host, known)),
            named,
            seen.sender_known.and_then(|known| judge_sender(domain, known)),
        ]
        .into_iter()
        .flatten()
        .collect();
        judge_score(
            findings,
            seen.score,
            |demand| screen.act(demand),
            &screen.thresholds,
        )
    }

    /// The lane that the client's device has, if it is one: it has not authenticated, and may not relay otherwise.
    #[must_use]
    pub fn device(&self) -> Option<&'a Arc<Device>> {
        let settings: &'a Settings = self.settings;
        if settings.devices.is_empty() || self.identity.is_some() || self.local_user.is_some() {
            return None;
        }
        let mut devices = settings.devices.iter();
        let device = devices.find(|device| device.is_from(self.peer, &self.listener.name))?;
        self.relay_reason().is_none().then_some(device)
    }

    /// The same verdict on a recipient, but for a device, which may have what its lane is for. Its other recipients are those of a stranger.
    ///
    /// # Errors
    ///
    /// It is a device, and neither its lane nor anything else is for this.
    pub fn by_lane(
        &self,
        verdict: RelayVerdict,
        sender: &ReversePath,
        recipient: &ForwardPath,
    ) -> Result<RelayVerdict, DeviceRefusal> {
        let denied = matches!(
            verdict,
            RelayVerdict::Refuse(RelayRefusal::Denied | RelayRefusal::LoginRequired | RelayRefusal::Unlisted)
        );
        let (
            true,
            Some(device),
            ForwardPath::Mailbox {
                mailbox,
                source_route: false,
            },
        ) = (denied, self.device(), recipient)
        else {
            return Ok(verdict);
        };
        device.judge(sender.mailbox(), mailbox)?;
        let facts = RelayFacts {
            listener_allows_strangers: true,
            ..self.relay_facts(recipient, false)
        };
        Ok(match relay(&facts, &self.settings.relay) {
            RelayVerdict::Refuse(RelayRefusal::Denied) => RelayVerdict::Relay {
                recipient: mailbox.clone(),
                reason: RelayReason::Device(device.name.to_string()),
            },
            other => other,
        })
    }

    /// Why a message is kept and never delivered, if it is. `authcid` is who has proved himself, where that is not as whom it acts.
    #[must_use]
    pub fn sandboxed<'b>(&'b self, authcid: Option<&'b str>) -> Option<Sandboxed<'b>> {
        let user = self.local_user.map(|user| user.label.as_str());
        let names = [authcid, self.identity.map(Identity::login), user];
        let listener = self.listener.sandbox.then_some(self.listener.name.as_str());
        self.settings.sandbox.judge(names.into_iter().flatten(), listener)
    }

    /// Where mail for a rewritten sender of this server goes; `None` for all other recipients.
    #[must_use]
    pub fn returned(&self, recipient: &Mailbox, now: Timestamp) -> Option<Result<Mailbox, SrsRefusal>> {
        let srs = self.settings.srs.as_ref()?;
        let is_rewritten = recipient.domain() == &srs.domain && is_rewritten(&recipient.unquoted_local());
        is_rewritten.then(|| srs.lead_back(recipient, now))
    }

    /// The reply if the route to the final recipient refuses mail; `None` if it does not. With several final recipients, delivery
    /// reports it for each. Asks tables of routes.
    pub async fn route_refusal(&self, sender: &ReversePath, reached: &[&Mailbox]) -> Option<RefusalText> {
        let routes = self.settings.routes.as_ref()?;
        let [one] = reached else { return None };
        let origin = Origin {
            sender,
            login: self.identity.map(Identity::login),
            filtered: true,
            detour: None,
        };
        self.settings.learn_route(one).await;
        routes.refusal(one, &origin)
    }

    fn targets<'b>(&self, aliases: &'b Aliases) -> impl Fn(&Mailbox) -> Vec<Mailbox> + use<'a, 'b> {
        let settings = self.settings;
        move |address| alias_targets(address, aliases, settings)
    }
}

/// What was found out about a stranger. What no rule demands need not have been looked up.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Its `HELO` name.
    pub helo: &'a HeloName,
    /// Whether DNS knows that name.
    pub helo_known: Option<Known>,
    /// The host name of its address.
    pub client: Option<&'a ClientName>,
    /// The domain of its sender, unless that is one of this server's.
    pub sender: Option<&'a str>,
    /// Whether that domain accepts mail.
    pub sender_known: Option<Known>,
    /// The score from DNS lists and early talking.
    pub score: Score,
}

/// Why a client may not name a submitter.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SubmitterRefusal {
    /// It has not authenticated.
    #[error("no login")]
    NoLogin,
    /// Its authentication is not trusted enough.
    #[error("mechanism or bits not trusted")]
    Untrusted,
    /// The address is not its own.
    #[error("not an address of this login")]
    Foreign,
}

impl Verdict for SubmitterRefusal {
    fn rule(&self) -> Rule {
        Rule::SenderSubmitter
    }

    fn reason(&self) -> &dyn std::fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// What decides which mechanisms a client can use.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The authentication settings.
    pub auth: &'a AuthSettings,
    /// The mechanisms of the listener or socket, in order.
    pub mechanisms: &'a [Mechanism],
    /// Fewest bits that must protect a session there, if configured.
    pub least_bits: Option<u32>,
    /// What is known of the session.
    pub facts: SessionFacts,
    /// Security layers that may be agreed on.
    pub layers: Layers,
    /// The directories, some of which hold keys.
    pub directories: &'a Directories,
    /// Whether there are providers of tokens.
    pub takes_tokens: bool,
}

/// Why a mechanism is not offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotOffered {
    /// It is not in the list.
    #[error("not in `mechanisms`")]
    NotListed,
    /// Nothing here can verify it.
    #[error("no directory or provider can answer for it")]
    NobodyAnswers,
    /// A condition for it is not met.
    #[error("{0}")]
    Withheld(Withheld),
    /// It would reveal the password to an eavesdropper.
    #[error("shows the password, and `plaintext` is \"tls-only\"")]
    Plaintext,
}

impl Offer<'_> {
    /// Whether a mechanism is usable: it is offered, and reveals the password to no eavesdropper.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn open(&self, mechanism: Mechanism) -> Result<(), NotOffered> {
        self.offered(mechanism)?;
        if mechanism.is_plaintext() && !self.takes_plaintext() {
            return Err(NotOffered::Plaintext);
        }
        Ok(())
    }

    /// The same, whether or not it reveals the password.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn offered(&self, mechanism: Mechanism) -> Result<(), NotOffered> {
        if !self.mechanisms.contains(&mechanism) {
            return Err(NotOffered::NotListed);
        }
        if !self.workable(mechanism) {
            return Err(NotOffered::NobodyAnswers);
        }
        let rule = self.auth.rules.iter().find(|(about, _)| *about == mechanism);
        let rule = rule.map(|(_, rule)| rule);
        login::offered(self.traits(mechanism), rule, &self.facts, self.least_bits)
            .map_err(NotOffered::Withheld)
    }

    /// Whether a directory or provider here can verify it.
    #[must_use]
    pub fn workable(&self, mechanism: Mechanism) -> bool {
        let needs = mechanism.properties().needs;
        match needs {
            Needs::Kerberos => self.auth.kerberos.is_some(),
            // Only with TLS, whatever the setting for passwords (RFC 7628 section 3, RFC 6750 section 5.2): whoever reads a token
            // can use it.
            Needs::Token => self.takes_tokens && self.facts.tls_bits.is_some(),
            _ => KeyKind::needed(needs, &self.auth.realm).is_none_or(|kind| self.directories.keeps(&kind)),
        }
    }

    /// Whether mechanisms that reveal the password to an eavesdropper can be used here.
    #[must_use]
    pub fn takes_plaintext(&self) -> bool {
        self.facts.tls_bits.is_some() || self.auth.plaintext == Plaintext::Always
    }

    fn traits(&self, mechanism: Mechanism) -> MechanismTraits {
        let properties = mechanism.properties();
        MechanismTraits {
            binds_channel: mechanism.binds_channel(),
            needs_certificate: properties.needs == Needs::Certificate,
            guessable: properties.needs.is_guessable(),
            layer_bits: match self.layers {
                Layers {
                    confidentiality: true,
                    ..
                } => properties.layer_bits_max,
                Layers { integrity: true, .. } => properties.layer_bits_max.min(1),
                Layers { .. } => 0,
            },
        }
    }
}
