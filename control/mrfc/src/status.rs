//! What can be seen from outside: counters and a snapshot of the conferences.

use crate::outcomes::Outcomes;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A snapshot of the conferences, for a status page or an API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConferenceStatus {
    /// User part of the conference URI.
    pub name: String,
    /// The URI, once somebody has dialled it.
    pub uri: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// How messages pass.
    pub profile: crate::Profile,
    /// How many may take part.
    pub seats_max: usize,
    /// Whether nobody is let in who is not called.
    pub is_locked: bool,
    /// The H.248 context that mixes it, when there is one.
    pub context: Option<u32>,
    /// The MRFP it is on, as its message identifier, when there is one.
    pub mrfp: Option<String>,
    /// In order of joining.
    pub participants: Vec<ParticipantStatus>,
}

/// One participant of a [`ConferenceStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParticipantStatus {
    /// Unique while the process lives.
    pub id: u64,
    /// Asserted or From address, of anonymous ones too: operators see them.
    pub uri: String,
    /// Its display name.
    pub display: Option<String>,
    /// What it is called in a chat room.
    pub nickname: Option<String>,
    /// Call-ID of the dialog.
    pub call_id: String,
    /// H.248 termination, once it is there.
    pub termination: Option<String>,
    /// Whether the focus called it.
    pub is_called: bool,
    /// Whether the 200 was acknowledged.
    pub is_connected: bool,
    /// Whether it may only listen.
    pub is_muted: bool,
    /// When it was connected, seconds since 1970.
    pub joined_at: Option<u64>,
}

macro_rules! counters {
    ($(#[doc = $doc:literal] $name:ident),+ $(,)?) => {
        /// Counters since start, and gauges, at one moment.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Metrics {
            $(#[doc = $doc] pub $name: u64,)+
            /// What became of requests, by code.
            pub outcomes: Outcomes,
        }

        impl Metrics {
            /// Name, meaning and value of each, in order; a meaning that begins with `Gauge:` is
            /// that of a gauge.
            #[must_use]
            pub fn rows(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $doc, self.$name),)+]
            }
        }

        /// The live side of [`Metrics`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)+
            /// Written by the focus alone.
            outcomes: Mutex<Outcomes>,
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Metrics {
                Metrics {
                    $($name: self.$name.load(Ordering::Relaxed),)+
                    outcomes: self.outcomes().clone(),
                }
            }

            pub(crate) fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
                // Whoever panicked while counting left counts all the same.
                self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    };
}

counters! {
    /// INVITEs that reached a conference check.
    invites,
    /// INVITEs answered with 200.
    joins,
    /// INVITEs answered with 3xx to 6xx, 487 included.
    refusals,
    /// Participants that left or were removed after their 200.
    leaves,
    /// 200s that nobody acknowledged.
    ack_timeouts,
    /// Calls of the focus that went out.
    calls,
    /// Calls of the focus that were accepted.
    calls_accepted,
    /// Calls of the focus that failed.
    calls_failed,
    /// REFERs accepted.
    refers,
    /// REFERs refused.
    refers_refused,
    /// Subscriptions to rosters begun.
    subscriptions,
    /// Subscriptions refreshed or given up by their subscribers.
    subscriptions_refreshed,
    /// Subscriptions over, whatever the reason.
    subscriptions_ended,
    /// SUBSCRIBEs refused.
    subscriptions_refused,
    /// NOTIFYs of rosters sent.
    notifies,
    /// Notices to participants that know no chat rooms.
    notices,
    /// Of these, those that did not reach them.
    notices_failed,
    /// Gauge: subscriptions to rosters now.
    watchers,
    /// H.248 Adds sent.
    adds,
    /// H.248 Subtracts sent.
    subtracts,
    /// H.248 requests that failed: refused, not answered in time, or not sent.
    h248_failures,
    /// Of these, those that nobody answered in time.
    h248_unanswered,
    /// Associations with MRFPs that were lost.
    mrfp_losses,
    /// Terminations that an MRFP still had when it came back and no participant did: subtracted.
    strangers,
    /// Participants that were ended because an MRFP that came back had lost their terminations.
    missing,
    /// SIP requests for new dialogs refused with 503.
    sip_shed,
    /// Of these, those that would have waited for the SIP core for too long.
    sip_shed_late,
    /// Of these, those that came while too many awaited the answer of the focus.
    sip_shed_unanswered,
    /// Of these, those for which no transaction or dialog was left.
    sip_shed_full,
    /// Of these, repetitions of refused ones.
    sip_shed_again,
    /// Gauge: SIP datagrams that wait for the SIP core now.
    sip_waiting,
    /// SIP requests that could not be read.
    sip_malformed,
    /// SIP requests from outside the trust domain that were asked who sends them.
    sip_challenged,
    /// SIP requests whose sender is not whom From names.
    sip_forbidden,
    /// SIP connections refused: too many, in all or from one address.
    sip_connections_refused,
    /// Gauge: SIP connections now.
    sip_connections,
    /// Gauge: SIP dialogs now.
    sip_dialogs,
    /// Gauge: SIP transactions now; over UDP they are kept for 32 s after their end.
    sip_transactions,
    /// Gauge: MRFPs associated now.
    mrfps,
    /// Gauge: conferences that exist now.
    conferences,
    /// Gauge: participants now, joining ones included.
    participants,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

pub(crate) fn set(gauge: &AtomicU64, value: usize) {
    gauge.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
}
