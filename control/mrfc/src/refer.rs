//! What a REFER asks for (RFC 3515 2.4.2, TS 24.147 5.3.2.5.2 and 5.3.2.6.2).

use crate::answers::bad_request;
use sip::{Answer, Headers, NameAddr, Uri, unescape};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReferAction {
    /// Call the target.
    Invite,
    /// Send BYE to the target.
    Bye,
}

/// A Refer-To, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReferTo {
    pub(crate) action: ReferAction,
    /// Without the method and the header fields.
    pub(crate) target: Uri,
    /// Fields for the INVITE: Replaces and what it requires.
    pub(crate) fields: Vec<(String, String)>,
}

impl ReferTo {
    /// Reads the one Refer-To of a REFER.
    ///
    /// # Errors
    ///
    /// The answer to a REFER that has none, several, or one that cannot be served.
    pub(crate) fn read(headers: &Headers) -> Result<Self, Answer> {
        let mut all = headers.list("Refer-To");
        let (Some(value), None) = (all.next(), all.next()) else {
            return Err(bad_request("One Refer-To Expected"));
        };
        let uri = NameAddr::parse(value)
            .map_err(|_| bad_request("Refer-To Malformed"))?
            .uri;
        if !matches!(uri.scheme(), "sip" | "sips" | "tel") {
            return Err(Answer::new(416));
        }
        let action = match uri.parameter("method") {
            None => ReferAction::Invite,
            Some(method) if method.eq_ignore_ascii_case("INVITE") => ReferAction::Invite,
            Some(method) if method.eq_ignore_ascii_case("BYE") => ReferAction::Bye,
            Some(_) => return Err(Answer::new(488)),
        };
        let (target, fields) = strip(&uri);
        let target = Uri::parse(&target).map_err(|_| bad_request("Refer-To Malformed"))?;
        Ok(Self {
            action,
            target,
            fields,
        })
    }
}

/// The URI as it may stand in a Request-URI (RFC 3261 19.1.1), and the fields it asked for.
pub(crate) fn strip(uri: &Uri) -> (String, Vec<(String, String)>) {
    let text = uri.as_str();
    let (address, fields) = text.split_once('?').unwrap_or((text, ""));
    let kept = address
        .split(';')
        .filter(|part| !part.to_ascii_lowercase().starts_with("method="));
    let replaces = fields
        .split('&')
        .filter_map(|field| field.split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"))
        .map(|(_, value)| ("Replaces".to_owned(), unescape(value)));
    let mut found: Vec<_> = replaces.take(1).collect();
    if !found.is_empty() {
        // RFC 3891 4: one that does not know Replaces must not take it for a new call.
        found.push(("Require".to_owned(), "replaces".to_owned()));
    }
    (kept.collect::<Vec<_>>().join(";"), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: Result<(ReferAction, &str, usize), u16>) {
        let mut headers = Headers::default();
        for value in values {
            headers.push("Refer-To", *value);
        }
        let read = ReferTo::read(&headers);
        let shown = read
            .as_ref()
            .map(|r| (r.action, r.target.as_str(), r.fields.len()))
            .map_err(|answer| answer.code);
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_refer_to_says_whom_and_what() {
        use ReferAction::{Bye, Invite};
        check(&["<sip:b@x;method=INVITE>"], Ok((Invite, "sip:b@x", 0)));
        check(&["sip:b@x"], Ok((Invite, "sip:b@x", 0)));
        check(&["\"B, b\" <tel:+1-212>"], Ok((Invite, "tel:+1-212", 0)));
        check(
            &["<sip:b@x;gr=1;method=BYE;ob?Subject=a>"],
            Ok((Bye, "sip:b@x;gr=1;ob", 0)),
        );
        check(
            &["<sip:b@x?Replaces=1%40x%3Bto-tag%3D2%3Bfrom-tag%3D3&Require=replaces>"],
            Ok((Invite, "sip:b@x", 2)),
        );
        check(&[], Err(400));
        check(&["<sip:a@x>, <sip:b@x>"], Err(400));
        check(&["<sip:a@x>", "<sip:b@x>"], Err(400));
        check(&["<sip:>"], Err(400));
        check(&["<http://x/y>"], Err(416));
        check(&["<sip:b@x;method=MESSAGE>"], Err(488));
    }

    #[test]
    fn a_replaces_is_written_out() {
        let mut headers = Headers::default();
        headers.push("Refer-To", "<sip:b@x?replaces=1%40x%3Bto-tag%3D2>");
        let read = ReferTo::read(&headers).expect("a target");
        assert_eq!(read.fields[0], ("Replaces".into(), "1@x;to-tag=2".into()));
    }
}
