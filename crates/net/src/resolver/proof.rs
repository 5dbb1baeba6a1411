//! How far an answer is proven: what the records that lead from the question to the answer, or to its absence, were found to be.

use super::Dnssec;
use super::cache::Datum;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NoRecords;
use hickory_resolver::proto::dnssec::Proof as Verdict;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use postern_mail::Proof;

/// Most records of one answer that are looked at.
const RECORDS_MAX: usize = 256;

/// What was found, and how far that is proven; what was not found is proven or not, too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven<T> {
    /// What was found.
    pub found: T,
    /// How far it is proven: the aliases (CNAME) on the way with it. [`Proof::Bogus`] comes with an error only.
    pub proof: Proof,
    /// The name at the end of the aliases, where there are some; lower-case and without a trailing dot.
    pub canonical: Option<String>,
}

/// What an answer says.
#[derive(Debug)]
pub(super) struct Reading {
    /// The records; none where the aliases end without one.
    pub(super) data: Vec<Datum>,
    pub(super) proof: Proof,
    /// Where the aliases end, if there are some.
    pub(super) canonical: Option<Name>,
}

/// Reads an answer to the question for `kind` at `asked`.
pub(super) fn read(dnssec: Dnssec, lookup: &Lookup, asked: &Name, kind: RecordType) -> Reading {
    let answers = lookup.answers();
    if dnssec == Dnssec::Off {
        let all = answers
            .iter()
            .filter_map(|record| Datum::from_record(&record.data));
        return Reading {
            data: all.take(RECORDS_MAX).collect(),
            proof: Proof::Indeterminate,
            canonical: None,
        };
    }
    let mut reading = follow(answers, asked, kind);
    // Unsigned records beside signed ones have hickory skip the proof that no closer name than a wildcard exists.
    if reading.proof == Proof::Secure && are_all_insecure(lookup.authorities()) {
        reading.proof = Proof::Bogus;
    }
    reading
}

/// Goes from the question by aliases to the records. Others of the answer are not on the way, and prove and disprove nothing.
fn follow(answers: &[Record], asked: &Name, kind: RecordType) -> Reading {
    let mut at = asked;
    let mut proof = Proof::Secure;
    let mut data = Vec::new();
    // Each alias is one of the records, so no more steps than these lead anywhere new.
    for _ in 0..=answers.len() {
        let here = |wanted| {
            answers
                .iter()
                .filter(move |record| record.record_type() == wanted && record.name == *at)
        };
        for record in here(kind) {
            proof = proof.and(of(record));
            data.extend(Datum::from_record(&record.data));
        }
        if !data.is_empty() {
            break;
        }
        let alias = here(RecordType::CNAME).find_map(|record| match &record.data {
            RData::CNAME(target) => Some((&target.0, of(record))),
            _ => None,
        });
        let Some((target, alias)) = alias else { break };
        (at, proof) = (target, proof.and(alias));
    }
    if data.is_empty() {
        // That there is nothing was not looked into here.
        proof = proof.and(Proof::Insecure);
    }
    data.truncate(RECORDS_MAX);
    Reading {
        data,
        proof,
        canonical: (at != asked).then(|| at.clone()),
    }
}

/// How far it is proven that there is nothing at `asked`.
pub(super) fn denial(dnssec: Dnssec, none: &NoRecords, asked: &Name) -> Proof {
    let records = none.authorities.as_deref().unwrap_or_default();
    let secure = |record: &Record| record.proof == Verdict::Secure;
    let proven = match dnssec {
        Dnssec::Off => return Proof::Indeterminate,
        Dnssec::Ad => !records.is_empty() && records.iter().all(secure),
        Dnssec::Validate => {
            let denies =
                |record: &Record| matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3);
            records.iter().any(|record| denies(record) && secure(record))
        }
    };
    let name = none.query.name();
    if proven && name == asked {
        return Proof::Secure;
    }
    // Of the aliases on the way nothing is known here; so not more is said than that somebody denies it.
    if dnssec == Dnssec::Validate && !proven && are_all_insecure(records) {
        // An unsigned zone's word counts for names within it alone, and hickory does not look at whose it is.
        let own = |record: &Record| record.record_type() == RecordType::SOA && record.name.zone_of(name);
        if !records.iter().any(own) {
            return Proof::Bogus;
        }
    }
    Proof::Insecure
}

fn are_all_insecure(records: &[Record]) -> bool {
    !records.is_empty() && records.iter().all(|record| record.proof == Verdict::Insecure)
}

fn of(record: &Record) -> Proof {
    match record.proof {
        Verdict::Secure => Proof::Secure,
        Verdict::Insecure => Proof::Insecure,
        Verdict::Indeterminate => Proof::Indeterminate,
        Verdict::Bogus => Proof::Bogus,
    }
}

#[cfg(test)]
mod tests;
