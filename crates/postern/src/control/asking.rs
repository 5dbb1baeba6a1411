//! Who asks the service of the control socket, and how.

use super::wishes::Told;
use crate::admin::By;

/// Who makes a request, and how.
pub(crate) struct Asking<'a> {
    /// The name that is recorded and logged.
    pub(crate) by: &'a str,
    pub(crate) way: By,
    /// The system user, if the kernel identifies one.
    pub(crate) uid: Option<u32>,
    /// Whether no code is required to remove a second factor.
    pub(crate) trusts: bool,
    pub(crate) told: Told,
}
