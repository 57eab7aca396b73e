use super::*;
use crate::limits::{INPUTS_MAX, T1};
use std::collections::VecDeque;

/// Microseconds that a call costs: until it is answered, and after that; and what a refusal and its ACK do.
const ANSWER_US: u64 = 70;
const REST_US: u64 = 30;
const REFUSE_US: u64 = 10;
const REFUSED_ACK_US: u64 = 2;
/// Calls a second that all the time goes into.
const CAPACITY: u64 = 1_000_000 / (ANSWER_US + REST_US);
/// Messages that the socket holds beyond the queue.
const SOCKET_MAX: usize = 2_000;
/// Callers are on a clock of their own, as load generators and TCP are.
const BURST_US: u64 = 10_000;

const NOTHING: Kept = Kept {
    transactions: 0,
    dialogs: 0,
};

#[derive(Clone, Copy)]
enum Message {
    Invite,
    Rest,
    RefusedAck,
}

/// One server that does one thing after the other, and callers that are not put off.
#[derive(Default)]
struct Server {
    admission: Admission,
    now_us: u64,
    /// With when they came, microseconds.
    queue: VecDeque<(u64, Message)>,
    next_burst: u64,
    carried: u64,
    refused: u64,
    dropped: u64,
    longest: u64,
}

impl Server {
    /// Takes `rate` calls a second for some time, each step at `slowness` times its cost.
    fn run(&mut self, seconds: u64, rate: u64, slowness: u64) {
        let end = self.now_us + seconds * 1_000_000;
        (self.carried, self.refused, self.dropped, self.longest) = (0, 0, 0, 0);
        while self.now_us < end {
            while self.next_burst <= self.now_us {
                for _ in 0..rate * BURST_US / 1_000_000 {
                    self.put(self.next_burst, Message::Invite);
                }
                self.next_burst += BURST_US;
            }
            match self.queue.pop_front() {
                Some((came, message)) => self.take(came, message, slowness),
                None => self.now_us = self.next_burst,
            }
        }
    }

    fn put(&mut self, came: u64, message: Message) {
        if self.queue.len() < INPUTS_MAX + SOCKET_MAX {
            self.queue.push_back((came, message));
        } else {
            self.dropped += 1;
        }
    }

    fn take(&mut self, came: u64, message: Message, slowness: u64) {
        let now = Instant::ZERO + Duration::from_micros(self.now_us);
        let waited = self.now_us - came;
        self.longest = self.longest.max(waited);
        let waiting = self.queue.len().min(INPUTS_MAX);
        self.admission
            .note(now, Duration::from_micros(waited), waiting);
        let (cost, next) = match message {
            Message::Invite if self.admission.admits(now, false, NOTHING) => {
                self.admission.admitted();
                self.admission.answered();
                (ANSWER_US, Some(Message::Rest))
            }
            Message::Invite => {
                self.refused += 1;
                (REFUSE_US, Some(Message::RefusedAck))
            }
            Message::Rest => {
                self.carried += 1;
                (REST_US, None)
            }
            Message::RefusedAck => (REFUSED_ACK_US, None),
        };
        self.now_us += cost * slowness;
        if let Some(next) = next {
            self.put(self.now_us, next);
        }
    }
}

/// Calls a second that can be carried of `rate`, when all others are refused and not an instant is lost.
fn best(rate: u64) -> u64 {
    let refusal = REFUSE_US + REFUSED_ACK_US;
    let left = 1_000_000_u64.saturating_sub(rate * refusal);
    rate.min(left / (ANSWER_US + REST_US - refusal))
}

const SECONDS: u64 = 10;

#[test]
fn what_can_be_carried_is_carried_however_much_is_offered() {
    for percent in [50, 90, 95, 100, 105, 110, 125, 150, 200, 300] {
        let rate = CAPACITY * percent / 100;
        let mut server = Server::default();
        server.run(2, rate, 1);
        server.run(SECONDS, rate, 1);
        let (carried, best) = (server.carried / SECONDS, best(rate));
        let said = format!(
            "{percent} %: {carried} of {best} a second, {} refused, longest wait {} us",
            server.refused, server.longest
        );
        assert!(carried * 100 >= best * 99, "{said}");
        assert_eq!(server.dropped, 0, "{said}");
        assert!(u128::from(server.longest) < T1.as_micros() / 2, "{said}");
        if percent <= 95 {
            assert_eq!(server.refused, 0, "{said}");
        }
    }
}

