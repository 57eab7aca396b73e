//! Identifiers the switch makes: session-ids that name their shard, transaction ids that name
//! their delivery.

use crate::api::ShardIndex;
use crate::limits::SHARDS_MAX;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of the random part of a transaction id: 62^11 > 2^64.
const RANDOM_LEN: u8 = 11;
const RANDOM_CHARS: usize = RANDOM_LEN as usize;

/// Characters of a session-id's random part: 62^19 > 2^113, above the 80 bits of RFC 4975 14.1.
const SESSION_RANDOM_CHARS: usize = 19;

/// Makes a session-id for a session that will live on `shard`. `random` must come from a
/// cryptographic generator: session-ids are shared secrets (RFC 4975 14.1).
///
/// # Panics
///
/// When `shard` is not below [`SHARDS_MAX`].
#[must_use]
pub fn session_id(shard: ShardIndex, mut random: u128) -> Box<[u8]> {
    assert!(shard.0 < SHARDS_MAX, "one base-62 digit names the shard");
    let mut id = Vec::with_capacity(1 + SESSION_RANDOM_CHARS);
    id.push(DIGITS[usize::from(shard.0)]);
    for _ in 0..SESSION_RANDOM_CHARS {
        id.push(DIGITS[usize::try_from(random % 62).expect("below 62")]);
        random /= 62;
    }
    id.into()
}

/// The shard that owns `session_id`; `None` if no shard can have made it.
#[must_use]
pub fn owner_of(session_id: &[u8]) -> Option<ShardIndex> {
    if session_id.len() != 1 + SESSION_RANDOM_CHARS {
        return None;
    }
    let digit = VALUES[usize::from(session_id[0])];
    (digit < NO_DIGIT).then_some(ShardIndex(digit))
}

/// Says which delivery of which message a response belongs to, without a table of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeliverySerial {
    /// Slot of the message, below 2^24.
    pub slot: u32,
    /// Low bits of the slot's generation, below 2^12.
    pub generation: u16,
    /// Position among the message's recipients, below 2^14.
    pub ordinal: u16,
    /// Which chunk to that recipient, below 2^14; wraps, the random part differs by then.
    pub chunk: u16,
}

pub(crate) const SLOT_MAX: u32 = 1 << 24;
pub(crate) const GENERATION_MASK: u32 = (1 << 12) - 1;
pub(crate) const ORDINAL_MAX: usize = 1 << 14;
pub(crate) const CHUNK_MASK: u16 = (1 << 14) - 1;

/// Characters of slot and generation: 62^7 > 2^36.
const MESSAGE_CHARS: usize = 7;

/// Characters of ordinal and chunk: 62^5 > 2^28.
const COPY_CHARS: usize = 5;
const _: () = assert!(COPY_CHARS == 5, "`delivery_id` writes one and two pairs");

const STEM_CHARS: usize = RANDOM_CHARS + MESSAGE_CHARS;
pub(crate) const TID_CHARS: usize = STEM_CHARS + COPY_CHARS;

/// What the transaction ids of all copies of a chunk begin with: the random part, then the message.
/// Written once per chunk; only a few digits differ per recipient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stem([u8; STEM_CHARS]);

impl Stem {
    pub(crate) fn new(random: u64, slot: u32, generation: u16) -> Self {
        let mut text = [b'0'; STEM_CHARS];
        write_digits(&mut text[..RANDOM_CHARS], random);
        let message = (u64::from(slot) << 12) | u64::from(generation);
        write_digits(&mut text[RANDOM_CHARS..], message);
        Self(text)
    }
}

/// A transaction id of ours: random characters and, for deliveries, those of the serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tid {
    text: [u8; TID_CHARS],
    len: u8,
}

const _: () = assert!(TID_CHARS <= msrp::limits::IDENT_BYTES_MAX);

impl Tid {
    /// The transaction id of one chunk to one recipient.
    pub(crate) fn delivery(stem: &Stem, ordinal: u16, chunk: u16) -> Self {
        Self {
            text: delivery_id(stem, ordinal, chunk),
            len: u8::try_from(TID_CHARS).expect("a short name"),
        }
    }

    /// The transaction id of a message of our own.
    pub(crate) fn play(random: u64, slot: u32, generation: u16) -> Self {
        let mut text = [b'0'; TID_CHARS];
        text[..STEM_CHARS].copy_from_slice(&Stem::new(random, slot, generation).0);
        Self {
            text,
            len: u8::try_from(STEM_CHARS).expect("a short name"),
        }
    }

