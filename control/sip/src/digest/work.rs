//! What both sides compute, and how both write it.

use super::{Algorithm, Qop};
use crate::uri::{parameter, split_outside_quotes};
use md5::Digest;
use ring::digest;

impl Algorithm {
    pub(super) fn hash(self, octets: &[u8]) -> String {
        match self {
            Self::Sha256 | Self::Sha256Sess => {
                hex(digest::digest(&digest::SHA256, octets).as_ref())
            }
            Self::Sha512t256 | Self::Sha512t256Sess => {
                hex(digest::digest(&digest::SHA512_256, octets).as_ref())
            }
            Self::Md5 | Self::Md5Sess => hex(&md5::Md5::digest(octets)),
        }
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// What a response is made of.
pub(super) struct Work<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) user: &'a str,
    pub(super) realm: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    /// The client's nonce when the session began, for algorithms with one.
    pub(super) session: &'a str,
    /// `None`: without quality of protection (RFC 2069).
    pub(super) protection: Option<Protection<'a>>,
}

/// Quality of protection, and what goes with it.
pub(super) struct Protection<'a> {
    pub(super) qop: Qop,
    /// The counter, as written.
    pub(super) nc: &'a str,
    pub(super) cnonce: &'a str,
    pub(super) body: &'a [u8],
}

impl Work<'_> {
    pub(super) fn response(&self) -> String {
        let hash = |text: String| self.algorithm.hash(text.as_bytes());
        let nonce = self.nonce;
        let mut ha1 = hash(format!("{}:{}:{}", self.user, self.realm, self.password));
        if self.algorithm.is_session() {
            ha1 = hash(format!("{ha1}:{nonce}:{}", self.session));
        }
        let ha2 = format!("{}:{}", self.method, self.uri);
        let Some(Protection {
            qop,
            nc,
            cnonce,
            body,
        }) = self.protection
        else {
            return hash(format!("{ha1}:{nonce}:{}", hash(ha2)));
        };
        let ha2 = match qop {
            Qop::Auth => hash(ha2),
            Qop::AuthInt => hash(format!("{ha2}:{}", self.algorithm.hash(body))),
        };
        hash(format!("{ha1}:{nonce}:{nc}:{cnonce}:{}:{ha2}", qop.token()))
    }
}

/// The parameters of a challenge or of an answer to one; `None`: not Digest.
pub(super) struct Parameters(String);

impl Parameters {
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        let is_digest = scheme.eq_ignore_ascii_case("Digest");
        let parts: Vec<_> = split_outside_quotes(rest, b',').map(str::trim).collect();
        is_digest.then(|| Self(format!(";{}", parts.join(";"))))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        parameter(&self.0, name)
    }
}
