//! H.248 to switch, sans-IO.

mod limits;

pub use limits::Limits;
