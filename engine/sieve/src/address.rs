//! Addresses in header fields: `Alice <sip:alice@example.com;user=phone>`, or bare.

/// Which part of an address is compared (RFC 5228 section 2.7.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    #[default]
    All,
    Local,
    Domain,
}

/// Calls `is_match` with the wanted part of each address in a field's value until one matches.
///
/// Deviation: an address is a URI here, and `:all` is tried with its scheme and without, so that
/// `alice@example.com` finds `sip:alice@example.com`; parameters are not part of it.
pub(crate) fn any(value: &[u8], part: Part, is_match: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut rest = value;
    loop {
        let (one, next) = split(rest);
        let address = bare(one);
        let plain = without_scheme(address);
        let found = match part {
            Part::All => is_match(address) || (plain.len() < address.len() && is_match(plain)),
            Part::Local => is_match(halves(plain).0),
            Part::Domain => is_match(halves(plain).1),
        };
        if found {
            return true;
        }
        match next {
            Some(next) => rest = next,
            None => return false,
        }
    }
}

/// The first of a list of addresses, and the others. Commas in quotes and angle brackets separate
/// nothing.
fn split(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut is_quoted, mut is_angled, mut is_escaped) = (false, false, false);
    for (at, octet) in list.iter().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'<' if !is_quoted => is_angled = true,
            b'>' if !is_quoted => is_angled = false,
            b',' if !is_quoted && !is_angled => return (&list[..at], Some(&list[at + 1..])),
            _ => {}
        }
    }
    (list, None)
}

/// Without display name and parameters.
fn bare(address: &[u8]) -> &[u8] {
    let inner = address.iter().rposition(|c| *c == b'<').map(|start| {
        let inner = &address[start + 1..];
        let end = inner.iter().position(|c| *c == b'>');
        &inner[..end.unwrap_or(inner.len())]
    });
    let uri = inner.unwrap_or(address);
    let end = uri.iter().position(|c| *c == b';' || *c == b'?');
    uri[..end.unwrap_or(uri.len())].trim_ascii()
}

/// `sip:a@b` is `a@b`. A colon after the `@` is that of a port.
fn without_scheme(uri: &[u8]) -> &[u8] {
    match uri.iter().position(|c| *c == b':' || *c == b'@') {
        Some(at) if uri[at] == b':' => &uri[at + 1..],
        _ => uri,
    }
}

/// What stands before and after the `@`; without one, all is the local part.
fn halves(address: &[u8]) -> (&[u8], &[u8]) {
    match address.iter().rposition(|c| *c == b'@') {
        Some(at) => (&address[..at], &address[at + 1..]),
        None => (address, &[]),
    }
}
