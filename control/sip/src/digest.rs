//! Digest authentication (RFC 3261 22, RFC 7616, RFC 8760): challenges, and answers to them.
//!
//! ```text
//! HA1 = H(user:realm:password)                 -sess: HA1 = H(HA1:nonce:cnonce)
//! HA2 = H(method:uri)                          auth-int: HA2 = H(method:uri:H(body))
//! response = H(HA1:nonce:nc:cnonce:qop:HA2)    without qop: H(HA1:nonce:HA2)
//! ```

mod client;
mod server;
#[cfg(test)]
mod tests;
mod work;

pub(crate) use client::{answer, is_stale};
pub(crate) use server::{Authenticator, Verdict};

use core::fmt;
use std::collections::HashMap;

/// A password: it does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who we are in a realm, when we are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The realm, as challenges name it.
    pub realm: String,
    /// Our name there.
    pub user: String,
    /// Our password there.
    pub password: Secret,
}

/// Who may make dialogs from outside the trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// What challenges name.
    pub realm: String,
    /// Names and passwords; a name without host is one at the realm. From must say the same.
    pub passwords: HashMap<String, Secret>,
    /// The hash functions offered, in this order (RFC 8760 2.4), and no other taken.
    pub algorithms: Vec<Algorithm>,
    /// What may be protected, and nothing else; at least one.
    pub qops: Vec<Qop>,
}

/// A hash function of digest authentication (RFC 8760), by itself or for a session: then the password
/// is hashed with the nonces as well (RFC 7616 3.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the names of the RFC")]
pub enum Algorithm {
    Sha256,
    Sha512t256,
    Md5,
    Sha256Sess,
    Sha512t256Sess,
    Md5Sess,
}

impl Algorithm {
    /// Those that we know.
    pub const ALL: [Self; 6] = [
        Self::Sha256,
        Self::Sha512t256,
        Self::Md5,
        Self::Sha256Sess,
        Self::Sha512t256Sess,
        Self::Md5Sess,
    ];
    /// Those that are offered where nothing else is said: what phones know.
    pub const USUAL: [Self; 2] = [Self::Sha256, Self::Md5];

    /// By its token, without regard to case.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|a| a.token().eq_ignore_ascii_case(name))
    }

    const fn token(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512t256 => "SHA-512-256",
            Self::Md5 => "MD5",
            Self::Sha256Sess => "SHA-256-sess",
            Self::Sha512t256Sess => "SHA-512-256-sess",
            Self::Md5Sess => "MD5-sess",
        }
    }

    const fn is_session(self) -> bool {
        match self {
            Self::Sha256 | Self::Sha512t256 | Self::Md5 => false,
            Self::Sha256Sess | Self::Sha512t256Sess | Self::Md5Sess => true,
        }
    }

    /// Without the parameter it is MD5 (RFC 7616 3.3).
    fn named(name: Option<&str>) -> Option<Self> {
        Self::new(name.unwrap_or("MD5"))
    }
}

/// What an answer protects (quality of protection, RFC 7616 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI.
    Auth,
    /// The body as well: nobody in between may change a session description then.
    AuthInt,
}

impl Qop {
    /// By its token, without regard to case.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut all = [Self::Auth, Self::AuthInt].into_iter();
        all.find(|q| q.token().eq_ignore_ascii_case(name))
    }

    const fn token(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}