    /// A transaction id whose response nobody waits for.
    pub(crate) fn unmatched(random: u64) -> Self {
        let mut tid = Self {
            text: [b'0'; TID_CHARS],
            len: RANDOM_LEN,
        };
        write_digits(&mut tid.text[..RANDOM_CHARS], random);
        tid
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

/// The text of [`Tid::delivery`], whose length is known.
#[inline]
pub(crate) fn delivery_id(stem: &Stem, ordinal: u16, chunk: u16) -> [u8; TID_CHARS] {
    let mut text = [b'0'; TID_CHARS];
    text[..STEM_CHARS].copy_from_slice(&stem.0);
    text[STEM_CHARS..].copy_from_slice(&copy_digits(ordinal, chunk));
    text
}

/// How the id of one copy ends, which is all that is its own.
#[inline]
pub(crate) fn copy_digits(ordinal: u16, chunk: u16) -> [u8; COPY_CHARS] {
    let copy = (u32::from(ordinal) << 14) | u32::from(chunk);
    let a = DIGITS[(copy / PAIR / PAIR) as usize % DIGITS.len()];
    let [b, c] = PAIRS[(copy / PAIR % PAIR) as usize];
    let [d, e] = PAIRS[(copy % PAIR) as usize];
    [a, b, c, d, e]
}

/// The characters that all copies of a chunk share; a body that does not contain seven hyphens and
/// these cannot contain the end-line of any copy (RFC 4975 7.1).
pub(crate) fn shared_part(random: u64) -> [u8; RANDOM_CHARS] {
    let mut text = [b'0'; RANDOM_CHARS];
    write_digits(&mut text, random);
    text
}

fn write_digits(out: &mut [u8], mut value: u64) {
    let (first, pairs) = out.as_rchunks_mut::<2>();
    for pair in pairs.iter_mut().rev() {
        *pair = PAIRS[usize::try_from(value % u64::from(PAIR)).expect("below PAIR")];
        value /= u64::from(PAIR);
    }
    if let [place] = first {
        *place = DIGITS[usize::try_from(value % 62).expect("below 62")];
    }
}

/// So many values have two digits.
const PAIR: u32 = 62 * 62;

/// The digits of each: transaction ids differ in few digits per recipient, so these are most of what
/// making one costs.
static PAIRS: [[u8; 2]; PAIR as usize] = {
    let mut pairs = [[0; 2]; PAIR as usize];
    let mut value = 0;
    while value < pairs.len() {
        pairs[value] = [DIGITS[value / 62], DIGITS[value % 62]];
        value += 1;
    }
    pairs
};

/// Reads the serial back from a response's transaction id.
pub(crate) fn serial_of(transaction_id: &[u8]) -> Option<DeliverySerial> {
    let digits = transaction_id
        .get(RANDOM_CHARS..)
        .filter(|d| d.len() == MESSAGE_CHARS + COPY_CHARS)?;
    let (message, copy) = digits.split_at(MESSAGE_CHARS);
    let (message, copy) = (number(message)?, number(copy)?);
    Some(DeliverySerial {
        slot: u32::try_from(message >> 12)
            .ok()
            .filter(|s| *s < SLOT_MAX)?,
        generation: u16::try_from(message & 0xfff).ok()?,
        ordinal: u16::try_from(copy >> 14).ok()?,
        chunk: u16::try_from(copy & u64::from(CHUNK_MASK)).ok()?,
    })
}

/// The slot and generation of the play that a response's transaction id names.
pub(crate) fn play_of(transaction_id: &[u8]) -> Option<(u32, u16)> {
    let digits = transaction_id
        .get(RANDOM_CHARS..)
        .filter(|d| d.len() == MESSAGE_CHARS)?;
    let message = number(digits)?;
    let slot = u32::try_from(message >> 12).ok()?;
    Some((slot, u16::try_from(message & 0xfff).ok()?))
}

/// At most ten base-62 digits, which fit without overflow.
fn number(digits: &[u8]) -> Option<u64> {
    debug_assert!(digits.len() <= 10, "62^10 < 2^60");
    let (mut value, mut seen) = (0, 0);
    for &digit in digits {
        let one = VALUES[usize::from(digit)];
        seen |= one;
        value = value * 62 + u64::from(one);
    }
    (seen < NO_DIGIT).then_some(value)
}

/// The bit of what is no digit.
const NO_DIGIT: u8 = 0x80;

/// What each octet is worth as a digit.
static VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        #[expect(clippy::cast_possible_truncation, reason = "below 62")]
        {
            values[DIGITS[value] as usize] = value as u8;
        }
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_names_its_shard_and_nothing_else_does() {
        for shard in [0, 1, 9, 10, 61] {
            let id = session_id(ShardIndex(shard), u128::MAX - u128::from(shard));
            assert!(id.iter().all(u8::is_ascii_alphanumeric));
            assert_eq!(owner_of(&id), Some(ShardIndex(shard)));
        }
        assert_eq!(owner_of(b"s317122"), None);
    }

    #[test]
    fn a_serial_survives_the_way_through_a_transaction_id() {
        let serial = DeliverySerial {
            slot: SLOT_MAX - 1,
            generation: 4095,
            ordinal: 16_383,
            chunk: CHUNK_MASK,
        };
        for random in [0, 1, u64::MAX] {
            let stem = Stem::new(random, serial.slot, serial.generation);
            let tid = Tid::delivery(&stem, serial.ordinal, serial.chunk);
            assert_eq!(serial_of(tid.as_bytes()), Some(serial));
            assert!(tid.as_bytes().starts_with(&shared_part(random)));
        }
        assert_eq!(serial_of(Tid::unmatched(5).as_bytes()), None);
        assert_eq!(serial_of(b"short"), None);
    }

    #[test]
    fn the_transaction_id_of_a_play_is_no_delivery_and_the_other_way_round() {
        let tid = Tid::play(u64::MAX, SLOT_MAX - 1, 4095);
        assert_eq!(play_of(tid.as_bytes()), Some((SLOT_MAX - 1, 4095)));
        assert_eq!(serial_of(tid.as_bytes()), None);
        let delivery = Tid::delivery(&Stem::new(1, 2, 3), 4, 5);
        assert_eq!(play_of(delivery.as_bytes()), None);
        assert_eq!(play_of(Tid::unmatched(5).as_bytes()), None);
    }
}
