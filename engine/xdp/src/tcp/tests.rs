//! Both ends by hand: a connection, and a peer that sends what a test says.

use core::time::Duration;
use std::io::ErrorKind;

use clock::Instant;

use super::segment::{ACK, FIN, RST, SYN};
use super::{Effect, Incoming, Outgoing, Seq, State, Tcp};
use crate::limits::{KEEPALIVE_INTERVAL, RECEIVE_BYTES, TIME_WAIT};

/// The first numbers: both wrap soon.
const OURS: Seq = Seq(u32::MAX - 5);
const THEIRS: Seq = Seq(u32::MAX - 7);
const SEGMENT: u16 = 1000;

struct Bench {
    tcp: Tcp,
    now: Instant,
}

/// What was sent: octets before it, octets in it, flags.
type Sent = (usize, usize, u8);

/// What the peer's SYN offers.
#[derive(Clone, Copy)]
struct Offer {
    segment_bytes: u16,
    shift: Option<u8>,
    reports: bool,
}

const MODERN: Offer = Offer {
    segment_bytes: SEGMENT,
    shift: Some(2),
    reports: true,
};

const OLD: Offer = Offer {
    segment_bytes: SEGMENT,
    shift: None,
    reports: false,
};

fn syn(offer: Offer) -> Outgoing {
    let mut syn = Outgoing::new(THEIRS, None, SYN);
    syn.window = u16::MAX;
    syn.offer(offer.segment_bytes, offer.shift, offer.reports);
    syn
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Bench {
    /// Established by a peer that offered this.
    fn accepted(offer: Offer) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        let octets = written(&syn(offer), b"");
        let tcp = Tcp::accept(now, OURS, SEGMENT, &Incoming::parse(&octets).unwrap());
        let mut bench = Self { tcp, now };
        assert_eq!(bench.sent(), [(0, 0, SYN | ACK)]);
        bench.now += ms(10);
        bench.acknowledge(0, 16_000);
        assert_eq!(bench.tcp.state(), State::Established);
        bench
    }

    fn receive(&mut self, segment: &Outgoing, payload: &[u8]) -> Effect {
        let octets = written(segment, payload);
        let incoming = Incoming::parse(&octets).unwrap();
        self.tcp.handle(self.now, &incoming)
    }

    /// Octets from a place of the peer's stream on, acknowledging so many of ours.
    fn octets(&mut self, at: usize, payload: &[u8], flags: u8, acknowledged: usize) {
        let mut segment = self.segment(at, acknowledged, 16_000);
        segment.flags |= flags;
        self.receive(&segment, payload);
    }

    fn acknowledge(&mut self, count: usize, window: u16) {
        let segment = self.segment(0, count, window);
        self.receive(&segment, b"");
    }

    /// The same with reports of what arrived.
    fn report(&mut self, count: usize, ranges: &[(usize, usize)]) {
        let mut segment = self.segment(0, count, 16_000);
        let place = |at: usize| OURS + 1 + at;
        segment.report(ranges.iter().map(|&(from, to)| (place(from), place(to))));
        self.receive(&segment, b"");
    }

    fn segment(&self, at: usize, acknowledged: usize, window: u16) -> Outgoing {
        let mut segment = Outgoing::new(THEIRS + 1 + at, Some(OURS + 1 + acknowledged), 0);
        segment.window = window;
        segment
    }

    /// All that is sent now.
    fn sent(&mut self) -> Vec<Sent> {
        self.segments()
            .iter()
            .map(|one| {
                let at = one.seq.octets_since(OURS + 1);
                (at, one.payload().len(), one.flags & (SYN | FIN | RST | ACK))
            })
            .collect()
    }

    fn segments(&mut self) -> Vec<Outgoing> {
        self.tcp.handle_deadline(self.now);
        let mut all = Vec::new();
        while let Some(segment) = self.tcp.next_segment(self.now) {
            let [front, back] = self.tcp.octets(&segment);
            assert_eq!(front.len() + back.len(), segment.payload().len());
            all.push(segment);
        }
        all
    }

    fn write(&mut self, count: usize) {
        assert_eq!(self.tcp.write(&vec![b'x'; count]), count);
    }

    /// Lets what tries the tail go by.
    fn tried(&mut self, tail: &[Sent]) {
        assert_eq!(self.wait(), ms(70), "a round trip and what is held back");
        assert_eq!(self.sent(), tail);
    }

    /// Goes to the next deadline; how long that took.
    fn wait(&mut self) -> Duration {
        let before = self.now;
        self.now = self.tcp.deadline().unwrap();
        self.now.since(before)
    }

    fn read(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while self.tcp.read(|octets| {
            all.extend(octets);
            octets.len()
        }) > 0
        {}
        all
    }
}

