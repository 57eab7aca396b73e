//! Octets in: frames found, requests judged, bodies handed on, answers written.

use core::ops::Range;

use clock::Instant;
use msrp::{Body, Deframer, FailureReport, Flag, Head, HeadFault, Item, Method, Start, StatusCode};

use crate::api::{ConnId, LossCause, Octets, Output, ShardIndex};
use crate::connection::Frame;
use crate::limits::{DEFRAMER_POOL_MAX, STRAYS_MAX};
use crate::piece::Piece;
use crate::refusal::Refusal;
use crate::shard::Shard;
use crate::whole::Run;

/// How reading a buffer ended.
enum Read {
    /// Every octet was taken.
    All,
    /// The connection's first request is for another shard.
    Foreign(ShardIndex),
    /// Framing is lost.
    Fatal(msrp::Fatal),
    /// A message of the transport holds more than one request or response.
    TwoInOne,
}

impl<B: Octets> Shard<B> {
    /// Octets of a range of `octets` arrived.
    pub(crate) fn handle_received(
        &mut self,
        now: Instant,
        conn: ConnId,
        octets: &B,
        range: Range<usize>,
    ) {
        let Some(connection) = self.connection(conn).filter(|c| !c.is_closing) else {
            return;
        };
        if let Some(prelude) = &mut connection.prelude {
            prelude.extend_from_slice(&octets.as_ref()[range.clone()]);
        }
        let under_way = connection.deframer.take();
        let mut deframer = self.deframer(under_way);
        let count = range.len();
        self.relayed_bytes = 0;
        self.gauges.add_received(count);
        let mut run = None;
        let read = self.read(now, conn, &mut deframer, &mut run, (octets, range));
        self.deliver(conn, run);
        self.keep_deframer(conn, deframer, matches!(read, Read::All));
        match read {
            Read::All => {
                let own = count.saturating_sub(self.relayed_bytes);
                self.count_received(now, conn, own);
            }
            Read::Foreign(to) => self.hand_over(conn, to),
            Read::Fatal(fatal) => {
                if let Some(connection) = self.connection(conn) {
                    tracing::info!(peer = %connection.peer, %fatal, "closing: framing lost");
                }
                self.answer_broken(conn, &fatal);
                self.lose_sessions(conn, LossCause::Protocol);
                self.close(now, conn);
            }
            Read::TwoInOne => {
                self.break_off(now, conn, "two chunks in one message of the transport")
            }
        }
    }

    /// What cuts the next octets of a connection into frames: goes on with the frame under way.
    fn deframer(&mut self, under_way: Option<Box<Deframer>>) -> Box<Deframer> {
        under_way
            .or_else(|| self.deframer_pool.pop())
            .unwrap_or_else(|| Box::new(Deframer::new(self.config.limits.msrp)))
    }

    /// Gives it back to the shard between two frames, when nothing is known in it that a connection
    /// would need. One that met a fault is of no further use.
    fn keep_deframer(&mut self, conn: ConnId, deframer: Box<Deframer>, is_sound: bool) {
        if is_sound && deframer.is_idle() {
            if self.deframer_pool.len() < DEFRAMER_POOL_MAX {
                self.deframer_pool.push(deframer);
            }
        } else if let Some(connection) = self.connection(conn) {
            connection.deframer = Some(deframer);
        }
    }

    /// Counts a request or response of a connection that carries messages; whether it may end here.
    fn note_frame_end(&mut self, conn: ConnId) -> bool {
        let Some(connection) = self.connection(conn).filter(|c| c.via.is_framed) else {
            return true;
        };
        let Some(frames) = &mut connection.message_frames else {
            return true;
        };
        *frames = frames.saturating_add(1);
        *frames <= 1
    }

    /// A message of the transport holds one chunk, and no chunk reaches into the next (RFC 7977
    /// section 5.1).
    pub(crate) fn handle_message_ended(&mut self, now: Instant, conn: ConnId) {
        let Some(connection) = self.connection(conn).filter(|c| !c.is_closing) else {
            return;
        };
        connection.message_frames = Some(0);
        if connection.deframer.is_some() {
            self.break_off(
                now,
                conn,
                "a chunk reaches beyond its message of the transport",
            );
        }
    }

