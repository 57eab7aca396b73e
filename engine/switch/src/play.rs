//! Messages of our own: played into one session, with nobody of the conference behind them.
//!
//! ```text
//! Waiting ── session bound, path known ──► Sent ── answers in, or too late ──► told (Played)
//!    └────────────── too late ─────────────────────────────────────────────────────┘
//! ```
//!
//! Signals are independent of the mode of a stream (H.248.1 7.1.7), and so is playing.

use std::collections::HashMap;
use std::sync::Arc;

use clock::{Instant, TimerKey};
use memchr::memmem;
use msrp::{ByteRange, FailureReport, Flag, Outcome, Reassembly, SendHead, StatusCode};
use slab::Slab;

use crate::api::{ConnId, Event, Octets, Output, SessionKey};
use crate::connection::TRAIL_OCTETS;
use crate::ident::{Tid, shared_part};
use crate::limits::{FIXED_CHUNK_BYTES_MAX, PLAYS_MAX};
use crate::session::{Link, SessionRef};
use crate::shard::{Deadline, Shard};

/// A message to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Names it in [`Event::Played`].
    pub id: u64,
    /// Its Content-Type.
    pub content_type: Box<str>,
    /// All of it; see [`crate::limits::PLAY_BYTES_MAX`].
    pub body: Arc<[u8]>,
    /// Whether the participant's report of success is waited for.
    pub success_report: bool,
    /// Whether the participant is to answer at all.
    pub failure_report: bool,
}

/// Names a play inside its shard; goes stale with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlayRef {
    slot: u32,
    generation: u16,
}

#[derive(Debug)]
struct Playing {
    generation: u16,
    session: SessionRef,
    play: Play,
    timer: TimerKey,
    /// `None`: waiting for the session's connection.
    sent: Option<Sent>,
}

#[derive(Debug)]
struct Sent {
    conn: ConnId,
    message_id: Tid,
    reported: Reassembly,
}

/// All plays of a shard.
#[derive(Debug, Default)]
pub(crate) struct Plays {
    all: Slab<Playing>,
    /// Slots by session, in order.
    by_session: HashMap<u32, Vec<u32>>,
    generation: u16,
    /// Sessions for which it may be time.
    woken: Vec<SessionRef>,
}

impl Plays {
    /// The session got its connection, or its path.
    pub(crate) fn wake(&mut self, session: SessionRef) {
        if self.by_session.contains_key(&session.index) {
            self.woken.push(session);
        }
    }

    fn of_session(&self, session: SessionRef) -> Vec<u32> {
        let slots = self.by_session.get(&session.index).into_iter().flatten();
        let slots = slots.copied();
        slots
            .filter(|slot| self.all[*slot as usize].session == session)
            .collect()
    }

    fn get(&mut self, name: PlayRef) -> Option<&mut Playing> {
        let playing = self.all.get_mut(name.slot as usize)?;
        (playing.generation == name.generation).then_some(playing)
    }

    fn take(&mut self, slot: u32) -> Playing {
        let playing = self.all.remove(slot as usize);
        if let Some(slots) = self.by_session.get_mut(&playing.session.index) {
            slots.retain(|s| *s != slot);
            if slots.is_empty() {
                self.by_session.remove(&playing.session.index);
            }
        }
        playing
    }
}

impl<B: Octets> Shard<B> {
    /// Plays a message, at once or when the session has its connection.
    pub(crate) fn play(&mut self, now: Instant, key: SessionKey, play: Play) {
        let known = self.sessions.of_key(key);
        let Some(session) = known.filter(|_| self.plays.all.len() < PLAYS_MAX) else {
            let status = match known {
                Some(_) => StatusCode::STOP_SENDING,
                None => StatusCode::NO_SUCH_SESSION,
            };
            return self.tell_played(key, play.id, status);
        };
        self.plays.generation = self.plays.generation.wrapping_add(1) & PLAY_GENERATION_MASK;
        let generation = self.plays.generation;
        let slot = u32::try_from(self.plays.all.vacant_key()).expect("below PLAYS_MAX");
        let at = now + self.config.limits.response_timeout;
        let timer = Deadline::Play(PlayRef { slot, generation });
        self.plays.all.insert(Playing {
            generation,
            session,
            play,
            timer: self.timers.arm(at, timer),
            sent: None,
        });
        let slots = self.plays.by_session.entry(session.index).or_default();
        slots.push(slot);
        self.plays.wake(session);
    }