fn written(segment: &Outgoing, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; segment.header_bytes()];
    segment.write(&mut octets);
    octets.extend(payload);
    octets
}

/// Segments of full size from a place on.
fn full(places: &[usize]) -> Vec<Sent> {
    let one = |at: &usize| (*at, usize::from(SEGMENT), ACK);
    places.iter().map(one).collect()
}

#[test]
fn who_begins_is_answered() {
    let now = Instant::ZERO;
    let tcp = Tcp::connect(now, OURS, SEGMENT);
    let mut bench = Bench { tcp, now };
    assert_eq!(bench.sent(), [(0, 0, SYN)]);
    // Lost: again, and later.
    assert_eq!(bench.wait(), Duration::from_secs(1));
    assert_eq!(bench.sent(), [(0, 0, SYN)]);
    assert_eq!(bench.wait(), Duration::from_secs(2));
    let mut answer = syn(MODERN);
    answer.ack = Some(OURS + 2);
    answer.flags |= ACK;
    let Effect::Refused(reset) = bench.receive(&answer, b"") else {
        panic!("an answer to something else");
    };
    assert_eq!((reset.seq, reset.flags), (OURS + 2, RST));
    answer.ack = Some(OURS + 1);
    bench.receive(&answer, b"");
    assert_eq!(bench.tcp.state(), State::Established);
    assert_eq!(bench.sent(), [(0, 0, ACK)]);
}

#[test]
fn who_begins_may_be_refused_but_not_by_anybody() {
    let now = Instant::ZERO;
    let tcp = Tcp::connect(now, OURS, SEGMENT);
    let mut bench = Bench { tcp, now };
    bench.sent();
    bench.receive(&Outgoing::new(THEIRS, None, RST), b"");
    bench.receive(&Outgoing::new(THEIRS, Some(OURS), RST), b"");
    assert_eq!(bench.tcp.state(), State::SynSent);
    bench.receive(&Outgoing::new(Seq(0), Some(OURS + 1), RST), b"");
    assert_eq!(bench.tcp.failure(), Some(ErrorKind::ConnectionRefused));
    assert_eq!(bench.sent(), []);
}

#[test]
fn both_may_begin_at_once() {
    let now = Instant::ZERO;
    let tcp = Tcp::connect(now, OURS, SEGMENT);
    let mut bench = Bench { tcp, now };
    bench.sent();
    bench.receive(&syn(MODERN), b"");
    assert_eq!(bench.tcp.state(), State::SynReceived);
    assert_eq!(bench.sent(), [(0, 0, SYN | ACK)]);
    let mut answer = syn(MODERN);
    answer.ack = Some(OURS + 1);
    answer.flags |= ACK;
    bench.receive(&answer, b"");
    assert_eq!(bench.tcp.state(), State::Established);
    assert_eq!(bench.sent(), [(0, 0, ACK)]);
}

