//! NTLM (MS-NLMP), version 2. Version 1 and LM are neither sent nor accepted: the password can be recovered from their
//! responses within hours.
//!
//! If a client says which channel and which server it has seen, both must be this session's. Many do not say.

mod client;
mod compute;
mod hash;
mod message;
mod server;
mod target;

pub(crate) use client::NtlmClient;
pub use hash::NtHash;
pub(crate) use hash::SECRET_PREFIX;
pub(crate) use server::NtlmServer;

use crate::mechanism::Mechanism;

const NAME: &str = Mechanism::Ntlm.name();

/// Negotiation flags (section 2.2.2.5).
mod flag {
    pub(super) const UNICODE: u32 = 0x0000_0001;
    pub(super) const OEM: u32 = 0x0000_0002;
    pub(super) const REQUEST_TARGET: u32 = 0x0000_0004;
    pub(super) const NTLM: u32 = 0x0000_0200;
    pub(super) const ALWAYS_SIGN: u32 = 0x0000_8000;
    pub(super) const TARGET_SERVER: u32 = 0x0002_0000;
    pub(super) const EXTENDED_SESSION: u32 = 0x0008_0000;
    pub(super) const TARGET_INFO: u32 = 0x0080_0000;
    pub(super) const BITS_128: u32 = 0x2000_0000;
    pub(super) const KEY_EXCHANGE: u32 = 0x4000_0000;
    pub(super) const BITS_56: u32 = 0x8000_0000;
}

#[cfg(test)]
mod tests;