    /// Sends what waited for a connection.
    pub(crate) fn start_plays(&mut self, now: Instant) {
        while let Some(session) = self.plays.woken.pop() {
            if self.session_at(session).is_none() {
                continue;
            }
            for slot in self.plays.of_session(session) {
                if self.plays.all[slot as usize].sent.is_none() {
                    self.start_play(now, slot, session);
                }
            }
        }
    }

    fn start_play(&mut self, now: Instant, slot: u32, session: SessionRef) {
        let entry = &self.sessions[session.index as usize];
        let Some(conn) = entry.conn().filter(|_| entry.config.remote_path.is_some()) else {
            return;
        };
        let playing = &self.plays.all[slot as usize];
        let (body, wants_answer) = (Arc::clone(&playing.play.body), playing.play.failure_report);
        let wants_report = playing.play.success_report;
        let length = body.len() as u64;
        let max = entry.config.terms.send_bytes_max;
        if max.is_some_and(|max| length > max) {
            return self.end_play(slot, StatusCode::STOP_SENDING);
        }
        let message_id = Tid::unmatched(self.random());
        self.write_play(conn, slot, message_id, &body);
        let timers = &mut self.timers;
        let playing = &mut self.plays.all[slot as usize];
        playing.sent = Some(Sent {
            conn,
            message_id,
            reported: Reassembly::default(),
        });
        timers.cancel(playing.timer);
        let name = PlayRef {
            slot,
            generation: playing.generation,
        };
        let at = now + self.config.limits.response_timeout;
        playing.timer = timers.arm(at, Deadline::Play(name));
        let statistics = &mut self.sessions[session.index as usize].statistics;
        statistics.messages_sent += 1;
        statistics.volume_sent += length;
        if !wants_answer && !wants_report {
            // Nothing will ever be heard of it.
            self.end_play(slot, StatusCode::OK);
        }
    }

    /// One SEND with all of the message; its transaction id names the play.
    fn write_play(&mut self, conn: ConnId, slot: u32, message_id: Tid, body: &[u8]) {
        let Playing {
            generation,
            session,
            ..
        } = self.plays.all[slot as usize];
        let tid = loop {
            let random = self.random();
            let mut token = [b'-'; TRAIL_OCTETS + 1];
            token[7..].copy_from_slice(&shared_part(random));
            if memmem::find(body, &token).is_none() {
                break Tid::play(random, slot, generation);
            }
        };
        let play = &self.plays.all[slot as usize].play;
        let config = &self.sessions[session.index as usize].config;
        let (to, from) = (config.remote_path.as_deref(), &config.local_path);
        let length = body.len() as u64;
        let is_fixed = length <= FIXED_CHUNK_BYTES_MAX;
        let range = ByteRange::new(0, is_fixed.then_some(length), Some(length));
        let failure_report = if play.failure_report {
            FailureReport::Yes
        } else {
            FailureReport::No
        };
        let mut head = Vec::with_capacity(512);
        let to = to.unwrap_or_default();
        SendHead::new(tid.as_bytes(), to, from, message_id.as_bytes())
            .byte_range(range.expect("ends at the total"))
            .success_report(play.success_report)
            .failure_report(failure_report)
            .content_type(play.content_type.as_bytes())
            .write(&mut head);
        self.queue_frame(conn, Some(session), |out| {
            out.extend_from_slice(&head);
            out.extend_from_slice(body);
            msrp::write::body_end_line(out, tid.as_bytes(), Flag::Complete);
        });
    }

    /// Takes a response that is about a play; `false` if it is not.
    pub(crate) fn play_answered(&mut self, conn: ConnId, tid: &[u8], status: StatusCode) -> bool {
        let Some((slot, generation)) = crate::ident::play_of(tid) else {
            return false;
        };
        let playing = self.plays.get(PlayRef { slot, generation });
        let playing = playing.filter(|p| p.sent.as_ref().is_some_and(|s| s.conn == conn));
        let Some(playing) = playing else {
            return true;
        };
        let is_success = status.as_u16() / 100 == 2;
        if !is_success || !playing.play.success_report {
            self.end_play(slot, if is_success { StatusCode::OK } else { status });
        }
        true
    }

