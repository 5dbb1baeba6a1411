//! Where a recipient's mail goes next.

mod asked;
mod detour;
mod entry;
mod hop;
mod lane;
mod map;
mod mx;
mod pins;
mod target;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use postern_mail::{Domain, Mailbox, Status};

use crate::alias::RefusalText;
use crate::domain_set::{DomainSet, Match};
use crate::origin::{LoginMatch, LoginSet, Origin, SenderMatch, SenderSet};
use crate::rule::{Rule, Told, Verdict};

pub use self::asked::{AskedRoute, AskedRoutes, NamedBy};
pub use self::detour::Detour;
pub use self::entry::{BadEntry, EntryForm, target_of};
pub use self::hop::{BadHop, Hop, HopHost};
pub use self::lane::{Family, Lane, Rate};
pub use self::map::{BadKey, RouteMap};
pub use self::mx::{MX_HOSTS_MAX, MxRecord, MxVerdict, mx_hosts};
pub use self::pins::Pins;
use self::target::DISCARDED;
pub use self::target::{Protocol, RouteLogin, Target, TlsLevel, UnverifiedLogin, discarded};

/// One rule: mail for these recipients goes there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteRule {
    /// The recipient domains.
    pub domains: DomainSet,
    /// Recipients: addresses, and `@domain` for all of a domain.
    pub recipients: SenderSet,
    /// The target.
    pub target: Target,
    /// The TLS level.
    pub tls: TlsLevel,
    /// Whether the host's certificate must be valid for its name.
    pub verify: bool,
    /// Only mail from these senders; all when empty.
    pub senders: SenderSet,
    /// Only mail submitted by these users; all when empty.
    pub logins: LoginSet,
    /// The login at the hosts.
    pub login: Option<RouteLogin>,
    /// How mail is sent: from which address, how much at once.
    pub lane: Lane,
    /// Where the rule is written, for people; empty if unknown.
    pub place: Arc<str>,
}

/// All rules.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// The `[[route]]` rules.
    pub rules: Vec<RouteRule>,
    /// Tables of rules, each used if no rule of [`rules`](Self::rules) or of an earlier table is as specific about the recipient.
    pub maps: Vec<RouteMap>,
    /// An after-queue filter that all mail goes through first.
    pub filter: Option<Arc<RouteRule>>,
    /// The separator between a recipient's name and a detail.
    pub separator: Option<char>,
    /// How mail is sent unless a rule says otherwise.
    pub lane: Lane,
    /// Domains whose mailboxes are here.
    pub local_domains: DomainSet,
    /// Where mail for local domains goes unless a rule names the domain: a Maildir, the users of this machine, or LMTP hosts.
    pub local: Target,
}

/// The route of one recipient's mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route<'a> {
    /// The target.
    pub target: Cow<'a, Target>,
    /// The TLS level.
    pub tls: TlsLevel,
    /// Whether the host's certificate must be valid for its name.
    pub verify: bool,
    /// The login at the hosts.
    pub login: Option<&'a RouteLogin>,
    /// How mail is sent.
    pub lane: &'a Lane,
    /// Where the rule is written, for people; empty without one.
    pub place: Cow<'a, str>,
    /// The rule that decided: `route.rule`, `route.local` or `route.mx`.
    pub rule: Rule,
}

impl Verdict for Route<'_> {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn reason(&self) -> &dyn fmt::Display {
        match self.rule {
            Rule::RouteLocal => &"a domain of this server",
            Rule::RouteDiscard => &"thrown away by an alias",
            Rule::RouteRule => &"named in [[route]]",
            Rule::RouteFilter => &"through the filter first",
            Rule::RouteDetour => &"the way of this message alone",
            _ => &"MX records decide",
        }
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// How specifically a rule names a recipient: an address comes before its domain.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum RecipientMatch {
    /// By its domain.
    Domain(Match),
    /// By its address without the detail.
    WithoutDetail,
    /// By its address.
    Itself,
}

/// How specifically a rule names a message: the recipient counts first, then the login, which is authenticated, then the sender,
/// which anybody can write.
type Closeness = (RecipientMatch, LoginMatch, SenderMatch);

/// The entry that names a recipient.
enum Found<'a> {
    /// A rule.
    Rule(&'a RouteRule),
    /// The answer of a table that was asked.
    Asked(&'a RouteMap, AskedRoute),
}

/// A recipient in the form for look-ups.
struct Sought<'a> {
    address: &'a Mailbox,
    without_detail: Option<Mailbox>,
}

