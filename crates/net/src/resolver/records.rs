//! The parts of records that are used, as their owners wrote them.

/// One MX record (RFC 5321 section 5.1).
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct MxRecord {
    /// Lower comes first.
    pub preference: u16,
    /// The host, lower-case and without a trailing dot; empty for the root, which means null MX (RFC 7505).
    pub exchange: String,
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct SrvRecord {
    /// Lower comes first.
    pub priority: u16,
    /// Share of the load among records of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, lower-case and without a trailing dot; empty for the root, which means that there is no such service.
    pub target: String,
}

/// One TLSA record as published (RFC 6698 section 2.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsaRecord {
    /// Certificate usage.
    pub usage: u8,
    /// Which part of the certificate.
    pub selector: u8,
    /// Whole, or by which digest.
    pub matching: u8,
    /// That part, or its digest.
    pub data: Vec<u8>,
}
