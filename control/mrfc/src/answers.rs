//! Answers that several places give.

use crate::body::Body;
use crate::headers::Fields;
use crate::limits::RETRY_AFTER_SECONDS;
use crate::media::{Offer, Unusable};
use crate::terms::Terms;
use conference::Refusal;
use sip::{Answer, Request};

/// Agent name in Warning headers.
const WARN_AGENT: &str = "mrfc";

/// The parts of a body, or 400.
pub(crate) fn read_body(request: &Request) -> Result<Body, Answer> {
    Body::of(request).map_err(|fault| bad_request(&fault))
}

/// The offer in a body, if there is one, or 488 if it cannot be served on these terms.
pub(crate) fn read_offer(sdp: &[u8], terms: &Terms) -> Result<Option<Offer>, Answer> {
    if sdp.is_empty() {
        return Ok(None);
    }
    Offer::parse(sdp)
        .and_then(|offer| terms.admit(offer))
        .map(Some)
        .map_err(|unusable| not_acceptable(&unusable))
}

/// 488 and why.
pub(crate) fn not_acceptable(unusable: &Unusable) -> Answer {
    Answer::new(488).with("Warning", unusable.warning(WARN_AGENT))
}

/// 400 and why.
pub(crate) fn bad_request(reason: &str) -> Answer {
    let mut answer = Answer::new(400);
    answer.reason = Some(format!("Bad Request - {reason}"));
    answer
}

/// The final response that a decision of the conference becomes.
pub(crate) fn refusal(why: Refusal, fault: Option<&str>) -> Answer {
    match why {
        Refusal::Full => warned(486, "The conference is full"),
        Refusal::Locked => warned(403, "The conference is locked"),
        Refusal::Closing | Refusal::MixerUnavailable => busy(),
        Refusal::MediaUnsupported => {
            let fault = fault.unwrap_or_default().replace(['"', '\\'], "'");
            warned(
                488,
                &format!("The media resource refused the description: {fault}"),
            )
        }
    }
}

/// A refusal that says why in words (RFC 3261 20.43), which hold no quotes.
fn warned(code: u16, text: &str) -> Answer {
    Answer::new(code).with("Warning", format!("399 {WARN_AGENT} \"{text}\""))
}

/// 480, since we cannot be reached by `sips:` (RFC 5630).
pub(crate) fn sips_not_allowed() -> Answer {
    let warning = format!("380 {WARN_AGENT} \"SIPS Not Allowed\"");
    Answer::new(480).with("Warning", warning)
}

/// 420: the resource does not know an extension that the request needs.
pub(crate) fn bad_extension(tag: &str) -> Answer {
    Answer::new(420).with("Unsupported", tag)
}

/// Not now: 503.
pub(crate) fn busy() -> Answer {
    Answer::new(503).with("Retry-After", RETRY_AFTER_SECONDS.to_string())
}

/// An answer with these fields.
pub(crate) fn answer_with(code: u16, headers: Fields) -> Answer {
    Answer {
        headers,
        ..Answer::new(code)
    }
}
