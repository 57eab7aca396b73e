//! How a connection is secured, how a session wants it, and whether the two fit.

use core::fmt;

/// How a connection reaches a shard: what stood between the wire and the octets it is fed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Via {
    /// Who may have read and written on the way.
    pub secured: Secured,
    /// Whether it carries messages, each of one chunk (WebSocket, RFC 7977 section 5.1), instead of
    /// a stream.
    pub is_framed: bool,
}

/// How a connection is secured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Secured {
    /// Not at all.
    #[default]
    Plain,
    /// By TLS.
    Tls {
        /// The fingerprints of the certificate that the far end proved to own; empty when it
        /// showed none.
        certificate: Box<[Fingerprint]>,
        /// Whether the rules of the transport alone are satisfied: an authority that we trust vouches
        /// for the certificate, or none is asked of those who connect to us. Otherwise a fingerprint
        /// in the signalling has to.
        is_vouched: bool,
    },
}

/// How a session wants its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Not secured (`msrp`).
    #[default]
    Plain,
    /// By TLS (`msrps`).
    Tls {
        /// Fingerprints of certificates that the far end may show; empty: the rules of the transport
        /// decide. Those of the strongest hash function count, the others are ignored
        /// (RFC 8122 section 5.1).
        fingerprints: Box<[Fingerprint]>,
    },
}

/// A hash function that fingerprints are verified with, the weakest first. MD2 and MD5 must not be
/// used (RFC 8122 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashFunction {
    /// `sha-1`, for peers of RFC 4572.
    Sha1,
    /// `sha-256`.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

/// The hash of a certificate's DER form (RFC 8122 section 5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// How it is computed.
    pub hash: HashFunction,
    /// The hash value.
    pub octets: Box<[u8]>,
}

/// Why a connection does not fit a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The session was signalled with TLS.
    #[error("the session is for TLS, the connection is plain")]
    IsPlain,
    /// The session was signalled without TLS.
    #[error("the session is for plain TCP, the connection is secured")]
    IsSecured,
    /// No certificate was shown, but the signalling has a fingerprint.
    #[error("no certificate where the signalling has a fingerprint")]
    NoCertificate,
    /// Another certificate than the signalling speaks of.
    #[error("the certificate is not the one in the signalling")]
    OtherCertificate,
    /// Neither a fingerprint nor an authority vouches for the certificate.
    #[error("neither a fingerprint nor a trusted authority vouches for the certificate")]
    NotVouched,
}

impl Misfit {
    /// Whether somebody else than the signalled peer may be at the far end: the session is over then
    /// (RFC 4975 section 14.4).
    #[must_use]
    pub fn is_impostor(self) -> bool {
        match self {
            Self::IsPlain | Self::IsSecured => false,
            Self::NoCertificate | Self::OtherCertificate | Self::NotVouched => true,
        }
    }
}

impl Security {
    /// Whether a connection may carry the session.
    ///
    /// # Errors
    ///
    /// Why not: the peer's fault, or a mistake of the signalling.
    pub fn check(&self, connection: &Secured) -> Result<(), Misfit> {
        let (fingerprints, certificate, is_vouched) = match (self, connection) {
            (Self::Plain, Secured::Plain) => return Ok(()),
            (Self::Plain, Secured::Tls { .. }) => return Err(Misfit::IsSecured),
            (Self::Tls { .. }, Secured::Plain) => return Err(Misfit::IsPlain),
            (
                Self::Tls { fingerprints },
                Secured::Tls {
                    certificate,
                    is_vouched,
                },
            ) => (fingerprints, certificate, is_vouched),
        };
        let Some(strongest) = fingerprints.iter().map(|f| f.hash).max() else {
            return if *is_vouched {
                Ok(())
            } else {
                Err(Misfit::NotVouched)
            };
        };
        if certificate.is_empty() {
            return Err(Misfit::NoCertificate);
        }
        let mut counting = fingerprints.iter().filter(|f| f.hash == strongest);
        if counting.any(|f| certificate.contains(f)) {
            Ok(())
        } else {
            Err(Misfit::OtherCertificate)
        }
    }
}

