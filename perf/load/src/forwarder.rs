//! The physical limit: octets in, the same octets out to everybody else of a group, coalesced. It
//! shares the reactor with the engine and nothing else; it does not parse MSRP beyond the first
//! frame of a connection, which names the group.

use core::net::SocketAddr;
use core::ops::Range;
use std::collections::VecDeque;

use clock::Instant;
use msrp::{Deframer, Item, StatusCode};
use reactor::{Logic, Octets};
use switch::{Batch, ConnId, Input, Output};

/// See the module.
#[derive(Debug, Default)]
pub struct Forwarder {
    /// By position.
    conns: Vec<Option<Conn>>,
    groups: Vec<Vec<ConnId>>,
    dirty: Vec<ConnId>,
    outputs: VecDeque<Output<Octets>>,
    spare: Vec<Batch<Octets>>,
    /// Recipients whose queue is long, and the senders waiting for each.
    paused: Vec<(ConnId, ConnId)>,
}

#[derive(Debug)]
struct Conn {
    id: ConnId,
    /// `None` before its first frame.
    group: Option<Group>,
    first: Vec<u8>,
    /// The beginning of a frame.
    begun: Vec<(Octets, Range<usize>)>,
    begun_octets: usize,
    waiting: Batch<Octets>,
    in_flight: usize,
    is_sending: bool,
    is_dirty: bool,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    number: usize,
    /// Frames are so long and must stay together; 0: octets go as they come.
    unit: usize,
}

/// Batches kept for reuse.
const SPARE_MAX: usize = 256;

/// A recipient with so many octets queued stops whoever sends to it.
const QUEUE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The path that names a group and the length of its frames, always of the same length.
pub(crate) fn group_path(forwarder: SocketAddr, group: u32, unit: u64) -> String {
    format!("msrp://{forwarder}/{group:06x}.{unit:010x};tcp")
}

fn group_of(path: &[u8]) -> Option<Group> {
    let id = str::from_utf8(msrp::session_id_of(path)?).ok()?;
    let (number, unit) = id.split_once('.')?;
    Some(Group {
        number: usize::from_str_radix(number, 16).ok()?,
        unit: usize::from_str_radix(unit, 16).ok()?,
    })
}

