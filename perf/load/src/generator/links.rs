//! The connections of the participants: opened, read, written, closed.

use clock::Instant;
use msrp::{FailureReport, Flag};
use reactor::Octets;
use switch::{Batch, CloseCause, ConnId, Output};

use super::hears::Hears;
use super::{Generator, LegConfig, Phase, Presence, Ticket};
use crate::reader::Reader;
use crate::wire::{Wire, WireFault};

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ConnId,
    reader: Reader,
    wire: Option<Box<Wire>>,
    legs: Vec<u32>,
    /// Small frames waiting for their turn.
    waiting: Batch<Octets>,
    is_sending: bool,
    is_queued: bool,
    pub(super) is_stalled: bool,
}

/// Batches kept for reuse.
const SPARE_MAX: usize = 256;

/// What the transaction ids of binding requests begin with; the leg follows.
const BIND_MARK: &str = "bind";

impl Generator {
    fn link(&mut self, id: ConnId) -> Option<&mut Link> {
        let link = self.links.get_mut(id.index as usize)?.as_mut();
        link.filter(|link| link.id == id)
    }

    /// Somebody is connected: by us, with a ticket, or by the other side.
    pub(super) fn open(&mut self, id: ConnId, ticket: Option<Ticket>) {
        let index = id.index as usize;
        if self.links.len() <= index {
            self.links.resize_with(index + 1, || None);
        }
        let legs = ticket.map_or_else(Vec::new, |ticket| {
            self.link_legs[ticket.link as usize].clone()
        });
        let is_late = |leg: &u32| {
            let entry = &self.legs[*leg as usize];
            let has_left = matches!(entry.presence, Presence::Leaving | Presence::Away);
            has_left || ticket.is_some_and(|ticket| ticket.turn != entry.turn)
        };
        if legs.iter().any(is_late) {
            self.outputs.push_back(Output::Close { conn: id });
            return;
        }
        let is_stalled =
            !legs.is_empty() && legs.iter().all(|leg| self.legs[*leg as usize].is_stalled);
        let mut waiting = Batch::default();
        for &leg in &legs {
            let entry = &mut self.legs[leg as usize];
            entry.link = Some(id);
            if self.is_binding {
                waiting.write(|out| bind(out, leg, &entry.config));
                waiting.end_message();
            }
        }
        if !self.is_binding && ticket.is_some() {
            self.unbound -= 1;
        }
        let wire = legs.first().map_or(Ok(None), |leg| self.wire_of(*leg));
        let wire = match wire {
            Ok(wire) => wire,
            Err(fault) => return self.fail(format!("a connection could not begin: {fault}")),
        };
        self.connected += 1;
        self.links[index] = Some(Link {
            id,
            reader: Reader::default(),
            wire,
            legs,
            waiting,
            is_sending: false,
            is_queued: false,
            is_stalled,
        });
        self.enqueue(id);
    }

    fn wire_of(&self, leg: u32) -> Result<Option<Box<Wire>>, WireFault> {
        let config = &self.legs[leg as usize].config;
        Wire::connect(
            self.plan.transport,
            &self.tls,
            config.host,
            config.fingerprint,
        )
    }

    pub(super) fn enqueue(&mut self, id: ConnId) {
        if let Some(link) = self.link(id)
            && !link.is_queued
        {
            link.is_queued = true;
            self.queue.push_back(id);
        }
    }

    pub(super) fn receive(&mut self, now: Instant, id: ConnId, octets: &Octets) {
        let slot = self.links.get_mut(id.index as usize);
        let Some(mut link) = slot.and_then(|link| link.take_if(|link| link.id == id)) else {
            return;
        };
        let mut hears = Hears {
            now,
            link_leg: link.legs.first().copied(),
            answers: &mut link.waiting,
            legs: &mut self.legs,
            senders: &mut self.senders,
            counts: &mut self.counts,
            measured: &mut self.measured,
            times: self.times,
            plan: &self.plan,
            queue: Vec::new(),
            bound: 0,
            has_answered: false,
        };
        let (reader, pattern) = (&mut link.reader, &self.pattern);
        let mut outcome = Ok(());
        let mut read = |octets: &[u8]| {
            if outcome.is_ok() {
                outcome = reader.feed(octets, pattern, |seen| hears.hear(seen));
            }
        };
        let mut has_more = false;
        let mut fault = None;
        match &mut link.wire {
            None => read(octets.as_ref()),
            Some(wire) => {
                let was_open = wire.is_open();
                fault = wire.receive(octets.as_ref(), read).err();
                has_more = wire.has_output() || wire.is_open() != was_open;
            }
        }
        let (bound, freed, has_answered) = (hears.bound, hears.queue, hears.has_answered);
        self.links[id.index as usize] = Some(link);
        if let Err(fatal) = outcome {
            self.fail(format!("a connection brought no MSRP: {fatal}"));
        }
        if let Some(fault) = fault {
            self.fail(format!("a connection broke its transport: {fault}"));
        }
        self.unbound = self.unbound.saturating_sub(bound);
        if has_answered || has_more {
            self.enqueue(id);
        }
        for sender in freed {
            self.raise_window(sender);
        }
        self.progress_at = now;
    }