#[test]
fn a_handshake_survives_the_loss_of_any_of_its_segments() {
    let octets = written(&syn(MODERN), b"");
    let incoming = Incoming::parse(&octets).unwrap();
    let now = Instant::ZERO;
    let tcp = Tcp::accept(now, OURS, SEGMENT, &incoming);
    let mut bench = Bench { tcp, now };
    assert_eq!(bench.sent(), [(0, 0, SYN | ACK)]);
    bench.receive(&syn(MODERN), b"");
    assert_eq!(bench.sent(), [(0, 0, SYN | ACK)], "theirs came again");
    bench.wait();
    assert_eq!(bench.sent(), [(0, 0, SYN | ACK)], "nothing came");
    let wrong = Outgoing::new(THEIRS + 1, Some(OURS + 9), 0);
    assert!(matches!(bench.receive(&wrong, b""), Effect::Refused(_)));
    // The acknowledgement was lost; octets carry another.
    bench.octets(0, b"hello", 0, 0);
    assert_eq!(bench.tcp.state(), State::Established);
    assert_eq!(bench.read(), b"hello");
}

#[test]
fn who_offers_little_gets_little() {
    let mut bench = Bench::accepted(Offer {
        segment_bytes: 1,
        shift: None,
        reports: false,
    });
    bench.write(100);
    assert_eq!(bench.sent()[0], (0, 64, ACK));
    let mut bench = Bench::accepted(OLD);
    bench.octets(3, b"early", 0, 0);
    let answer = &bench.segments()[0];
    assert_eq!((answer.header_bytes(), answer.window), (20, u16::MAX));
}

#[test]
fn only_a_reset_that_stands_where_octets_are_expected_counts() {
    let mut bench = Bench::accepted(MODERN);
    for at in [1, 100] {
        let mut reset = bench.segment(at, 0, 0);
        reset.flags = RST;
        bench.receive(&reset, b"");
        assert_eq!(bench.tcp.state(), State::Established);
    }
    let mut beyond = bench.segment(RECEIVE_BYTES + 1, 0, 0);
    beyond.flags = RST;
    bench.receive(&beyond, b"");
    assert_eq!(bench.sent(), [(0, 0, ACK)], "challenged once");
    let mut reset = bench.segment(0, 0, 0);
    reset.flags = RST;
    bench.receive(&reset, b"");
    assert_eq!(bench.tcp.failure(), Some(ErrorKind::ConnectionReset));
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_syn_or_a_senseless_acknowledgement_changes_nothing() {
    let mut bench = Bench::accepted(MODERN);
    bench.receive(&syn(MODERN), b"");
    bench.now += ms(500);
    let mut inside = syn(MODERN);
    inside.seq = THEIRS + 10;
    bench.receive(&inside, b"");
    assert_eq!(bench.sent(), [(0, 0, ACK)]);
    bench.now += ms(500);
    bench.octets(0, b"of somebody else", 0, 5);
    assert_eq!(bench.sent(), [(0, 0, ACK)]);
    let mut segment = bench.segment(0, 0, 100);
    segment.ack = Some(Seq(OURS.0.wrapping_sub(1 << 20)));
    bench.receive(&segment, b"of somebody else");
    assert_eq!(bench.read(), b"");
    assert_eq!(bench.tcp.state(), State::Established);
}

#[test]
fn what_is_lost_in_between_is_sent_again_at_once() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(10_000);
    assert_eq!(bench.sent().len(), 10);
    bench.now += ms(10);
    // Those at 1000, 4000 and 5000 are lost.
    bench.report(1000, &[(2000, 3000)]);
    bench.report(1000, &[(2000, 4000)]);
    assert_eq!(bench.sent(), [], "it may only be late");
    bench.report(1000, &[(6000, 7000), (2000, 4000)]);
    assert_eq!(bench.sent(), full(&[1000]));
    bench.report(1000, &[(6000, 9000), (2000, 4000)]);
    assert_eq!(bench.sent(), full(&[4000, 5000]));
    bench.report(1000, &[(6000, 10_000), (2000, 4000)]);
    assert_eq!(bench.sent(), []);
    bench.write(5_000);
    bench.report(4000, &[(6000, 10_000)]);
    let new = bench.sent();
    assert!(
        new.len() >= 3 && new[..3] == full(&[10_000, 11_000, 12_000]),
        "{new:?}"
    );
    bench.acknowledge(10_000, 16_000);
    bench.sent();
    bench.acknowledge(15_000, 16_000);
    assert_eq!(bench.tcp.sending_count(), 0);
}

