//! Damaged database files and logs: no panic, no more work than they are long, and what is mended is sound.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

/// In memory where there is such a place; of this process alone.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let base = if shared.is_dir() { shared } else { std::env::temp_dir() };
    let folder = base.join(format!("postern-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| postern_salvage::fuzz::files(&FOLDER, input));
