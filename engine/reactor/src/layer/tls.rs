//! TLS between received octets and plaintext, and back.

use core::net::SocketAddr;
use std::io::{IoSlice, Read, Write};
use std::sync::Arc;

use rustls::Connection;
use rustls::pki_types::ServerName;
use switch::Secured;

use super::Fault;
use super::credentials::{Contexts, Credentials};
use super::wire::{Wire, Workshop};
use crate::limits::{RECORD_BYTES, RECORD_RUNS_MAX};

/// One connection's session. What the peer may make it hold is bounded by the library: a record, or a
/// handshake of 64 KiB.
#[derive(Debug)]
pub(super) struct Tls {
    connection: Connection,
    /// Those it began with: a reload does not change a handshake half way.
    contexts: Arc<Contexts>,
    /// Whom we wanted to reach, when we opened the connection.
    server: Option<ServerName<'static>>,
    /// Found while octets before it were still to be taken.
    fault: Option<rustls::Error>,
    /// The far end said that it sends no more.
    is_ended: bool,
}

impl Tls {
    pub(super) fn accept(credentials: &Credentials) -> Result<Self, Fault> {
        let contexts = credentials.current();
        let connection = rustls::ServerConnection::new(contexts.server())?;
        Ok(Self::new(connection.into(), contexts, None))
    }

    /// `name` as in the URI: a domain name is said in the handshake (SNI) and checked against the
    /// certificate; anything else means `to`.
    pub(super) fn connect(
        credentials: &Credentials,
        name: &str,
        to: SocketAddr,
    ) -> Result<Self, Fault> {
        let contexts = credentials.current();
        let server =
            ServerName::try_from(name.to_owned()).unwrap_or_else(|_| ServerName::from(to.ip()));
        let connection = rustls::ClientConnection::new(contexts.client(), server.clone())?;
        Ok(Self::new(connection.into(), contexts, Some(server)))
    }

    fn new(
        mut connection: Connection,
        contexts: Arc<Contexts>,
        server: Option<ServerName<'static>>,
    ) -> Self {
        // What is sent is bounded by whoever queues it, and taken out at once.
        connection.set_buffer_limit(None);
        Self {
            connection,
            contexts,
            server,
            fault: None,
            is_ended: false,
        }
    }

    /// Decrypts from `wire`, advancing it, into `space` until one of them is used up. Returns how
    /// much of `space` is filled: 0 = all of `wire` was taken.
    pub(super) fn decrypt(&mut self, wire: &mut &[u8], space: &mut [u8]) -> Result<usize, Fault> {
        let mut count = 0;
        while count < space.len() {
            match self.connection.reader().read(&mut space[count..]) {
                Ok(0) => break,
                Ok(more) => {
                    count += more;
                    continue;
                }
                // The only other outcome: nothing is decrypted at the moment.
                Err(_) => {}
            }
            if wire.is_empty() || self.fault.is_some() {
                break;
            }
            let taken = self.connection.read_tls(wire).map_err(Fault::Buffer)?;
            match self.connection.process_new_packets() {
                Ok(state) => self.is_ended = state.peer_has_closed(),
                Err(fault) => self.fault = Some(fault),
            }
            if taken == 0 {
                // Whatever follows the peer's farewell is ignored.
                *wire = &[];
            }
        }
        match self.fault.take_if(|_| count == 0) {
            Some(fault) => Err(fault.into()),
            None => Ok(count),
        }
    }

    /// Encrypts `runs` as one stream, so that small ones share records, and appends it to `wire`.
    pub(super) fn encrypt<'a>(
        &mut self,
        runs: impl Iterator<Item = &'a [u8]>,
        wire: &mut Wire,
        workshop: &mut Workshop,
    ) -> Result<(), Fault> {
        let mut slices = [IoSlice::new(&[]); RECORD_RUNS_MAX];
        let (mut count, mut room) = (0, RECORD_BYTES);
        for mut run in runs {
            while !run.is_empty() {
                let (now, later) = run.split_at(run.len().min(room));
                slices[count] = IoSlice::new(now);
                count += 1;
                room -= now.len();
                run = later;
                if room == 0 || count == slices.len() {
                    self.encrypt_record(&slices[..count])?;
                    self.flush(wire, workshop)?;
                    (count, room) = (0, RECORD_BYTES);
                }
            }
        }
        self.encrypt_record(&slices[..count])?;
        self.flush(wire, workshop)
    }

    fn encrypt_record(&mut self, slices: &[IoSlice<'_>]) -> Result<(), Fault> {
        let octet_count: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut writer = self.connection.writer();
        let taken = writer.write_vectored(slices).map_err(Fault::Buffer)?;
        debug_assert_eq!(taken, octet_count, "its buffer has no limit");
        Ok(())
    }

    /// Appends what the session itself has to say: handshake messages, alerts.
    pub(super) fn flush(&mut self, wire: &mut Wire, workshop: &mut Workshop) -> Result<(), Fault> {
        if !self.connection.wants_write() {
            return Ok(());
        }
        let mut writer = wire.writer(workshop);
        while self.connection.wants_write() {
            self.connection
                .write_tls(&mut writer)
                .map_err(Fault::Buffer)?;
        }
        Ok(())
    }

    pub(super) fn say_goodbye(&mut self) {
        self.connection.send_close_notify();
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the far end said that it sends no more.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Who is at the far end; asked once, when the handshake is over.
    pub(super) fn secured(&self) -> Secured {
        let chain = self.connection.peer_certificates().unwrap_or_default();
        let (certificate, is_vouched) = self.contexts.judge(chain, self.server.as_ref());
        Secured::Tls {
            certificate,
            is_vouched,
        }
    }
}