#[test]
fn a_peer_without_reports_repeats_itself_and_gets_one_segment_a_round_trip() {
    let mut bench = Bench::accepted(OLD);
    bench.write(8_000);
    assert_eq!(bench.sent().len(), 8);
    bench.acknowledge(1000, 16_000);
    for _ in 0..2 {
        bench.acknowledge(1000, 16_000);
        assert_eq!(bench.sent(), []);
    }
    bench.acknowledge(1000, 16_000);
    assert_eq!(bench.sent(), full(&[1000]));
    bench.acknowledge(4000, 16_000);
    assert_eq!(bench.sent(), full(&[4000]));
    bench.acknowledge(8000, 16_000);
    assert_eq!(bench.tcp.sending_count(), 0);
}

#[test]
fn where_nothing_comes_back_all_is_sent_again_ever_more_slowly() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(3_000);
    assert_eq!(bench.sent().len(), 3);
    bench.tried(&full(&[2000]));
    // The handshake took 10 ms: 10 + max(4 * 5, 200).
    assert_eq!(bench.wait(), ms(210));
    assert_eq!(bench.sent(), full(&[0]), "one segment");
    assert_eq!(bench.wait(), ms(420));
    assert_eq!(bench.sent(), full(&[0]));
    bench.now += ms(10);
    bench.acknowledge(1000, 16_000);
    assert_eq!(bench.sent(), full(&[1000, 2000]), "slow start");
    bench.acknowledge(3000, 16_000);
    // What was sent twice is not measured.
    bench.write(1);
    bench.sent();
    bench.tried(&[(3_000, 1, ACK)]);
    assert_eq!(bench.wait(), ms(210));
}

#[test]
fn every_second_attempt_that_is_not_answered_goes_another_way() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(1);
    bench.sent();
    bench.tried(&[(0, 1, ACK)]);
    for doubts in [false, true, false, true] {
        bench.wait();
        assert_eq!(bench.sent().len(), 1);
        assert_eq!(bench.tcp.doubts_the_way(), doubts);
    }
    bench.acknowledge(1, 16_000);
    assert!(!bench.tcp.doubts_the_way());
    // Nothing is to be sent, but whether anybody is there.
    for doubts in [false, true] {
        assert_eq!(bench.wait(), KEEPALIVE_INTERVAL);
        assert_eq!(bench.sent().len(), 1);
        assert_eq!(bench.tcp.doubts_the_way(), doubts);
    }
}

#[test]
fn what_is_lost_at_the_end_is_noticed_long_before_the_timeout() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(10_000);
    assert_eq!(bench.sent().len(), 10);
    bench.now += ms(10);
    // The last four are lost.
    bench.acknowledge(6_000, 16_000);
    bench.tried(&full(&[9_000]));
    bench.now += ms(10);
    bench.report(6_000, &[(9_000, 10_000)]);
    assert_eq!(bench.sent(), full(&[6_000, 7_000, 8_000]));
    bench.acknowledge(10_000, 16_000);
    assert_eq!(bench.wait(), KEEPALIVE_INTERVAL);
}

#[test]
fn the_tail_is_tried_with_what_was_never_sent_if_the_peer_has_room() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(11_500);
    assert_eq!(bench.sent().len(), 10, "the congestion window");
    bench.tried(&full(&[10_000]));
    bench.now += ms(10);
    bench.report(0, &[(10_000, 11_000)]);
    let again = bench.sent();
    assert_eq!(again[..2], full(&[0, 1_000]), "all was lost");
    // One that has no room gets the last segment once more, with the end.
    let mut bench = Bench::accepted(MODERN);
    bench.acknowledge(0, 501);
    bench.write(2_000);
    bench.tcp.close();
    assert_eq!(bench.sent(), [(0, 1000, ACK), (1000, 1000, ACK | FIN)]);
    bench.tried(&[(1000, 1000, ACK | FIN)]);
}

