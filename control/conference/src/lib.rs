//! The conference as a function: events of its legs and of its mixer in, intents out. No SIP, no
//! H.248, no clock, no I/O. Beside it what others may learn of it: the roster and its documents.
//!
//! **Invariant:** every termination that became ready is subtracted exactly once, or was lost
//! with its mixer.
//! **Invariant:** at most one context exists for a conference, and it never runs empty while a
//! termination is on its way into it.
#![forbid(unsafe_code)]

mod conference;
mod event;
pub mod fuzzing;
pub mod info;
pub mod list;
pub mod notice;
mod policy;
pub mod roster;
mod rules;
mod seats;
pub mod subscription;
mod xml;

pub use conference::Conference;
pub use event::{
    Event, Hangup, Intent, MixerFailure, Participant, ParticipantId, Refusal, SeatState,
};
pub use policy::{Policy, UnknownConference};
pub use rules::{Rules, Standing, WhoMay};