impl<'a> Sought<'a> {
    fn of(address: &'a Mailbox, separator: Option<char>) -> Self {
        let local = address.unquoted_local();
        let name = separator.and_then(|separator| local.split_once(separator));
        let without_detail = name.and_then(|(name, _)| Mailbox::new(name, address.domain().clone()).ok());
        Self {
            address,
            without_detail,
        }
    }
}

impl RouteRule {
    /// A rule with no conditions except the domains, opportunistic TLS, and no login.
    #[must_use]
    pub fn new(domains: DomainSet, target: Target) -> Self {
        Self {
            domains,
            recipients: SenderSet::default(),
            target,
            tls: TlsLevel::Opportunistic,
            verify: false,
            senders: SenderSet::default(),
            logins: LoginSet::default(),
            login: None,
            lane: Lane::default(),
            place: "".into(),
        }
    }

    /// How specifically it names mail for a recipient from `origin`; `None` if it does not apply.
    fn find(&self, sought: &Sought<'_>, origin: &Origin<'_>) -> Option<Closeness> {
        Some((
            self.names(sought)?,
            self.logins.find(origin.login)?,
            self.senders.find(origin.sender)?,
        ))
    }

    fn names(&self, sought: &Sought<'_>) -> Option<RecipientMatch> {
        let by_domain = self
            .domains
            .find(sought.address.domain())
            .map(RecipientMatch::Domain);
        if self.recipients.is_empty() {
            return by_domain;
        }
        let bare = sought.without_detail.as_ref();
        let by_address = match self.recipients.find_address(sought.address) {
            Some(SenderMatch::Itself) => Some(RecipientMatch::Itself),
            _ if bare.is_some_and(|bare| self.recipients.names(bare)) => Some(RecipientMatch::WithoutDetail),
            Some(SenderMatch::Domain(found)) => Some(RecipientMatch::Domain(found)),
            Some(SenderMatch::Unasked) | None => None,
        };
        by_address.max(by_domain)
    }

    /// Whether it applies only to some senders or users.
    #[must_use]
    pub fn asks_origin(&self) -> bool {
        !self.senders.is_empty() || !self.logins.is_empty()
    }
}

impl RouteTable {
    /// Whether the route of a message depends on who it is from, and not only on the recipient.
    #[must_use]
    pub fn asks_origin(&self) -> bool {
        self.filter.is_some() || self.rules.iter().any(RouteRule::asks_origin)
    }

    /// Domains in which the route depends on the recipient's whole address, and not only on the domain.
    #[must_use]
    pub fn domains_of_addresses(&self) -> HashSet<Box<str>> {
        let rules = self
            .rules
            .iter()
            .flat_map(|rule| rule.recipients.address_domains());
        let maps = self.maps.iter().flat_map(RouteMap::address_domains);
        rules.chain(maps).map(Box::from).collect()
    }

    /// Whether the route of mail for a domain depends on the user, since it goes to local users of this machine.
    #[must_use]
    pub fn is_by_user(&self, domain: &Domain) -> bool {
        let local_is_system = matches!(self.local, Target::System { .. });
        let leads_there = |target: &Target| match target {
            Target::System { .. } => true,
            Target::Local => local_is_system,
            _ => false,
        };
        local_is_system && self.local_domains.contains_by_name(domain)
            || self.rules.iter().any(|rule| {
                leads_there(&rule.target) && (rule.domains.find(domain).is_some() || !rule.recipients.is_empty())
            })
            // Whether a table names the domain is unknown without a recipient.
            || local_is_system && !self.maps.is_empty()
    }

    /// Whether the route of a recipient may be in a table that must be asked for the whole address.
    #[must_use]
    pub fn asks_tables(&self) -> bool {
        self.maps.iter().any(RouteMap::is_asked)
    }

    /// Whether any route leads to the users of this machine.
    #[must_use]
    pub fn reaches_users(&self) -> bool {
        let is_system = |target: &Target| matches!(target, Target::System { .. });
        is_system(&self.local) || self.rules.iter().any(|rule| is_system(&rule.target))
    }

    /// Whether any route refuses mail.
    #[must_use]
    pub fn refuses(&self) -> bool {
        // The result of a table that must be asked is unknown beforehand.
        if self.asks_tables() {
            return true;
        }
        let mut rules = self
            .rules
            .iter()
            .chain(self.maps.iter().flat_map(RouteMap::rules));
        rules.any(|rule| matches!(rule.target, Target::Refuse(_)))
    }

