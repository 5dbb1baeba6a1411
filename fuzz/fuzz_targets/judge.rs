//! What strangers write to be judged: records of SPF and DMARC, keys, signatures, chains, and fields in our name;
//! then whole messages with seals, damaged on their way ([`postern_seal::judge::fuzz`]).
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::Header;
use postern_seal::judge::arc::Chain;
use postern_seal::judge::dkim::{Hashers, Key, Kind, Signature, Signatures};
use postern_seal::judge::{dmarc, results, spf};

fuzz_target!(|data: &[u8]| {
    let _ = spf::Record::parse(data);
    if dmarc::Record::is_one(data) {
        let record = dmarc::Record::parse(data);
        assert!(record.percent <= 100);
    }
    for kind in [Kind::Dkim, Kind::ArcMessage, Kind::ArcSeal] {
        if let Ok(signature) = Signature::parse(data, kind) {
            assert!(!signature.domain.is_empty() && !signature.value.is_empty());
            let _ = Key::parse(data, &signature);
        }
    }
    let _ = results::is_by(data, "mx.example.org");
    let _ = results::has_result(&String::from_utf8_lossy(data), "dmarc", "pass");
    let (header, _) = Header::split(data);
    let header = Header::parse(header.to_vec());
    let mut hashers = Hashers::default();
    let _ = dmarc::author(&header);
    let _ = Signatures::read(&header, Some("example.org"), &mut hashers);
    let _ = Chain::read(&header, &mut hashers);
    postern_seal::judge::fuzz::message(data);
});
