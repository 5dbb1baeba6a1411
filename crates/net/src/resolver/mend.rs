//! Three kinds of valid answers that hickory takes for bogus: one from a wildcard in a zone with NSEC records, an alias to a name
//! without such a record, and an alias synthesised from a DNAME record (see `dname`).
//!
//! For the first, it looks for a record that covers the wildcard itself, and there is none where the wildcard exists; what has to
//! be proven is that no closer name exists (RFC 4035 section 5.3.4). For the second, it checks the denial, which is about the
//! name at the end of the aliases, against the name at their beginning; the alias itself is signed, and the rest is a separate
//! question.

use super::dname;
use futures_util::StreamExt as _;
use futures_util::stream::Stream;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::xfer::DnsHandle;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof as Verdict;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::pin::Pin;

/// A validating client that accepts such answers.
#[derive(Clone)]
pub(super) struct Mended<H>(pub(super) DnssecDnsHandle<H>);

impl<H: DnsHandle> DnsHandle for Mended<H> {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = H::Runtime;

    fn is_verifying_dnssec(&self) -> bool {
        true
    }

    fn send(&self, request: DnsRequest) -> Self::Response {
        Box::pin(self.0.send(request).map(mend))
    }
}

fn mend(mut result: Result<DnsResponse, NetError>) -> Result<DnsResponse, NetError> {
    match &mut result {
        Ok(response) => dname::prove(&mut response.answers),
        Err(NetError::Dns(DnsError::Nsec { response, .. })) => dname::prove(&mut response.answers),
        Err(_) => {}
    }
    if let Err(NetError::Dns(DnsError::Nsec { query, response, .. })) = &result
        && let Some(part) = proven_part(query, response)
    {
        return DnsResponse::from_message(part).map_err(NetError::from);
    }
    result
}

/// The records at the name that was asked for, if they are signed and either of the type asked for or an alias. Records of other
/// names are left out.
fn proven_part(query: &Query, response: &DnsResponse) -> Option<Message> {
    let asked = query.name();
    let at = |kind: RecordType| {
        response
            .answers
            .iter()
            .filter(move |record| record.name == *asked && record.record_type() == kind)
    };
    let kind = [query.query_type(), RecordType::CNAME]
        .into_iter()
        .find(|kind| at(*kind).next().is_some())?;
    let mut signatures = at(RecordType::RRSIG)
        .filter(|record| record.proof == Verdict::Secure)
        .filter_map(signature)
        .filter(|signature| signature.input().type_covered == kind)
        .peekable();
    // One without a signature was synthesised from a DNAME record, which is not at a wildcard: otherwise it would not be secure.
    let is_made = kind == RecordType::CNAME && signatures.peek().is_none();
    let is_signed = at(kind).all(|record| record.proof == Verdict::Secure)
        && (is_made || signatures.any(|signature| stands(asked, signature, &response.authorities)));
    if !is_signed {
        return None;
    }
    let mut part = response.clone().into_message();
    part.metadata.response_code = ResponseCode::NoError;
    part.answers
        .retain(|record| record.name == *asked && record.record_type() == kind);
    part.authorities.clear();
    part.additionals.clear();
    Some(part)
}

/// Whether a signature is for the name itself, or for a wildcard and no closer name exists.
fn stands(asked: &Name, signature: &RRSIG, authorities: &[Record]) -> bool {
    signature.input().num_labels == asked.num_labels() || nothing_is_closer(asked, signature, authorities)
}

/// Whether an NSEC record of the same zone shows that no name exists between the wildcard and `asked`.
fn nothing_is_closer(asked: &Name, signature: &RRSIG, authorities: &[Record]) -> bool {
    let input = signature.input();
    let encloser = usize::from(input.num_labels);
    if encloser >= usize::from(asked.num_labels()) {
        return false;
    }
    // One label longer than the wildcard's parent (RFC 7129 section 5.3): if that name does not exist, nothing below it does.
    let closer = asked.trim_to(encloser + 1);
    authorities
        .iter()
        .filter(|record| record.proof == Verdict::Secure && input.signer_name.zone_of(&record.name))
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&record.name, nsec)),
            _ => None,
        })
        .any(|(owner, nsec)| covers(owner, nsec, &closer))
}

/// Whether a record shows that neither `name` nor anything below it exists.
fn covers(owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    let next = nsec.next_domain_name();
    let types = nsec.type_set();
    // The parent's record at a zone cut says nothing about the names below (RFC 6840 section 4.1).
    let of_parent = types.contains(RecordType::NS) && !types.contains(RecordType::SOA);
    let last = next <= owner;
    owner < name
        && (name < next || last && next.zone_of(name))
        && !name.zone_of(next)
        && !(of_parent && owner.zone_of(name))
}

fn signature(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_record_shows_not_to_exist() {
        let name = |text: &str| {
            let mut name = Name::from_ascii(text).unwrap();
            name.set_fqdn(true);
            name
        };
        let (ordinary, cut, apex) = (
            vec![RecordType::MX],
            vec![RecordType::NS],
            vec![RecordType::NS, RecordType::SOA],
        );
        #[rustfmt::skip]
        let cases = [
            // what the case shows              owner            next           types      name            covered
            ("between",                         "*.wild.lab",    "z.wild.lab",  &ordinary, "any.wild.lab", true),
            ("the last of the zone",            "*.wild.lab",    "lab",         &ordinary, "any.wild.lab", true),
            ("the last of another zone",        "*.wild.lab",    "a.lab",       &ordinary, "any.wild.lab", false),
            ("the name itself",                 "any.wild.lab",  "lab",         &ordinary, "any.wild.lab", false),
            ("the name is the next",            "*.wild.lab",    "any.wild.lab", &ordinary, "any.wild.lab", false),
            ("before",                          "x.wild.lab",    "z.wild.lab",  &ordinary, "any.wild.lab", false),
            ("behind",                          "*.wild.lab",    "aa.wild.lab", &ordinary, "any.wild.lab", false),
            ("something is below it",           "*.wild.lab",    "x.any.wild.lab", &ordinary, "any.wild.lab", false),
            ("a cut above it",                  "wild.lab",      "z.lab",       &cut,      "any.wild.lab", false),
            ("the top of its zone",             "wild.lab",      "z.wild.lab",  &apex,     "any.wild.lab", true),
        ];
        for (shows, owner, next, types, of, covered) in cases {
            let nsec = NSEC::new(name(next), types.iter().copied());
            assert_eq!(covers(&name(owner), &nsec, &name(of)), covered, "{shows}");
        }
    }
}
