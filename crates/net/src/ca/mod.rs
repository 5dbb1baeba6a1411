//! An own certificate authority, and what a certificate says.