impl Forwarder {
    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(id.index as usize)?.as_mut();
        conn.filter(|conn| conn.id == id)
    }

    fn open(&mut self, id: ConnId) {
        let index = id.index as usize;
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, || None);
        }
        self.conns[index] = Some(Conn {
            id,
            group: None,
            first: Vec::new(),
            begun: Vec::new(),
            begun_octets: 0,
            waiting: Batch::default(),
            in_flight: 0,
            is_sending: false,
            is_dirty: false,
        });
    }

    fn receive(&mut self, id: ConnId, octets: &Octets) {
        let Some(conn) = self.conn(id) else {
            return;
        };
        match conn.group {
            Some(group) => self.forward(id, group, octets),
            None => self.join(id, octets.as_ref()),
        }
    }

    /// The first frame: joins the group it names and answers it.
    fn join(&mut self, id: ConnId, octets: &[u8]) {
        let Some(conn) = self.conn(id) else {
            return;
        };
        conn.first.extend_from_slice(octets);
        let mut deframer = Deframer::default();
        let Ok(step) = deframer.next(&conn.first) else {
            self.outputs.push_back(Output::Close { conn: id });
            return;
        };
        let Some(Item::Head(head)) = step.item else {
            return;
        };
        let Some(group) = group_of(head.to_path) else {
            self.outputs.push_back(Output::Close { conn: id });
            return;
        };
        let mut answer = Vec::new();
        msrp::write::response(
            &mut answer,
            head.transaction_id,
            StatusCode::OK,
            head.from_path,
            head.to_path,
        );
        conn.group = Some(group);
        conn.first = Vec::new();
        conn.waiting.push_copied(&answer);
        if self.groups.len() <= group.number {
            self.groups.resize_with(group.number + 1, Vec::new);
        }
        self.groups[group.number].push(id);
        self.mark(id);
    }

    /// Sends on what is whole; keeps the beginning of a frame until its rest has come.
    fn forward(&mut self, from: ConnId, group: Group, octets: &Octets) {
        let len = octets.as_ref().len();
        let Some(conn) = self.conn(from) else {
            return;
        };
        let whole = match group.unit {
            0 => len,
            unit => ((conn.begun_octets + len) / unit * unit).saturating_sub(conn.begun_octets),
        };
        let begun = if whole > 0 {
            conn.begun_octets = 0;
            core::mem::take(&mut conn.begun)
        } else {
            Vec::new()
        };
        let members = core::mem::take(&mut self.groups[group.number]);
        for &to in members.iter().filter(|to| **to != from && whole > 0) {
            self.pass(from, to, &begun, (octets, 0..whole));
        }
        self.groups[group.number] = members;
        if let Some(conn) = self.conn(from)
            && whole < len
        {
            conn.begun_octets += len - whole;
            conn.begun.push((octets.clone(), whole..len));
        }
    }

    fn pass(
        &mut self,
        from: ConnId,
        to: ConnId,
        begun: &[(Octets, Range<usize>)],
        (octets, range): (&Octets, Range<usize>),
    ) {
        let Some(conn) = self.conn(to) else {
            return;
        };
        for (octets, range) in begun {
            conn.waiting.push(octets, range.clone());
        }
        conn.waiting.push(octets, range);
        if conn.waiting.octet_count() + conn.in_flight > QUEUE_BYTES_MAX {
            self.paused.push((to, from));
            self.outputs.push_back(Output::PauseReading { conn: from });
        }
        self.mark(to);
    }

    /// A recipient's queue is shorter again: those who waited for it alone go on.
    fn resume(&mut self, to: ConnId) {
        let waited: Vec<ConnId> = self
            .paused
            .extract_if(.., |(slow, _)| *slow == to)
            .map(|(_, from)| from)
            .collect();
        for from in waited {
            if self.paused.iter().all(|(_, other)| *other != from) {
                self.outputs.push_back(Output::ResumeReading { conn: from });
            }
        }
    }

    fn sent(&mut self, id: ConnId, mut batch: Batch<Octets>) {
        batch.clear();
        if self.spare.len() < SPARE_MAX {
            self.spare.push(batch);
        }
        if let Some(conn) = self.conn(id) {
            conn.is_sending = false;
            conn.in_flight = 0;
            self.mark(id);
        }
        self.resume(id);
    }

    fn close(&mut self, id: ConnId) {
        let conn = self.conns.get_mut(id.index as usize).and_then(Option::take);
        if let Some(group) = conn.and_then(|conn| conn.group) {
            self.groups[group.number].retain(|member| *member != id);
        }
        self.paused.retain(|(_, from)| *from != id);
        self.resume(id);
    }

    fn mark(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id)
            && !conn.is_dirty
        {
            conn.is_dirty = true;
            self.dirty.push(id);
        }
    }
}

impl Logic<Octets> for Forwarder {
    fn handle(&mut self, _: Instant, input: Input<Octets>) {
        match input {
            Input::Accepted { conn, .. } => self.open(conn),
            Input::Received { conn, octets } => self.receive(conn, &octets),
            Input::Sent { conn, batch } => self.sent(conn, batch),
            Input::Closed { conn, .. } => self.close(conn),
            Input::Adopted { .. }
            | Input::Connected { .. }
            | Input::ConnectFailed { .. }
            | Input::MessageEnded { .. }
            | Input::Progressed { .. }
            | Input::Shipment { .. }
            | Input::Returned(_)
            | Input::Command(_)
            | Input::Deadline => {}
        }
    }

    fn poll(&mut self, _: Instant) -> Output<Octets> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        while let Some(id) = self.dirty.pop() {
            let Some(conn) = self
                .conns
                .get_mut(id.index as usize)
                .and_then(Option::as_mut)
            else {
                continue;
            };
            conn.is_dirty = false;
            if conn.is_sending || conn.waiting.is_empty() {
                continue;
            }
            let fresh = self.spare.pop().unwrap_or_default();
            let batch = core::mem::replace(&mut conn.waiting, fresh);
            conn.is_sending = true;
            conn.in_flight = batch.octet_count();
            return Output::Transmit { conn: id, batch };
        }
        Output::Wait(None)
    }
}
