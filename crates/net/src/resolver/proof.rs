//! How far an answer is proven: the verdict on the records that lead from the question to the answer, or to its absence.

use super::Dnssec;
use super::cache::Datum;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NoRecords;
use hickory_resolver::proto::dnssec::Proof as Verdict;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use postern_mail::Proof;

/// Most records examined in one answer.
const RECORDS_MAX: usize = 256;

/// What was found, and how far that, or its absence, is proven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven<T> {
    /// What was found.
    pub found: T,
    /// How far it is proven: including the aliases (CNAME) on the way. [`Proof::Bogus`] only comes with an error.
    pub proof: Proof,
    /// The name at the end of the aliases, if there are any; lower-case and without a trailing dot.
    pub canonical: Option<String>,
}

/// What an answer says.
#[derive(Debug)]
pub(super) struct Reading {
    /// The records; empty if the aliases lead to none.
    pub(super) data: Vec<Datum>,
    pub(super) proof: Proof,
    /// Where the aliases end, if there are any.
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
    // If there are unsigned records beside signed ones, hickory skips the proof that no name closer than the wildcard exists.
    if reading.proof == Proof::Secure && are_all_insecure(lookup.authorities()) {
        reading.proof = Proof::Bogus;
    }
    reading
}

/// Follows aliases from the question to the records. Other records of the answer are not on the way and prove nothing.
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
        // Absence was not examined here.
        proof = proof.and(Proof::Insecure);
    }
    data.truncate(RECORDS_MAX);
    Reading {
        data,
        proof,
        canonical: (at != asked).then(|| at.clone()),
    }
}

/// How far it is proven that `asked` has no such record.
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
    // Nothing is known here about the aliases on the way, so the denial counts as unproven.
    if dnssec == Dnssec::Validate && !proven && are_all_insecure(records) {
        // An unsigned zone may only speak for names within it, and hickory does not check that.
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
