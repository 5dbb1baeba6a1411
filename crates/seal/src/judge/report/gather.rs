//! The messages of a day, with similar ones counted together.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use postern_policy::authenticity::{Action, DmarcResult, Requested};
use serde::{Deserialize, Serialize};

use crate::judge::dmarc::Published;
use crate::judge::{Judgement, spf};

/// Most domains reported on for one day.
const DOMAINS_MAX: usize = 10_000;

/// Most rows of one report.
const ROWS_MAX: usize = 1_000;

/// Most rows of all reports: some 6 MiB of memory with usual mail, 40 MiB at most.
const ROWS_ALL_MAX: usize = 20_000;

/// Most signatures reported for one message.
const SIGNATURES_MAX: usize = 4;

/// A day, counted from 1970, in UTC.
pub type Day = i64;

/// The policy that a domain had published when the first message of the day arrived.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Where the record was found.
    pub domain: String,
    /// `adkim=s`.
    pub strict_dkim: bool,
    /// `aspf=s`.
    pub strict_spf: bool,
    /// `p=`.
    pub policy: String,
    /// `sp=`, or `p=` without it.
    pub below: String,
    /// `pct=`.
    pub percent: u8,
    /// `fo=`: when the domain wants failure reports, which are not sent.
    #[serde(default)]
    pub failure_options: String,
    /// Where reports go: an address, and the largest that it accepts.
    pub reports: Vec<(String, Option<u64>)>,
}

/// What messages that are counted together have in common.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Row {
    /// The client.
    pub source: IpAddr,
    /// The author's domain.
    pub header_from: String,
    /// The sender's domain; empty for `<>`.
    pub envelope_from: String,
    /// What was done: `none`, `quarantine`, `reject`.
    pub disposition: String,
    /// Whether a signature of the author's domain was valid.
    pub dkim_aligned: bool,
    /// Whether SPF passed for the author's domain.
    pub spf_aligned: bool,
    /// Why something other than the policy was applied (RFC 7489 appendix C, `PolicyOverrideType`).
    pub reason: Option<String>,
    /// Domain, selector and result of each signature.
    pub signatures: Vec<(String, String, String)>,
    /// Domain, scope and result of SPF.
    pub spf: (String, String, String),
}

/// The counts for one domain on one day.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// The day.
    pub day: Day,
    /// What the domain had published.
    pub policy: Policy,
    /// How many messages there were of each kind.
    #[serde(with = "pairs")]
    pub rows: BTreeMap<Row, u64>,
    /// Messages for which there was no room in the rows.
    pub left_out: u64,
}

/// JSON keys must be texts, which the rows' keys are not.
mod pairs {
    use super::{BTreeMap, Deserialize, Row, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        rows: &BTreeMap<Row, u64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        rows.iter().collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Row, u64>, D::Error> {
        Vec::<(Row, u64)>::deserialize(from).map(|rows| rows.into_iter().collect())
    }
}

/// Everything gathered but not sent yet, by domain and day.
#[derive(Debug, Default)]
pub struct Gathered {
    tallies: HashMap<(String, Day), Tally>,
    changed: HashMap<(String, Day), ()>,
    /// The number of rows in all of them.
    rows: usize,
}

impl Gathered {
    /// Counts a message, if its author's domain wants reports.
    pub fn count(&mut self, judgement: &Judgement, peer: IpAddr, action: Action, vouched: bool, day: Day) {
        let Some(dmarc) = &judgement.dmarc else { return };
        let Some(published) = dmarc
            .published
            .as_ref()
            .filter(|found| !found.record.reports.is_empty())
        else {
            return;
        };
        if !matches!(dmarc.result, DmarcResult::Pass | DmarcResult::Fail) {
            return;
        }
        let key = (published.domain.clone(), day);
        if !self.tallies.contains_key(&key) && self.tallies.len() >= DOMAINS_MAX {
            return;
        }
        let tally = self.tallies.entry(key.clone()).or_insert_with(|| Tally {
            day,
            policy: Policy::of(published),
            rows: BTreeMap::new(),
            left_out: 0,
        });
        let row = Row::of(judgement, dmarc, peer, action, vouched);
        if let Some(count) = tally.rows.get_mut(&row) {
            *count += 1;
        } else if tally.rows.len() < ROWS_MAX && self.rows < ROWS_ALL_MAX {
            tally.rows.insert(row, 1);
            self.rows += 1;
        } else {
            tally.left_out += 1;
        }
        self.changed.insert(key, ());
    }