#[test]
fn a_hole_that_too_little_arrived_behind_is_filled_before_the_timeout() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(2_000);
    bench.sent();
    bench.report(0, &[(1000, 2000)]);
    bench.tried(&full(&[0]));
    bench.acknowledge(2_000, 16_000);
    assert_eq!(bench.tcp.sending_count(), 0);
}

#[test]
fn a_peer_that_is_slow_to_acknowledge_gets_more_time() {
    let mut bench = Bench::accepted(MODERN);
    let mut total = 0;
    for held_back in [60, 120, 200] {
        bench.write(100);
        bench.sent();
        let waits = bench.wait();
        assert_eq!(waits, bench.tcp.rtt.smoothed() + ms(held_back));
        assert_eq!(bench.sent(), [(total, 100, ACK)]);
        total += 100;
        // Both arrived: the acknowledgement of the second reports what is known.
        bench.acknowledge(total, 16_000);
        bench.report(total, &[(total - 100, total)]);
        assert_eq!(bench.sent(), []);
    }
}

#[test]
fn a_lost_end_says_something_about_the_path() {
    let mut bench = Bench::accepted(MODERN);
    let window = bench.tcp.cubic.window();
    bench.write(100);
    bench.sent();
    bench.tried(&[(0, 100, ACK)]);
    bench.acknowledge(100, 16_000);
    assert_eq!(bench.tcp.cubic.window(), window, "it may have come twice");
    bench.write(100);
    bench.sent();
    bench.acknowledge(200, 16_000);
    assert!(bench.tcp.cubic.window() < window);
}

#[test]
fn what_was_reported_may_have_been_thrown_away() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(3_000);
    bench.sent();
    bench.report(0, &[(1000, 3000)]);
    bench.tried(&full(&[0]));
    bench.wait();
    assert_eq!(bench.sent(), full(&[0]));
    bench.acknowledge(1000, 16_000);
    assert_eq!(bench.sent(), full(&[1000, 2000]));
}

#[test]
fn segments_that_never_get_through_become_small() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(3_000);
    bench.sent();
    bench.tried(&full(&[2000]));
    for _ in 0..2 {
        bench.wait();
        assert_eq!(bench.sent()[0].1, 1000);
    }
    bench.wait();
    assert_eq!(bench.sent(), [(0, 536, ACK)]);
    bench.acknowledge(536, 16_000);
    assert_eq!(bench.sent()[0], (536, 536, ACK));
}

#[test]
fn a_closed_window_is_tried_and_left_at_once_when_it_opens() {
    let mut bench = Bench::accepted(MODERN);
    bench.acknowledge(0, 0);
    bench.write(2_000);
    assert_eq!(bench.sent(), []);
    let mut waited = Vec::new();
    for _ in 0..3 {
        waited.push(bench.wait());
        assert_eq!(bench.sent(), [(0, 1, ACK)]);
        bench.acknowledge(0, 0);
        assert_eq!(bench.sent(), []);
    }
    assert_eq!(waited, [ms(210), ms(420), ms(840)]);
    bench.acknowledge(0, 16_000);
    // The octet that tried it is not there.
    let all = bench.sent();
    let (first, last) = (all[0], all[all.len() - 1]);
    assert_eq!((first.0, last.0 + last.1), (0, 2_000), "{all:?}");
}

#[test]
fn a_small_window_does_not_make_crumbs() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(3_000);
    bench.sent();
    // 4 * 10 octets, of which 40,000 were seen once.
    bench.acknowledge(3_000, 10);
    bench.write(2_000);
    assert_eq!(bench.sent(), []);
    bench.wait();
    assert_eq!(
        bench.sent(),
        [(3_000, 40, ACK)],
        "but does not stop it for ever"
    );
    bench.acknowledge(3_040, 16_000);
    assert_eq!(bench.sent(), [(3_040, 1000, ACK), (4_040, 960, ACK)]);
}

