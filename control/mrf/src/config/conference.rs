//! One conference of the file, or one that the API is asked to make.

use core::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;

use super::text::{one_or_many, strings};
use crate::values::{Count, NoticeText, Profile, SipUri, Switch};

/// Every key of a `[[conference]]`.
pub const CONFERENCE_KEYS: &[&str] = &[
    "accept-types",
    "accept-wrapped-types",
    "max-participants",
    "max-size",
    "moderator",
    "name",
    "nicknames",
    "notice-joined",
    "notice-left",
    "notice-present",
    "notice-room",
    "notices",
    "private-messages",
    "profile",
    "subject",
];

/// One `[[conference]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConferenceOptions {
    /// User part of its URI.
    pub name: String,
    /// Seats in it.
    pub max_participants: Option<Count<NonZeroU32>>,
    /// How messages pass.
    pub profile: Option<Profile>,
    /// What it is about.
    pub subject: Option<String>,
    /// Octets of the largest message.
    pub max_size: Option<Count<NonZeroU64>>,
    /// Media types accepted.
    #[serde(default, deserialize_with = "strings")]
    pub accept_types: Vec<String>,
    /// Media types accepted inside Message/CPIM.
    #[serde(default, deserialize_with = "strings")]
    pub accept_wrapped_types: Vec<String>,
    /// Whether participants may choose nicknames.
    pub nicknames: Option<Switch>,
    /// Whether messages to one participant pass.
    pub private_messages: Option<Switch>,
    /// URIs of moderators.
    #[serde(default, deserialize_with = "one_or_many")]
    pub moderator: Vec<SipUri>,
    /// Whether who knows no chat rooms is told about this one.
    pub notices: Option<Switch>,
    /// What it is told when it joins.
    pub notice_room: Option<NoticeText>,
    /// How it is told who is there.
    pub notice_present: Option<NoticeText>,
    /// How it is told who came.
    pub notice_joined: Option<NoticeText>,
    /// How it is told who went.
    pub notice_left: Option<NoticeText>,
}
