//! One sender's outgoing messages: which are due, and their octets.

use clock::Instant;
use msrp::FailureReport;
use reactor::Octets;
use switch::Batch;

use crate::limits::{
    BATCH_BYTES, COPY_BYTES_MAX, WINDOW_BYTES, WINDOW_MESSAGES_MAX, WINDOW_MESSAGES_MIN,
};
use crate::pattern::{ID_CHARS, MessageId, PIECE_MAX, Pattern, start};
use crate::plan::Plan;

/// See the module.
///
/// **Invariant:** `written ≤ due ≤ last`; a partly written message is number `written`.
#[derive(Debug)]
pub(crate) struct Sender {
    id: u32,
    pub(crate) leg: u32,
    form: Form,
    /// Messages whose time has come.
    pub(crate) due: u64,
    /// Messages wholly written.
    pub(crate) written: u64,
    /// Messages to send in all.
    pub(crate) last: u64,
    /// Body octets written of message number `written`.
    partial: Option<u64>,
    /// Deliveries of its messages, to all recipients.
    pub(crate) delivered: u64,
    /// When recent messages were written, by serial; empty where the schedule says it.
    written_at: Box<[Instant]>,
}

/// The octets of a frame around its body.
#[derive(Debug)]
struct Form {
    head: Vec<u8>,
    message_id_at: usize,
    tail: Vec<u8>,
    body: u64,
}

const TAIL_START: &[u8] = b"\r\n-------";

impl Form {
    fn new(to: &[u8], from: &[u8], body: u64, failure_report: FailureReport) -> Self {
        let blank = [b'0'; ID_CHARS];
        let mut head = Vec::new();
        msrp::SendHead::new(&blank, to, from, &blank)
            .byte_range(range(body))
            .failure_report(failure_report)
            .content_type(b"text/plain")
            .write(&mut head);
        let mark = b"\r\nMessage-ID: ";
        let found = head
            .windows(mark.len())
            .position(|window| window == mark)
            .expect("every SEND has a Message-ID");
        let mut tail = Vec::new();
        msrp::write::body_end_line(&mut tail, &blank, msrp::Flag::Complete);
        Self {
            message_id_at: found + mark.len(),
            head,
            tail,
            body,
        }
    }

    fn octet_count(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.body
    }

    fn write_head(&self, out: &mut Vec<u8>, id: &[u8; ID_CHARS]) {
        let at = out.len();
        out.extend_from_slice(&self.head);
        for place in [b"MSRP ".len(), self.message_id_at] {
            out[at + place..at + place + ID_CHARS].copy_from_slice(id);
        }
    }

    fn write_tail(&self, out: &mut Vec<u8>, id: &[u8; ID_CHARS]) {
        let at = out.len() + TAIL_START.len();
        out.extend_from_slice(&self.tail);
        out[at..at + ID_CHARS].copy_from_slice(id);
    }
}

/// Octets of a frame of this plan, with these paths.
pub(crate) fn frame_bytes(to: &[u8], from: &[u8], plan: &Plan) -> u64 {
    Form::new(to, from, plan.size, plan.failure_report).octet_count()
}

/// Only a short chunk may say where it ends (RFC 4975 section 7.1.1).
fn range(body: u64) -> msrp::ByteRange {
    let end = (body <= COPY_BYTES_MAX as u64).then_some(body);
    msrp::ByteRange::new(0, end, Some(body)).expect("the end is the total")
}

/// What a sender is made from.
pub(crate) struct SenderConfig<'a> {
    pub(crate) id: u32,
    pub(crate) leg: u32,
    pub(crate) to: &'a [u8],
    pub(crate) from: &'a [u8],
    pub(crate) body: u64,
    pub(crate) failure_report: FailureReport,
    pub(crate) last: u64,
    /// Whether there is no schedule, so that the times of writing are kept.
    pub(crate) is_unscheduled: bool,
}

impl Sender {
    pub(crate) fn new(config: &SenderConfig<'_>) -> Self {
        let form = Form::new(config.to, config.from, config.body, config.failure_report);
        let mut sender = Self {
            id: config.id,
            leg: config.leg,
            form,
            due: 0,
            written: 0,
            last: config.last,
            partial: None,
            delivered: 0,
            written_at: Box::default(),
        };
        if config.is_unscheduled {
            let count = (2 * sender.window()).next_power_of_two();
            let count = usize::try_from(count).expect("at most twice the largest window");
            sender.written_at = vec![Instant::ZERO; count].into();
        }
        sender
    }

