//! Whom we believe: the neighbours inside the trust domain (RFC 3325 2.3, 3GPP TS 33.210).

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// A neighbour inside the trust domain, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// By its address, whatever the transport.
    Address(Prefix),
    /// By a domain in its certificate, in lower case: it must come by TLS, and an authority of ours
    /// must vouch for it.
    Name(String),
}

impl Trusted {
    /// Whether a peer at `address`, whose verified certificate carries `names`, is this one.
    #[must_use]
    pub fn is(&self, address: IpAddr, names: &[String]) -> bool {
        match self {
            Self::Address(prefix) => prefix.contains(address),
            Self::Name(name) => names.iter().any(|n| n.eq_ignore_ascii_case(name)),
        }
    }
}

impl FromStr for Trusted {
    type Err = TrustedError;

    fn from_str(text: &str) -> Result<Self, TrustedError> {
        if let Ok(prefix) = text.parse() {
            return Ok(Self::Address(prefix));
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|o| o.is_ascii_alphanumeric() || o == b'-')
        };
        // What ends in a number is an address with a mistake in it.
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_name = text.contains('.')
            && text.split('.').all(is_label)
            && last.bytes().any(|o| o.is_ascii_alphabetic());
        if is_name {
            Ok(Self::Name(text.to_ascii_lowercase()))
        } else {
            Err(TrustedError(text.to_owned()))
        }
    }
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(prefix) => write!(f, "{}/{}", prefix.address, prefix.bits),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Neither an address nor a domain; the configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: expected ADDRESS, ADDRESS/BITS, or the domain in a certificate")]
pub struct TrustedError(String);

/// Addresses whose assertions are believed: one address, or `ADDRESS/BITS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

/// The text is no address prefix; the configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: expected ADDRESS or ADDRESS/BITS")]
pub struct PrefixError(String);

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let fault = || PrefixError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), |bits| bits.parse().map_err(|_| fault()))?;
        if bits > bits_max {
            return Err(fault());
        }
        Ok(Self { address, bits })
    }
}

impl Prefix {
    /// Whether `address` lies in it; an IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let number = |ip: IpAddr| match ip.to_canonical() {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, true),
            IpAddr::V6(ip) => (ip.to_bits(), false),
        };
        let ((ours, is_v4), (theirs, also_v4)) = (number(self.address), number(address));
        let shift = 128 - u32::from(self.bits);
        let difference = (ours ^ theirs).checked_shr(shift).unwrap_or(0);
        is_v4 == also_v4 && difference == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_holds_its_addresses() {
        for (prefix, address, expected) in [
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/24", "192.0.3.1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::/0", "2001:db8::1", true),
        ] {
            let prefix_: Prefix = prefix.parse().expect("a prefix");
            let address_ = address.parse().expect("an address");
            assert_eq!(
                prefix_.contains(address_),
                expected,
                "{address} in {prefix}"
            );
        }
        for text in ["", "localhost", "192.0.2.0/33", "::/129", "192.0.2.0/x"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_neighbour_is_known_by_address_or_certificate() {
        let names = ["scscf.home2.net".to_owned()];
        for (trusted, expected) in [
            ("192.0.2.0/24", true),
            ("198.51.100.1", false),
            ("SCSCF.home2.net", true),
            ("home2.net", false),
        ] {
            let one: Trusted = trusted.parse().expect("a neighbour");
            let address = "192.0.2.9".parse().expect("an address");
            assert_eq!(one.is(address, &names), expected, "{trusted}");
        }
        let any: Trusted = "scscf.home2.net".parse().expect("a name");
        assert!(!any.is("192.0.2.9".parse().expect("an address"), &[]));
        for text in [
            "",
            "localhost",
            "192.0.2.0/33",
            "192.0.2.256",
            "a..b",
            "a b.c",
            "*.home2.net",
        ] {
            assert!(text.parse::<Trusted>().is_err(), "{text}");
        }
    }
}
