//! What a request is about, in the 64 bits that the system carries to its completion.

use switch::ConnId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// The waker.
    Wake,
    /// A cancellation, whose own outcome does not matter.
    Cancel,
    /// A listener, by position.
    Listener(u32),
    /// A connect, by position.
    Connect(u32),
    /// A connection's reading.
    Receive(ConnId),
    /// A connection's sending.
    Send(ConnId),
}

const KIND_SHIFT: u32 = 56;
const INDEX_SHIFT: u32 = 32;
const INDEX_MASK: u64 = (1 << (KIND_SHIFT - INDEX_SHIFT)) - 1;

impl Tag {
    /// The position carried, if any.
    pub(crate) fn index(self) -> u32 {
        match self {
            Self::Wake | Self::Cancel => 0,
            Self::Listener(index) | Self::Connect(index) => index,
            Self::Receive(conn) | Self::Send(conn) => conn.index,
        }
    }

    pub(crate) fn pack(self) -> u64 {
        let (kind, generation) = match self {
            Self::Wake => (0, 0),
            Self::Cancel => (1, 0),
            Self::Listener(_) => (2, 0),
            Self::Connect(_) => (3, 0),
            Self::Receive(conn) => (4, conn.generation),
            Self::Send(conn) => (5, conn.generation),
        };
        let index = u64::from(self.index());
        debug_assert!(index <= INDEX_MASK, "bounded by CONNECTIONS_CEILING");
        kind << KIND_SHIFT | index << INDEX_SHIFT | u64::from(generation)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fields are cut out of the word"
    )]
    pub(crate) fn unpack(word: u64) -> Self {
        let index = (word >> INDEX_SHIFT & INDEX_MASK) as u32;
        let generation = word as u32;
        let conn = ConnId { index, generation };
        match word >> KIND_SHIFT {
            0 => Self::Wake,
            2 => Self::Listener(index),
            3 => Self::Connect(index),
            4 => Self::Receive(conn),
            5 => Self::Send(conn),
            _ => Self::Cancel,
        }
    }
}

const _: () = assert!(crate::limits::CONNECTIONS_CEILING as u64 - 1 <= INDEX_MASK);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_the_system() {
        let conn = ConnId {
            index: (1 << 24) - 1,
            generation: u32::MAX,
        };
        for tag in [
            Tag::Wake,
            Tag::Cancel,
            Tag::Listener(3),
            Tag::Connect(70_000),
            Tag::Receive(conn),
            Tag::Send(conn),
        ] {
            assert_eq!(Tag::unpack(tag.pack()), tag);
        }
    }
}
