//! The questions that a session puts to the rules. `explain` puts the same ones in place of a session, so both hear the same answer.
//!
//! Nothing here waits, counts or logs: facts in, verdict out. Directories are asked by the caller.

use std::net::IpAddr;

use jiff::Timestamp;
use postern_directory::aliases::Aliases;
use postern_directory::{Directories, KeyKind};
use postern_mail::{Domain, ForwardPath, Mailbox, ParseOptions, ReversePath};
use postern_net::dial;
use postern_policy::alias::RefusalText;
use postern_policy::identity::{
    self, Basis, Claimant, Claims, Identity, IdentityRules, SenderRefusal, SenderRule,
};
use postern_policy::local::LocalUser;
use postern_policy::login::{self, MechanismTraits, SessionFacts, Withheld};
use postern_policy::milter;
use postern_policy::origin::Origin;
use postern_policy::relay::{Acceptance, CertificateFacts, RelayFacts, RelayReason, RelayVerdict, relay};
use postern_policy::rule::{Rule, Told, Verdict};
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

/// What is known of a client, and what it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// What holds for all listeners.
    pub settings: &'a Settings,
    /// The listener that the client came to.
    pub listener: &'a ListenerSettings,
    /// The client's address.
    pub peer: IpAddr,
    /// Its certificate, if and only if it was verified.
    pub certificate: Option<&'a CertificateFacts>,
    /// Whom it acts as, if it has logged in.
    pub identity: Option<&'a Identity>,
    /// Whether the mechanism and the strength of the login are trusted; see [`is_trusted`].
    pub trusted: bool,
    /// The user of this machine who hands the message in.
    pub local_user: Option<&'a LocalUser>,
}

/// Whether a login by this mechanism, in a session of this strength, may relay and name a submitter.
#[must_use]
pub fn is_trusted(settings: &Settings, mechanism: Mechanism, bits: u32) -> bool {
    settings.auth.trust.covers(mechanism.name(), bits)
}

impl<'a> Judge<'a> {
    /// What decides whether it may relay to `recipient`; `own_literal` says that this is an address literal of this host.
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
        }
    }

    /// Why it may relay at all, if it may; the recipient makes no difference to that.
    #[must_use]
    pub fn relay_reason(&self) -> Option<RelayReason> {
        let facts = self.relay_facts(&ForwardPath::Postmaster, false);
        self.settings.relay.reason(&facts)
    }

    /// What becomes of a recipient, before it is asked whether it exists.
    #[must_use]
    pub fn relay(&self, recipient: &ForwardPath, own_literal: bool) -> RelayVerdict {
        relay(&self.relay_facts(recipient, own_literal), &self.settings.relay)
    }

    /// Why a message is taken whose recipients needed this ground.
    #[must_use]
    pub fn acceptance(&self, ground: Ground) -> Acceptance {
        match ground {
            Ground::Here => Acceptance::Local,
            Ground::Behind => Acceptance::RelayDomain,
            Ground::Relayed => self.relay_reason().map_or(Acceptance::Local, Acceptance::Relay),
        }
    }

    /// Whether `MAIL` has to wait for a login.
    #[must_use]
    pub fn lacks_login(&self) -> bool {
        self.listener.auth == AuthRule::Require && self.identity.is_none()
    }

    /// Whether a login, or a user of this machine, may use the sender of an envelope; `None` for others, whose sender is judged with its first recipient elsewhere.
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

    /// The rules by which it is decided as whom it sends.
    #[must_use]
    pub fn identity_rules(&self) -> &'a IdentityRules {
        match self.local_user {
            Some(_) => &self.settings.local.identity,
            None => &self.settings.identity,
        }
    }

    /// Whether a machine, which relays by its network or certificate, may use the sender; `None` for a login.
    #[must_use]
    pub fn machine_sender(
        &self,
        sender: &ReversePath,
        aliases: &Aliases,
    ) -> Option<Result<Basis<'a>, SenderRefusal>> {
        if self.identity.is_some() || self.local_user.is_some() || self.listener.filtered {
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

    /// Whether a stranger may bring mail with this sender for a domain of this server; `None` for who has a login or may relay.
    #[must_use]
    pub fn stranger_sender(&self, sender: &ReversePath) -> Option<Result<(), SenderRefusal>> {
        if self.identity.is_some() || self.relay_reason().is_some() {
            return None;
        }
        let (rules, relay) = (&self.settings.identity, &self.settings.relay);
        Some(identity::bring_as(sender, rules, relay))
    }

    /// Whether it may say by `AUTH=` who submitted a message (RFC 4954 section 5).
    ///
    /// # Errors
    ///
    /// Why not: the message is then taken as if it had said `AUTH=<>`.
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

    /// By which rule an address is the login's; any is where `senders` asks for none.
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

    /// Who has to answer for the author of a message: a login, a user of this machine who is not trusted, or a machine that has a
    /// recipient elsewhere.
    #[must_use]
    pub fn claimant(&self, ground: Ground) -> Option<Claimant<'a>> {
        match self.identity {
            _ if self.local_user.is_some() => {
                let user = self.local_user.filter(|user| !user.trusted)?;
                Some(Claimant::Local(&user.identity))
            }
            Some(identity) => Some(Claimant::Login(identity)),
            // Whoever wrote what a filter hands back was judged when it came.
            None if ground == Ground::Relayed && !self.listener.filtered => {
                Some(Claimant::Machine(&self.settings.relay))
            }
            None => None,
        }
    }

    /// Whether it may send with these fields of a header; `None` where nobody has to answer for them.
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

    /// Whether it answers for the author where every login may write any address: for what is signed. `from` has the values of `From`.
    #[must_use]
    pub fn answers_for(&self, from: &[&str], sender: &ReversePath, aliases: &Aliases) -> bool {
        let Some(identity) = self.identity else {
            return true;
        };
        let targets = self.targets(aliases);
        identity::answers_for(identity, from, sender, &self.settings.identity, &targets).is_some()
    }

    /// What decides which mail filters are asked about a message of so many octets; 0 where that is not known.
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

    /// Whether a domain is one of this server's, or behind it.
    #[must_use]
    pub fn is_own_domain(&self, domain: &Domain) -> bool {
        let relay = &self.settings.relay;
        relay.is_here(domain) || relay.relay_domains.contains_by_name(domain)
    }

    /// What becomes of a stranger who brings mail from outside, by what was found of it.
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

    /// Where mail for a rewritten sender of this server goes; `None` for all other recipients.
    #[must_use]
    pub fn returned(&self, recipient: &Mailbox, now: Timestamp) -> Option<Result<Mailbox, SrsRefusal>> {
        let srs = self.settings.srs.as_ref()?;
        let is_rewritten = recipient.domain() == &srs.domain && is_rewritten(&recipient.unquoted_local());
        is_rewritten.then(|| srs.lead_back(recipient, now))
    }

    /// What the client is told where the route of whom the mail would reach refuses it; `None` where it does not. Of several whom it
    /// would reach, delivery says it for each. Tables of routes are asked.
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

