//! sendmail's files, whatever they say, become a configuration and a report that says something of each call and option.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_migrate::report::Fate;
use postern_migrate::{FileError, Files, sendmail};

/// The parts of the input as files: one that says what the site does, an access table, and one that is every other table and list.
struct Parts<'a> {
    path: &'static str,
    texts: Vec<&'a str>,
}

impl Files for Parts<'_> {
    fn read(&self, path: &str) -> Result<String, FileError> {
        let part = match path {
            _ if path == self.path => 0,
            "/etc/mail/sendmail.mc" | "/etc/mail/sendmail.cf" | "/etc/sendmail.cf" => return Err(FileError::Missing),
            "/etc/mail/access" => 1,
            _ => 2,
        };
        self.texts.get(part).map(|text| (*text).to_owned()).ok_or(FileError::Missing)
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A `.cf` begins with a comment, or with a line of options or macros.
    let is_cf = text.starts_with(['#', 'V', 'O', 'D']);
    let path = if is_cf { "/etc/mail/sendmail.cf" } else { "/etc/mail/sendmail.mc" };
    let parts = Parts { path, texts: text.splitn(3, '\0').collect() };
    let Ok(import) = sendmail::import("/etc/mail/sendmail.mc", &parts) else { return };
    let _ = import.config.text("");
    for item in import.report.items() {
        if let Fate::Missing { remedy, .. } = &item.fate {
            assert!(!remedy.starts_with("no part of the import has read it"), "{item:?}");
        }
    }
});
