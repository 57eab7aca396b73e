//! What is run, and what the figures are held against.

use core::time::Duration;

use load::{Plan, Rate, Summary, Transport};

use crate::systems::{Kind, System};

/// One shape of load on several systems.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// On the command line.
    pub(crate) name: &'static str,
    /// In the record.
    pub(crate) title: &'static str,
    pub(crate) plan: Plan,
    /// What it is held against.
    pub(crate) baseline: Baseline,
    pub(crate) goal: Option<Goal>,
}

impl Scenario {
    /// Whether both are run together: one is held against the other, or both against the same.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        let has_scenario = matches!(self.baseline, Baseline::Scenario(_));
        self.baseline == Baseline::Scenario(other.name)
            || has_scenario && self.baseline == other.baseline
    }
}

/// Whose figures are the measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// Kamailio, with the forwarder beside it.
    Kamailio,
    /// The bare forwarder on the same reactor.
    Forwarder,
    /// Another scenario on the same system.
    Scenario(&'static str),
}

/// A ratio to the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) figure: Figure,
    pub(crate) bound: Bound,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    Messages,
    Octets,
    Percentiles,
    P99,
}

impl Figure {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Messages => "deliveries/s",
            Self::Octets => "octets/s",
            Self::Percentiles => "p50 and p99",
            Self::P99 => "p99",
        }
    }

    /// The ratio of two runs; of two percentiles the worse one.
    pub(crate) fn ratio(self, ours: &Summary, other: &Summary) -> f64 {
        let p50 = ours.latency.p50_us / other.latency.p50_us;
        let p99 = ours.latency.p99_us / other.latency.p99_us;
        match self {
            Self::Messages => ours.delivered_per_second / other.delivered_per_second,
            Self::Octets => ours.octets_per_second / other.octets_per_second,
            Self::Percentiles => p50.max(p99),
            Self::P99 => p99,
        }
    }
}

impl Bound {
    pub(crate) fn words(self) -> String {
        match self {
            Self::AtLeast(ratio) => format!("at least {ratio}"),
            Self::AtMost(ratio) => format!("at most {ratio}"),
        }
    }

    pub(crate) fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

/// How long the parts of the measurement take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    /// Octets of the large file.
    pub(crate) file: u64,
}

impl Pace {
    /// Many short runs instead of a few long ones: whatever disturbs a run, a hiccup of the machine or a process that is
    /// slow from start to end, a median of many leaves out.
    pub(crate) const FULL: Self = Self {
        duration: Duration::from_millis(500),
        warmup: Duration::from_millis(150),
        file: 1_000_000_000,
    };

    /// Only to see that everything works.
    pub(crate) const QUICK: Self = Self {
        duration: Duration::from_millis(200),
        warmup: Duration::from_millis(50),
        file: 10_000_000,
    };

    pub(crate) fn plan(self) -> Plan {
        Plan {
            duration: self.duration,
            warmup: self.warmup,
            ..Plan::default()
        }
    }
}

/// A file that takes longer counts as what came of it until then.
const FILE_TIME_MAX: Duration = Duration::from_secs(40);

/// One recipient, at a rate that leaves time between two messages.
pub(crate) const PAIR_PACED: &str = "pair-paced";
/// Ten recipients, as fast as it goes.
const TEN: &str = "ten";
/// The scenario of many conferences, and the same of one.
pub(crate) const ONE: &str = "one";
pub(crate) const MANY: &str = "many";
/// Ten recipients, and the same with one that does not read.
pub(crate) const ALL_READ: &str = "all-read";
pub(crate) const STALLED: &str = "stalled";
/// One large message.
pub(crate) const FILE: &str = "file";

/// Half of what one conference of ten and what a hundred of them can take, messages per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Halves {
    pub(crate) one: f64,
    pub(crate) many: f64,
}

/// What the scenarios are called.
pub(crate) fn names() -> Vec<&'static str> {
    let any = Halves {
        one: 1.0,
        many: 1.0,
    };
    let all = all(Pace::QUICK, any).into_iter();
    all.map(|scenario| scenario.name).collect()
}

