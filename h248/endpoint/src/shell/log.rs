//! One log line for what is worth one.

use crate::{Event, Peer, Problem, ProblemKind};

/// Whole messages, for whoever asks for this target: they show where participants are.
pub(super) fn trace_wire(direction: &'static str, peer: Peer, octets: &[u8]) {
    tracing::trace!(
        target: "h248_endpoint::wire",
        %peer,
        text = %String::from_utf8_lossy(octets),
        "{direction}"
    );
}

pub(super) fn log(event: &Event) {
    match event {
        Event::Registered(r) => {
            let (mid, peer, version) = (&r.mid, r.peer, r.version);
            let profile = r.profile.as_ref();
            let profile = profile.map(|p| format!("{}/{}", p.name, p.version));
            tracing::info!(%mid, %peer, version, profile, "H.248 association made");
        }
        Event::Lost { mid, peer, reason } => {
            tracing::warn!(%mid, %peer, %reason, "H.248 association lost");
        }
        Event::Leaving { mid, delay_s } => {
            tracing::info!(%mid, delay_s, "H.248 peer takes its leave");
        }
        Event::RegistrationFailed { mgc, reason } => {
            tracing::warn!(%mgc, %reason, "H.248 registration failed");
        }
        Event::Failed { id, peer, reason } => {
            tracing::warn!(%peer, transaction = id.0, %reason, "H.248 request failed");
        }
        Event::Late { id, peer, .. } => {
            tracing::info!(%peer, transaction = id.0, "H.248 request answered too late");
        }
        Event::Problem(problem) => log_problem(problem),
        Event::Request(_) | Event::Reply { .. } | Event::Departed => {}
    }
}

fn log_problem(problem: &Problem) {
    let Problem {
        peer,
        mid,
        transaction,
        kind,
    } = problem;
    let transaction = transaction.map(|id| id.0);
    let mid = mid.as_ref().map(tracing::field::display);
    match kind {
        // Whoever sends garbage must not fill the log, and late replies are everyday on UDP.
        ProblemKind::MessageDropped { .. } | ProblemKind::ReplyUnexpected => {
            tracing::debug!(%peer, mid, ?transaction, "H.248: {kind}");
        }
        ProblemKind::MessageUnreadable { .. }
        | ProblemKind::TransactionUnreadable { .. }
        | ProblemKind::ErrorReceived(_)
        | ProblemKind::TooManyTransactions { .. }
        | ProblemKind::Busy(_)
        | ProblemKind::ReplyTooLong { .. }
        | ProblemKind::StoreFull(_)
        | ProblemKind::Segments => {
            tracing::warn!(%peer, mid, ?transaction, "H.248: {kind}");
        }
    }
}
