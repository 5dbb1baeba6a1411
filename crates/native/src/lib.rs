//! System libraries, bound at run time: Kerberos 5 by GSSAPI ([`gss`]), whose contexts [`kerberos`] gives to the mechanism, and
//! PAM ([`pam`]).
//!
//! Postern is one binary that runs on hosts with and without these libraries: nothing here is linked, and a library that is
//! missing is an error that names its package. This is the one crate with `unsafe` in it. Each block says why it is sound,
//! and the surface is safe: handles are freed when dropped, buffers of the library are copied and released at once.
//!
//! Calls read files and may wait for other servers: run them on a thread that may be held up.

pub mod gss;
pub mod kerberos;
mod library;
pub mod pam;

pub use library::LibraryError;
