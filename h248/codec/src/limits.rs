//! Bounds of the parser. Each has a tested outcome when exceeded.

/// What the parser takes from a peer before it gives up.
///
/// Together with [`Limits::message_octets`] they keep the work for a message linear in its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a message. More: error 400.
    pub message_octets: usize,
    /// Open braces at one place. More: the error code of that place.
    pub depth: usize,
    /// Transactions of every kind in one message. More: error 413.
    pub transactions: usize,
    /// Commands in one transaction, requests or replies. More: error 422.
    pub commands: usize,
    /// Items of one list: descriptors, properties, events, terminations, ranges.
    pub list_items: usize,
}

impl Limits {
    /// The most text a TPKT frame (RFC 3525 D.2) can carry.
    pub const MESSAGE_OCTETS: usize = 65_531;
    /// Default for [`Limits::depth`]; the deepest thing in the grammar, a signal embedded twice, is 14 deep.
    pub const DEPTH: usize = 16;
    /// Default for [`Limits::transactions`]; the Mp profile (TS 29.333 5.5) allows a sender 10.
    pub const TRANSACTIONS: usize = 64;
    /// Default for [`Limits::commands`].
    pub const COMMANDS: usize = 4_096;
    /// Default for [`Limits::list_items`].
    pub const LIST_ITEMS: usize = 16_384;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_octets: Self::MESSAGE_OCTETS,
            depth: Self::DEPTH,
            transactions: Self::TRANSACTIONS,
            commands: Self::COMMANDS,
            list_items: Self::LIST_ITEMS,
        }
    }
}

/// Characters of a `NAME`, and of a pathNAME or domain name as a whole (Annex B.2).
pub const NAME_OCTETS: usize = 64;
/// Octets of what a parse error shows of the text.
pub(crate) const FOUND_OCTETS: usize = 40;
