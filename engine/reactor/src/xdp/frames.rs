//! Frames of a shard, and those that belong to others.

use std::sync::Arc;

use ::xdp::frame::Segment;
use ::xdp::stack::{Fate, Found};
use clock::Instant;

use super::Xdp;
use super::inbox::Note;

impl Xdp {
    /// Takes the frames that are there; returns how many.
    pub(super) fn receive(&mut self, now: Instant) -> usize {
        let Self {
            port,
            stack,
            misdirected,
            ..
        } = self;
        let mut count = port.receive(|frame, outlet| {
            let fate = stack.receive(now, frame, false, outlet);
            if matches!(fate, Fate::Away(_) | Fate::Astray) {
                misdirected.push((fate, frame.into()));
            }
        });
        let mut misdirected = core::mem::take(&mut self.misdirected);
        for (fate, frame) in misdirected.drain(..) {
            match fate {
                Fate::Away(shard) => {
                    let is_bare = Segment::parse(&frame).is_some_and(|one| one.is_bare());
                    self.pass_on(shard, Note::Frame { frame, is_bare });
                }
                Fate::Astray => self.look_elsewhere(frame, self.shard),
                Fate::Taken | Fate::Dropped => {}
            }
        }
        self.misdirected = misdirected;
        let inboxes = Arc::clone(&self.inboxes);
        let inbox = &inboxes[usize::from(self.shard)];
        for note in inbox.drain() {
            count += 1;
            self.take_note(now, note);
        }
        count
    }

    pub(super) fn pass_on(&self, shard: u8, note: Note) {
        if let Some(inbox) = self.inboxes.get(usize::from(shard)) {
            inbox.push(note);
        }
    }

    /// Shows a frame that arrived at the queue of shard `from` to the shard behind this one; when all have
    /// seen it, it is nobody's.
    pub(super) fn look_elsewhere(&mut self, frame: Box<[u8]>, from: u8) {
        let next = usize::from(self.shard) + 1;
        let next = if next == self.inboxes.len() { 0 } else { next };
        match u8::try_from(next) {
            Ok(next) if next != from => self.pass_on(next, Note::Astray { frame, from }),
            Ok(_) | Err(_) => self.stack.refuse(&frame, &mut self.port.outlet()),
        }
    }

    pub(super) fn take_note(&mut self, now: Instant, note: Note) {
        match note {
            Note::Frame { frame, .. } => {
                self.stack
                    .receive(now, &frame, true, &mut self.port.outlet());
            }
            Note::Astray { frame, from } => {
                let outlet = &mut self.port.outlet();
                match self.stack.look_for(now, &frame, from, outlet) {
                    Found::Here(flow) => {
                        let by = self.shard;
                        self.pass_on(from, Note::Claimed { flow, by });
                    }
                    Found::Moving => {}
                    // Whoever has it is asked at once; who does not have it any more passes it on.
                    Found::Away(shard) if shard != from => {
                        self.pass_on(shard, Note::Astray { frame, from });
                    }
                    Found::Away(_) => {}
                    Found::Nowhere => self.look_elsewhere(frame, from),
                }
            }
            Note::Anew { shard } => self.stack.forget_shard(shard),
            Note::Claimed { flow, by } => {
                for frame in self.stack.hand_over(flow, by) {
                    let is_bare = false;
                    self.inboxes[usize::from(by)].push(Note::Frame { frame, is_bare });
                }
            }
            Note::Ended { flow } => self.stack.forget(flow),
            Note::Unwanted(conn) => {
                self.stack
                    .abort_detached(now, *conn, &mut self.port.outlet());
            }
        }
    }
}
