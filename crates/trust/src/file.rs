//! Files of bounded size.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::TrustError;

/// Reads a file of at most `most` octets. A larger one is refused: taking its beginning for the whole would miss what
/// follows, such as revocations.
///
/// # Errors
///
/// [`TrustError::Read`], naming the file.
pub fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, TrustError> {
    let mut octets = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut octets));
    let cause = match read {
        Ok(length) if length as u64 > most => {
            io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {most} octets"))
        }
        Ok(_) => return Ok(octets),
        Err(cause) => cause,
    };
    Err(TrustError::Read {
        path: path.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        #[rustfmt::skip]
        let cases = [
            ("smaller than the limit", 6, Some("12345")),
            ("just as large",          5, Some("12345")),
            ("larger",                 4, None),
        ];
        for (shows, most, want) in cases {
            let read = read_bounded(&path, most);
            assert_eq!(read.as_deref().ok(), want.map(str::as_bytes), "{shows}: {read:?}");
            if let Err(error) = read {
                assert!(error.to_string().contains("larger than 4 octets"), "{error}");
            }
        }
        assert!(read_bounded(&folder.path().join("none"), 5).is_err());
    }
}
