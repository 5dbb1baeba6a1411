//! Errors of the client library, as text.

use mysql_async::Error;

pub(super) fn tell(error: &Error) -> String {
    crate::sql::text::one_line(&error.to_string())
}
