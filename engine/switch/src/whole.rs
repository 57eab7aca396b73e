//! Messages that come whole and of which nothing is heard afterwards: short, in one chunk that is all there, bare,
//! and with `Failure-Report: no` and no success report. Nothing about them has to be remembered, so
//! they are no [`Message`](crate::message::Message): each becomes a letter at once (see `supply`). What a sender
//! has sent of them in one buffer is lined up for each recipient together:
//!
//! ```text
//! octets ─► letter, letter, letter          recipients not touched
//!           └── run ──► due of a, due of b  at the end of the buffer, or before anything else in it
//! ```
//!
//! **Invariant:** nothing but letters of its own is written for anybody while a run goes on.

use clock::Instant;
use msrp::{ByteRange, FailureReport, Flag, Head};

use crate::api::{ConnId, Octets};
use crate::fan_out::{write_message_id, write_other_fields};
use crate::ident::Stem;
use crate::limits::{COPY_BYTES_MAX, FIXED_CHUNK_BYTES_MAX, MESSAGES_MAX};
use crate::pressure::Source;
use crate::session::SessionRef;
use crate::shard::Shard;
use crate::supply::LetterRef;

/// The slot that the transaction ids of such messages name: none has it, for nobody answers.
const NO_SLOT: u32 = crate::ident::SLOT_MAX - 1;

const _: () = assert!(MESSAGES_MAX <= NO_SLOT as usize);
const _: () = assert!(COPY_BYTES_MAX as u64 <= FIXED_CHUNK_BYTES_MAX);

/// Letters of one sender, one behind the other, that its recipients are still to get.
#[derive(Debug)]
pub(crate) struct Run {
    sender: SessionRef,
    first: LetterRef,
    count: usize,
    /// Of the letters, without openings.
    bytes: usize,
    /// Of the bodies.
    octets: u64,
}

impl<B: Octets> Shard<B> {
    /// Takes the message of this head if it is one of those and `input`, what follows the head, holds all of
    /// it. Returns the length of what follows the head then.
    #[inline]
    pub(crate) fn take_whole(
        &mut self,
        now: Instant,
        conn: ConnId,
        run: &mut Option<Run>,
        (head, input): (&Head<'_>, &[u8]),
    ) -> Option<usize> {
        let range = head.byte_range.filter(|range| range.offset() == 0)?;
        let octets = range
            .total()
            .filter(|o| (1..=COPY_BYTES_MAX as u64).contains(o))?;
        let sender = self.sender_of_whole(conn, head, octets)?;
        let count = usize::try_from(octets).expect("at most COPY_BYTES_MAX");
        let bytes = msrp::whole_body(input, head.transaction_id, count)?;
        debug_assert!(self.is_list_good(now, sender, head.content_type.unwrap_or_default()));
        let entry = &mut self.sessions[sender.index as usize];
        entry.heard_at = now;
        entry.statistics.volume_received += octets;
        entry.statistics.messages_received += 1;
        let profile = entry.config.terms.profile;
        let stem = Stem::new(self.random(), NO_SLOT, 0);
        let (letter, letter_bytes) = self.supply.write_letter(stem, Flag::Complete, |out| {
            write_message_id(head, out);
            msrp::write::byte_range(out, ByteRange::whole(octets));
            write_other_fields(head, profile, out);
            out.extend_from_slice(&input[..count]);
            out.extend_from_slice(b"\r\n");
        });
        let run = run.get_or_insert(Run {
            sender,
            first: letter,
            count: 0,
            bytes: 0,
            octets: 0,
        });
        run.count += 1;
        run.bytes += letter_bytes;
        run.octets += octets;
        Some(bytes)
    }

    /// Who sends it, if nothing but its list of recipients is needed for it.
    #[inline]
    fn sender_of_whole(&self, conn: ConnId, head: &Head<'_>, octets: u64) -> Option<SessionRef> {
        let is_silent = head.failure_report == FailureReport::No && !head.success_report;
        if !is_silent || !head.is_send() || !head.has_body || head.fault.is_some() {
            return None;
        }
        let connection = self.conns.get(conn)?;
        let is_new = connection.prelude.is_some() || connection.strays > 0;
        if is_new || connection.via.is_framed {
            return None;
        }
        let sender = self.current_session(conn, head.to_path)?;
        let entry = &self.sessions[sender.index as usize];
        let list = self.lists.find(self.epoch, sender, head.content_type?)?;
        let is_plain = entry.config.receives && !list.is_watched && octets <= list.bytes_max;
        // One of its name may be open.
        (is_plain && entry.open.is_empty() && octets <= self.message_bytes_max(sender))
            .then_some(sender)
    }

    /// Lines a run up for its recipients.
    pub(crate) fn deliver(&mut self, conn: ConnId, run: Option<Run>) {
        let Some(run) = run else { return };
        let Self {
            sessions,
            conns,
            supply,
            dirty,
            turn,
            gauges,
            lists,
            ..
        } = self;
        let limits = &self.config.limits;
        let recipients = lists.recipients(run.sender);
        gauges.add_messages(run.count);
        gauges.add_copies(run.count * recipients.len());
        for (ordinal, &(to, _)) in (0..).zip(recipients) {
            let session = &mut sessions[to.index as usize];
            let connection = session.conn().and_then(|conn| conns.get_mut(conn));
            let Some(connection) = connection.filter(|c| !c.is_closing) else {
                continue;
            };
            let before = connection.tx.queued();
            let opening = session.opening();
            connection.tx.interrupt(supply);
            connection
                .tx
                .push_run(supply, (run.first, run.count, run.bytes), ordinal, &opening);
            let from = Some(Source::Here(conn));
            let octets = turn.note_growth(connection, before, from, limits, dirty);
            let statistics = &mut session.statistics;
            statistics.octets_sent += octets as u64;
            statistics.messages_sent += run.count as u64;
            statistics.volume_sent += run.octets;
        }
    }
}
