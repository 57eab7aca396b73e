//! What a participant puts between its socket and MSRP: nothing, TLS, WebSocket, or WebSocket over TLS.
//! Sans-IO, the client's side; nothing of it is shared with the system under test.
//!
//! ```text
//! open:     TLS handshake ──► WebSocket upgrade ──► open, what waits is sealed
//! receive:  wire ──► TLS: decrypt in place ──► WebSocket: unframe ──► the reader
//! send:     batch ──► WebSocket: frame, mask ──► TLS: encrypt ──► wire
//! ```

mod tls;
mod websocket;

use core::net::IpAddr;

use reactor::Octets;
use switch::Batch;

use tls::Tls;
pub(crate) use tls::{Fingerprint, TlsConfig, config as tls_config};
use websocket::WebSocket;

use crate::plan::Transport;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireFault {
    /// Handshake or record; the system under test's fault unless the text says otherwise.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Another certificate than the one signalled.
    #[error("TLS: the certificate is not the one of a=fingerprint")]
    Fingerprint,
    /// The system under test broke the rules, or refused.
    #[error("WebSocket: {0}")]
    WebSocket(&'static str),
    /// Of this program.
    #[error("TLS buffer: {0}")]
    Buffer(String),
}

/// One connection's layers.
#[derive(Debug)]
pub(crate) struct Wire {
    tls: Option<Box<Tls>>,
    websocket: Option<Box<WebSocket>>,
    /// Octets for the wire.
    out: Vec<u8>,
    /// Octets between the two layers.
    between: Vec<u8>,
}

impl Wire {
    /// For a connection to `host`; `None` for plain TCP.
    pub(crate) fn connect(
        transport: Transport,
        config: &TlsConfig,
        host: IpAddr,
        expected: Option<Fingerprint>,
    ) -> Result<Option<Box<Self>>, WireFault> {
        if transport == Transport::Tcp {
            return Ok(None);
        }
        let tls = if transport.is_secure() {
            Some(Box::new(Tls::connect(config, host, expected)?))
        } else {
            None
        };
        let websocket = transport
            .is_websocket()
            .then(|| Box::new(WebSocket::connect(host)));
        let mut wire = Self {
            tls,
            websocket,
            out: Vec::new(),
            between: Vec::new(),
        };
        wire.receive(&[], |_| ())?;
        Ok(Some(Box::new(wire)))
    }

    /// Whether batches can be sealed.
    pub(crate) fn is_open(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_open())
            && self.websocket.as_ref().is_none_or(|ws| ws.is_open())
    }

    /// Whether the layers themselves have something to say.
    pub(crate) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Takes what arrived and hands on what MSRP octets are in it.
    pub(crate) fn receive(
        &mut self,
        wire: &[u8],
        mut hear: impl FnMut(&[u8]),
    ) -> Result<(), WireFault> {
        match (&mut self.tls, &mut self.websocket) {
            (None, None) => hear(wire),
            (Some(tls), None) => tls.receive(wire, &mut self.out, |octets| {
                hear(octets);
                Ok(())
            })?,
            (None, Some(websocket)) => websocket.receive(wire, &mut hear)?,
            (Some(tls), Some(websocket)) => tls.receive(wire, &mut self.out, |octets| {
                websocket.receive(octets, &mut hear)
            })?,
        }
        self.write_own()
    }

    /// What the WebSocket has to say by itself.
    fn write_own(&mut self) -> Result<(), WireFault> {
        let Some(websocket) = &mut self.websocket else {
            return Ok(());
        };
        match &mut self.tls {
            None => websocket.write_own(&mut self.out),
            Some(tls) if tls.is_open() => {
                self.between.clear();
                websocket.write_own(&mut self.between);
                if !self.between.is_empty() {
                    tls.encrypt(&self.between, &mut self.out)?;
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Wraps a batch, behind what the layers have to say themselves.
    pub(crate) fn seal(&mut self, batch: &Batch<Octets>) -> Result<Vec<u8>, WireFault> {
        match (&mut self.tls, &mut self.websocket) {
            (None, None) => batch.slices().for_each(|s| self.out.extend_from_slice(s)),
            (None, Some(websocket)) => websocket.frame(batch, &mut self.out),
            (Some(tls), None) => {
                // Small runs share a record.
                self.between.clear();
                for slice in batch.slices() {
                    if self.between.len() + slice.len() > tls::RECORD_BYTES {
                        tls.encrypt(&self.between, &mut self.out)?;
                        self.between.clear();
                    }
                    if slice.len() > tls::RECORD_BYTES {
                        tls.encrypt(slice, &mut self.out)?;
                    } else {
                        self.between.extend_from_slice(slice);
                    }
                }
                tls.encrypt(&self.between, &mut self.out)?;
            }
            (Some(tls), Some(websocket)) => {
                self.between.clear();
                websocket.frame(batch, &mut self.between);
                tls.encrypt(&self.between, &mut self.out)?;
            }
        }
        Ok(self.take_output())
    }

    /// What is to be sent now.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }

    /// Gives back a vector for its allocation.
    pub(crate) fn reuse(&mut self, mut spent: Vec<u8>) {
        if self.out.capacity() == 0 {
            spent.clear();
            self.out = spent;
        }
    }
}
