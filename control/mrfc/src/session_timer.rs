//! Session timers (RFC 4028): a peer that is gone without a word gives its seat back.
//!
//! The focus takes the interval and the refresher that a peer asks for. Where a peer knows nothing
//! of timers the focus refreshes, at half of its own interval: an answer of any kind shows that
//! somebody is there.

use clock::Duration;
use sip::{Answer, Headers};

/// Shortest interval accepted, seconds: the RFC's own minimum (5).
pub const SESSION_SECONDS_MIN: u64 = 90;

/// The longest interval that a 422 makes us take, seconds: a day.
const SECONDS_MAX: u64 = 86_400;

/// The seconds of a Min-SE.
fn min_se(value: &str) -> Option<u64> {
    value.split(';').next()?.trim().parse().ok()
}

/// A session timer agreed with one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    seconds: u64,
    /// Whether the peer refreshes; else we do.
    by_peer: bool,
    /// Whether the peer understands what we write about it.
    is_understood: bool,
    /// The least interval that a 422 asked for.
    min_se: Option<u64>,
}

impl SessionTimer {
    /// Agrees on what an INVITE or UPDATE asks for; `own` is our interval for peers that ask for
    /// nothing, `None` to leave those alone.
    ///
    /// # Errors
    ///
    /// The answer to an interval that is too small or unreadable.
    pub(crate) fn negotiate(
        headers: &Headers,
        own: Option<Duration>,
    ) -> Result<Option<Self>, Answer> {
        let is_understood =
            headers.has_token("Supported", "timer") || headers.has_token("Require", "timer");
        let Some(value) = headers.get("Session-Expires").or_else(|| headers.get("x")) else {
            // No shorter than what is asked for at least (RFC 4028 9).
            let least = headers.get("Min-SE").and_then(min_se).unwrap_or(0);
            return Ok(own.map(|own| Self {
                seconds: own
                    .as_secs()
                    .max(SESSION_SECONDS_MIN)
                    .max(least.min(SECONDS_MAX)),
                by_peer: false,
                is_understood,
                min_se: None,
            }));
        };
        let mut parts = value.split(';').map(str::trim);
        let seconds = parts
            .next()
            .and_then(|s| s.parse().ok())
            .ok_or_else(|| Answer::new(400))?;
        if seconds < SESSION_SECONDS_MIN {
            return Err(Answer::new(422).with("Min-SE", SESSION_SECONDS_MIN.to_string()));
        }
        let by_us = parts.any(|p| p.eq_ignore_ascii_case("refresher=uas"));
        Ok(Some(Self {
            seconds,
            by_peer: is_understood && !by_us,
            is_understood,
            min_se: None,
        }))
    }

    /// What a 2xx to an INVITE of ours says (RFC 4028 7.2); where it says nothing we refresh.
    pub(crate) fn answered(headers: &Headers, own: Option<Duration>) -> Option<Self> {
        let own = own.map(|own| Self {
            seconds: own.as_secs().max(SESSION_SECONDS_MIN),
            by_peer: false,
            is_understood: false,
            min_se: None,
        });
        Self::said(headers).or(own)
    }

    /// What a 2xx to a request of ours says.
    fn said(headers: &Headers) -> Option<Self> {
        let value = headers
            .get("Session-Expires")
            .or_else(|| headers.get("x"))?;
        let mut parts = value.split(';').map(str::trim);
        let seconds: u64 = parts.next()?.parse().ok()?;
        Some(Self {
            seconds: seconds.max(SESSION_SECONDS_MIN),
            by_peer: parts.any(|p| p.eq_ignore_ascii_case("refresher=uas")),
            is_understood: true,
            min_se: None,
        })
    }

    /// After a 2xx to a refresh of ours, which may agree on something else.
    pub(crate) fn refreshed(self, headers: &Headers) -> Self {
        Self::said(headers).unwrap_or(self)
    }

    /// After a 422 to a refresh of ours: with the interval that it asks for, if that is longer and not
    /// beyond reason.
    pub(crate) fn lengthened(self, headers: &Headers) -> Option<Self> {
        let min_se = min_se(headers.get("Min-SE")?)?;
        let is_good = min_se > self.seconds && min_se <= SECONDS_MAX;
        is_good.then_some(Self {
            seconds: min_se,
            min_se: Some(min_se),
            ..self
        })
    }

