//! What arrives on one connection, cut into frames and checked octet by octet.
//!
//! ```text
//! between two frames:  does a frame begin like one already parsed? compare it with that form,
//!                      its varying places (ids, body) with what they must be -> a whole message
//! else:                the deframer of the msrp crate, piece by piece; a frame that was whole and
//!                      ours becomes a form
//! ```
//!
//! A form is not trusted more than a parse: all octets but the transaction id's are compared with
//! ones that were parsed, and the two places of that id with each other.

use msrp::{Body, Deframer, FailureReport, Fatal, Flag, Head, Item, Method, Start};

use crate::limits::FORMS_MAX;
use crate::pattern::{ID_CHARS, MessageId, Pattern};
use crate::plan::Transport;

/// Something that arrived.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// A chunk begins.
    Chunk(Chunk),
    /// Body octets of it, and whether they are the right ones.
    Body { octets: usize, is_right: bool },
    /// It ended.
    End(End<'a>),
    /// A request without body that wants no more than an answer.
    Empty(Answer<'a>),
    /// An answer to a request of ours.
    Response { transaction_id: &'a [u8], code: u16 },
    /// A REPORT.
    Report { code: u16 },
    /// Nothing that should arrive.
    Strange(&'static str),
}

/// Which octets of which message, for which session of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) leg: Option<u32>,
    pub(crate) id: MessageId,
    pub(crate) offset: u64,
}

#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) chunk: Chunk,
    /// Its body octets.
    pub(crate) octets: u64,
    pub(crate) flag: Flag,
    /// Nothing was told of it before.
    pub(crate) is_whole: bool,
    pub(crate) answer: Option<Answer<'a>>,
}

/// What a response repeats.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) transaction_id: &'a [u8],
    pub(crate) to_path: &'a [u8],
    pub(crate) leg: Option<u32>,
}

/// One connection's incoming octets.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    deframer: Deframer,
    frame: Frame,
    forms: Vec<Form>,
    /// The form that fitted last.
    likely: usize,
    /// For the answer to the frame being parsed.
    transaction_id: Vec<u8>,
    from: Vec<u8>,
    wants_answer: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Frame {
    #[default]
    None,
    Chunk {
        chunk: Chunk,
        octets: u64,
    },
    Empty,
    Other,
}

/// A frame that was parsed, and where it varies.
#[derive(Debug)]
struct Form {
    leg: Option<u32>,
    frame: Vec<u8>,
    transaction_id_len: usize,
    id_at: usize,
    body_at: usize,
    body_len: usize,
    from: Option<Vec<u8>>,
}

const START: &[u8] = b"MSRP ";
const END: &[u8] = b"\r\n-------";
const MESSAGE_ID: &[u8] = b"\r\nMessage-ID: ";