    /// Restores saved counts.
    pub fn restore(&mut self, tally: Tally) {
        if self.tallies.len() < DOMAINS_MAX && self.rows + tally.rows.len() <= ROWS_ALL_MAX {
            self.rows += tally.rows.len();
            self.tallies
                .insert((tally.policy.domain.clone(), tally.day), tally);
        }
    }

    /// What has changed since the last call.
    pub fn take_changed(&mut self) -> Vec<Tally> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_keys()
            .filter_map(|key| self.tallies.get(&key).cloned())
            .collect()
    }

    /// At most `most` of the days that ended before `today`. They are removed.
    pub fn take_ended(&mut self, today: Day, most: usize) -> Vec<Tally> {
        let ended: Vec<_> = self
            .tallies
            .keys()
            .filter(|(_, day)| *day < today)
            .take(most)
            .cloned()
            .collect();
        ended
            .into_iter()
            .filter_map(|key| {
                self.changed.remove(&key);
                let tally = self.tallies.remove(&key)?;
                self.rows -= tally.rows.len();
                Some(tally)
            })
            .collect()
    }
}

impl Tally {
    /// The key under which it is stored.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.day, self.policy.domain)
    }
}

impl Policy {
    fn of(published: &Published) -> Self {
        let record = &published.record;
        let asked = record.requested().unwrap_or(Requested::None);
        Self {
            domain: published.domain.clone(),
            strict_dkim: record.strict_dkim,
            strict_spf: record.strict_spf,
            policy: asked.word().to_owned(),
            below: record.below.unwrap_or(asked).word().to_owned(),
            percent: record.percent,
            failure_options: record.failure_options.clone(),
            reports: record
                .reports
                .iter()
                .map(|uri| (uri.to.to_string(), uri.size_max))
                .collect(),
        }
    }
}

impl Row {
    fn of(
        judgement: &Judgement,
        dmarc: &crate::judge::dmarc::Outcome,
        peer: IpAddr,
        action: Action,
        vouched: bool,
    ) -> Self {
        let disposition = match (action, dmarc.requested) {
            _ if dmarc.result == DmarcResult::Pass => Requested::None,
            (Action::Reject, _) => Requested::Reject,
            (Action::Hold, _) | (Action::Mark, Requested::Quarantine | Requested::Reject) => {
                Requested::Quarantine
            }
            (Action::Mark | Action::Nothing, _) => Requested::None,
        };
        let asked = dmarc
            .published
            .as_ref()
            .map_or(Requested::None, |published| published.policy);
        let reason = match () {
            () if dmarc.result == DmarcResult::Pass || disposition == asked => None,
            () if vouched => Some("trusted_forwarder"),
            () if dmarc.sampled_out => Some("sampled_out"),
            () => Some("local_policy"),
        };
        let signatures = judgement
            .dkim
            .iter()
            .take(SIGNATURES_MAX)
            .filter_map(|signature| {
                let domain = signature.domain.clone()?;
                let selector = signature.selector.clone().unwrap_or_default();
                Some((domain, selector, signature.result.word().to_owned()))
            });
        let spf = judgement.spf.as_ref();
        let is_sender = spf.is_some_and(|spf| spf.identity == spf::Identity::MailFrom);
        Self {
            source: peer.to_canonical(),
            header_from: dmarc.author.clone(),
            envelope_from: spf
                .filter(|_| is_sender)
                .map_or(String::new(), |spf| spf.domain.clone()),
            disposition: disposition.word().to_owned(),
            dkim_aligned: dmarc.dkim_aligned,
            spf_aligned: dmarc.spf_aligned,
            reason: reason.map(str::to_owned),
            signatures: signatures.collect(),
            spf: (
                spf.map_or(String::new(), |spf| spf.domain.clone()),
                if is_sender { "mfrom" } else { "helo" }.to_owned(),
                spf.map_or("none", |spf| spf.result.word()).to_owned(),
            ),
        }
    }
}
