//! SMTP as server and client, without sockets: framing, commands, replies, extensions, bodies.
