//! Postfix's files, whatever they say, become a configuration and a report, and each line of `main.cf` is in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_migrate::{FileError, Files, postfix};

/// The parts of the input as files: `main.cf`, `master.cf`, and one that is every table and list.
struct Parts<'a>(Vec<&'a str>);

impl Files for Parts<'_> {
    fn read(&self, path: &str) -> Result<String, FileError> {
        let part = match path {
            "/etc/postfix/main.cf" => 0,
            "/etc/postfix/master.cf" => 1,
            _ => 2,
        };
        self.0.get(part).map(|text| (*text).to_owned()).ok_or(FileError::Missing)
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parts = Parts(text.splitn(3, '\0').collect());
    let Ok(import) = postfix::import("/etc/postfix/main.cf", &parts) else { return };
    let _ = import.config.text("");
    let main = parts.0.first().copied().unwrap_or_default();
    let is_active = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let passed_over = import.report.passed_over("/etc/postfix/main.cf", main, &is_active);
    assert!(passed_over.is_empty(), "{passed_over:?}");
});
