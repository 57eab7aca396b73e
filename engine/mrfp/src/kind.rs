//! Which reactor the shards run on.

use core::fmt;
use core::str::FromStr;

/// A reactor, as asked for or as used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReactorKind {
    /// `io_uring` where the kernel has it, else epoll.
    #[default]
    Auto,
    /// `io_uring`, or no start.
    Uring,
    /// epoll through `mio`.
    Mio,
}

impl fmt::Display for ReactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Mio => "mio",
        })
    }
}

impl FromStr for ReactorKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "mio" => Ok(Self::Mio),
            _ => Err(format!("{text:?}: expected auto, uring or mio")),
        }
    }
}
