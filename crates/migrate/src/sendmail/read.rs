//! Reading a site's configuration, whichever of its two forms there is.

use super::cf;
use super::mc::Mc;
use crate::{FileError, Files};

impl Mc {
    /// Reads a `.mc` file and what it includes, or a `.cf` file.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn read(path: &str, files: &dyn Files) -> Result<Self, FileError> {
        let text = files.read(path)?;
        Ok(if path.ends_with(".cf") {
            cf::read(path, &text)
        } else {
            Self::of(path, &text, files)
        })
    }
}