    /// Takes a REPORT of a session that is about a play.
    pub(crate) fn play_reported(
        &mut self,
        session: SessionRef,
        message_id: &[u8],
        range: Option<&ByteRange>,
        status: StatusCode,
    ) {
        let is_its = |playing: &Playing| {
            let sent = playing.sent.as_ref();
            sent.is_some_and(|s| s.message_id.as_bytes() == message_id)
        };
        let slots = self.plays.of_session(session);
        let mut slots = slots.into_iter();
        let Some(slot) = slots.find(|slot| is_its(&self.plays.all[*slot as usize])) else {
            return;
        };
        if status.as_u16() / 100 != 2 {
            return self.end_play(slot, status);
        }
        let Playing { play, sent, .. } = &mut self.plays.all[slot as usize];
        let length = play.body.len() as u64;
        let offset = range.map_or(0, ByteRange::offset);
        let end = range.and_then(ByteRange::end).unwrap_or(length).min(length);
        let Some(sent) = sent else { return };
        match sent.reported.add(offset, end.saturating_sub(offset)) {
            Outcome::Added { .. } | Outcome::Duplicate => {}
            // More ranges than the bound: the participant's word is lost.
            Outcome::BeyondTotal | Outcome::TooManyRanges => return,
        }
        if sent.reported.contiguous_octets() >= length {
            self.end_play(slot, StatusCode::OK);
        }
    }

    /// Nobody answered in time, or the session never got its connection.
    pub(crate) fn time_out_play(&mut self, name: PlayRef) {
        if self.plays.get(name).is_some() {
            self.end_play(name.slot, StatusCode::TIMEOUT);
        }
    }

    /// The gateway does not want it any more: nothing is told. What is on its way arrives.
    pub(crate) fn stop_play(&mut self, key: SessionKey, id: u64) {
        let Some(session) = self.sessions.of_key(key) else {
            return;
        };
        for slot in self.plays.of_session(session) {
            if self.plays.all[slot as usize].play.id == id {
                let playing = self.plays.take(slot);
                self.timers.cancel(playing.timer);
            }
        }
    }

    /// What was sent on a connection that is gone will not be answered.
    pub(crate) fn fail_plays(&mut self, session: SessionRef) {
        for slot in self.plays.of_session(session) {
            if self.plays.all[slot as usize].sent.is_some() {
                self.end_play(slot, StatusCode::TIMEOUT);
            }
        }
    }

    /// The session is about to be no more: so is what is played into it.
    pub(crate) fn drop_plays(&mut self, session: SessionRef) {
        for slot in self.plays.of_session(session) {
            self.end_play(slot, StatusCode::NO_SUCH_SESSION);
        }
    }

    fn end_play(&mut self, slot: u32, status: StatusCode) {
        let Playing {
            session,
            play,
            timer,
            ..
        } = self.plays.take(slot);
        self.timers.cancel(timer);
        let key = self.sessions[session.index as usize].key;
        self.tell_played(key, play.id, status);
    }

    fn tell_played(&mut self, session: SessionKey, id: u64, status: StatusCode) {
        let status = status.as_u16();
        tracing::debug!(?session, id, status, "message played");
        self.outputs.push_back(Output::Event(Event::Played {
            session,
            id,
            status,
        }));
    }

    /// Part of [`Self::assert_invariants`].
    pub(crate) fn check_plays(&self) {
        let listed: usize = self.plays.by_session.values().map(Vec::len).sum();
        assert_eq!(listed, self.plays.all.len(), "every play is its session's");
        for (_, playing) in &self.plays.all {
            let session = self.session_at(playing.session);
            let session = session.expect("a play ends before its session");
            if let Some(sent) = &playing.sent {
                let link = self.sessions[session.index as usize].link.get();
                assert_eq!(link, Link::Bound(sent.conn), "sent where it is answered");
            }
        }
    }
}

/// The part of the generation that a transaction id carries.
const PLAY_GENERATION_MASK: u16 = (1 << 12) - 1;
