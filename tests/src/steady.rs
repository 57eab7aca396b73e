//! Calls that a signal interrupts, and a timeout keeps the system from repeating, go on.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::TcpStream;

/// Repeats a call as long as signals interrupt it.
///
/// # Errors
///
/// Any other error of it.
pub fn steadily<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// A socket whose calls go on.
#[derive(Debug)]
pub struct Steady(pub TcpStream);

impl Read for Steady {
    fn read(&mut self, space: &mut [u8]) -> Result<usize> {
        steadily(|| self.0.read(space))
    }
}

impl Write for Steady {
    fn write(&mut self, octets: &[u8]) -> Result<usize> {
        steadily(|| self.0.write(octets))
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}
