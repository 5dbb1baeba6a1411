//! What local programs hand in: command lines, messages, address fields, files of the drop folder. No panic, and nothing that is no
//! message passes for one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_submit::header::Header;
use postern_submit::{Message, Name, Options, addresses, dropped};

fuzz_target!(|octets: &[u8]| {
    for found in addresses::scan(octets) {
        assert!(found.end <= octets.len() && !found.text.is_empty());
    }
    let text = String::from_utf8_lossy(octets);
    let _ = Options::parse(Name::Sendmail, text.split('\n').map(str::to_owned));
    if let Ok(message) = Message::read(&mut &*octets, true) {
        let lines = message.header.octets().split(|octet| *octet == b'\n');
        assert!(lines.clone().all(|line| line.is_empty() || line.ends_with(b"\r")));
        let _ = message.header.qualified("h.example");
        let _ = message.header.recipients();
    }
    let (header, at) = Header::split(octets);
    assert!(at <= octets.len());
    let _ = header.qualified("h.example");
    let file = [b"POSTERN DROP 1\n", octets].concat();
    if let Ok(whole) = dropped::parse(&file, file.len() as u64) {
        assert!(whole.handover.check().is_ok());
        assert_eq!(whole.at + whole.size, file.len() as u64);
    }
});
