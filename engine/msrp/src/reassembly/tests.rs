use proptest::prelude::*;

use super::*;

fn added(new_octets: u64) -> Outcome {
    Outcome::Added { new_octets }
}

#[track_caller]
fn check(steps: &[(u64, u64, Outcome)], ranges: &[std::ops::Range<u64>]) {
    let mut reassembly = Reassembly::new();
    for &(offset, len, expected) in steps {
        assert_eq!(
            reassembly.add(offset, len),
            expected,
            "{offset}+{len} on {reassembly:?}"
        );
    }
    assert_eq!(reassembly.ranges().collect::<Vec<_>>(), ranges);
}

#[test]
fn chunks_in_order_make_one_range_without_heap() {
    let mut reassembly = Reassembly::new();
    for offset in 0..100 {
        assert_eq!(reassembly.add(offset * 10, 10), added(10));
    }
    assert_eq!(reassembly.contiguous_octets(), 1000);
    assert_eq!(reassembly.later.capacity(), 0);
}

// MSRP-RECV-006, MSRP-RECV-004.
#[test]
fn chunks_in_any_order_merge() {
    check(
        &[(4, 4, added(4)), (0, 4, added(4))],
        std::slice::from_ref(&(0..8)),
    );
    check(
        &[(4, 4, added(4)), (12, 4, added(4)), (8, 4, added(4))],
        std::slice::from_ref(&(4..16)),
    );
    check(
        &[(4, 1, added(1)), (6, 1, added(1)), (3, 5, added(3))],
        std::slice::from_ref(&(3..8)),
    );
    check(
        &[(4, 1, added(1)), (6, 1, added(1)), (0, 4, added(4))],
        &[0..5, 6..7],
    );
}

// MSRP-RECV-009.
#[test]
fn repeats_add_nothing() {
    check(
        &[(0, 8, added(8)), (2, 3, Outcome::Duplicate)],
        std::slice::from_ref(&(0..8)),
    );
    check(
        &[(5, 3, added(3)), (5, 3, Outcome::Duplicate)],
        std::slice::from_ref(&(5..8)),
    );
    check(
        &[(0, 0, Outcome::Duplicate), (9, 0, Outcome::Duplicate)],
        &[],
    );
    check(&[(u64::MAX, 1, Outcome::BeyondTotal)], &[]);
}

// MSRP-SEC-005.
#[test]
fn too_many_holes_are_refused_and_filling_one_makes_room() {
    let mut reassembly = Reassembly::new();
    for piece in 1..RANGES_MAX as u64 {
        assert_eq!(reassembly.add(piece * 2, 1), added(1));
    }
    assert_eq!(reassembly.add(1000, 1), Outcome::TooManyRanges);
    assert_eq!(reassembly.add(3, 1), added(1));
    assert_eq!(reassembly.add(1000, 1), added(1));
}

// MSRP-RECV-005.
#[test]
fn a_message_is_complete_when_the_last_chunk_and_all_before_it_are_here() {
    let mut reassembly = Reassembly::new();
    let _ = reassembly.add(4, 4);
    reassembly.set_total(8);
    assert!(!reassembly.is_complete());
    assert_eq!(reassembly.add(8, 1), Outcome::BeyondTotal);
    let _ = reassembly.add(0, 4);
    assert!(reassembly.is_complete());
    assert_eq!(
        (reassembly.total(), reassembly.received_octets()),
        (Some(8), 8)
    );
}

// MSRP-RECV-002.
#[test]
fn an_empty_message_is_complete_at_once() {
    let mut reassembly = Reassembly::new();
    assert!(!reassembly.is_complete());
    reassembly.set_total(0);
    assert!(reassembly.is_complete());
}

// MSRP-RECV-007.
#[test]
fn the_last_octets_to_come_win_an_overlap() {
    let mut buffer = MessageBuffer::new(8);
    assert_eq!(buffer.add(0, b"abcd"), Ok(added(4)));
    assert_eq!(buffer.add(2, b"XYZ"), Ok(added(1)));
    assert_eq!(buffer.message(), None);
    buffer.set_total(5);
    assert_eq!(buffer.message(), Some(&b"abXYZ"[..]));
    assert_eq!(buffer.ranges().received_octets(), 5);
}

// MSRP-RECV-010, MSRP-RECV-013.
#[test]
fn a_message_beyond_the_buffer_is_refused_whole() {
    let mut buffer = MessageBuffer::new(8);
    let refused = Err(MessageTooLarge { limit_bytes: 8 });
    assert_eq!(buffer.add(0, b"123456789"), refused);
    assert_eq!(buffer.add(8, b"9"), refused);
    assert_eq!(buffer.add(u64::MAX, b"9"), refused);
    assert_eq!(buffer.ranges().received_octets(), 0);
    assert_eq!(buffer.add(0, b"12345678"), Ok(added(8)));
    assert_eq!(buffer.octets.len(), 8);
}

/// One octet of truth for each octet of the message.
struct Bitmap(Vec<bool>);

impl Bitmap {
    fn add(&mut self, offset: usize, len: usize) -> u64 {
        let mut new_octets = 0;
        for octet in &mut self.0[offset..offset + len] {
            new_octets += u64::from(!std::mem::replace(octet, true));
        }
        new_octets
    }

    fn ranges(&self) -> Vec<std::ops::Range<u64>> {
        let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
        for at in (0..self.0.len()).filter(|&at| self.0[at]) {
            match ranges.last_mut() {
                Some(last) if last.end == at as u64 => last.end += 1,
                _ => ranges.push(at as u64..at as u64 + 1),
            }
        }
        ranges
    }
}

proptest! {
    // MSRP-RECV-004, MSRP-RECV-006.
    #[test]
    fn ranges_agree_with_a_bitmap(
        pieces in proptest::collection::vec((0_usize..400, 0_usize..12), 0..300),
    ) {
        let mut bitmap = Bitmap(vec![false; 412]);
        let mut reassembly = Reassembly::new();
        for (offset, len) in pieces {
            match reassembly.add(offset as u64, len as u64) {
                Outcome::Added { new_octets } => prop_assert_eq!(new_octets, bitmap.add(offset, len)),
                Outcome::Duplicate => prop_assert_eq!(bitmap.add(offset, len), 0),
                Outcome::TooManyRanges => prop_assert_eq!(reassembly.later.len() + 1, RANGES_MAX),
                Outcome::BeyondTotal => prop_assert!(false, "no total was set"),
            }
            prop_assert_eq!(reassembly.ranges().collect::<Vec<_>>(), bitmap.ranges());
            prop_assert!(reassembly.later.len() < RANGES_MAX);
        }
        let received: u64 = bitmap.ranges().iter().map(|range| range.end - range.start).sum();
        prop_assert_eq!(reassembly.received_octets(), received);
    }

    #[test]
    fn a_shuffled_message_comes_out_whole(
        message in proptest::collection::vec(any::<u8>(), 1..300),
        pieces in proptest::collection::vec((0_usize..300, 1_usize..60), 0..40),
    ) {
        let mut buffer = MessageBuffer::new(300);
        buffer.set_total(message.len() as u64);
        let spans = pieces.iter().map(|&(at, len)| (at, at + len)).chain([(0, message.len())]);
        for (from, to) in spans.filter(|&(from, to)| from < to && to <= message.len()) {
            let _ = buffer.add(from as u64, &message[from..to]).expect("within the limit");
        }
        prop_assert_eq!(buffer.message(), Some(&message[..]));
    }
}
