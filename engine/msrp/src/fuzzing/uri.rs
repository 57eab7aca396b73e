//! URIs: whatever parses compares as RFC 4975 section 6.1 says.

use crate::uri::{Host, MsrpUri, is_plain, session_id_of};

/// Parses the lines of `data` as URIs and compares each with the first, and with itself.
pub fn uri(data: &[u8]) {
    let mut first = None;
    for text in data.split(|octet| *octet == b'\n').take(16) {
        let parsed = MsrpUri::parse(text);
        if is_plain(text) {
            assert!(parsed.is_ok(), "plain: {}", text.escape_ascii());
        }
        let Ok(uri) = parsed else { continue };
        assert!(uri.matches(&uri), "a URI equals itself");
        assert_eq!(
            session_id_of(text),
            uri.session_id,
            "{}",
            text.escape_ascii()
        );
        let first = first.get_or_insert(uri);
        assert_eq!(first.matches(&uri), uri.matches(first), "from both sides");
        assert_eq!(
            first.matches(&uri),
            key(first) == key(&uri),
            "{first:?} and {uri:?}"
        );
    }
}

/// What the rules leave of a URI, spelled one way.
pub(crate) fn key(uri: &MsrpUri<'_>) -> String {
    let host = match uri.host {
        Host::Ip(ip) => format!("address {ip}"),
        Host::Name(name) => format!("name {}", decoded(name).escape_ascii()),
    };
    let id = uri.session_id.map(<[u8]>::escape_ascii);
    let id = id.map_or("device".to_owned(), |id| format!("session {id}"));
    let transport = uri.transport.to_ascii_lowercase();
    let (scheme, port) = (uri.scheme, uri.port);
    format!(
        "{scheme:?} {host} {port:?} {id} {}",
        transport.escape_ascii()
    )
}

/// A name in lower case, percent-encoded letters, digits and `-._~` decoded.
fn decoded(name: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(name).into_owned();
    for octet in 0x21..0x7f_u8 {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            let letter = char::from(octet).to_string();
            for code in [format!("%{octet:02x}"), format!("%{octet:02X}")] {
                text = text.replace(&code, &letter);
            }
        }
    }
    text.to_ascii_lowercase().into_bytes()
}