impl Reader {
    /// Takes octets in the order of arrival.
    pub(crate) fn feed(
        &mut self,
        octets: &[u8],
        pattern: &Pattern,
        mut see: impl FnMut(Seen<'_>),
    ) -> Result<(), Fatal> {
        let mut at = 0;
        while at < octets.len() {
            let rest = &octets[at..];
            if self.frame == Frame::None
                && self.deframer.is_idle()
                && let Some(len) = self.recognise(rest, pattern, &mut see)
            {
                at += len;
                continue;
            }
            at += self.parse(rest, pattern, &mut see)?;
        }
        Ok(())
    }

    fn recognise(
        &mut self,
        octets: &[u8],
        pattern: &Pattern,
        see: &mut impl FnMut(Seen<'_>),
    ) -> Option<usize> {
        for turn in 0..self.forms.len() {
            let index = (self.likely + turn) % self.forms.len();
            let form = &self.forms[index];
            let Some(id) = form.fits(octets, pattern) else {
                continue;
            };
            let transaction_id = &octets[START.len()..START.len() + form.transaction_id_len];
            see(Seen::End(End {
                chunk: Chunk {
                    leg: form.leg,
                    id,
                    offset: 0,
                },
                octets: form.body_len as u64,
                flag: Flag::Complete,
                is_whole: true,
                answer: form.from.as_ref().map(|from| Answer {
                    transaction_id,
                    to_path: from,
                    leg: form.leg,
                }),
            }));
            self.likely = index;
            return Some(form.frame.len());
        }
        None
    }

    /// Parses to the end of a frame or of the octets; returns how many were taken.
    fn parse(
        &mut self,
        octets: &[u8],
        pattern: &Pattern,
        see: &mut impl FnMut(Seen<'_>),
    ) -> Result<usize, Fatal> {
        let mut at = 0;
        let mut body_at = None;
        loop {
            let rest = &octets[at..];
            let step = self.deframer.next(rest)?;
            at += step.consumed;
            let piece = match step.item {
                None => return Ok(octets.len()),
                Some(Item::Head(head)) => {
                    self.wants_answer = head.failure_report == FailureReport::Yes;
                    replace(&mut self.transaction_id, head.transaction_id);
                    replace(&mut self.from, head.leftmost_from().unwrap_or_default());
                    self.frame = begin(&head, see);
                    body_at = octets.starts_with(START).then_some(at);
                    continue;
                }
                Some(Item::End(flag)) => {
                    if let Some(body_at) = body_at
                        && flag == Flag::Complete
                    {
                        self.learn(&octets[..at], body_at);
                    }
                    self.end(flag, see);
                    return Ok(at);
                }
                Some(Item::Body(Body::Input(range))) => &rest[range],
                Some(Item::Body(Body::Held(held))) => held,
            };
            if let Frame::Chunk { chunk, octets } = &mut self.frame {
                let is_right = pattern.is_at(chunk.id, chunk.offset + *octets, piece);
                *octets += piece.len() as u64;
                see(Seen::Body {
                    octets: piece.len(),
                    is_right,
                });
            }
        }
    }

    fn end(&mut self, flag: Flag, see: &mut impl FnMut(Seen<'_>)) {
        let frame = core::mem::take(&mut self.frame);
        let answer = |leg| Answer {
            transaction_id: &self.transaction_id,
            to_path: &self.from,
            leg,
        };
        match frame {
            Frame::Chunk { chunk, octets } => see(Seen::End(End {
                chunk,
                octets,
                flag,
                is_whole: false,
                answer: self.wants_answer.then(|| answer(chunk.leg)),
            })),
            Frame::Empty => see(Seen::Empty(answer(None))),
            Frame::None | Frame::Other => {}
        }
    }

    /// Makes a form of a message that was whole: the next one will look alike.
    fn learn(&mut self, frame: &[u8], body_at: usize) {
        let Frame::Chunk { chunk, octets } = self.frame else {
            return;
        };
        let transaction_id_len = self.transaction_id.len();
        let tail = END.len() + transaction_id_len + b"$\r\n".len();
        let Ok(body_len) = usize::try_from(octets) else {
            return;
        };
        let is_whole = chunk.offset == 0 && body_at + body_len + tail == frame.len();
        let id_at = frame[..body_at]
            .windows(MESSAGE_ID.len())
            .position(|window| window == MESSAGE_ID);
        if let (true, Some(found)) = (is_whole, id_at) {
            let form = Form {
                leg: chunk.leg,
                frame: frame.to_vec(),
                transaction_id_len,
                id_at: found + MESSAGE_ID.len(),
                body_at,
                body_len,
                from: self.wants_answer.then(|| self.from.clone()),
            };
            self.likely = self.forms.len() % FORMS_MAX;
            if self.forms.len() < FORMS_MAX {
                self.forms.push(form);
            } else {
                self.forms[self.likely] = form;
            }
        }
    }
}

impl Form {
    /// The message that `octets` begin with, if they begin with one of this form.
    fn fits(&self, octets: &[u8], pattern: &Pattern) -> Option<MessageId> {
        let frame = &self.frame[..];
        let octets = octets.get(..frame.len())?;
        let after_tid = START.len() + self.transaction_id_len;
        let body_end = self.body_at + self.body_len;
        let tid_again = body_end + END.len();
        let tail = tid_again + self.transaction_id_len;
        let is_same = |from: usize, to: usize| octets[from..to] == frame[from..to];
        if !is_same(0, START.len())
            || !is_same(after_tid, self.id_at)
            || !is_same(self.id_at + ID_CHARS, self.body_at)
            || !is_same(body_end, tid_again)
            || !is_same(tail, frame.len())
            || octets[START.len()..after_tid] != octets[tid_again..tail]
        {
            return None;
        }
        let id = MessageId::parse(&octets[self.id_at..self.id_at + ID_CHARS])?;
        pattern
            .is_at(id, 0, &octets[self.body_at..body_end])
            .then_some(id)
    }
}

/// What a head begins.
fn begin(head: &Head<'_>, see: &mut impl FnMut(Seen<'_>)) -> Frame {
    match head.start {
        Start::Response { status, .. } => {
            see(Seen::Response {
                transaction_id: head.transaction_id,
                code: status.as_u16(),
            });
            Frame::Other
        }
        Start::Request(Method::Report) => {
            let code = head.status.map_or(0, |status| status.code.as_u16());
            see(Seen::Report { code });
            Frame::Other
        }
        Start::Request(Method::Send) if head.content_type.is_none() => Frame::Empty,
        Start::Request(Method::Send) => {
            let Some(id) = head.message_id.and_then(MessageId::parse) else {
                see(Seen::Strange("a message that nobody of this run sent"));
                return Frame::Other;
            };
            let chunk = Chunk {
                leg: head.to_uris().last().and_then(leg_of),
                id,
                offset: head.byte_range.map_or(0, |range| range.offset()),
            };
            see(Seen::Chunk(chunk));
            Frame::Chunk { chunk, octets: 0 }
        }
        Start::Request(Method::Auth | Method::Nickname | Method::Unknown(_)) => {
            see(Seen::Strange("a request that is neither SEND nor REPORT"));
            Frame::Other
        }
    }
}

fn replace(kept: &mut Vec<u8>, octets: &[u8]) {
    kept.clear();
    kept.extend_from_slice(octets);
}

/// The URI of a session of ours, at the far end's view of our address.
pub(crate) fn own_path(transport: Transport, address: &str, leg: u32) -> String {
    transport.uri(address, &format!("{LEG_MARK}{leg:08x}"))
}

const LEG_MARK: &str = "load";

/// The session that a URI of [`own_path`] names.
fn leg_of(uri: &[u8]) -> Option<u32> {
    let id = msrp::session_id_of(uri)?;
    let digits = id.strip_prefix(LEG_MARK.as_bytes())?;
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tid: &str, id: MessageId, body: &[u8]) -> Vec<u8> {
        let text = format!(
            "MSRP {tid} SEND\r\nTo-Path: {}\r\nFrom-Path: msrp://h:1/s;tcp\r\nMessage-ID: {}\r\n\
             Byte-Range: 1-{n}/{n}\r\nContent-Type: text/plain\r\n\r\n{}\r\n-------{tid}$\r\n",
            own_path(Transport::Tcp, "127.0.0.1:9", 7),
            str::from_utf8(&id.write()).unwrap(),
            str::from_utf8(body).unwrap(),
            n = body.len(),
        );
        text.into_bytes()
    }

    fn id(serial: u64) -> MessageId {
        MessageId { sender: 1, serial }
    }

    fn summary(reader: &mut Reader, octets: &[u8], pattern: &Pattern) -> Vec<String> {
        let mut all = Vec::new();
        reader
            .feed(octets, pattern, |seen| match seen {
                Seen::End(end) => {
                    assert_eq!(end.chunk.leg, Some(7));
                    assert_eq!(end.answer.unwrap().to_path, b"msrp://h:1/s;tcp");
                    all.push(format!("{} {}", end.chunk.id.serial, end.octets));
                }
                Seen::Body { is_right, .. } if !is_right => all.push("wrong".to_owned()),
                Seen::Chunk(_) | Seen::Body { .. } => {}
                Seen::Empty(_) | Seen::Response { .. } | Seen::Report { .. } => {}
                Seen::Strange(what) => all.push(what.to_owned()),
            })
            .unwrap();
        all
    }

    #[test]
    fn forms_and_parses_tell_the_same_at_every_cut() {
        let pattern = Pattern::new();
        let stream: Vec<u8> = (0..6)
            .flat_map(|n| frame(&format!("tid{n}"), id(n), pattern.piece(id(n), 0, 50)))
            .collect();
        let expected: Vec<_> = (0..6).map(|n| format!("{n} 50")).collect();
        for cut in 0..stream.len() {
            let mut reader = Reader::default();
            let mut seen = summary(&mut reader, &stream[..cut], &pattern);
            seen.extend(summary(&mut reader, &stream[cut..], &pattern));
            assert_eq!(seen, expected, "cut at {cut}");
        }
        let mut reader = Reader::default();
        summary(&mut reader, &stream, &pattern);
        assert_eq!(reader.forms.len(), 1);
    }

    #[test]
    fn what_differs_from_the_form_is_parsed_and_found_wrong() {
        let pattern = Pattern::new();
        let mut reader = Reader::default();
        let good = frame("tid0", id(0), pattern.piece(id(0), 0, 50));
        assert_eq!(summary(&mut reader, &good, &pattern), ["0 50"]);
        let wrong = frame("tid1", id(1), pattern.piece(id(2), 0, 50));
        assert_eq!(summary(&mut reader, &wrong, &pattern), ["wrong", "1 50"]);
    }
}