    /// The reply at `RCPT`, if the route refuses.
    #[must_use]
    pub fn refusal(&self, recipient: &Mailbox, origin: &Origin<'_>) -> Option<RefusalText> {
        // An after-queue filter makes no difference to that.
        let filtered = Origin {
            filtered: true,
            ..*origin
        };
        match route(recipient, &filtered, self).target.as_ref() {
            Target::Refuse(text) => Some(text.clone()),
            Target::Unknown(_) => Some(RefusalText {
                code: 451,
                status: Status(4, 3, 0),
                text: "Next hop cannot be looked up now, try again later".into(),
            }),
            _ => None,
        }
    }
}

/// Decides where mail for `recipient` from `origin` goes. For an address literal, [`Target::Mx`] means the address itself.
///
/// A message with a route of its own takes that, and mail that the after-queue filter must see goes there first, unless it has
/// been there. Of the rules whose conditions all hold, the one that names the recipient most specifically wins: its address, its
/// address without the detail, the exact domain, the longest wildcard, `*`. Among those, the one that names the login most
/// specifically, then the sender, then the earlier one; rules come before tables. So a rule for a domain comes before a sender's
/// own smarthost, and that before the general smarthost.
///
/// Local domains are delivered here unless a rule names them; they come before rules for `*`, whatever their conditions. Without
/// a rule MX records decide.
#[must_use]
pub fn route<'a>(recipient: &Mailbox, origin: &Origin<'a>, table: &'a RouteTable) -> Route<'a> {
    let domain = recipient.domain();
    if domain.name() == Some(DISCARDED) {
        return table.unruled(&Target::Discard, Rule::RouteDiscard);
    }
    if let Some(detour) = origin.detour.filter(|_| !origin.filtered) {
        return table.around(detour);
    }
    if let Some(filter) = table.filter.as_ref().filter(|_| !origin.filtered) {
        return table.by(filter, Rule::RouteFilter);
    }
    let sought = Sought::of(recipient, table.separator);
    let mut best: Option<(Closeness, Found<'a>)> = None;
    let mut consider = |found: Option<Closeness>, way: Found<'a>| {
        if let Some(found) = found
            && best.as_ref().is_none_or(|(closest, _)| found > *closest)
        {
            best = Some((found, way));
        }
    };
    for rule in &table.rules {
        consider(rule.find(&sought, origin), Found::Rule(rule));
    }
    for map in &table.maps {
        if let Some((found, way)) = map.find(&sought) {
            consider(Some((found, LoginMatch::Unasked, SenderMatch::Unasked)), way);
        }
    }
    let all = RecipientMatch::Domain(Match::All);
    let is_by_name = best.as_ref().is_some_and(|((found, ..), _)| *found != all);
    if !is_by_name && table.local_domains.contains_by_name(domain) {
        return table.unruled(&table.local, Rule::RouteLocal);
    }
    match best {
        Some((_, Found::Rule(rule))) => table.by(rule, Rule::RouteRule),
        Some((_, Found::Asked(map, asked))) => table.by_asked(map, asked),
        None => table.unruled(&Target::Mx, Rule::RouteMx),
    }
}

impl RouteTable {
    fn by<'a>(&'a self, way: &'a RouteRule, rule: Rule) -> Route<'a> {
        Route {
            target: Cow::Borrowed(match &way.target {
                Target::Local => &self.local,
                target => target,
            }),
            tls: way.tls,
            verify: way.verify,
            login: way.login.as_ref(),
            lane: &way.lane,
            place: Cow::Borrowed(&way.place),
            rule,
        }
    }

    fn around<'a>(&'a self, detour: &'a Detour) -> Route<'a> {
        Route {
            target: Cow::Borrowed(match detour.target() {
                Target::Local => &self.local,
                target => target,
            }),
            place: Cow::Borrowed(detour.text()),
            ..self.unruled(&Target::Mx, Rule::RouteDetour)
        }
    }

    fn by_asked<'a>(&'a self, map: &'a RouteMap, asked: AskedRoute) -> Route<'a> {
        Route {
            target: match asked.target {
                Target::Local => Cow::Borrowed(&self.local),
                target => Cow::Owned(target),
            },
            tls: map.tls,
            verify: map.verify,
            login: None,
            lane: &map.lane,
            place: Cow::Owned(asked.place),
            rule: Rule::RouteRule,
        }
    }

    fn unruled<'a>(&'a self, target: &'a Target, rule: Rule) -> Route<'a> {
        Route {
            target: Cow::Borrowed(target),
            tls: TlsLevel::Opportunistic,
            verify: false,
            login: None,
            lane: match rule {
                // Mail delivered here uses no connection.
                Rule::RouteLocal | Rule::RouteDiscard => &USUAL,
                _ => &self.lane,
            },
            place: Cow::Borrowed(""),
            rule,
        }
    }
}

static USUAL: LazyLock<Lane> = LazyLock::new(Lane::default);
