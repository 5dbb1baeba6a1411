//! Postern, the mail relay.

fn main() {}