    /// Whether the peer ends the session unless it is refreshed; else any answer will do.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_understood
    }

    /// The fields of our answer.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let field = |name: &str, value: String| (name.to_owned(), value);
        let refresher = if self.by_peer { "uac" } else { "uas" };
        let mut fields = Vec::new();
        // RFC 4028 9: Require only if the peer is to refresh.
        if self.by_peer {
            fields.push(field("Require", "timer".to_owned()));
        }
        if self.is_understood {
            let value = format!("{};refresher={refresher}", self.seconds);
            fields.push(field("Session-Expires", value));
        }
        fields
    }

    /// The fields of a refresh that we send.
    pub(crate) fn refresh_fields(&self) -> Vec<(String, String)> {
        let min_se = self.min_se.map(|s| ("Min-SE".to_owned(), s.to_string()));
        let fields = [
            ("Supported".to_owned(), "timer".to_owned()),
            (
                "Session-Expires".to_owned(),
                format!("{};refresher=uac", self.seconds),
            ),
        ];
        fields.into_iter().chain(min_se).collect()
    }

    /// Whether silence until [`Self::wait`] ends the session; else it is time to refresh.
    pub(crate) fn ends_in_silence(&self) -> bool {
        self.by_peer
    }

    /// From a refresh that was refused to the next one: there are three of them before the peer ends the session.
    pub(crate) fn wait_again(&self) -> Duration {
        Duration::from_secs(self.seconds / 8)
    }

    /// From one refresh to what is then due (RFC 4028 10): our refresh at half of the interval, or
    /// our BYE a third of it, but at most 32 seconds, before its end.
    pub(crate) fn wait(&self) -> Duration {
        let seconds = if self.by_peer {
            self.seconds - (self.seconds / 3).min(32)
        } else {
            self.seconds / 2
        };
        Duration::from_secs(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answered fields, who acts and when; or the code of a refusal.
    #[track_caller]
    fn check(
        fields: &[(&str, &str)],
        own: Option<u64>,
        expected: Result<Option<(&str, bool, u64)>, u16>,
    ) {
        let own = own.map(Duration::from_secs);
        let agreed = SessionTimer::negotiate(&Headers::from_iter(fields.iter().copied()), own);
        let shown = agreed.map_err(|answer| answer.code).map(|timer| {
            timer.map(|timer| {
                let fields: Vec<_> = timer
                    .fields()
                    .iter()
                    .map(|(n, v)| format!("{n}: {v}"))
                    .collect();
                (
                    fields.join(", "),
                    timer.ends_in_silence(),
                    timer.wait().as_secs(),
                )
            })
        });
        let expected = expected.map(|e| e.map(|(text, ends, wait)| (text.to_owned(), ends, wait)));
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_answer_to_our_call_says_who_refreshes() {
        let own = Some(Duration::from_secs(1800));
        let check = |fields: &[(&str, &str)], own, expected| {
            let timer = SessionTimer::answered(&Headers::from_iter(fields.iter().copied()), own);
            let shown = timer.map(|t| (t.ends_in_silence(), t.wait().as_secs()));
            assert_eq!(shown, expected, "{fields:?}");
        };
        check(&[], own, Some((false, 900)));
        check(&[], None, None);
        check(&[("Session-Expires", "nonsense")], own, Some((false, 900)));
        check(
            &[("Session-Expires", "600;refresher=uas")],
            own,
            Some((true, 568)),
        );
        check(&[("x", "600;refresher=uac")], None, Some((false, 300)));
    }

    #[test]
    fn who_refreshes_is_agreed_by_the_book() {
        let timer = ("Supported", "gruu, timer");
        let by_uac = "Require: timer, Session-Expires: 1800;refresher=uac";
        check(
            &[timer, ("Session-Expires", "1800")],
            None,
            Ok(Some((by_uac, true, 1768))),
        );
        check(
            &[timer, ("x", "1800;refresher=uac")],
            None,
            Ok(Some((by_uac, true, 1768))),
        );
        let by_uas = "Session-Expires: 90;refresher=uas";
        check(
            &[timer, ("Session-Expires", "90 ; refresher=uas")],
            None,
            Ok(Some((by_uas, false, 45))),
        );
        check(
            &[timer],
            Some(1800),
            Ok(Some(("Session-Expires: 1800;refresher=uas", false, 900))),
        );
        // A proxy asked on behalf of a peer that knows no timers.
        check(
            &[("Session-Expires", "300")],
            None,
            Ok(Some(("", false, 150))),
        );
        check(&[], Some(10), Ok(Some(("", false, 45))));
        // Who names no interval may still name the least.
        check(
            &[timer, ("Min-SE", "3600;x")],
            Some(1800),
            Ok(Some(("Session-Expires: 3600;refresher=uas", false, 1800))),
        );
        check(&[], None, Ok(None));
        check(&[timer, ("Session-Expires", "89")], None, Err(422));
        check(&[timer, ("Session-Expires", "soon")], None, Err(400));
    }
}
