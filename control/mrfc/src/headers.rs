//! Header fields of the focus's own responses.

use crate::config::{Config, ContactForm};
use core::net::SocketAddr;
use sip::{Headers, NameAddr, Request, Transport, Uri};

const CHARGING_FUNCTIONS: &str = "P-Charging-Function-Addresses";

/// Name and value of header fields.
pub(crate) type Fields = Vec<(String, String)>;

/// Where a peer sees us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near {
    pub(crate) transport: Transport,
    pub(crate) addr: SocketAddr,
    /// It reaches us by `sips:` URIs alone.
    pub(crate) is_sips: bool,
}

/// Whether the Contact that answers a request has to be a `sips:` URI: as the Request-URI is, or the
/// topmost Record-Route, or without one the Contact (RFC 3261 12.1.1, RFC 5630).
pub(crate) fn wants_sips(request: &Request) -> bool {
    let is_sips = |value: &str| NameAddr::parse(value).is_ok_and(|a| a.uri.scheme() == "sips");
    let headers = &request.headers;
    let nearest = headers.list("Record-Route").next();
    let nearest = nearest.or_else(|| headers.list("Contact").next());
    request.uri.scheme() == "sips" || nearest.is_some_and(is_sips)
}

/// The Contact of a conference: `isfocus` says what it is (RFC 4579 5.2).
pub(crate) fn contact(config: &Config, uri: &Uri, near: Near) -> String {
    let is_sips = near.is_sips;
    let scheme = if is_sips { "sips" } else { "sip" };
    match config.contact {
        ContactForm::Psi => {
            let (_, rest) = uri.as_str().split_once(':').unwrap_or_default();
            format!("<{scheme}:{rest}>;isfocus")
        }
        ContactForm::HostPort => {
            let user = uri.user().map_or(String::new(), |user| format!("{user}@"));
            let transport = near.transport.uri_parameter(is_sips);
            format!("<{scheme}:{user}{}{transport}>;isfocus", near.addr)
        }
    }
}

/// What every positive answer to an INVITE carries (TS 24.247 A.5.1 step 12, TS 24.147 5.3.2).
pub(crate) fn of_focus(
    config: &Config,
    allow: &str,
    conference: &Uri,
    request: &Request,
    near: Near,
) -> Fields {
    let mut fields = capabilities(allow);
    let mut add = |name: &str, value: String| fields.push((name.to_owned(), value));
    add("Contact", contact(config, conference, near));
    let identity = config.server_identity.clone().unwrap_or_else(|| {
        let user = conference.user();
        let user = user.map_or(String::new(), |user| format!("{user}@"));
        format!("<sip:{user}{}>", conference.host())
    });
    add("P-Asserted-Identity", identity);
    add("Privacy", "none".to_owned());
    if let Some(vector) = charging_vector(&request.headers, config.term_ioi.as_deref()) {
        add("P-Charging-Vector", vector);
    }
    let given: Vec<_> = request.headers.all(CHARGING_FUNCTIONS).collect();
    let own = config.charging_function_addresses.as_deref();
    let own = own.into_iter().filter(|_| given.is_empty());
    for addresses in given.iter().copied().chain(own) {
        add(CHARGING_FUNCTIONS, addresses.to_owned());
    }
    fields
}

/// What an INVITE of the focus carries beside its session (TS 24.247 A.5.2 step 1, TS 24.147
/// 5.3.2.5.4): who calls, and a charging identifier of our own, since no request brought one.
pub(crate) fn of_call(
    config: &Config,
    allow: &str,
    conference: &Uri,
    near: Near,
    icid: &str,
) -> Fields {
    let mut fields = capabilities(allow);
    let mut add = |name: &str, value: String| fields.push((name.to_owned(), value));
    add("Contact", contact(config, conference, near));
    add("P-Asserted-Identity", format!("<{conference}>"));
    add("Privacy", "none".to_owned());
    let ioi = config.term_ioi.as_deref();
    let ioi = ioi.map_or(String::new(), |ioi| {
        format!(";orig-ioi=\"{}\"", ioi.replace('"', ""))
    });
    add("P-Charging-Vector", format!("icid-value=\"{icid}\"{ioi}"));
    if let Some(addresses) = &config.charging_function_addresses {
        add(CHARGING_FUNCTIONS, addresses.clone());
    }
    fields
}

/// What the focus can do, without saying which conference.
pub(crate) fn capabilities(allow: &str) -> Fields {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        field("Allow", allow),
        field("Allow-Events", "conference"),
        field("Accept", "application/sdp, multipart/mixed"),
        field(
            "Supported",
            "100rel, timer, norefersub, recipient-list-invite",
        ),
    ]
}

/// The option of who sends a list of whom to invite (RFC 5366).
pub(crate) const LIST: &str = "recipient-list-invite";

/// Whether whoever sent it insists on its list being served.
pub(crate) fn wants_list(headers: &Headers) -> bool {
    headers.has_token("Require", LIST)
}

