//! Messages made at random, in the form the parser would give them.

mod descriptors;
mod messages;
mod parts;

pub(crate) use messages::message;
