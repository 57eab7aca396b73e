//! The octets of message bodies: they can be made and checked anywhere in a message without keeping
//! any message.

/// Octets after which the pattern repeats: a prime, so that no power of two hides a shift.
const PERIOD: usize = 65_521;

/// The longest piece taken at once.
pub(crate) const PIECE_MAX: usize = 65_536;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Text without hyphens or line ends, twice over so that any piece is contiguous.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let period: Vec<u8> = (0..PERIOD)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                DIGITS[usize::from(state.to_le_bytes()[4] & 63)]
            })
            .collect();
        let octets = period.iter().cycle().take(PERIOD + PIECE_MAX).copied();
        Self(octets.collect())
    }

    /// All of it, for sending by reference; a piece lies where [`start`] says.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The body octets of a message from `offset` on; at most [`PIECE_MAX`].
    pub(crate) fn piece(&self, id: MessageId, offset: u64, len: usize) -> &[u8] {
        let start = start(id, offset);
        &self.0[start..start + len]
    }

    /// Whether `octets` are those of the message at `offset`.
    pub(crate) fn is_at(&self, id: MessageId, mut offset: u64, octets: &[u8]) -> bool {
        octets.chunks(PIECE_MAX).all(|chunk| {
            let is_same = self.piece(id, offset, chunk.len()) == chunk;
            offset += chunk.len() as u64;
            is_same
        })
    }
}

/// Where in the pattern the octets of a message at `offset` begin; below the period.
pub(crate) fn start(id: MessageId, offset: u64) -> usize {
    let phase = id.serial.wrapping_mul(7_919) + u64::from(id.sender) * 104_729;
    usize::try_from((phase % PERIOD as u64 + offset) % PERIOD as u64).expect("below the period")
}

/// A message of this run: in its Message-ID, and in the transaction id of its SEND.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageId {
    /// The sender, of all conferences.
    pub(crate) sender: u32,
    /// Its messages, from 0.
    pub(crate) serial: u64,
}

/// Characters of a Message-ID.
pub(crate) const ID_CHARS: usize = 16;
const SENDER_CHARS: usize = 5;

impl MessageId {
    pub(crate) fn write(self) -> [u8; ID_CHARS] {
        let mut text = [b'0'; ID_CHARS];
        hex(&mut text[..SENDER_CHARS], u64::from(self.sender));
        hex(&mut text[SENDER_CHARS..], self.serial);
        text
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != ID_CHARS {
            return None;
        }
        let sender = parse_hex(&text[..SENDER_CHARS])?;
        Some(Self {
            sender: u32::try_from(sender).ok()?,
            serial: parse_hex(&text[SENDER_CHARS..])?,
        })
    }
}

fn hex(out: &mut [u8], mut value: u64) {
    for place in out.iter_mut().rev() {
        *place = b"0123456789abcdef"[usize::try_from(value & 15).expect("below 16")];
        value >>= 4;
    }
}

fn parse_hex(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_wire() {
        for id in [(0, 0), (0xf_ffff, (1 << 44) - 1), (17, 123_456)] {
            let id = MessageId {
                sender: id.0,
                serial: id.1,
            };
            assert_eq!(MessageId::parse(&id.write()), Some(id));
        }
        assert_eq!(MessageId::parse(b"00000000000000G0"), None);
        assert_eq!(MessageId::parse(b"0"), None);
    }

    #[test]
    fn octets_out_of_place_are_noticed() {
        let pattern = Pattern::new();
        let id = |serial| MessageId { sender: 3, serial };
        let body = pattern.piece(id(5), 70_000, 1_000).to_vec();
        assert!(pattern.is_at(id(5), 70_000, &body));
        assert!(!pattern.is_at(id(6), 70_000, &body));
        assert!(!pattern.is_at(id(5), 70_001, &body));
        let long: Vec<u8> = (0..3)
            .flat_map(|n| pattern.piece(id(1), n * 50_000, 50_000).to_vec())
            .collect();
        assert!(pattern.is_at(id(1), 0, &long));
    }
}