/// What was found of a stranger. What nobody demands need not have been looked for.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// What it calls itself.
    pub helo: &'a HeloName,
    /// Whether DNS knows that name.
    pub helo_known: Option<Known>,
    /// What its address is called.
    pub client: Option<&'a ClientName>,
    /// The domain of its sender, unless that is one of this server's.
    pub sender: Option<&'a str>,
    /// Whether that takes mail.
    pub sender_known: Option<Known>,
    /// What lists and early talk say.
    pub score: Score,
}

/// Why a client may not name a submitter.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SubmitterRefusal {
    /// It has not logged in.
    #[error("no login")]
    NoLogin,
    /// Its login is not trusted to.
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
    /// The rules of logins.
    pub auth: &'a AuthSettings,
    /// The mechanisms of the listener or socket, in order.
    pub mechanisms: &'a [Mechanism],
    /// Least bits that protect a session there, if somebody has said how many.
    pub least_bits: Option<u32>,
    /// What is known of the session.
    pub facts: SessionFacts,
    /// Security layers that may be agreed on.
    pub layers: Layers,
    /// Who keeps keys.
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
    /// Nothing here can say whether its proofs hold.
    #[error("no directory or provider can answer for it")]
    NobodyAnswers,
    /// A condition on it does not hold.
    #[error("{0}")]
    Withheld(Withheld),
    /// It shows the password to an eavesdropper.
    #[error("shows the password, and `plaintext` is \"tls-only\"")]
    Plaintext,
}

impl Offer<'_> {
    /// Whether a mechanism is open: it is offered, and shows the password to nobody else.
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

    /// The same, whether it shows the password or not.
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
            // Inside TLS alone, whatever is said of passwords (RFC 7628 section 3, RFC 6750 section 5.2): who reads one has it.
            Needs::Token => self.takes_tokens && self.facts.tls_bits.is_some(),
            _ => KeyKind::needed(needs, &self.auth.realm).is_none_or(|kind| self.directories.keeps(&kind)),
        }
    }

    /// Whether mechanisms that show the password to an eavesdropper can be used here.
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
