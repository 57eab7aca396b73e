//! Facts of TS 24.247 A.5.1 and A.5.2: what their messages say, in a form that can be sent.
//!
//! The printed flow has typographic quotes and dashes, which the wire has not: with `'` and `-` the
//! texts have the 77 and 89 octets that their Byte-Ranges claim.

/// Request-URI of the INVITE, step 9.
pub(super) const CONFERENCE: &str = "sip:conference1@home2.net";

/// The conference of A.5.2, step 1.
pub(super) const CONFERENCE_A52: &str = "sip:conference1@mrfc1.home1.net";

/// From of the INVITE, step 9.
pub(super) const USER_1: &str = "sip:user1_public1@home1.net";

/// A second user; called in A.5.2.
pub(super) const USER_2: &str = "sip:user2_public1@home2.net";

/// Session-id of UE#1, step 9.
pub(super) const SESSION_1: &str = "s111271";

/// Session-id of UE#2, after A.5.2 step 13.
pub(super) const SESSION_2: &str = "s417121";

/// What the conference accepts, step 12.
pub(super) const ACCEPT_TYPES: &str = "message/cpim text/plain text/html";

/// The largest message that the conference accepts, octets, step 12.
pub(super) const MAX_SIZE: u64 = 32_768;

/// A message of a flow, and the numbers of the steps that carry it; empty where the flow has none.
#[derive(Debug)]
pub(super) struct Saying {
    /// Step of the SEND to the MRFP.
    pub(super) sent: &'static str,
    /// Step of the SEND to the hearer.
    pub(super) heard: &'static str,
    /// Step of its 200.
    pub(super) acknowledged: &'static str,
    /// Transaction id that its speaker uses.
    pub(super) transaction: &'static str,
    pub(super) message_id: &'static str,
    pub(super) byte_range: &'static str,
    pub(super) content_type: &'static str,
    pub(super) text: &'static str,
}

/// A.5.1, step 23: UE#1 speaks.
pub(super) const A51: Saying = Saying {
    sent: "23",
    heard: "",
    acknowledged: "",
    transaction: "a97ghjut",
    message_id: "9972",
    byte_range: "1-77/77",
    content_type: "text/plain",
    text: "those are my principles. If you don't like them I have others - Groucho Marx.",
};

/// A.5.2, steps 22 and 23: UE#2 hears. The flow does not show who spoke.
pub(super) const A52: Saying = Saying {
    sent: "",
    heard: "22",
    acknowledged: "23",
    transaction: "y56hkseg",
    message_id: "10568",
    byte_range: "1-89/89",
    content_type: "text/plain",
    text: "I will never be a member of a club that accepts people like me as members - Groucho Marx.",
};

/// Methods without which there is no session (part of Allow, step 12).
pub(super) const METHODS: [&str; 4] = ["INVITE", "ACK", "CANCEL", "BYE"];

const _: () = assert!(A51.text.len() == 77);
const _: () = assert!(A52.text.len() == 89);