    fn break_off(&mut self, now: Instant, conn: ConnId, why: &'static str) {
        if let Some(connection) = self.connection(conn) {
            tracing::info!(peer = %connection.peer, why, "closing: the peer broke the protocol");
        }
        self.lose_sessions(conn, LossCause::Protocol);
        self.close(now, conn);
    }

    /// A request whose body holds its own end-line is answered before its connection is closed
    /// (RFC 4975 erratum 4177); after other faults there is no telling what would be answered.
    fn answer_broken(&mut self, conn: ConnId, fatal: &msrp::Fatal) {
        if !matches!(fatal, msrp::Fatal::EmbeddedEndLine) {
            return;
        }
        let frame = self.connection(conn).and_then(|c| c.frame.take());
        if let Some(mut frame) = frame {
            let is_silent = frame.failure_report == FailureReport::No;
            frame.answer = (!is_silent).then_some(StatusCode::BAD_REQUEST);
            self.answer(conn, &frame);
            self.recycle_frame(Some(frame));
        }
    }

    /// Walks the frames of one buffer. The last body piece is kept until the next item is known:
    /// a chunk that ends inside the buffer is forwarded as a whole.
    fn read(
        &mut self,
        now: Instant,
        conn: ConnId,
        deframer: &mut Deframer,
        run: &mut Option<Run>,
        (octets, range): (&B, Range<usize>),
    ) -> Read {
        let bytes = &octets.as_ref()[..range.end];
        let mut at = range.start;
        let mut last: Option<Piece<'_, B>> = None;
        loop {
            let step = match deframer.next(&bytes[at..]) {
                Ok(step) => step,
                Err(fatal) => return Read::Fatal(fatal),
            };
            let base = at;
            at += step.consumed;
            match step.item {
                Some(Item::Head(head)) => {
                    let rest = &bytes[at..];
                    if let Some(count) = self.take_whole(now, conn, run, (&head, rest)) {
                        deframer.pass_frame();
                        at += count;
                        continue;
                    }
                    self.deliver(conn, run.take());
                    if let Some(owner) = self.begin_frame(now, conn, &head) {
                        return Read::Foreign(owner);
                    }
                }
                Some(Item::Body(Body::Input(range))) => {
                    let range = base + range.start..base + range.end;
                    let piece = Piece::shared(octets, range, deframer.is_piece_clear());
                    if let Some(piece) = last.replace(piece) {
                        self.take_body(now, conn, piece, None);
                    }
                }
                Some(Item::Body(Body::Held(held))) => {
                    if let Some(piece) = last.take() {
                        self.take_body(now, conn, piece, None);
                    }
                    self.take_body(now, conn, Piece::Copied(held), None);
                }
                Some(Item::End(flag)) => {
                    if !self.note_frame_end(conn) {
                        return Read::TwoInOne;
                    }
                    let piece = last.take().unwrap_or(Piece::Empty);
                    self.take_body(now, conn, piece, Some(flag));
                    self.end_frame(now, conn, flag, deframer.end_fault());
                }
                None => {
                    if let Some(piece) = last.take() {
                        self.take_body(now, conn, piece, None);
                    }
                    return Read::All;
                }
            }
            if self.connection(conn).is_none_or(|c| c.is_closing) {
                return Read::All;
            }
        }
    }

    /// Reads a head. Returns the shard that should have got it, if that is another one.
    fn begin_frame(&mut self, now: Instant, conn: ConnId, head: &Head<'_>) -> Option<ShardIndex> {
        let is_first = self.connection(conn)?.prelude.is_some();
        match head.start {
            Start::Response { status, .. } => {
                if head.fault.is_none() && !self.relay_answer(conn, head) {
                    self.handle_response(now, conn, head.transaction_id, status);
                }
            }
            Start::Request(Method::Report) => {
                if head.fault.is_none() && !self.relay_answer(conn, head) {
                    self.handle_report(now, conn, head);
                }
            }
            Start::Request(Method::Send | Method::Auth | Method::Nickname | Method::Unknown(_)) => {
                if let Some(owner) = is_first.then(|| self.foreign_owner(head)).flatten() {
                    return Some(owner);
                }
                self.begin_request(now, conn, head);
            }
        }
        self.connection(conn)?.prelude = None;
        None
    }

