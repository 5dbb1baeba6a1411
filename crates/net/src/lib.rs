//! The network, typed: TLS and certificates, resolver, listeners, streams.
