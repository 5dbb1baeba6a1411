//! Errors of the client library, in words.

use mysql_async::Error;

pub(super) fn tell(error: &Error) -> String {
    crate::sql::text::one_line(&error.to_string())
}
