//! What becomes of the connections of a shard on AF_XDP.

use core::net::SocketAddr;
use std::io;

use ::xdp::frame::Flow;
use ::xdp::stack::{Key, Read};
use switch::{ConnId, ConnectId};

use super::inbox::Note;
use super::{Conn, Xdp};
use crate::backend::{Backend, Completion};
use crate::limits::TURN_BYTES_MAX;
use crate::reading::{Phase, Reading, Sending};
use crate::socket::Socket;

impl Xdp {
    pub(super) fn connect(&mut self, request: ConnectId, to: SocketAddr) {
        let now = self.now();
        let outcome = self.port.lease(to).and_then(|(local, lease)| {
            let flow = Flow { local, remote: to };
            let outcome = self.stack.connect(now, request.0, flow, lease);
            outcome.map_err(io::Error::from)
        });
        if let Err(error) = outcome {
            let error = error.kind();
            self.outbox
                .push(Completion::ConnectFailed { request, error });
        }
    }

    pub(super) fn attach(&mut self, id: ConnId, socket: Socket) {
        let detached = match socket {
            Socket::Xdp(socket) => socket.into_detached(),
            Socket::System(_) => None,
        };
        let Some(detached) = detached else {
            let error = Some(io::ErrorKind::Unsupported);
            self.outbox.push(Completion::Closed { conn: id, error });
            return;
        };
        let (flow, by) = (detached.flow(), self.shard);
        for shard in detached.known_to().filter(|one| *one != by) {
            self.inboxes[usize::from(shard)].push(Note::Claimed { flow, by });
        }
        let now = self.now();
        let key = self.stack.attach(now, *detached, &mut self.port.outlet());
        let index = id.index as usize;
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, || None);
        }
        self.conns[index] = Some(Conn {
            generation: id.generation,
            key,
            sending: None,
            reading: Reading::new(),
        });
        if self.names.len() <= key.index() {
            self.names.resize(key.index() + 1, None);
        }
        self.names[key.index()] = Some(id);
    }

    pub(super) fn continue_send(&mut self, id: ConnId) {
        let Self {
            conns,
            stack,
            outbox,
            ..
        } = self;
        let Some(conn) = conns.get_mut(id.index as usize).and_then(Option::as_mut) else {
            return;
        };
        if conn.generation != id.generation {
            return;
        }
        let Some(sending) = &mut conn.sending else {
            return;
        };
        let taken = stack.write(conn.key, sending.rest());
        sending.taken += taken;
        if sending.is_over()
            && let Some(Sending { batch, .. }) = conn.sending.take()
        {
            outbox.push(Completion::Sent { conn: id, batch });
            self.finish(id);
        } else if let Some(sending) = &mut conn.sending {
            let octets = sending.progress();
            if octets > 0 {
                outbox.push(Completion::Progressed { conn: id, octets });
            }
        }
    }

    /// Looks at a connection that something happened to.
    pub(super) fn look_at(&mut self, id: ConnId) {
        self.note_unread(id);
        self.continue_send(id);
        let Some(conn) = self.conn(id) else {
            return;
        };
        // Who reads learns of the end behind the last octet.
        let reads = conn.reading.is_wanted();
        let key = conn.key;
        if !reads && let Some(error) = self.stack.failure(key) {
            self.fail(id, error);
        }
    }

    pub(super) fn note_unread(&mut self, id: ConnId) {
        let Self { conns, line, .. } = self;
        if let Some(Some(conn)) = conns.get_mut(id.index as usize)
            && conn.generation == id.generation
        {
            line.note(id, &mut conn.reading);
        }
    }

    /// Reads from those that may have something, as much as a turn may bring.
    pub(super) fn read_all(&mut self) {
        let (mut turn, mut bytes) = (self.line.begin(), 0);
        while let Some(id) = self.line.next(&mut turn, bytes) {
            bytes = self.read(id);
        }
    }

    /// Reads up to a connection's quota; how many octets.
    pub(super) fn read(&mut self, id: ConnId) -> usize {
        let Self {
            conns,
            packer,
            stack,
            outbox,
            ..
        } = self;
        let Some(conn) = conns.get_mut(id.index as usize).and_then(Option::as_mut) else {
            return 0;
        };
        if conn.generation != id.generation {
            return 0;
        }
        if !conn.reading.begin() {
            return 0;
        }
        let mut taken = 0;
        while taken < TURN_BYTES_MAX {
            let mut outcome = Read::Empty;
            let octets = packer.fill(&mut |space| {
                let mut count = 0;
                while count < space.len() {
                    let rest = &mut space[count..];
                    outcome = stack.read(conn.key, |octets| {
                        let fits = octets.len().min(rest.len());
                        rest[..fits].copy_from_slice(&octets[..fits]);
                        fits
                    });
                    let Read::Octets(more) = outcome else {
                        break;
                    };
                    count += more;
                }
                count
            });
            if let Some(octets) = octets {
                taken += octets.as_ref().len();
                outbox.push(Completion::Received { conn: id, octets });
            }
            match outcome {
                Read::Octets(_) => {}
                Read::Empty => return taken,
                Read::Ended => {
                    conn.reading.is_ended = true;
                    outbox.push(Completion::Ended { conn: id });
                    return taken;
                }
                Read::Failed(error) => {
                    self.fail(id, error);
                    return taken;
                }
            }
        }
        self.note_unread(id);
        taken
    }

    pub(super) fn resume(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id) {
            conn.reading.is_paused = false;
            self.note_unread(id);
        }
    }

    pub(super) fn leave(&mut self, id: ConnId, phase: Phase) {
        if let Some(conn) = self.conn(id) {
            conn.reading.phase = phase;
            self.finish(id);
        }
    }

    /// Completes a close or a handover when nothing is being sent.
    pub(super) fn finish(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else {
            return;
        };
        if conn.sending.is_some() {
            return;
        }
        match conn.reading.phase {
            Phase::Open => {}
            Phase::Closing => {
                let key = conn.key;
                self.forget(id);
                self.stack.close(self.now(), key);
                let (conn, error) = (id, None);
                self.outbox.push(Completion::Closed { conn, error });
            }
            Phase::Detaching => {
                let key = conn.key;
                self.forget(id);
                let completion = match self.stack.detach(key) {
                    Some(detached) => Completion::Detached {
                        conn: id,
                        socket: self.socket(detached),
                    },
                    None => Completion::Closed {
                        conn: id,
                        error: Some(io::ErrorKind::NotConnected),
                    },
                };
                self.outbox.push(completion);
            }
        }
    }

    pub(super) fn fail(&mut self, id: ConnId, error: io::ErrorKind) {
        if let Some(key) = self.forget(id) {
            self.stack.abort(self.now(), key);
            let error = Some(error);
            self.outbox.push(Completion::Closed { conn: id, error });
        }
    }

    pub(super) fn forget(&mut self, id: ConnId) -> Option<Key> {
        self.conn(id)?;
        let conn = self.conns[id.index as usize].take()?;
        self.names[conn.key.index()] = None;
        Some(conn.key)
    }
}
