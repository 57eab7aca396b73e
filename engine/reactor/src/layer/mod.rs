//! What may stand between the wire and the logic: TLS, WebSocket, or WebSocket over TLS. Sans-IO, one
//! implementation for every backend.
//!
//! ```text
//! wire octets ──► TLS: decrypt ──► WebSocket: unmask, unframe ──► receive memory ──► logic
//! wire octets ◄── TLS: encrypt ◄── WebSocket: frame           ◄── batch          ◄── logic
//! ```
//!
//! A layer belongs to its socket and moves with it to another shard. It holds no received octets: all
//! that can be taken out of what arrived is handed on at once. What it has to send by itself is one
//! handshake flight, alert, pong or farewell at a time.

mod credentials;
pub(crate) mod fuzzing;
mod handshake;
#[cfg(test)]
mod tests;
mod tls;
mod websocket;
mod wire;

use core::net::SocketAddr;
use std::io;
use std::sync::Arc;

use switch::{Batch, Secured, Via};

pub use credentials::{Credentials, CredentialsError, Identity};

use handshake::HandshakeFault;
use tls::Tls;
use websocket::{FrameFault, WebSocket};
pub(crate) use wire::{Wire, Workshop};

use crate::limits::{LAYER_SCRATCH_BYTES, RECORD_BYTES};

/// What a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// MSRP on TCP.
    #[default]
    Tcp,
    /// MSRP on TLS.
    Tls,
    /// MSRP on WebSocket.
    Ws,
    /// MSRP on WebSocket on TLS.
    Wss,
}

