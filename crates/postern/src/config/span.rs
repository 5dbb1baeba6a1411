//! Positions in the texts of a configuration.

use std::ops::Range;

/// A position in the texts of a configuration, in octets from the start of the first file.
pub(crate) type Span = Range<usize>;