impl HashFunction {
    /// All of them, the weakest first.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// As written in `a=fingerprint`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Octets of a hash value.
    #[must_use]
    pub const fn octet_count(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Fingerprint {
    /// Reads the two parts of an `a=fingerprint`. Case does not matter in either, though the grammar
    /// has upper case (RFC 8122 section 5).
    ///
    /// `None` when the hash function is not one of ours or the value is not of its length.
    #[must_use]
    pub fn parse(hash: &str, value: &str) -> Option<Self> {
        let hash = HashFunction::ALL
            .into_iter()
            .find(|h| h.as_str().eq_ignore_ascii_case(hash))?;
        let octet = |text: &str| {
            let is_pair = text.len() == 2 && text.bytes().all(|c| c.is_ascii_hexdigit());
            is_pair.then(|| u8::from_str_radix(text, 16).ok()).flatten()
        };
        let octets: Box<[u8]> = value.split(':').map(octet).collect::<Option<_>>()?;
        (octets.len() == hash.octet_count()).then_some(Self { hash, octets })
    }

    /// The value as written in `a=fingerprint`.
    #[must_use]
    pub fn value(&self) -> String {
        let octets: Vec<_> = self.octets.iter().map(|o| format!("{o:02X}")).collect();
        octets.join(":")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hash.as_str(), self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(hash: HashFunction, octet: u8) -> Fingerprint {
        Fingerprint {
            hash,
            octets: vec![octet; hash.octet_count()].into(),
        }
    }

    fn of_certificate(octet: u8) -> Box<[Fingerprint]> {
        HashFunction::ALL.map(|hash| print(hash, octet)).into()
    }

    #[track_caller]
    fn check(session: &[Fingerprint], certificate: u8, expected: Result<(), Misfit>) {
        let security = Security::Tls {
            fingerprints: session.into(),
        };
        let secured = Secured::Tls {
            certificate: of_certificate(certificate),
            is_vouched: true,
        };
        assert_eq!(security.check(&secured), expected);
    }

    // MSRP-TLS-003 MSRP-TLS-004
    #[test]
    fn a_certificate_must_match_one_fingerprint_of_the_strongest_hash() {
        use HashFunction::{Sha1, Sha256, Sha512};
        check(&[], 7, Ok(()));
        check(&[print(Sha256, 7)], 7, Ok(()));
        check(&[print(Sha256, 1), print(Sha256, 7)], 7, Ok(()));
        check(&[print(Sha1, 1), print(Sha256, 7)], 7, Ok(()));
        let other = Err(Misfit::OtherCertificate);
        check(&[print(Sha256, 1)], 7, other);
        check(&[print(Sha1, 7), print(Sha256, 1)], 7, other);
        check(&[print(Sha512, 1), print(Sha256, 7)], 7, other);
    }

    #[test]
    fn plain_and_secured_do_not_mix_and_somebody_has_to_vouch() {
        let shown = |certificate, is_vouched| Secured::Tls {
            certificate,
            is_vouched,
        };
        let wanted = |fingerprints| Security::Tls { fingerprints };
        let tls = shown(of_certificate(7), true);
        assert_eq!(Security::Plain.check(&Secured::Plain), Ok(()));
        assert_eq!(Security::Plain.check(&tls), Err(Misfit::IsSecured));
        let any = wanted(Box::default());
        assert_eq!(any.check(&Secured::Plain), Err(Misfit::IsPlain));
        let stranger = shown(of_certificate(7), false);
        assert_eq!(any.check(&stranger), Err(Misfit::NotVouched));
        let known = wanted(vec![print(HashFunction::Sha256, 7)].into());
        assert_eq!(known.check(&stranger), Ok(()));
        let nobody = shown(Box::default(), true);
        assert_eq!(known.check(&nobody), Err(Misfit::NoCertificate));
    }

    // MSRP-TLS-004
    #[test]
    fn fingerprints_are_read_in_any_case_and_written_in_upper_case() {
        let text = "AB:".repeat(31) + "0F";
        let upper = Fingerprint::parse("sha-256", &text).unwrap();
        let lower = Fingerprint::parse("SHA-256", &text.to_lowercase()).unwrap();
        assert_eq!(upper, lower);
        assert_eq!(lower.to_string(), format!("sha-256 {text}"));
        for (hash, value) in [
            ("md5", "AB:".repeat(15) + "0F"),
            ("sha-256", "AB:".repeat(15) + "0F"),
            ("sha-256", text.replace(':', "")),
            ("sha-256", text.replace("0F", "+F")),
            ("sha-256", String::new()),
        ] {
            assert_eq!(Fingerprint::parse(hash, &value), None, "{hash} {value}");
        }
    }
}