    fn begin_request(&mut self, now: Instant, conn: ConnId, head: &Head<'_>) {
        let mut frame = self.frame_pool.pop().unwrap_or_default();
        frame.begin(head);
        let mut verdict = self.judge(now, conn, head, &mut frame);
        if let Err(Refusal::UnknownSession) = verdict {
            verdict = self.relay_request(conn, head);
            if verdict.is_ok() {
                return self.recycle_frame(Some(frame));
            }
        }
        match verdict {
            Ok(()) if frame.is_deferred => {}
            Ok(()) => frame.answer = frame.success_answer(),
            Err(refusal) => {
                self.refuse(conn, head, &mut frame, &refusal);
                self.abort_refused(frame.session, head, &refusal);
            }
        }
        if let Some(connection) = self.connection(conn) {
            if frame.session.is_some() {
                connection.strays = connection.strays.saturating_sub(1);
            }
            connection.frame = Some(frame);
        }
    }

    fn refuse(&mut self, conn: ConnId, head: &Head<'_>, frame: &mut Frame, refusal: &Refusal) {
        let is_silent = frame.failure_report == FailureReport::No || frame.from_path.is_empty();
        frame.answer = (!is_silent).then(|| refusal.status());
        let strikes_max = self.config.limits.strikes_max;
        let Some(connection) = self.connection(conn) else {
            return;
        };
        tracing::info!(
            peer = %connection.peer,
            transaction = %head.transaction_id.escape_ascii(),
            %refusal,
            "request refused"
        );
        if frame.from_path.is_empty() {
            // Nobody can be told: it ends here.
            connection.strikes = strikes_max;
        }
        // When it is to be closed the last answer still goes out: end_frame writes it, then closes.
        if head.fault.is_some() {
            connection.strikes = connection.strikes.saturating_add(1);
            if connection.strikes >= strikes_max {
                tracing::info!(peer = %connection.peer, "closing: too many faulty requests");
            }
        }
        if matches!(refusal, Refusal::UnknownSession) {
            connection.strays = connection.strays.saturating_add(1);
            if connection.strays >= STRAYS_MAX {
                tracing::info!(peer = %connection.peer, "closing: too many requests for no session");
                connection.strikes = strikes_max;
            }
        }
    }

    fn take_body(&mut self, now: Instant, conn: ConnId, piece: Piece<'_, B>, flag: Option<Flag>) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let Some(mut frame) = connection.frame.take() else {
            return self.relay_body(conn, piece.octets());
        };
        if frame.chunk.is_some() {
            self.forward(now, conn, &mut frame, piece, flag);
        }
        if let Some(connection) = self.connection(conn) {
            connection.frame = Some(frame);
        }
    }

    fn end_frame(&mut self, now: Instant, conn: ConnId, flag: Flag, fault: Option<HeadFault>) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let Some(mut frame) = connection.frame.take() else {
            return self.relay_end(conn, flag);
        };
        if let Some(fault) = fault {
            tracing::info!(peer = %connection.peer, %fault, "request refused at its end");
            frame.answer = frame.answer.map(|_| fault.status());
        }
        let must_close = connection.strikes >= self.config.limits.strikes_max;
        self.answer(conn, &frame);
        if let (Some(chunk), Some(session)) = (frame.chunk.take(), frame.session) {
            self.end_chunk(now, session, &chunk, flag);
        }
        if let Some(name) = frame.bodiless.take().filter(|_| flag == Flag::Abort) {
            self.abort_named(name);
        }
        if flag == Flag::Complete {
            self.report_repeat(conn, &frame);
        }
        self.recycle_frame(Some(frame));
        if must_close {
            self.lose_sessions(conn, LossCause::Protocol);
            self.close(now, conn);
        }
    }

    /// `nt/or`: octets count for the session of the connection, or of the frame going on.
    fn count_received(&mut self, now: Instant, conn: ConnId, octets: usize) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let ongoing = connection.frame.as_ref().and_then(|f| f.session);
        let session = ongoing.or_else(|| connection.sessions.last().copied());
        if let Some(session) = session.and_then(|s| self.session_at(s)) {
            let entry = &mut self.sessions[session.index as usize];
            entry.statistics.octets_received += octets as u64;
            entry.heard_at = now;
        }
    }

    fn hand_over(&mut self, conn: ConnId, to: ShardIndex) {
        let Some(mut connection) = self.remove_connection(conn) else {
            return;
        };
        if let Some(timer) = connection.probation.take() {
            self.timers.cancel(timer);
        }
        let octets = connection.prelude.take().unwrap_or_default();
        self.outputs
            .push_back(Output::Handover { conn, to, octets });
    }
}
