//! Every bound of this crate, with its unit.

/// Commands (status, shutdown) waiting for the focus.
pub(crate) const COMMANDS_MAX: usize = 64;
/// Legs at once, those being refused or ending included; further INVITEs get 503.
pub(crate) const LEGS_MAX: usize = 50_000;
/// REFERs whose progress is told at once; further ones get 503.
pub(crate) const REFERS_MAX: usize = 10_000;
/// How long the progress of a REFER is told, seconds: longer than a call may ring.
pub(crate) const REFER_SECONDS: u64 = 300;
/// Subscriptions to rosters at once; further ones get 503.
pub(crate) const WATCHERS_MAX: usize = 50_000;
/// How long a subscription lasts that does not say, seconds (RFC 4575 3.4: an hour).
pub(crate) const SUBSCRIPTION_SECONDS: u64 = 3_600;
/// The longest subscription granted, seconds.
pub(crate) const SUBSCRIPTION_SECONDS_MAX: u64 = 86_400;
/// The shortest subscription granted, seconds; shorter ones get 423.
pub(crate) const SUBSCRIPTION_SECONDS_MIN: u64 = 5;
/// Next hops being looked up at once that do not make a call wait.
pub(crate) const LOOKUPS_MAX: usize = 64;
/// Seconds without a word about a termination after which its MRFP asks whether it is known (`timerx` of H.248.36).
pub(crate) const HEARTBEAT_SECONDS: u32 = 900;
/// MRFPs used at once; further ones register but get no conferences.
pub(crate) const MRFPS_MAX: usize = 256;
/// H.248 requests that one MRFP is asked at once; further ones (one a leg and a change) wait for their turn, so
/// that no Subtract is lost to a burst.
pub(crate) const REQUESTS_MAX: usize = 1_024;
/// How often an MRFP that came back is asked what it has, when it refuses to tell.
pub(crate) const AUDITS_MAX: u32 = 3;
/// Seconds between these times.
pub(crate) const AUDIT_AGAIN_SECONDS: u64 = 10;
/// Timers of the focus that fire before others have their turn.
pub(crate) const TIMERS_A_TURN: usize = 64;
/// Seconds after which an MRFP that did not bring into force what a participant may do is asked again.
pub(crate) const MODE_AGAIN_SECONDS: u64 = 10;
/// Seconds a refused peer is told to wait.
pub(crate) const RETRY_AFTER_SECONDS: u32 = 5;

const _: () = assert!(REQUESTS_MAX <= h248_endpoint::limits::PEER_OUTSTANDING_MAX / 2);