#[test]
fn what_waited_for_a_window_has_its_whole_time_to_be_acknowledged() {
    let mut bench = Bench::accepted(MODERN);
    bench.acknowledge(0, 0);
    bench.write(500);
    assert_eq!(bench.sent(), []);
    bench.now += ms(200);
    bench.acknowledge(0, 16_000);
    assert_eq!(bench.sent(), [(0, 500, ACK)]);
    bench.tried(&[(0, 500, ACK)]);
    assert_eq!(bench.wait(), ms(210));
}

#[test]
fn a_window_that_shrinks_gets_what_fits_of_what_was_lost() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(3_000);
    assert_eq!(bench.sent().len(), 3);
    bench.acknowledge(0, 100);
    bench.tried(&full(&[2000]));
    bench.wait();
    assert_eq!(bench.sent(), [(0, 400, ACK)]);
    bench.acknowledge(400, 16_000);
    assert_eq!(bench.sent(), full(&[400]));
    bench.acknowledge(1_400, 16_000);
    assert_eq!(bench.sent(), [(1_400, 1000, ACK), (2_400, 600, ACK)]);
}

#[test]
fn a_window_is_told_of_when_it_is_worth_a_segment() {
    let mut bench = Bench::accepted(MODERN);
    let mut at = 0;
    while at < 60_000 {
        bench.octets(at, &[7; 1000], 0, 0);
        at += 1000;
    }
    let window = bench.segments().last().unwrap().window;
    assert_eq!(usize::from(window) * 2, RECEIVE_BYTES - 60_000);
    assert_eq!(bench.tcp.read(|_| 1_000), 1_000);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.tcp.read(|_| 1_000), 1_000);
    assert_eq!(bench.segments()[0].window * 2, 7_536);
    // More than was offered is not taken.
    bench.octets(at, &[7; 9_000], 0, 0);
    assert_eq!(bench.tcp.received_count(), 58_000 + 7_536);
    assert_eq!(bench.segments()[0].window, 0);
    bench.octets(at + 7_536, b"x", 0, 0);
    assert_eq!(bench.sent(), [(0, 0, ACK)], "tried and told");
    assert_eq!(bench.read().len(), 65_536);
    assert_eq!(bench.segments()[0].window, 32_768);
}

#[test]
fn early_octets_are_kept_and_reported_the_newest_first() {
    let mut bench = Bench::accepted(MODERN);
    bench.octets(10, b"klm", 0, 0);
    bench.octets(5, b"fg", 0, 0);
    let answers = bench.segments();
    assert_eq!(answers.len(), 2, "each says it once more");
    let octets = written(&answers[0], b"");
    let reported = Incoming::parse(&octets).unwrap().options().reported;
    let place = |at| THEIRS + 1 + at;
    assert_eq!(
        reported[..2],
        [Some((place(5), place(7))), Some((place(10), place(13)))]
    );
    assert_eq!(bench.read(), b"");
    bench.octets(0, b"abcdefghij", 0, 0);
    assert_eq!(bench.read(), b"abcdefghijklm");
    assert_eq!(bench.segments()[0].header_bytes(), 20);
    bench.octets(8, b"ij", 0, 0);
    assert_eq!(
        bench.sent(),
        [(0, 0, ACK)],
        "again, for the answer was lost"
    );
    assert_eq!(bench.read(), b"");
}

#[test]
fn an_end_waits_for_what_is_in_front_of_it() {
    let mut bench = Bench::accepted(MODERN);
    bench.octets(3, b"def", FIN, 0);
    assert!(!bench.tcp.is_ended());
    bench.octets(0, b"abc", 0, 0);
    assert!(bench.tcp.is_ended());
    assert_eq!(bench.tcp.state(), State::CloseWait);
    assert_eq!(bench.read(), b"abcdef");
    bench.write(3);
    bench.tcp.close();
    assert_eq!(bench.tcp.write(b"x"), 0);
    assert_eq!(bench.sent(), [(0, 3, ACK | FIN)]);
    let last = bench.segment(7, 4, 16_000);
    bench.receive(&last, b"");
    assert_eq!(bench.tcp.state(), State::Closed);
    assert_eq!(bench.tcp.failure(), None);
}

