//! One subscription to the roster (RFC 6665 4.2, RFC 4575 3): when to notify, and how much.
//!
//! ```text
//! made, refreshed -> the whole roster at once
//! roster changed  -> what changed since, at most once in 5 s
//! expired, ended  -> what changed, and that it is over
//! one notification is under way at a time; what happens meanwhile waits for the next
//! ```
//!
//! Nothing is queued: a notification is made from the roster of the moment it is sent.

use clock::{Duration, Instant};

/// Shortest time between two notifications of changes (RFC 4575 3.9).
pub const NOTIFY_INTERVAL: Duration = Duration::from_secs(5);

/// Why a subscription is over (RFC 6665 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It was not refreshed, or given up by its subscriber.
    Timeout,
    /// What was watched is gone, or the subscriber no longer belongs to it.
    NoResource,
    /// The subscriber may not watch any more.
    Rejected,
    /// The roster is longer than what the subscriber can be reached by takes; it may ask again when there
    /// are fewer.
    TooLong,
}

impl EndReason {
    /// As a Subscription-State writes it, with when to try again where that is worth it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NoResource => "noresource",
            Self::Rejected => "rejected",
            Self::TooLong => "probation;retry-after=3600",
        }
    }
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Version of the document.
    pub version: u32,
    /// The roster that the subscriber knows; `None`: it is to get the whole.
    pub since: Option<u64>,
    /// Seconds left, or why it is over.
    pub state: Result<u64, EndReason>,
}

/// What follows from the state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this; then call [`Subscription::answered`].
    Notify(Notice),
    /// Nothing before the one under way is answered, whatever changes, and whatever time it is.
    Await,
    /// Nothing before this instant, whatever changes.
    Wait(Instant),
    /// Nothing before this instant or a change.
    Idle(Instant),
    /// The last notification went out.
    Over,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    expires: Instant,
    earliest: Instant,
    version: u32,
    seen: Option<u64>,
    is_in_flight: bool,
    end: Option<EndReason>,
    is_over: bool,
}

impl Subscription {
    /// A new one, for `duration` from `now`; zero asks for the roster once.
    #[must_use]
    pub fn new(now: Instant, duration: Duration) -> Self {
        Self {
            expires: now + duration,
            earliest: now,
            version: 0,
            seen: None,
            is_in_flight: false,
            end: duration.is_zero().then_some(EndReason::Timeout),
            is_over: false,
        }
    }

    /// It was refreshed, or with zero given up.
    pub fn refresh(&mut self, now: Instant, duration: Duration) {
        self.expires = now + duration;
        self.earliest = now;
        self.seen = None;
        if duration.is_zero() {
            self.end.get_or_insert(EndReason::Timeout);
        }
    }

    /// It is over; the first reason counts.
    pub fn end(&mut self, why: EndReason) {
        self.end.get_or_insert(why);
    }

    /// The notification under way was answered, well or not.
    pub fn answered(&mut self) {
        self.is_in_flight = false;
    }

    /// The notification under way was not taken, and is to be sent again after `wait`, if not after
    /// [`NOTIFY_INTERVAL`]: who asks for none would be asked again at once, for ever.
    pub fn put_off(&mut self, now: Instant, wait: Duration) {
        self.is_in_flight = false;
        self.seen = None;
        self.earliest = now + wait.max(NOTIFY_INTERVAL);
    }

    /// Whether the last notification was sent.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// What to do, given the generation of the roster.
    pub fn poll(&mut self, now: Instant, generation: u64) -> Step {
        if self.is_over {
            return Step::Over;
        }
        if self.is_in_flight {
            return Step::Await;
        }
        if now >= self.expires {
            self.end.get_or_insert(EndReason::Timeout);
        }
        if let Some(why) = self.end {
            self.is_over = true;
            return Step::Notify(self.notice(generation, Err(why)));
        }
        if self.seen == Some(generation) {
            return Step::Idle(self.expires);
        }
        if now < self.earliest {
            return Step::Wait(self.earliest.min(self.expires));
        }
        self.is_in_flight = true;
        self.earliest = now + NOTIFY_INTERVAL;
        let left = self.expires.since(now).as_secs();
        Step::Notify(self.notice(generation, Ok(left)))
    }

    fn notice(&mut self, generation: u64, state: Result<u64, EndReason>) -> Notice {
        self.version += 1;
        Notice {
            version: self.version,
            since: self.seen.replace(generation),
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn sent(version: u32, since: Option<u64>, state: Result<u64, EndReason>) -> Step {
        Step::Notify(Notice {
            version,
            since,
            state,
        })
    }

    #[test]
    fn the_whole_roster_comes_first_and_changes_at_most_once_in_five_seconds() {
        let mut one = Subscription::new(at(0), Duration::from_secs(60));
        assert_eq!(one.poll(at(0), 7), sent(1, None, Ok(60)));
        assert_eq!(one.poll(at(1), 8), Step::Await);
        one.answered();
        assert_eq!(one.poll(at(1), 8), Step::Wait(at(5)));
        assert_eq!(one.poll(at(5), 11), sent(2, Some(7), Ok(55)));
        one.answered();
        assert_eq!(one.poll(at(20), 11), Step::Idle(at(60)));
        one.refresh(at(21), Duration::from_secs(60));
        assert_eq!(one.poll(at(21), 11), sent(3, None, Ok(60)));
    }

    #[test]
    fn the_end_is_told_once_whatever_came_before() {
        let mut one = Subscription::new(at(0), Duration::from_secs(60));
        one.poll(at(0), 1);
        one.end(EndReason::NoResource);
        one.end(EndReason::Rejected);
        assert_eq!(one.poll(at(1), 2), Step::Await);
        one.answered();
        let last = sent(2, Some(1), Err(EndReason::NoResource));
        assert_eq!(one.poll(at(1), 2), last);
        assert_eq!(one.poll(at(1), 3), Step::Over);
    }

    #[test]
    fn what_is_not_refreshed_is_over() {
        let mut one = Subscription::new(at(0), Duration::from_secs(10));
        one.poll(at(0), 1);
        one.answered();
        let last = sent(2, Some(1), Err(EndReason::Timeout));
        assert_eq!(one.poll(at(10), 1), last);
    }

    #[test]
    fn one_that_expires_while_its_subscriber_is_silent_waits_for_the_answer() {
        let mut one = Subscription::new(at(0), Duration::from_secs(10));
        one.poll(at(0), 1);
        // A time that is over would be waited for again and again.
        assert_eq!(one.poll(at(10), 1), Step::Await);
        assert_eq!(one.poll(at(30), 2), Step::Await);
        one.answered();
        let last = sent(2, Some(1), Err(EndReason::Timeout));
        assert_eq!(one.poll(at(32), 2), last);
    }

    #[test]
    fn who_puts_it_off_without_a_wait_hears_no_more_often_than_others() {
        let mut one = Subscription::new(at(0), Duration::from_secs(60));
        one.poll(at(0), 1);
        one.put_off(at(1), Duration::ZERO);
        assert_eq!(one.poll(at(1), 1), Step::Wait(at(6)));
        assert_eq!(one.poll(at(6), 1), sent(2, None, Ok(54)));
        one.put_off(at(7), Duration::from_secs(30));
        assert_eq!(one.poll(at(7), 1), Step::Wait(at(37)));
    }

    #[test]
    fn zero_seconds_fetch_the_roster_once() {
        let mut one = Subscription::new(at(3), Duration::ZERO);
        assert_eq!(one.poll(at(3), 5), sent(1, None, Err(EndReason::Timeout)));
        assert_eq!(one.poll(at(3), 5), Step::Over);
    }
}
