//! Names below a DNAME record (RFC 6672): the server synthesises an alias for each, which has no signature. The DNAME record
//! itself is signed, and a validator synthesises the alias again and compares (section 5.3.1). hickory does not know DNAME and
//! takes the alias for bogus.

use hickory_resolver::proto::dnssec::Proof as Verdict;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::BinDecodable as _;

/// Marks aliases as secure that follow from a signed DNAME record in the same answer.
pub(super) fn prove(answers: &mut [Record]) {
    let redirections: Vec<(Name, Name)> = answers
        .iter()
        .filter(|record| record.proof == Verdict::Secure)
        .filter_map(|record| Some((record.name.clone(), target(&record.data)?)))
        .collect();
    for record in answers {
        if let RData::CNAME(alias) = &record.data
            && record.proof != Verdict::Secure
            && redirections
                .iter()
                .any(|(owner, target)| redirected(&record.name, owner, target).as_ref() == Some(&alias.0))
        {
            record.proof = Verdict::Secure;
        }
    }
}

/// Puts the targets of DNAME records into the canonical form that was signed (RFC 4034 section 6.2): lower case. hickory does
/// that for the types it knows.
pub(super) fn to_signed_form(answers: &mut [Record]) {
    for record in answers {
        if let RData::Unknown {
            code: RecordType::DNAME,
            rdata,
        } = &mut record.data
        {
            // Label lengths have smaller values than any letter.
            rdata.anything.make_ascii_lowercase();
        }
    }
}

/// The target of a DNAME record. It is never compressed (RFC 6672 section 2.5).
fn target(data: &RData) -> Option<Name> {
    match data {
        RData::Unknown {
            code: RecordType::DNAME,
            rdata,
        } => Name::from_bytes(&rdata.anything).ok(),
        _ => None,
    }
}

/// What `name` becomes under a DNAME record: the labels in front of `owner` stay (section 2.2). The owner itself is not
/// redirected.
fn redirected(name: &Name, owner: &Name, target: &Name) -> Option<Name> {
    let kept = name.iter().len().checked_sub(owner.iter().len())?;
    if kept == 0 || !owner.zone_of(name) {
        return None;
    }
    let mut made = Name::from_labels(name.iter().take(kept).chain(target.iter())).ok()?;
    made.set_fqdn(true);
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::rdata::{CNAME, NULL};
    use hickory_resolver::proto::serialize::binary::BinEncodable as _;

    fn name(text: &str) -> Name {
        let mut name = Name::from_ascii(text).unwrap();
        name.set_fqdn(true);
        name
    }

    fn dname(owner: &str, target: &str, proof: Verdict) -> Record {
        let rdata = NULL::with(name(target).to_bytes().unwrap());
        let code = RecordType::DNAME;
        let mut record = Record::from_rdata(name(owner), 60, RData::Unknown { code, rdata });
        record.proof = proof;
        record
    }

    #[test]
    fn aliases_that_follow_from_a_record() {
        use Verdict::{Bogus, Insecure, Secure};
        #[rustfmt::skip]
        let cases = [
            // what the case shows            owner       target     of the record  alias            to              becomes
            ("one label",                     "old.lab",  "new.lab", Secure,        "a.old.lab",     "a.new.lab",    Secure),
            ("two",                           "old.lab",  "new.lab", Secure,        "b.a.old.lab",   "b.a.new.lab",  Secure),
            ("the case of letters",           "Old.lab",  "new.LAB", Secure,        "a.old.lab",     "A.new.lab",    Secure),
            ("into another depth",            "old.lab",  "x.y.lab", Secure,        "a.old.lab",     "a.x.y.lab",    Secure),
            ("of the whole zone",             "lab",      "new",     Secure,        "a.old.lab",     "a.old.new",    Secure),
            ("to the root",                   "old.lab",  ".",       Secure,        "a.old.lab",     "a",            Secure),
            ("elsewhere",                     "old.lab",  "new.lab", Secure,        "a.old.lab",     "a.evil.lab",   Bogus),
            ("another name there",            "old.lab",  "new.lab", Secure,        "a.old.lab",     "b.new.lab",    Bogus),
            ("the owner itself",              "old.lab",  "new.lab", Secure,        "old.lab",       "new.lab",      Bogus),
            ("a name that only ends so",      "old.lab",  "new.lab", Secure,        "a.bold.lab",    "a.new.lab",    Bogus),
            ("a record with wrong signature", "old.lab",  "new.lab", Bogus,         "a.old.lab",     "a.new.lab",    Bogus),
            ("an unsigned record",            "old.lab",  "new.lab", Insecure,      "a.old.lab",     "a.new.lab",    Bogus),
        ];
        for (shows, owner, target, proof, alias, to, becomes) in cases {
            let mut made = Record::from_rdata(name(alias), 60, RData::CNAME(CNAME(name(to))));
            made.proof = Bogus;
            let mut answers = [dname(owner, target, proof), made];
            prove(&mut answers);
            assert_eq!(answers[1].proof, becomes, "{shows}");
        }
    }

    #[test]
    fn the_signed_form_has_small_letters() {
        let mut answers = [dname("old.lab", "New.LAB", Verdict::Indeterminate)];
        to_signed_form(&mut answers);
        let small = dname("old.lab", "new.lab", Verdict::Indeterminate);
        let bytes = |record: &Record| match &record.data {
            RData::Unknown { rdata, .. } => rdata.anything.clone(),
            _ => Vec::new(),
        };
        assert_eq!(bytes(&answers[0]), bytes(&small));
    }
}