#[test]
fn who_ends_first_waits_for_the_other_and_then_for_time() {
    let mut bench = Bench::accepted(MODERN);
    bench.tcp.close();
    assert_eq!(bench.sent(), [(0, 0, ACK | FIN)]);
    bench.wait();
    assert_eq!(bench.sent(), [(0, 0, ACK | FIN)], "it was lost");
    bench.acknowledge(1, 16_000);
    assert_eq!(bench.tcp.state(), State::FinWait2);
    bench.octets(0, b"late", 0, 1);
    assert_eq!(bench.read(), b"late");
    bench.octets(4, b"", FIN, 1);
    assert_eq!(bench.tcp.state(), State::TimeWait);
    assert_eq!(bench.sent(), [(1, 0, ACK)]);
    bench.now += ms(500);
    bench.octets(4, b"", FIN, 1);
    assert_eq!(bench.sent(), [(1, 0, ACK)], "the acknowledgement was lost");
    assert_eq!(bench.wait(), TIME_WAIT);
    bench.sent();
    assert_eq!(bench.tcp.state(), State::Closed);
}

#[test]
fn both_may_end_at_once() {
    let mut bench = Bench::accepted(MODERN);
    bench.tcp.close();
    bench.sent();
    bench.octets(0, b"", FIN, 0);
    assert_eq!(bench.tcp.state(), State::Closing);
    let last = bench.segment(1, 1, 16_000);
    bench.receive(&last, b"");
    assert_eq!(bench.tcp.state(), State::TimeWait);
}

#[test]
fn an_end_finds_its_way_into_a_closed_window() {
    let mut bench = Bench::accepted(MODERN);
    bench.acknowledge(0, 0);
    bench.tcp.close();
    assert_eq!(bench.sent(), []);
    bench.wait();
    assert_eq!(bench.sent(), [(0, 0, ACK | FIN)]);
}

#[test]
fn after_a_pause_no_more_leaves_at_once_than_in_the_beginning() {
    let mut bench = Bench::accepted(MODERN);
    let mut total = 0;
    for _ in 0..6 {
        bench.write(10_000);
        total += 10_000;
        bench.sent();
        bench.acknowledge(total, 16_000);
    }
    bench.write(20_000);
    assert_eq!(bench.sent().len(), 20);
    bench.acknowledge(total + 20_000, 16_000);
    bench.now += Duration::from_secs(5);
    bench.write(30_000);
    assert_eq!(bench.sent().len(), 10);
}

#[test]
fn an_idle_connection_asks_and_gives_back_its_buffers() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(3_000);
    bench.sent();
    bench.octets(0, b"hello", 0, 3_000);
    bench.read();
    bench.sent();
    assert_eq!(bench.wait(), KEEPALIVE_INTERVAL);
    let probe = bench.segments();
    assert_eq!((probe.len(), probe[0].seq), (1, OURS + 3_000));
    assert_eq!(
        bench.tcp.sending.capacity() + bench.tcp.received.capacity(),
        0
    );
    // The peer's own question is answered.
    let mut question = bench.segment(4, 3_000, 16_000);
    bench.receive(&question, b"");
    assert_eq!(bench.sent(), [(3_000, 0, ACK)]);
    question = bench.segment(5, 3_000, 16_000);
    bench.receive(&question, b"");
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.wait(), KEEPALIVE_INTERVAL);
}

#[test]
fn what_is_aborted_is_told_once() {
    let mut bench = Bench::accepted(MODERN);
    bench.write(10);
    bench.sent();
    bench.tcp.abort();
    assert!(bench.tcp.owes_reset());
    assert_eq!(bench.sent(), [(10, 0, RST | ACK)]);
    assert!(!bench.tcp.owes_reset());
    assert_eq!(bench.sent(), []);
}
