//! Bounds of the gateway, each with the outcome when it is passed.

/// Bounds that an operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Contexts at once (root-2 `maxNumberOfContexts`); beyond it error 412.
    pub contexts_max: u32,
    /// Terminations at once; beyond it error 432.
    pub terminations_max: u32,
    /// Terminations of one context (root-2 `maxTerminationsPerContext`); beyond it error 434.
    pub terminations_per_context_max: u32,
    /// Streams of one termination; beyond it error 510.
    pub streams_per_termination_max: usize,
    /// Requests executed whose orders the shards have not confirmed yet; beyond it error 511.
    pub replies_waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            contexts_max: 100_000,
            terminations_max: 500_000,
            terminations_per_context_max: 10_000,
            streams_per_termination_max: 16,
            replies_waiting_max: 10_000,
        }
    }
}
