//! The durable queue: what was answered with 250 is on stable storage.
