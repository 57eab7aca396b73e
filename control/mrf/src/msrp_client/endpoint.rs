//! The endpoint without I/O: octets and randomness in, octets and events out.

use std::collections::{HashMap, VecDeque};

use msrp::reassembly::MessageBuffer;
use msrp::{
    Body, ByteRange, Deframer, FailureReport, Fatal, Flag, Head, InlineIdent, Item, Limits, Method,
    SendHead, Start, StatusCode,
};

use crate::limits::{CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGES_OPEN_MAX, UNANSWERED_CHUNKS_MAX};

/// The two ends of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Our URI.
    pub local: String,
    /// The peer's `a=path`, octet for octet.
    pub remote: String,
}

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Media type; absent for a SEND without body, which only binds the connection.
    pub content_type: Option<String>,
    /// The octets.
    pub body: Vec<u8>,
    /// Message-ID; made up if absent.
    pub message_id: Option<String>,
    /// Transaction id of the first chunk; made up if absent.
    pub transaction_id: Option<String>,
}

/// A nickname to ask for (RFC 7701 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname {
    /// What others are to see; empty to give it back.
    pub name: String,
    /// Names the answer, which comes as [`Event::Answered`].
    pub message_id: String,
}

/// A whole message received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its Message-ID.
    pub id: String,
    /// Its media type; empty without a body.
    pub content_type: String,
    /// Its octets.
    pub body: Vec<u8>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message is whole. SENDs without body are not told.
    Message(Message),
    /// A chunk of ours was answered.
    Answered {
        /// The message.
        message_id: String,
        /// Whether the chunk was the message's last.
        is_last: bool,
        /// The outcome.
        status: StatusCode,
        /// The peer's words.
        comment: String,
    },
    /// A REPORT about a message of ours.
    Reported {
        /// The message.
        message_id: String,
        /// Its fate.
        status: StatusCode,
    },
    /// A whole frame came (only with a trace).
    Received(Vec<u8>),
    /// A whole frame was made (only with a trace).
    Sent(Vec<u8>),
    /// The connection is gone; the text says why.
    Closed(String),
}

/// Fresh randomness for identifiers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    transaction: u64,
    message: [u64; 2],
}

impl Ids {
    pub(super) const fn new(transaction: u64, message: [u64; 2]) -> Self {
        Self {
            transaction,
            message,
        }
    }
}

/// A SEND or another frame being received.
#[derive(Debug)]
struct Frame {
    transaction_id: Vec<u8>,
    kind: Kind,
    previous_hop: Vec<u8>,
    whole_from_path: Vec<u8>,
    /// Why it is refused, if so.
    refusal: Option<StatusCode>,
    failure_report: FailureReport,
}

#[derive(Debug)]
enum Kind {
    Send(Chunk),
    Report(String, StatusCode),
    Response(StatusCode, String),
    Other,
}

/// The chunk that a SEND carries.
#[derive(Debug)]
struct Chunk {
    message_id: String,
    content_type: String,
    wants_report: bool,
    /// Where its next octet belongs.
    next: u64,
}

/// A message that is not whole yet.
#[derive(Debug)]
struct Partial {
    id: String,
    buffer: MessageBuffer,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    paths: Paths,
    trace: bool,
    deframer: Deframer,
    frame: Option<Frame>,
    /// Octets of the frame so far, with a trace only.
    octets: Vec<u8>,
    open: VecDeque<Partial>,
    unanswered: HashMap<Vec<u8>, (String, bool)>,
    out: Vec<u8>,
    events: Vec<Event>,
}

