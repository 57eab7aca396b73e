//! Bounds of the gateway, each with the outcome when it is passed.

use clock::Duration;

/// Highest context number given out; the next one is 1 again. Above it are the switch's names for
/// further streams of a context.
pub(super) const CONTEXT_ID_MAX: u32 = (1 << 31) - 1;

/// Events kept for one termination while a Notify is outstanding; beyond it the oldest is dropped.
pub(super) const NOTIFY_QUEUE_MAX: usize = 16;

/// Notifies that may be unanswered at once, of all terminations together; further ones wait here until some
/// are. More of them would help no controller, and the endpoint's own bound would lose them.
pub(super) const NOTIFIES_OUTSTANDING_MAX: usize = 1_024;

const _: () = assert!(NOTIFIES_OUTSTANDING_MAX < h248_endpoint::limits::PEER_OUTSTANDING_MAX);

/// `hangterm/thb` without `timerx`.
pub(super) const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(3600);

/// Longest time of silence that can be asked for (`hangterm/thb`, `xmrf/idle`; gateways in the
/// field go up to this).
pub(super) const SILENCE_SECS_MAX: u64 = 2_147_480;

/// `it/ito` without `mit`.
pub(super) const SILENCE_DEFAULT: Duration = Duration::from_secs(30);

/// How long between two looks at the counters of a termination with a quota.
pub(super) const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// Terminations with a quota looked at in each [`COUNT_INTERVAL`]; with more of them, each is looked
/// at more rarely.
pub(super) const COUNTS_PER_SECOND_MAX: usize = 1_000;

/// Terms of sessions that are remembered, so that whoever gets the same shares them.
pub(super) const SHARED_TERMS_MAX: usize = 32;

/// Pairs of terminations that a Topology descriptor may treat otherwise than all the rest, with those of its
/// context that are; beyond it error 510. (As `*, *`, a context of a thousand.)
pub(super) const TOPOLOGY_PAIRS_MAX: usize = 1_000_000;

/// Quotas of one termination; beyond it error 510.
pub(super) const QUOTAS_MAX: usize = 16;

/// Signals of one termination that go on, waiting ones included; beyond it error 510.
pub(super) const SIGNALS_MAX: usize = 64;

/// Terminations of one context on one shard, unless configured. A message to so many takes a shard about
/// half a millisecond, ten times what it takes to wake another one and to send the message there: from
/// here on the second core gains more than the way to it costs.
pub(super) const SPREAD_ABOVE_DEFAULT: u32 = 1_000;

/// Bounds that an operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Contexts at once (root-2 `maxNumberOfContexts`); beyond it error 412.
    pub contexts_max: u32,
    /// Terminations at once; beyond it error 432.
    pub terminations_max: u32,
    /// Terminations of one context (root-2 `maxTerminationsPerContext`); beyond it error 434.
    pub terminations_per_context_max: u32,
    /// Terminations of one context above which further ones are placed on any shard.
    pub spread_above: u32,
    /// Streams of one termination; beyond it error 510.
    pub streams_per_termination_max: usize,
    /// Requests whose orders the shards have not confirmed yet. From a half of it on, more and more
    /// is refused with error 511; from twice as many on, everything.
    pub replies_waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            contexts_max: 100_000,
            terminations_max: 500_000,
            terminations_per_context_max: 10_000,
            spread_above: SPREAD_ABOVE_DEFAULT,
            streams_per_termination_max: 16,
            replies_waiting_max: 10_000,
        }
    }
}
