//! A bound on log lines of one kind. Strangers can make a server log: a connection that asks for a
//! thousand sessions that do not exist has a thousand requests refused. Who does that must neither fill
//! a disk nor bury what others do.

use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::limits::LOG_BURST;

/// How many lines of one kind are written; a kind is a place in the source.
#[derive(Debug)]
pub(super) struct Bound {
    /// Between two lines of a kind in the long run; `None`: no bound.
    interval: Option<Duration>,
    kinds: Mutex<HashMap<Identifier, Kind>>,
    /// Told when something was left out.
    news: Arc<Notify>,
}

/// Lines that were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// What the first of them said.
    pub(super) like: String,
    /// How many there were.
    pub(super) lines: u64,
}

impl Bound {
    /// `per_second` lines of a kind in the long run, and as many as [`LOG_BURST`] would allow at once;
    /// 0 means no bound.
    pub(super) fn new(per_second: u32, news: Arc<Notify>) -> Self {
        Self {
            interval: Duration::from_secs(1).checked_div(per_second),
            kinds: Mutex::default(),
            news,
        }
    }

    fn admits(&self, kind: Identifier, now: Instant, said: impl FnOnce() -> String) -> bool {
        let Some(interval) = self.interval else {
            return true;
        };
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(kind).or_insert_with(|| Kind::new(now));
        let admits = kind.admits(now, interval);
        if !admits {
            kind.leave_out(said);
            self.news.notify_one();
        }
        admits
    }

    /// What was left out since the last call.
    pub(super) fn take(&self) -> Vec<LeftOut> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds
            .values_mut()
            .filter_map(|kind| kind.left_out.take())
            .collect()
    }
}

/// One place that logs.
#[derive(Debug)]
struct Kind {
    /// When the next line would be due if they came evenly; ahead of now while more came at once.
    due: Instant,
    left_out: Option<LeftOut>,
}

impl Kind {
    fn new(now: Instant) -> Self {
        Self {
            due: now,
            left_out: None,
        }
    }

    fn admits(&mut self, now: Instant, interval: Duration) -> bool {
        if self.due > now + LOG_BURST {
            return false;
        }
        self.due = self.due.max(now) + interval;
        true
    }

    fn leave_out(&mut self, said: impl FnOnce() -> String) {
        let like = || LeftOut {
            like: said(),
            lines: 0,
        };
        self.left_out.get_or_insert_with(like).lines += 1;
    }
}

/// The bound as a part of the log. What is asked for with `debug` and `trace` is not bounded.
pub(super) struct BoundLayer(pub(super) Arc<Bound>);

impl<S: Subscriber> Layer<S> for BoundLayer {
    #[expect(clippy::disallowed_methods, reason = "the log is a shell")]
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        *metadata.level() > Level::INFO
            || self
                .0
                .admits(metadata.callsite(), Instant::now(), || text(event))
    }
}

/// The message of a line, without its fields.
fn text(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_SECOND: u32 = 10;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any start will do")]
    fn a_burst_goes_through_and_then_so_many_a_second() {
        let start = Instant::now();
        let interval = Duration::from_secs(1) / PER_SECOND;
        let mut kind = Kind::new(start);
        let mut written = |seconds: u64, asked: u32| {
            let now = start + Duration::from_secs(seconds);
            (0..asked).filter(|_| kind.admits(now, interval)).count()
        };
        // What would have been due in the time of the burst, and the one that is due now.
        let burst = usize::try_from(LOG_BURST.as_secs()).unwrap() * 10 + 1;
        assert_eq!(written(0, 10_000), burst);
        assert_eq!(written(1, 10_000), 10);
        assert_eq!(written(3, 10_000), 20);
        assert_eq!(written(1_000_000, 10_000), burst);
    }

    /// Counts what reaches it.
    struct Counter(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Counter {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(text(event));
        }
    }

    #[test]
    fn what_is_left_out_is_counted_by_kind_and_other_kinds_are_written() {
        use tracing_subscriber::layer::SubscriberExt;
        let bound = Arc::new(Bound::new(1, Arc::default()));
        let written = Arc::new(Mutex::new(Vec::new()));
        let log = tracing_subscriber::registry()
            .with(BoundLayer(bound.clone()))
            .with(Counter(written.clone()));
        tracing::subscriber::with_default(log, || {
            for n in 0..1000 {
                tracing::info!(n, "refused");
                tracing::debug!(n, "detail");
            }
            tracing::warn!("something else");
        });
        let written = written.lock().unwrap();
        let count = |what: &str| written.iter().filter(|text| *text == what).count();
        let burst = usize::try_from(LOG_BURST.as_secs()).unwrap() + 1;
        // Slow machines may have earned a line or two meanwhile.
        let refused = count("refused");
        assert!((burst..1000).contains(&refused), "{refused}");
        assert_eq!((count("detail"), count("something else")), (1000, 1));
        let left_out = LeftOut {
            like: "refused".to_owned(),
            lines: 1000 - refused as u64,
        };
        assert_eq!(bound.take(), [left_out]);
        assert_eq!(bound.take(), []);
    }

    #[test]
    fn nought_is_no_bound() {
        let bound = Bound::new(0, Arc::default());
        assert_eq!(bound.interval, None);
    }
}