impl Endpoint {
    pub(super) fn new(paths: Paths, trace: bool) -> Self {
        Self {
            paths,
            trace,
            deframer: Deframer::new(Limits::default()),
            frame: None,
            octets: Vec::new(),
            open: VecDeque::new(),
            unanswered: HashMap::new(),
            out: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// Writes a message as chunks of at most [`CHUNK_BYTES_MAX`] octets.
    pub(super) fn send(&mut self, message: Outgoing, ids: &Ids) {
        let made_up = msrp::message_id(ids.message);
        let message_id = message
            .message_id
            .unwrap_or_else(|| lossy(made_up.as_bytes()));
        let total = message.body.len() as u64;
        let mut offset = 0;
        let mut chunks = message.body.chunks(CHUNK_BYTES_MAX).peekable();
        let mut serial = 0;
        loop {
            let piece = chunks.next().unwrap_or_default();
            let is_last = chunks.peek().is_none();
            let given = message.transaction_id.as_deref().filter(|_| serial == 0);
            let id = transaction_id(given, ids, &mut serial, piece);
            let end = offset + piece.len() as u64;
            let range = ByteRange::new(offset, Some(end), Some(total))
                .expect("offset ≤ end ≤ total, and memory is smaller than 64 bits");
            let start = self.out.len();
            let content_type = message.content_type.as_deref();
            self.write_chunk(
                id.as_bytes(),
                &message_id,
                range,
                content_type,
                piece,
                is_last,
            );
            self.trace_sent(start);
            // A peer that answers nothing must not make us keep everything.
            if self.unanswered.len() < UNANSWERED_CHUNKS_MAX {
                let answer = (message_id.clone(), is_last);
                self.unanswered.insert(id.as_bytes().to_vec(), answer);
            }
            offset = end;
            if is_last {
                return;
            }
        }
    }

    /// Asks for a nickname.
    pub(super) fn ask_nickname(&mut self, asked: Nickname, ids: &Ids) {
        let start = self.out.len();
        let id = msrp::transact_id(ids.transaction, 0);
        let (to, from) = (self.paths.remote.as_bytes(), self.paths.local.as_bytes());
        msrp::write::request_start(&mut self.out, id.as_bytes(), b"NICKNAME", to, from);
        let name = asked.name.replace(['"', '\\', '\r', '\n'], "");
        self.out
            .extend_from_slice(format!("Use-Nickname: \"{name}\"\r\n").as_bytes());
        msrp::write::end_line(&mut self.out, id.as_bytes(), Flag::Complete);
        self.trace_sent(start);
        if self.unanswered.len() < UNANSWERED_CHUNKS_MAX {
            let answer = (asked.message_id, true);
            self.unanswered.insert(id.as_bytes().to_vec(), answer);
        }
    }

    fn write_chunk(
        &mut self,
        id: &[u8],
        message_id: &str,
        range: ByteRange,
        content_type: Option<&str>,
        piece: &[u8],
        is_last: bool,
    ) {
        let flag = if is_last { Flag::Complete } else { Flag::More };
        let (to, from) = (self.paths.remote.as_bytes(), self.paths.local.as_bytes());
        let head = SendHead::new(id, to, from, message_id.as_bytes()).byte_range(range);
        match content_type {
            Some(media_type) => {
                head.content_type(media_type.as_bytes())
                    .write(&mut self.out);
                self.out.extend_from_slice(piece);
                msrp::write::body_end_line(&mut self.out, id, flag);
            }
            None => {
                head.write(&mut self.out);
                msrp::write::end_line(&mut self.out, id, flag);
            }
        }
    }

    /// Takes octets as they come.
    ///
    /// # Errors
    ///
    /// When framing is lost; close the connection.
    pub(super) fn handle_received(&mut self, input: &[u8], ids: &Ids) -> Result<(), Fatal> {
        let mut deframer = core::mem::take(&mut self.deframer);
        let result = self.take_steps(&mut deframer, input, ids);
        self.deframer = deframer;
        result
    }

    fn take_steps(&mut self, from: &mut Deframer, input: &[u8], ids: &Ids) -> Result<(), Fatal> {
        let mut rest = input;
        loop {
            let step = from.next(rest)?;
            let used = &rest[..step.consumed];
            let is_done = step.item.is_none();
            if self.trace && self.octets.len() < MESSAGE_BYTES_MAX {
                self.octets.extend_from_slice(used);
            }
            match step.item {
                None => {}
                Some(Item::Head(head)) => self.frame = Some(self.begin(&head)),
                Some(Item::Body(Body::Input(range))) => self.body(&rest[range]),
                Some(Item::Body(Body::Held(octets))) => self.body(octets),
                Some(Item::End(flag)) => self.end(flag, ids),
            }
            if is_done {
                return Ok(());
            }
            rest = &rest[step.consumed..];
        }
    }

    fn begin(&self, head: &Head<'_>) -> Frame {
        let mut refusal = head.fault.map(|fault| fault.status());
        let is_ours = head
            .to_uris()
            .next()
            .and_then(msrp::session_id_of)
            .is_some_and(|id| Some(id) == msrp::session_id_of(self.paths.local.as_bytes()));
        if !is_ours {
            refusal = refusal.or(Some(StatusCode::NO_SUCH_SESSION));
        }
        let kind = match head.start {
            Start::Request(Method::Send) => Kind::Send(Chunk {
                message_id: lossy(head.message_id.unwrap_or_default()),
                content_type: lossy(head.content_type.unwrap_or_default()),
                wants_report: head.success_report,
                next: head.byte_range.map_or(0, |range| range.offset()),
            }),
            Start::Request(Method::Report) => match head.status {
                Some(status) => {
                    Kind::Report(lossy(head.message_id.unwrap_or_default()), status.code)
                }
                None => Kind::Other,
            },
            Start::Request(Method::Auth | Method::Nickname | Method::Unknown(_)) => {
                refusal = refusal.or(Some(StatusCode::UNKNOWN_METHOD));
                Kind::Other
            }
            Start::Response { status, comment } => Kind::Response(status, lossy(comment)),
        };
        Frame {
            transaction_id: head.transaction_id.to_vec(),
            kind,
            previous_hop: head.leftmost_from().unwrap_or_default().to_vec(),
            whole_from_path: head.from_path.to_vec(),
            refusal,
            failure_report: head.failure_report,
        }
    }

    fn body(&mut self, octets: &[u8]) {
        let Some(frame) = &mut self.frame else { return };
        let Kind::Send(chunk) = &mut frame.kind else {
            return;
        };
        if frame.refusal.is_some() {
            return;
        }
        let buffer = open_buffer(&mut self.open, &chunk.message_id);
        match buffer.add(chunk.next, octets) {
            Ok(_) => chunk.next += octets.len() as u64,
            Err(_) => frame.refusal = Some(StatusCode::STOP_SENDING),
        }
    }

    fn end(&mut self, flag: Flag, ids: &Ids) {
        if self.trace {
            let octets = core::mem::take(&mut self.octets);
            self.events.push(Event::Received(octets));
        }
        let Some(frame) = self.frame.take() else {
            return;
        };
        match &frame.kind {
            Kind::Send(chunk) => self.end_send(&frame, chunk, flag, ids),
            Kind::Report(message_id, status) => self.events.push(Event::Reported {
                message_id: message_id.clone(),
                status: *status,
            }),
            Kind::Response(status, comment) => {
                if let Some((message_id, is_last)) = self.unanswered.remove(&frame.transaction_id) {
                    self.events.push(Event::Answered {
                        message_id,
                        is_last,
                        status: *status,
                        comment: comment.clone(),
                    });
                }
            }
            Kind::Other => {
                let status = frame.refusal.unwrap_or(StatusCode::BAD_REQUEST);
                self.respond(&frame.transaction_id, status, &frame.whole_from_path);
            }
        }
    }

    fn end_send(&mut self, frame: &Frame, chunk: &Chunk, flag: Flag, ids: &Ids) {
        let is_told = match frame.failure_report {
            FailureReport::Yes => true,
            FailureReport::Partial => frame.refusal.is_some(),
            FailureReport::No => false,
        };
        if is_told {
            let status = frame.refusal.unwrap_or(StatusCode::OK);
            self.respond(&frame.transaction_id, status, &frame.previous_hop);
        }
        let at = self.open.iter().position(|p| p.id == chunk.message_id);
        if frame.refusal.is_some() || flag == Flag::Abort {
            if let Some(at) = at {
                self.open.remove(at);
            }
            return;
        }
        let Some(at) = at else { return };
        if flag == Flag::Complete {
            self.open[at].buffer.set_total(chunk.next);
        }
        let Some(body) = self.open[at].buffer.message().map(<[u8]>::to_vec) else {
            return;
        };
        self.open.remove(at);
        if chunk.wants_report {
            self.report(chunk, body.len() as u64, frame, ids);
        }
        self.events.push(Event::Message(Message {
            id: chunk.message_id.clone(),
            content_type: chunk.content_type.clone(),
            body,
        }));
    }

    fn respond(&mut self, transaction_id: &[u8], status: StatusCode, to: &[u8]) {
        if to.is_empty() {
            return;
        }
        let start = self.out.len();
        let from = self.paths.local.as_bytes();
        msrp::write::response(&mut self.out, transaction_id, status, to, from);
        self.trace_sent(start);
    }

    fn report(&mut self, chunk: &Chunk, octets: u64, frame: &Frame, ids: &Ids) {
        let start = self.out.len();
        let id = msrp::transact_id(ids.transaction, 1);
        msrp::write::report(
            &mut self.out,
            id.as_bytes(),
            &frame.whole_from_path,
            self.paths.local.as_bytes(),
            chunk.message_id.as_bytes(),
            ByteRange::whole(octets),
            StatusCode::OK,
        );
        self.trace_sent(start);
    }

    fn trace_sent(&mut self, start: usize) {
        if self.trace {
            self.events.push(Event::Sent(self.out[start..].to_vec()));
        }
    }
}

/// The buffer of a message; the oldest open message makes room for a new one.
fn open_buffer<'a>(open: &'a mut VecDeque<Partial>, id: &str) -> &'a mut MessageBuffer {
    let at = open.iter().position(|partial| partial.id == id);
    let at = at.unwrap_or_else(|| {
        if open.len() >= MESSAGES_OPEN_MAX {
            open.pop_front();
        }
        open.push_back(Partial {
            id: id.to_owned(),
            buffer: MessageBuffer::new(MESSAGE_BYTES_MAX),
        });
        open.len() - 1
    });
    &mut open[at].buffer
}

/// A transaction id whose end-line does not occur in the chunk (RFC 4975 section 7.1).
fn transaction_id(given: Option<&str>, ids: &Ids, serial: &mut u64, piece: &[u8]) -> InlineIdent {
    let mut candidate = given.and_then(|id| InlineIdent::new(id.as_bytes()));
    loop {
        let id = candidate
            .take()
            .unwrap_or_else(|| msrp::transact_id(ids.transaction, *serial));
        // Each round changes the id, and a chunk has room for few end-lines: this ends.
        *serial += 1;
        if msrp::find_end_line_token(piece, id.as_bytes()).is_none() {
            return id;
        }
    }
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
