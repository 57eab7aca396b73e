//! Session descriptions of MSRP sessions: what `m=message` lines say and how to write them.
//!
//! A thin layer over `sdp-types`: it forgives what real peers and H.248 controllers leave out or
//! under-specify (`$`), and gives names to the attributes of RFC 4975, 6135, 6714, 7701 and 8122.
//!
//! ```
//! let text = b"v=0\nc=IN IP4 192.0.2.10\nm=message 7394 TCP/MSRP *\n\
//!              a=path:msrp://192.0.2.10:7394/2s93i93idj;tcp\n";
//! let message = sdp::Description::parse(text)?.message()?;
//! assert_eq!(message.remote_transport_address()?, "192.0.2.10:7394".parse().unwrap());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod builder;
mod description;
pub mod fuzzing;
pub mod limits;
mod message;
mod normalise;
mod path;
#[cfg(test)]
mod tests;

pub use builder::MessageBuilder;
pub use description::{Description, MediaLine, ParseError};
pub use message::{
    AddressError, Direction, Fingerprint, MessageError, MessageMedia, Setup, Transport,
};
pub use path::{Host, MsrpUri, Path, PathError};

/// A value that an H.248 controller may leave to the gateway by writing `$`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice<T> {
    /// Written out.
    Given(T),
    /// `$`: the gateway chooses.
    Choose,
}

impl<T> Choice<T> {
    /// The value, if it was written out.
    #[must_use]
    pub fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Choose => None,
        }
    }
}