/// All scenarios.
pub(crate) fn all(pace: Pace, halves: Halves) -> Vec<Scenario> {
    use Baseline::{Forwarder, Kamailio};
    use Bound::{AtLeast, AtMost};
    let plan = |participants, size| Plan {
        participants,
        size,
        ..pace.plan()
    };
    let goal = |figure, bound| Some(Goal { figure, bound });
    let scenario = |name, title, plan, baseline, goal| Scenario {
        name,
        title,
        plan,
        baseline,
        goal,
    };
    let of_ten = |conferences, rate| Plan {
        conferences,
        rate: Rate::Fixed(rate),
        ..plan(10, 300)
    };
    let to_ten = |stalled| Plan {
        stalled,
        rate: Rate::Fixed(2_000.0),
        // So long that what one does not read is more than the system's buffers take.
        warmup: pace.duration,
        ..plan(11, 1_024)
    };
    vec![
        scenario(
            "pair-small",
            "1 to 1, 100 octets, saturated",
            plan(2, 100),
            Kamailio,
            goal(Figure::Messages, AtLeast(5.0)),
        ),
        scenario(
            "pair-large",
            "1 to 1, 8,000 octets, saturated",
            plan(2, 8_000),
            Kamailio,
            goal(Figure::Octets, AtLeast(4.0)),
        ),
        scenario(
            PAIR_PACED,
            "1 to 1, 1,000 octets, 10,000/s",
            Plan {
                rate: Rate::Fixed(10_000.0),
                ..plan(2, 1_000)
            },
            Kamailio,
            goal(Figure::Percentiles, AtMost(0.5)),
        ),
        scenario(
            TEN,
            "1 to 10, 1 KiB, saturated",
            plan(11, 1_024),
            Forwarder,
            goal(Figure::Messages, AtLeast(0.80)),
        ),
        scenario(
            "tls",
            "1 to 10, 1 KiB, saturated, over TLS",
            Plan {
                transport: Transport::Tls,
                ..plan(11, 1_024)
            },
            Baseline::Scenario(TEN),
            goal(Figure::Messages, AtLeast(0.5)),
        ),
        scenario(
            "report",
            "1 to 10, 1 KiB, saturated, every hop answers (Failure-Report absent)",
            Plan {
                failure_report: msrp::FailureReport::Yes,
                ..plan(11, 1_024)
            },
            Baseline::Scenario(TEN),
            None,
        ),
        scenario(
            "hundred",
            "1 to 100, 100 octets, saturated",
            plan(101, 100),
            Forwarder,
            goal(Figure::Messages, AtLeast(0.70)),
        ),
        scenario(
            "room",
            "4 senders of 100 participants, 300 octets, saturated",
            Plan {
                senders: 4,
                ..plan(100, 300)
            },
            Forwarder,
            goal(Figure::Messages, AtLeast(0.70)),
        ),
        scenario(
            FILE,
            "one large file to 10 recipients",
            Plan {
                messages: Some(1),
                duration: FILE_TIME_MAX,
                warmup: Duration::ZERO,
                ..plan(11, pace.file)
            },
            Forwarder,
            goal(Figure::Octets, AtLeast(0.90)),
        ),
        scenario(
            ONE,
            "1 conference of 10, 300 octets, half of its saturation",
            of_ten(1, halves.one),
            Forwarder,
            None,
        ),
        scenario(
            MANY,
            "100 conferences of 10, 300 octets, half of their saturation",
            of_ten(100, halves.many),
            Baseline::Scenario(ONE),
            goal(Figure::P99, AtMost(2.0)),
        ),
        scenario(
            ALL_READ,
            "1 to 10, 1 KiB, 2,000/s",
            to_ten(0),
            Forwarder,
            None,
        ),
        scenario(
            STALLED,
            "the same, one of the ten does not read: the other nine",
            to_ten(1),
            Baseline::Scenario(ALL_READ),
            goal(Figure::P99, AtMost(1.25)),
        ),
    ]
}

/// What so many conferences of ten can take is found with this.
pub(crate) fn saturated(pace: Pace, conferences: u32) -> Plan {
    Plan {
        conferences,
        participants: 10,
        size: 300,
        ..pace.plan()
    }
}

/// Who runs a scenario.
pub(crate) fn systems(scenario: &Scenario, reactors: &[Kind], has_kamailio: bool) -> Vec<System> {
    let ours = reactors.iter().map(|kind| System::Mrf(*kind));
    let limits = reactors.iter().filter(|kind| kind.has_forwarder());
    let limits = limits.map(|kind| System::Forward(*kind));
    let peers = has_kamailio.then_some(System::Kamailio).into_iter();
    match scenario.baseline {
        _ if scenario.name == PAIR_PACED => {
            let waits = reactors.iter().copied().flat_map(System::other_waits);
            ours.chain(waits).chain(limits).chain(peers).collect()
        }
        // Whether it is the system that many connections cost is to be seen.
        _ if scenario.name == MANY => ours.chain(limits).collect(),
        Baseline::Kamailio => ours.chain(limits).chain(peers).collect(),
        Baseline::Forwarder => ours.chain(limits).collect(),
        Baseline::Scenario(_) => ours.collect(),
    }
}