    /// The next connection that is free and has something to send.
    pub(super) fn transmit(&mut self, now: Instant) -> Option<Output<Octets>> {
        while let Some(id) = self.queue.pop_front() {
            let Some(link) = self.links[id.index as usize]
                .as_mut()
                .filter(|link| link.id == id)
            else {
                continue;
            };
            link.is_queued = false;
            if link.is_sending {
                continue; // its completion brings it back
            }
            if let Some(wire) = link.wire.as_mut().filter(|wire| !wire.is_open()) {
                let own = wire.take_output();
                if own.is_empty() {
                    continue; // the handshake's next octets bring it back
                }
                link.is_sending = true;
                let batch = Batch::from(own);
                return Some(Output::Transmit { conn: id, batch });
            }
            let fresh = self.spare.pop().unwrap_or_default();
            let mut batch = core::mem::replace(&mut link.waiting, fresh);
            if let [leg] = link.legs[..]
                && let Some(sender) = self.legs[leg as usize].sender
            {
                let sender = &mut self.senders[sender as usize];
                sender.write(now, &self.pattern, &self.shared, &mut batch);
            }
            if let Some(wire) = &mut link.wire {
                let sealed = wire.seal(&batch);
                keep(&mut self.spare, batch);
                match sealed {
                    Ok(octets) => batch = Batch::from(octets),
                    Err(fault) => {
                        self.fail(format!("a connection could not be written to: {fault}"));
                        return None;
                    }
                }
            }
            if batch.is_empty() {
                keep(&mut self.spare, batch);
                continue;
            }
            link.is_sending = true;
            return Some(Output::Transmit { conn: id, batch });
        }
        None
    }

    /// A batch is on its way.
    pub(super) fn sent(&mut self, id: ConnId, batch: Batch<Octets>) {
        match self.link(id) {
            Some(link) => {
                link.is_sending = false;
                match &mut link.wire {
                    Some(wire) => wire.reuse(batch.into_copied()),
                    None => keep(&mut self.spare, batch),
                }
            }
            None => keep(&mut self.spare, batch),
        }
        self.enqueue(id);
    }

    pub(super) fn close(&mut self, now: Instant, id: ConnId, cause: CloseCause) {
        let slot = self.links.get_mut(id.index as usize);
        let Some(link) = slot.and_then(|link| link.take_if(|link| link.id == id)) else {
            return;
        };
        self.connected -= 1;
        let mut is_meant = link.is_stalled;
        for leg in link.legs {
            let entry = &mut self.legs[leg as usize];
            if entry.link == Some(id) {
                entry.link = None;
            }
            if entry.presence == Presence::Leaving {
                is_meant = true;
                self.end_presence(leg);
            }
        }
        match self.phase {
            Phase::Binding | Phase::Waiting => {
                self.fail(format!(
                    "a connection was closed before the start: {cause:?}"
                ));
            }
            Phase::Running | Phase::Draining if !is_meant => {
                self.counts.disconnected += 1;
                if self.connected == 0 {
                    self.break_off(now);
                }
            }
            Phase::Running | Phase::Draining | Phase::Done => {}
        }
    }

    /// Closes the connection of a participant from this side; what still comes on it is not heard.
    pub(super) fn hang_up(&mut self, leg: u32) {
        let Some(id) = self.legs[leg as usize].link.take() else {
            return;
        };
        let slot = self.links.get_mut(id.index as usize);
        if slot
            .and_then(|link| link.take_if(|link| link.id == id))
            .is_some()
        {
            self.connected -= 1;
            self.outputs.push_back(Output::Close { conn: id });
        }
    }
}

/// The first request of a session (RFC 4975 section 5.4).
fn bind(out: &mut Vec<u8>, leg: u32, config: &LegConfig) {
    let id = format!("{BIND_MARK}{leg:08x}");
    msrp::SendHead::new(id.as_bytes(), &config.peer, &config.own, id.as_bytes())
        .byte_range(msrp::ByteRange::whole(0))
        .failure_report(FailureReport::Yes)
        .write(out);
    msrp::write::end_line(out, id.as_bytes(), Flag::Complete);
}

/// The participant whose binding request had this transaction id.
pub(super) fn bound_leg(transaction_id: &[u8]) -> Option<u32> {
    let digits = transaction_id.strip_prefix(BIND_MARK.as_bytes())?;
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

pub(super) fn keep(spare: &mut Vec<Batch<Octets>>, mut batch: Batch<Octets>) {
    if spare.len() < SPARE_MAX {
        batch.clear();
        spare.push(batch);
    }
}
