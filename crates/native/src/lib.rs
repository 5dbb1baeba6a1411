//! System libraries, loaded at run time: Kerberos 5 through GSSAPI ([`gss`]), whose contexts [`kerberos`] provides to the
//! mechanism, and PAM ([`pam`]).
//!
//! Postern is one binary that runs on hosts with and without these libraries: nothing here is linked, and a missing library is
//! an error that names its package. This is the only crate with `unsafe`. Each block says why it is sound, and the surface is
//! safe: handles are freed when dropped, the library's buffers are copied and released at once.
//!
//! Calls read files and may wait for other servers: run them on a thread that may block.

pub mod gss;
pub mod kerberos;
mod library;
pub mod pam;

pub use library::LibraryError;