/// Whether a peer takes UPDATE (RFC 3311 4); who says nothing of methods may.
pub(crate) fn allows_update(headers: &Headers) -> bool {
    headers.get("Allow").is_none() || headers.has_token("Allow", "UPDATE")
}

/// The icid and orig-ioi as they came, with our own term-ioi (TS 24.229, RFC 7315 4.6).
fn charging_vector(headers: &Headers, term_ioi: Option<&str>) -> Option<String> {
    let vector = headers.get("P-Charging-Vector")?;
    let has_term = vector.to_ascii_lowercase().contains("term-ioi=");
    match term_ioi.filter(|_| !has_term) {
        Some(ioi) => Some(format!("{vector};term-ioi=\"{}\"", ioi.replace('"', ""))),
        None => Some(vector.to_owned()),
    }
}

/// The charging identifier that a request brought.
pub(crate) fn icid(headers: &Headers) -> Option<String> {
    let vector = headers.get("P-Charging-Vector")?;
    let value = vector.split(';').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_icid = name.trim().eq_ignore_ascii_case("icid-value");
        is_icid.then(|| value.trim().trim_matches('"').to_owned())
    });
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charging_vector_gains_our_term_ioi_once() {
        let check = |came: &str, ioi, expected: &str| {
            let mut headers = Headers::default();
            headers.push("P-Charging-Vector", came);
            assert_eq!(charging_vector(&headers, ioi).as_deref(), Some(expected));
        };
        check("icid-value=1;orig-ioi=a", None, "icid-value=1;orig-ioi=a");
        check(
            "icid-value=1",
            Some("home2.net"),
            "icid-value=1;term-ioi=\"home2.net\"",
        );
        check(
            "icid-value=1;term-ioi=x",
            Some("y"),
            "icid-value=1;term-ioi=x",
        );
        assert_eq!(charging_vector(&Headers::default(), Some("y")), None);
    }

    #[test]
    fn the_contact_takes_its_configured_form() {
        let uri = Uri::parse("sip:conference1@home2.net").expect("uri");
        let near = Near {
            transport: Transport::Tcp,
            addr: "[::1]:5060".parse().expect("addr"),
            is_sips: false,
        };
        let mut config = Config::default();
        assert_eq!(
            contact(&config, &uri, near),
            "<sip:conference1@[::1]:5060;transport=tcp>;isfocus"
        );
        let check = |transport, is_sips, expected: &str| {
            let near = Near {
                transport,
                is_sips,
                ..near
            };
            assert_eq!(contact(&config, &uri, near), format!("{expected};isfocus"));
        };
        let (udp, tls, wss) = (Transport::Udp, Transport::Tls, Transport::Wss);
        check(udp, false, "<sip:conference1@[::1]:5060>");
        check(tls, false, "<sip:conference1@[::1]:5060;transport=tls>");
        check(tls, true, "<sips:conference1@[::1]:5060>");
        check(wss, true, "<sips:conference1@[::1]:5060;transport=ws>");
        config.contact = ContactForm::Psi;
        let check = |uri: &str, is_sips, expected: &str| {
            let uri = Uri::parse(uri).expect("uri");
            let near = Near { is_sips, ..near };
            assert_eq!(contact(&config, &uri, near), format!("{expected};isfocus"));
        };
        check("sip:a@home2.net;x=1", false, "<sip:a@home2.net;x=1>");
        check("sip:a@home2.net;x=1", true, "<sips:a@home2.net;x=1>");
        check("sips:a@home2.net", false, "<sip:a@home2.net>");
    }

    #[test]
    fn who_is_reached_by_sips_wants_to_reach_by_sips() {
        #[track_caller]
        fn check(uri: &str, fields: &[(&str, &str)], expected: bool) {
            let mut headers = Headers::default();
            for (name, value) in fields {
                headers.push(*name, *value);
            }
            let request = Request {
                method: sip::Method::Invite,
                uri: Uri::parse(uri).expect("uri"),
                headers,
                body: Vec::new(),
            };
            assert_eq!(wants_sips(&request), expected, "{uri} {fields:?}");
        }
        let (plain, secure) = (("Contact", "<sip:u@h>"), ("m", "\"U\" <sips:u@h>;x=1"));
        check("sip:c@home2.net", &[plain], false);
        check("sips:c@home2.net", &[plain], true);
        check("sip:c@home2.net", &[secure], true);
        // A proxy that stays in the way is who reaches us; what is behind it does not count.
        let routes = "<sip:p1.home2.net;lr>, <sips:p2.home1.net;lr>";
        check(
            "sip:c@home2.net",
            &[("Record-Route", routes), secure],
            false,
        );
        let routes = "<sips:p1.home2.net;lr>, <sip:p2.home1.net;lr>";
        check("sip:c@home2.net", &[("Record-Route", routes), plain], true);
        check("sips:c@home2.net", &[("Record-Route", "<sip:p;lr>")], true);
        check("sip:c@home2.net", &[], false);
    }
}