impl Transport {
    /// Whether TLS is in it.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether WebSocket is in it.
    #[must_use]
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// Why a layer cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Handshake or record; the text says whose.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A buffer of the TLS library was misused; our fault.
    #[error("TLS buffer: {0}")]
    Buffer(#[source] io::Error),
    /// What was asked for is no WebSocket for MSRP; the peer's fault.
    #[error("WebSocket handshake: {0}")]
    Handshake(#[from] HandshakeFault),
    /// The peer broke the framing.
    #[error("WebSocket: {0}")]
    Frame(#[from] FrameFault),
    /// TLS where no credentials are; our fault.
    #[error("TLS without credentials")]
    NoCredentials,
}

impl Fault {
    /// Who is to blame.
    pub(crate) fn whose(&self) -> &'static str {
        match self {
            Self::Handshake(_) | Self::Frame(_) => "peer",
            Self::Buffer(_) | Self::NoCredentials => "us",
            Self::Tls(error) => blame(error),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's list grows; what is not ours is the peer's"
)]
fn blame(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::AlertReceived(_) => "peer refuses us",
        rustls::Error::General(_)
        | rustls::Error::FailedToGetRandomBytes
        | rustls::Error::FailedToGetCurrentTime
        | rustls::Error::EncryptError => "us",
        _ => "peer",
    }
}

/// Where plaintext goes.
pub(crate) trait Sink {
    /// Lets `read` fill some receive memory, once; returns how much it filled.
    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> usize;

    /// A message of the transport ends here.
    fn end_message(&mut self);
}

/// What stands between one socket and the logic.
#[derive(Debug)]
pub struct Layer {
    tls: Option<Box<Tls>>,
    websocket: Option<Box<WebSocket>>,
    /// Octets for the wire, to be taken by the driver.
    out: Wire,
}

impl Layer {
    /// For a connection that a listener accepted; `None` when its transport needs none. Pages of other
    /// `origins` than these are kept out; none: any may come.
    pub(crate) fn accept(
        transport: Transport,
        credentials: Option<&Credentials>,
        origins: &Arc<[String]>,
    ) -> Result<Option<Self>, Fault> {
        if transport == Transport::Tcp {
            return Ok(None);
        }
        let tls = match (transport.is_secure(), credentials) {
            (false, _) => None,
            (true, None) => return Err(Fault::NoCredentials),
            (true, Some(credentials)) => Some(Box::new(Tls::accept(credentials)?)),
        };
        Ok(Some(Self {
            tls,
            websocket: transport
                .is_websocket()
                .then(|| Box::new(WebSocket::new(Arc::clone(origins)))),
            out: Wire::default(),
        }))
    }

    /// For a connection to `to`, which the URI calls `name`, over TLS.
    pub(crate) fn connect(
        credentials: Option<&Credentials>,
        name: &str,
        to: SocketAddr,
        workshop: &mut Workshop,
    ) -> Result<Self, Fault> {
        let credentials = credentials.ok_or(Fault::NoCredentials)?;
        let mut tls = Tls::connect(credentials, name, to)?;
        let mut out = Wire::default();
        tls.flush(&mut out, workshop)?;
        Ok(Self {
            tls: Some(Box::new(tls)),
            websocket: None,
            out,
        })
    }

    /// Takes octets from the wire and hands on what they hold.
    pub(crate) fn receive(
        &mut self,
        mut wire: &[u8],
        workshop: &mut Workshop,
        sink: &mut impl Sink,
    ) -> Result<(), Fault> {
        let (tls, websocket) = match (&mut self.tls, &mut self.websocket) {
            (Some(tls), Some(websocket)) => (tls, websocket),
            (Some(tls), None) => return decrypt_into(tls, &mut wire, sink),
            (None, Some(websocket)) => return websocket.receive(wire, sink),
            (None, None) => return Ok(()),
        };
        let scratch = &mut workshop.scratch;
        scratch.resize(LAYER_SCRATCH_BYTES, 0);
        loop {
            let count = tls.decrypt(&mut wire, scratch)?;
            if count == 0 {
                return Ok(());
            }
            websocket.receive(&scratch[..count], sink)?;
        }
    }

    /// Writes what the layers themselves have to say.
    fn write_own(&mut self, workshop: &mut Workshop) -> Result<(), Fault> {
        let Self {
            tls,
            websocket,
            out,
        } = self;
        if let Some(websocket) = websocket {
            let mut own = Vec::new();
            websocket.write_own(&mut own);
            match tls {
                None => out.put(&own, workshop),
                Some(tls) => tls.encrypt(core::iter::once(own.as_slice()), out, workshop)?,
            }
        }
        match tls {
            None => Ok(()),
            Some(tls) => tls.flush(out, workshop),
        }
    }

    /// Takes a batch of the logic, all of it.
    pub(crate) fn send<B: AsRef<[u8]> + Clone>(
        &mut self,
        batch: &Batch<B>,
        workshop: &mut Workshop,
    ) -> Result<(), Fault> {
        self.write_own(workshop)?;
        let Self {
            tls,
            websocket,
            out,
        } = self;
        match (tls, websocket) {
            (Some(tls), Some(websocket)) => {
                let mut plain = core::mem::take(&mut workshop.plain);
                let outcome = encrypt_frames(tls, websocket, batch, &mut plain, out, workshop);
                workshop.plain = plain;
                outcome
            }
            (Some(tls), None) => tls.encrypt(batch.slices(), out, workshop),
            (None, Some(websocket)) => {
                websocket.frame(batch, |octets| out.put(octets, workshop));
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// Takes leave of the peer, if that was not done before.
    pub(crate) fn close(&mut self, workshop: &mut Workshop) -> Result<(), Fault> {
        if let Some(websocket) = &mut self.websocket {
            websocket.say_goodbye();
        }
        self.write_own(workshop)?;
        if let Some(tls) = &mut self.tls {
            tls.say_goodbye();
            tls.flush(&mut self.out, workshop)?;
        }
        Ok(())
    }

    /// Asks the peer for a sign of life, if the transport can.
    pub(crate) fn ping(&mut self) {
        if let Some(websocket) = &mut self.websocket {
            websocket.ping();
        }
    }

    /// Octets for the wire. What the layers themselves have to say waits until it is taken, one of a
    /// kind, so that a peer that does not read cannot make it grow.
    pub(crate) fn take_output(&mut self, workshop: &mut Workshop) -> Result<Wire, Fault> {
        self.write_own(workshop)?;
        Ok(core::mem::take(&mut self.out))
    }

    /// Whether all handshakes are over.
    pub(crate) fn is_established(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
            && self.websocket.as_ref().is_none_or(|ws| ws.is_open())
    }

    /// Whether the far end said that it sends no more.
    pub(crate) fn is_ended(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_ended())
            || self.websocket.as_ref().is_some_and(|ws| ws.is_ended())
    }

    /// Whether [`Self::ping`] does anything.
    pub(crate) fn has_ping(&self) -> bool {
        self.websocket.is_some()
    }

    /// What the logic is told about the connection, when it is established.
    pub(crate) fn via(&self) -> Via {
        Via {
            secured: self
                .tls
                .as_ref()
                .map_or(Secured::Plain, |tls| tls.secured()),
            is_framed: self.websocket.is_some(),
        }
    }
}

/// Frames a batch and encrypts what comes of it a record at a time; `plain` keeps its allocation only.
fn encrypt_frames<B: AsRef<[u8]> + Clone>(
    tls: &mut Tls,
    websocket: &mut WebSocket,
    batch: &Batch<B>,
    plain: &mut Vec<u8>,
    out: &mut Wire,
    workshop: &mut Workshop,
) -> Result<(), Fault> {
    let mut outcome = Ok(());
    let mut encrypt = |plain: &mut Vec<u8>| {
        if outcome.is_ok() {
            let runs = core::iter::once(plain.as_slice());
            outcome = tls.encrypt(runs, out, workshop);
        }
        plain.clear();
    };
    plain.clear();
    websocket.frame(batch, |mut octets| {
        while plain.len() + octets.len() >= RECORD_BYTES {
            let (now, later) = octets.split_at(RECORD_BYTES - plain.len());
            plain.extend_from_slice(now);
            encrypt(plain);
            octets = later;
        }
        plain.extend_from_slice(octets);
    });
    encrypt(plain);
    outcome
}

fn decrypt_into(tls: &mut Tls, wire: &mut &[u8], sink: &mut impl Sink) -> Result<(), Fault> {
    let mut fault = None;
    loop {
        let count = sink.fill(&mut |space| match tls.decrypt(wire, space) {
            Ok(count) => count,
            Err(error) => {
                fault = Some(error);
                0
            }
        });
        if count == 0 {
            return fault.map_or(Ok(()), Err);
        }
    }
}
