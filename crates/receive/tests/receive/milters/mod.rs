//! Mail filters: told of everything, heard in everything, and none of their failures goes beyond one message.

mod answers;
mod changes;
mod events;
mod failures;
mod memory;
mod order;
mod real;
mod strangers;
mod support;
mod told;