#[test]
fn a_flood_from_one_moment_to_the_next_is_met_and_forgotten() {
    let mut server = Server::default();
    let few = CAPACITY / 2;
    server.run(2, few, 1);
    server.run(1, CAPACITY * 3, 1);
    assert_eq!(server.dropped, 0);
    server.run(2, few, 1);
    server.run(1, few, 1);
    assert_eq!((server.carried, server.refused), (few, 0));
    assert_eq!(server.admission.limit(), None);
}

#[test]
fn a_server_that_becomes_slower_and_fast_again_is_followed() {
    let mut server = Server::default();
    let rate = CAPACITY * 9 / 10;
    server.run(2, rate, 1);
    // As when others want the core.
    server.run(1, rate, 2);
    assert_eq!(server.dropped, 0);
    server.run(5, rate, 2);
    let best = best(rate * 2) / 2;
    let carried = server.carried / 5;
    assert!(carried * 100 >= best * 99, "{carried} of {best} a second");
    assert_eq!(server.dropped, 0);
    server.run(3, rate, 1);
    server.run(1, rate, 1);
    assert_eq!((server.carried, server.refused), (rate, 0));
}

#[test]
fn an_application_that_waits_for_others_is_no_overload() {
    let mut admission = Admission::default();
    let mut now = Instant::ZERO;
    for count in 0..ADMITTED_MAX {
        admission.note(now, Duration::from_micros(100), 3);
        assert!(admission.admits(now, false, NOTHING), "the {count}th");
        admission.admitted();
        now += Duration::from_millis(2);
    }
    assert_eq!(admission.limit(), None);
    assert!(!admission.admits(now, false, NOTHING));
    admission.answered();
    assert!(admission.admits(now, false, NOTHING));
}

#[test]
fn who_has_priority_is_let_in_while_others_are_refused() {
    let mut admission = Admission::default();
    let mut now = Instant::ZERO;
    for _ in 0..10 {
        admission.note(now, WAIT_TARGET * 3, 10);
        now += INTERVAL;
    }
    assert_eq!(admission.limit(), Some(LIMIT_MIN));
    let mut taken = 0;
    while admission.admits(now, false, NOTHING) {
        admission.admitted();
        taken += 1;
    }
    assert_eq!(taken, 1, "ten a second, and no burst");
    for _ in 0..5 {
        assert!(admission.admits(now, true, NOTHING));
        admission.admitted();
    }
    // They are paid for by the others.
    now += Duration::from_millis(550);
    assert!(!admission.admits(now, false, NOTHING));
    now += Duration::from_millis(60);
    assert!(admission.admits(now, false, NOTHING));
}

#[test]
fn some_room_is_kept_for_who_has_priority() {
    let mut admission = Admission::default();
    let now = Instant::ZERO;
    #[track_caller]
    fn check(admission: &mut Admission, kept: Kept, others: bool, priority: bool) {
        let now = Instant::ZERO;
        assert_eq!(admission.admits(now, false, kept), others, "{kept:?}");
        assert_eq!(admission.admits(now, true, kept), priority, "{kept:?}");
    }
    let of = |transactions, dialogs| Kept {
        transactions,
        dialogs,
    };
    check(&mut admission, of(TRANSACTIONS_MAX, 0), false, true);
    check(
        &mut admission,
        of(TRANSACTIONS_MAX / 20 * 21, 0),
        false,
        false,
    );
    check(&mut admission, of(0, DIALOGS_MAX), false, true);
    check(&mut admission, of(0, DIALOGS_MAX / 20 * 21), false, false);
    for _ in 0..ADMITTED_MAX {
        assert!(admission.admits(now, false, NOTHING));
        admission.admitted();
    }
    for _ in 0..ADMITTED_PRIORITY_MAX {
        check(&mut admission, NOTHING, false, true);
        admission.admitted();
    }
    check(&mut admission, NOTHING, false, false);
}
