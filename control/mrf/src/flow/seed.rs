//! Facts of TS 24.247 A.5.1: what its messages say, in a form that can be sent.
//!
//! The printed flow has typographic quotes and dashes, which the wire has not: with `'` and `-` the
//! text has the 77 octets that its Byte-Range claims.

/// Request-URI of the INVITE, step 9.
pub(super) const CONFERENCE: &str = "sip:conference1@home2.net";

/// From of the INVITE, step 9.
pub(super) const USER_1: &str = "sip:user1_public1@home1.net";

/// A second user; the flow shows one only.
pub(super) const USER_2: &str = "sip:user2_public1@home2.net";

/// Session-id of UE#1, step 9.
pub(super) const SESSION_1: &str = "s111271";

/// Session-id of UE#2, after A.5.2 step 13.
pub(super) const SESSION_2: &str = "s417121";

/// What the conference accepts, step 12.
pub(super) const ACCEPT_TYPES: &str = "message/cpim text/plain text/html";

/// The largest message that the conference accepts, octets, step 12.
pub(super) const MAX_SIZE: u64 = 32_768;

/// Transaction id of the SEND, step 23.
pub(super) const TRANSACTION: &str = "a97ghjut";

/// Message-ID of the SEND, step 23.
pub(super) const MESSAGE_ID: &str = "9972";

/// Byte-Range of the SEND, step 23.
pub(super) const BYTE_RANGE: &str = "1-77/77";

/// Media type of the SEND, step 23.
pub(super) const CONTENT_TYPE: &str = "text/plain";

/// Body of the SEND, step 23.
pub(super) const TEXT: &str =
    "those are my principles. If you don't like them I have others - Groucho Marx.";

/// Methods without which there is no session (part of Allow, step 12).
pub(super) const METHODS: [&str; 4] = ["INVITE", "ACK", "CANCEL", "BYE"];

const _: () = assert!(TEXT.len() == 77);
