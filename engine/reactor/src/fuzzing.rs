//! Bodies of fuzz targets, also run as unit tests.

pub use crate::layer::fuzzing::websocket;
