//! How far the core of the generator is from that of the system under test.
//!
//! What one of them writes and the other reads passes from cache to cache. Where both share a cache, a line is there
//! and back in less than 100 ns; where they do not, in 500, and then the same program takes more than twice
//! the CPU to send the same octets, since it writes them to memory that the other side has just read. A
//! host moves virtual machines from core to core: they may be near in one run and far in the next, for seconds or
//! minutes. So `compare` waits for near cores, tells runs that had far ones and leaves them out of ratios; `soak` looks each second whether what it
//! measured still holds.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use load::process::{cores, pin};

/// The first core that this process may use, for what is measured, and the last, for who measures; `None` if there is but one.
#[must_use]
pub fn ends() -> Option<(usize, usize)> {
    let cores = cores();
    let ends = cores.first().copied().zip(cores.last().copied());
    ends.filter(|(first, last)| first != last)
}

/// What is known about two cores.
#[derive(Clone, Debug, Default)]
pub struct Cores {
    /// None if there is but one.
    pair: Option<(usize, usize)>,
    /// The shortest trip so far.
    nearest: Option<Trip>,
    /// How long near cores may be waited for, in all.
    patience: Duration,
}

/// How long a cache line takes to the other core and back.
#[derive(Clone, Copy, Debug)]
pub struct Trip {
    /// Of the quickest of many.
    pub nanos: f64,
}

impl Trip {
    /// The longer one of two.
    #[must_use]
    pub fn longer(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.max(other.nanos),
        }
    }

    fn shorter(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.min(other.nanos),
        }
    }
}

/// How many times the shortest trip is far. Within one cache they differ by a quarter; between the two threads of one core
/// they take half as long.
const FAR: f64 = 3.0;

/// The shortest trip is presumed to be no longer: where cores share a cache it is not, and a comparison may begin while they are far.
const NEAREST_PRESUMED_NANOS: f64 = 100.0;

/// What takes longer is no trip: somebody else had one of the cores.
const TRIP_NANOS_MAX: f64 = 5_000.0;

/// How a trip is measured: in bursts, of which the shortest counts, since in the others somebody else may have had the core.
#[derive(Clone, Copy, Debug)]
struct Effort {
    bursts: usize,
    /// Trips that are timed together.
    burst: u64,
    /// A measurement that takes longer ends with the burst.
    most: Duration,
}

/// While nothing else is to be measured.
const AT_LEISURE: Effort = Effort {
    bursts: 200,
    burst: 100,
    most: Duration::from_millis(100),
};

/// While a load is measured: some 10 us of either core where they are near and 50 where they are far, and the time until
/// both let others run at once.
const IN_PASSING: Effort = Effort {
    bursts: 5,
    burst: 20,
    most: Duration::from_millis(20),
};

/// How often to look while near cores are waited for.
const LOOK: Duration = Duration::from_millis(500);

impl Cores {
    /// The first of a pair and the other one; near ones may be waited for so long in all.
    #[must_use]
    pub fn new(pair: Option<(usize, usize)>, patience: Duration) -> Self {
        Self {
            pair,
            nearest: None,
            patience,
        }
    }

    /// The trip now.
    pub fn trip(&mut self) -> Option<Trip> {
        self.measure(AT_LEISURE)
    }

    /// The same beside a load, which it hardly disturbs; `None` also where others kept it from either core.
    pub fn trip_in_passing(&mut self) -> Option<Trip> {
        self.measure(IN_PASSING)
    }

    fn measure(&mut self, effort: Effort) -> Option<Trip> {
        let (one, other) = self.pair?;
        let nanos = trip_nanos(one, other, effort)?;
        if nanos > TRIP_NANOS_MAX {
            return None;
        }
        let trip = Trip { nanos };
        self.nearest = self.nearest.into_iter().chain([trip]).reduce(Trip::shorter);
        Some(trip)
    }

    /// Waits until the cores are near, as long as patience lasts; the trip then.
    pub fn await_near(&mut self) -> Option<Trip> {
        loop {
            let trip = self.trip();
            if !self.is_far(trip) || self.patience < LOOK {
                return trip;
            }
            self.patience -= LOOK;
            std::thread::park_timeout(LOOK);
        }
    }

    /// The shortest trip so far.
    #[must_use]
    pub fn nearest(&self) -> Option<Trip> {
        self.nearest
    }

    /// Whether a trip is much longer than the shortest one: the cores do not share what they shared then.
    #[must_use]
    pub fn is_far(&self, trip: Option<Trip>) -> bool {
        let both = trip.zip(self.nearest);
        both.is_some_and(|(trip, nearest)| {
            trip.nanos > FAR * nearest.nanos.min(NEAREST_PRESUMED_NANOS)
        })
    }
}

/// A word on a cache line of its own: processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// The shortest trip of many; `None` where threads cannot be placed.
fn trip_nanos(one: usize, other: usize, effort: Effort) -> Option<f64> {
    let (there, back) = (&Line::default(), &Line::default());
    let is_over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let echo = scope.spawn(move || {
            pin(other).ok()?;
            let mut last = 0;
            while !is_over.load(Ordering::Relaxed) {
                let number = there.0.load(Ordering::Acquire);
                if number != last {
                    last = number;
                    back.0.store(number, Ordering::Release);
                }
            }
            Some(())
        });
        let call = scope.spawn(move || {
            let shortest = pin(one)
                .ok()
                .and_then(|()| call(there, back, &echo, effort));
            is_over.store(true, Ordering::Relaxed);
            shortest
        });
        call.join().ok().flatten()
    })
}

/// The calling end, while the other one lives.
fn call(
    there: &Line,
    back: &Line,
    echo: &std::thread::ScopedJoinHandle<'_, Option<()>>,
    effort: Effort,
) -> Option<f64> {
    let began = reactor::now();
    let mut shortest = f64::INFINITY;
    let mut number = 0;
    for _ in 0..effort.bursts {
        let start = reactor::now();
        for _ in 0..effort.burst {
            number += 1;
            there.0.store(number, Ordering::Release);
            while back.0.load(Ordering::Acquire) != number {
                if echo.is_finished() {
                    return None;
                }
            }
        }
        let end = reactor::now();
        shortest = shortest.min(end.since(start).as_secs_f64() * 1e9 / effort.burst as f64);
        if end.since(began) > effort.most {
            break;
        }
    }
    Some(shortest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_travels_between_two_cores_but_not_to_one_that_is_not_there() {
        let cores = load::process::cores();
        if let [one, .., other] = cores[..] {
            for effort in [AT_LEISURE, IN_PASSING] {
                let nanos = trip_nanos(one, other, effort).unwrap();
                assert!(nanos > 1.0 && nanos.is_finite(), "{nanos}");
            }
        }
        assert_eq!(trip_nanos(cores[0], 1_000, AT_LEISURE), None);
    }

    #[test]
    fn far_is_what_takes_three_times_as_long_as_the_shortest() {
        let trip = |nanos| Trip { nanos };
        let cores = Cores {
            pair: None,
            nearest: Some(trip(88.0)),
            patience: Duration::ZERO,
        };
        for (nanos, is_far) in [(60.0, false), (110.0, false), (264.0, false), (497.0, true)] {
            assert_eq!(cores.is_far(Some(trip(nanos))), is_far, "{nanos}");
        }
        assert!(!cores.is_far(None));
        let always_far = Cores {
            nearest: Some(trip(497.0)),
            ..cores
        };
        assert!(always_far.is_far(Some(trip(497.0))));
    }
}