    /// Without a schedule: messages that may be on their way at once.
    pub(crate) fn window(&self) -> u64 {
        (WINDOW_BYTES / self.form.octet_count()).clamp(WINDOW_MESSAGES_MIN, WINDOW_MESSAGES_MAX)
    }

    /// Without a schedule: when a message was written, if that is still known.
    pub(crate) fn written_at(&self, serial: u64) -> Option<Instant> {
        let is_known =
            serial <= self.written && serial + self.written_at.len() as u64 > self.written;
        is_known.then(|| self.written_at[self.place(serial)])
    }

    /// Messages begun.
    pub(crate) fn begun(&self) -> u64 {
        self.written + u64::from(self.partial.is_some())
    }

    /// Messages whose time has come and that are not wholly written.
    pub(crate) fn unsent(&self) -> u64 {
        self.due - self.written
    }

    /// Nothing further begins but what was due: by the schedule, or begun already.
    pub(crate) fn stop(&mut self, is_scheduled: bool) {
        if !is_scheduled {
            self.due = self.begun();
        }
        self.last = self.due;
    }

    /// Writes what is due, up to a batch.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        shared: &Octets,
        batch: &mut Batch<Octets>,
    ) {
        while self.written < self.due && batch.octet_count() < BATCH_BYTES {
            let message = MessageId {
                sender: self.id,
                serial: self.written,
            };
            let id = message.write();
            let mut offset = self.partial.unwrap_or_else(|| {
                if !self.written_at.is_empty() {
                    let place = self.place(self.written);
                    self.written_at[place] = now;
                }
                0
            });
            if self.partial.is_none() {
                batch.write(|out| self.form.write_head(out, &id));
            }
            while offset < self.form.body && batch.octet_count() < BATCH_BYTES {
                let left = usize::try_from(self.form.body - offset).unwrap_or(PIECE_MAX);
                let len = left.min(PIECE_MAX);
                if len <= COPY_BYTES_MAX {
                    batch.push_copied(pattern.piece(message, offset, len));
                } else {
                    let at = start(message, offset);
                    batch.push(shared, at..at + len);
                }
                offset += len as u64;
            }
            if offset < self.form.body {
                self.partial = Some(offset);
                return;
            }
            batch.write(|out| self.form.write_tail(out, &id));
            batch.end_message();
            self.partial = None;
            self.written += 1;
        }
    }

    fn place(&self, serial: u64) -> usize {
        usize::try_from(serial % self.written_at.len() as u64).expect("below a length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{Reader, Seen};

    fn frames(body: u64, count: u64) -> Vec<u8> {
        let mut sender = Sender::new(&SenderConfig {
            id: 9,
            leg: 0,
            to: b"msrp://h:1/s;tcp",
            from: b"msrp://p:1/q;tcp",
            body,
            failure_report: FailureReport::No,
            last: count,
            is_unscheduled: true,
        });
        let pattern = Pattern::new();
        let shared = Octets::from(pattern.octets().to_vec());
        sender.due = count;
        let mut all = Vec::new();
        while sender.written < sender.due {
            let mut batch = Batch::default();
            sender.write(Instant::from_nanos(7), &pattern, &shared, &mut batch);
            batch
                .slices()
                .for_each(|slice| all.extend_from_slice(slice));
        }
        assert_eq!(sender.written, count);
        assert_eq!(all.len() as u64, count * sender.form.octet_count());
        assert_eq!(sender.written_at(count - 1), Some(Instant::from_nanos(7)));
        all
    }

    #[test]
    fn what_is_written_reads_back_at_every_size() {
        for body in [1, 100, 2_048, 2_049, 65_536, 65_537, 300_000] {
            let octets = frames(body, 3);
            let mut reader = Reader::default();
            let mut ends = Vec::new();
            let see = |seen: Seen<'_>| match seen {
                Seen::End(end) => {
                    assert_eq!(end.octets, body);
                    ends.push(end.chunk.id.serial);
                }
                Seen::Body { is_right, .. } => assert!(is_right),
                Seen::Chunk(_) => {}
                Seen::Empty(_) | Seen::Response { .. } | Seen::Report { .. } | Seen::Strange(_) => {
                    panic!("{seen:?}")
                }
            };
            reader.feed(&octets, &Pattern::new(), see).unwrap();
            assert_eq!(ends, [0, 1, 2], "{body}");
        }
    }
}
