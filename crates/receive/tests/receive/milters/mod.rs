//! Mail filters: they are told everything, every answer takes effect, and no failure goes beyond one message.

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
