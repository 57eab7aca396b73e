//! Cutting a byte stream into frames.
//!
//! ```text
//! next(input):
//!   Head, nothing kept     skip stray CRLFs; scan input for the end of the head
//!                          whole head there: parse it in place -> Head; else keep the octets
//!   Head, octets kept      take input line by line until the kept head is whole -> Head
//!   Look                   blank line seen: is the next thing the end-line? -> Head
//!   Body, nothing held     find hyphens + id in input; end-line -> Body range, then End
//!                          else -> Body range; hold back a tail that may begin an end-line
//!   Body, octets held      join them with input: end-line -> End; still open -> hold on;
//!                          neither -> release them as Body
//!   End                    -> End
//! ```
//!
//! What comes out does not depend on how the stream is cut into inputs, except for where Body
//! pieces begin and end.

use std::ops::Range;

use crate::end_mark::{EndMark, Match};
use crate::habit::Habit;
use crate::head::{Head, HeadFault, Method, Start};
use crate::head_parse::{self, After, Parsing};
use crate::head_scan::{HeadScan, Scanned, Unheard};
use crate::held::Held;
use crate::limits::{END_LINE_BYTES_MAX, Limits, OTHER_BODY_BYTES_MAX};
use crate::usual_response;

/// Finds the frames in the octets of one connection.
///
/// Keeps no heap between frames but what it has learned of heads that came many at once, at most
/// [`HABIT_BYTES_MAX`](crate::limits::HABIT_BYTES_MAX), and none in a body. After an error the connection must be closed
/// and the deframer dropped.
///
/// ```
/// use msrp::{Body, Deframer, Item};
///
/// let mut input: &[u8] = b"MSRP t1t1 SEND\r\nTo-Path: msrp://a:1/x;tcp\r\n\
///     From-Path: msrp://b:2/y;tcp\r\nMessage-ID: m1m1\r\nContent-Type: text/plain\r\n\r\n\
///     hello\r\n-------t1t1$\r\n";
/// let mut deframer = Deframer::default();
/// let mut text = Vec::new();
/// loop {
///     let step = deframer.next(input)?;
///     match step.item {
///         Some(Item::Head(head)) => assert_eq!(head.fault, None),
///         Some(Item::Body(Body::Input(range))) => text.extend_from_slice(&input[range]),
///         Some(Item::Body(Body::Held(octets))) => text.extend_from_slice(octets),
///         Some(Item::End(flag)) => assert_eq!(flag.as_byte(), b'$'),
///         None => break,
///     }
///     input = &input[step.consumed..];
/// }
/// assert_eq!(text, b"hello");
/// # Ok::<(), msrp::Fatal>(())
/// ```
#[derive(Debug, Default)]
pub struct Deframer {
    limits: Limits,
    state: State,
    kind: Kind,
    end_fault: EndFault,
    /// No body octet of this frame has come out yet, so that an end-line here begins a line.
    at_body_start: bool,
    /// So many octets of the input searched last hold no seven hyphens in a row.
    clear_bytes: usize,
    /// See [`Self::is_piece_clear`].
    is_piece_clear: bool,
    /// Body octets so far of a frame that is no SEND.
    other_body_bytes: u32,
    scan: HeadScan,
    mark: EndMark,
    habit: Option<Box<Habit>>,
    held: Held,
    /// A head that came in pieces; empty otherwise.
    head: Vec<u8>,
}

/// One step through the input.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Octets of the input that are done with. May be 0 with an item.
    pub consumed: usize,
    /// What was found. `None`: all of the input is consumed and more is needed.
    pub item: Option<Item<'a>>,
}

/// A part of a frame. Every head is followed by any number of body pieces and exactly one end.
#[expect(
    clippy::large_enum_variant,
    reason = "lives in registers and on the stack only"
)]
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The start line and all header fields.
    Head(Head<'a>),
    /// Some octets of the body; never empty.
    Body(Body<'a>),
    /// The end-line.
    End(Flag),
}

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// This range of the input just passed.
    Input(Range<usize>),
    /// Octets of earlier inputs that might have begun an end-line but did not; at most
    /// [`HELD_BYTES_MAX`](crate::limits::HELD_BYTES_MAX).
    Held(&'a [u8]),
}

/// The continuation flag of an end-line (RFC 4975 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `$`: the last octets of the message.
    Complete,
    /// `+`: more chunks follow.
    More,
    /// `#`: the message is abandoned.
    Abort,
}

impl Flag {
    /// The character on the wire.
    pub fn as_byte(self) -> u8 {
        match self {
            Self::Complete => b'$',
            Self::More => b'+',
            Self::Abort => b'#',
        }
    }

    /// The flag for a character.
    pub fn from_byte(octet: u8) -> Option<Self> {
        match octet {
            b'$' => Some(Self::Complete),
            b'+' => Some(Self::More),
            b'#' => Some(Self::Abort),
            _ => None,
        }
    }
}

/// Why the octets cannot be framed. The peer's fault always; the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The frame does not begin with `MSRP` and a blank.
    #[error("a frame does not begin with \"MSRP \"")]
    NotMsrp,
    /// The start line is neither a request line nor a response line.
    #[error("a start line is neither a request line nor a response line")]
    StartLine,
    /// The transaction id is no ident of 4 to 32 characters.
    #[error("a transaction id is not an ident of 4 to 32 characters")]
    TransactionId,
    /// The start line holds a line feed without carriage return.
    #[error("a start line holds a bare line feed")]
    BareLineFeed,
    /// The start line passes its limit.
    #[error("a start line is longer than {limit_bytes} octets")]
    StartLineTooLong {
        /// [`Limits::start_line_bytes_max`].
        limit_bytes: u32,
    },
    /// The head passes its limit.
    #[error("a head is longer than {limit_bytes} octets")]
    HeadTooLong {
        /// [`Limits::head_bytes_max`].
        limit_bytes: u32,
    },
    /// The header fields pass their limit.
    #[error("a head has more than {limit} fields")]
    TooManyHeaders {
        /// [`Limits::headers_max`].
        limit: u16,
    },
    /// A path passes its limit.
    #[error("a path has more than {limit_uris} URIs")]
    PathTooLong {
        /// [`Limits::path_uris_max`].
        limit_uris: u16,
    },
    /// A complete end-line inside a line of the body (RFC 4975 erratum 4177).
    #[error("a body holds its own end-line inside a line")]
    EmbeddedEndLine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Head,
    /// `head` is whole up to a blank line; `held` is what follows as far as it agrees with the
    /// end-line.
    Look,
    Body,
    /// The end-line is consumed but not told yet.
    End(Flag),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Send,
    OtherRequest,
    Response,
}

impl Kind {
    fn of(start: Start<'_>) -> Self {
        match start {
            Start::Request(Method::Send) => Self::Send,
            Start::Request(_) => Self::OtherRequest,
            Start::Response { .. } => Self::Response,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum EndFault {
    #[default]
    None,
    ResponseFlag,
    OtherFlag,
    OtherBodyTooLarge,
}

type Result<T> = std::result::Result<T, Fatal>;

impl Deframer {
    /// A deframer for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Whether the octets so far end between two frames.
    pub fn is_idle(&self) -> bool {
        self.state == State::Head && self.head.is_empty()
    }

    /// Finds the next part of a frame at the front of `input`.
    ///
    /// Call again with the rest of the input, also when it is empty, until an item of `None` says
    /// that more octets are needed.
    ///
    /// # Errors
    ///
    /// [`Fatal`] when framing is lost; call no more.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Result<Step<'a>> {
        match self.state {
            State::Head if self.head.is_empty() => self.head_in_input(0, input),
            State::Head => self.head_in_pieces(input),
            State::Look => self.look(0, input),
            State::Body => {
                self.drop_head();
                if self.held.is_empty() {
                    self.body_in_input(input)
                } else {
                    self.body_held(input)
                }
            }
            State::End(flag) => Ok(self.finish(0, flag)),
        }
    }

    /// What the end-line showed to be wrong with the frame, right after [`Item::End`]: a flag or a
    /// body size its kind must not have (RFC 4975 section 7.1). Faults known earlier are in
    /// [`Head::fault`].
    pub fn end_fault(&self) -> Option<HeadFault> {
        match self.end_fault {
            EndFault::None => None,
            EndFault::ResponseFlag => Some(HeadFault::ResponseFlag),
            EndFault::OtherFlag => Some(HeadFault::OtherFlag),
            EndFault::OtherBodyTooLarge => Some(HeadFault::OtherBodyTooLarge),
        }
    }

    /// Whether the piece of a body that came out last is known to hold no seven hyphens in a row, and so
    /// nobody's end-line. Asked right after [`Body::Input`]; what is [`Body::Held`] was not searched.
    pub fn is_piece_clear(&self) -> bool {
        self.is_piece_clear
    }

    /// `base` octets of the caller's input are consumed already; `input` is the rest.
    fn head_in_input<'a>(&'a mut self, base: usize, input: &'a [u8]) -> Result<Step<'a>> {
        // Stray CRLFs between frames are outside the grammar but harmless.
        let mut skip = 0;
        while input[skip..].starts_with(b"\r\n") {
            skip += 2;
        }
        let (base, text) = (base + skip, &input[skip..]);
        let habit = self.habit.as_ref();
        if let Some((head, octets)) = habit.and_then(|h| h.read(text, &self.limits)) {
            return Ok(self.head_read(head, base + octets));
        }
        if let Some((head, octets)) = usual_response::read(text, &self.limits) {
            if text.len() > octets {
                self.habit.get_or_insert_default().learn_answer(&head);
            }
            return Ok(self.head_read(head, base + octets));
        }
        self.scan = HeadScan::default();
        let mut parsing = Parsing::new(self.limits.grammar);
        let scanned = match text {
            [] | [b'\r'] => Scanned::More,
            _ => self
                .scan
                .run(text, &mut self.mark, &self.limits, &mut parsing)?,
        };
        match scanned {
            Scanned::More => Ok(self.keep_head(base, text, text.len())),
            Scanned::EndLine {
                head_bytes,
                frame_bytes,
                flag,
            } => {
                let head = &text[..head_bytes];
                self.head_in_place(parsing, head, base + frame_bytes, After::EndLine(flag))
            }
            Scanned::Blank { head_bytes } => {
                let (head, body) = (&text[..head_bytes], head_bytes + 2);
                let rest = &text[body..];
                match self.mark.judge_bare(rest) {
                    Match::No => {
                        let step = self.head_in_place(parsing, head, base + body, After::Body)?;
                        if let Some(Item::Head(head)) = &step.item
                            && is_followed(head, rest)
                        {
                            self.habit.get_or_insert_default().learn_send(head);
                        }
                        Ok(step)
                    }
                    Match::Complete { bytes, flag } => {
                        let after = After::BlankThenEndLine(flag);
                        self.head_in_place(parsing, head, base + body + bytes, after)
                    }
                    Match::Partial => {
                        self.held.push(&text[body..]);
                        self.state = State::Look;
                        Ok(self.keep_head(base, text, head_bytes))
                    }
                }
            }
        }
    }

    /// The head of a SEND that a body follows, or a whole response.
    #[inline]
    fn head_read<'a>(&mut self, head: Head<'a>, consumed: usize) -> Step<'a> {
        if head.has_body {
            self.mark = EndMark::new(head.transaction_id);
            self.start_frame(After::Body);
            self.kind = Kind::Send;
        } else {
            self.start_frame(After::EndLine(Flag::Complete));
            self.kind = Kind::Response;
        }
        Step {
            consumed,
            item: Some(Item::Head(head)),
        }
    }

    /// Takes the frame whose head came out last as read up to its end, which
    /// [`whole_body`](crate::whole_body) has found.
    pub fn pass_frame(&mut self) {
        self.finish(0, Flag::Complete);
    }

    /// Keeps the first `bytes` of `text` for the next input; all of it is consumed.
    fn keep_head(&mut self, base: usize, text: &[u8], bytes: usize) -> Step<'static> {
        self.head.extend_from_slice(&text[..bytes]);
        Step {
            consumed: base + text.len(),
            item: None,
        }
    }

    fn head_in_place<'a>(
        &mut self,
        parsing: Parsing<'a>,
        text: &'a [u8],
        consumed: usize,
        after: After,
    ) -> Result<Step<'a>> {
        self.start_frame(after);
        let head = parsing.into_head(text, after, &self.limits)?;
        self.kind = Kind::of(head.start);
        Ok(Step {
            consumed,
            item: Some(Item::Head(head)),
        })
    }

    fn head_in_pieces<'a>(&'a mut self, input: &'a [u8]) -> Result<Step<'a>> {
        let mut consumed = 0;
        while consumed < input.len() {
            consumed += self.take_line(&input[consumed..]);
            if self.head == b"\r\n" {
                self.drop_head();
                return self.head_in_input(consumed, &input[consumed..]);
            }
            let scan = &mut self.scan;
            match scan.run(&self.head, &mut self.mark, &self.limits, &mut Unheard)? {
                Scanned::More => {}
                Scanned::Blank { head_bytes } => {
                    self.head.truncate(head_bytes);
                    self.state = State::Look;
                    return self.look(consumed, &input[consumed..]);
                }
                Scanned::EndLine {
                    head_bytes, flag, ..
                } => {
                    self.head.truncate(head_bytes);
                    return self.head_kept(consumed, After::EndLine(flag));
                }
            }
        }
        Ok(Step {
            consumed,
            item: None,
        })
    }

    /// Keeps the front of `input` up to its first LF, and not much more than a head may have.
    fn take_line(&mut self, input: &[u8]) -> usize {
        let limit = self
            .limits
            .head_bytes_max
            .max(self.limits.start_line_bytes_max);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // The scan refuses the head before there is no room at all.
        let room = limit
            .saturating_add(2 * END_LINE_BYTES_MAX)
            .saturating_sub(self.head.len());
        let window = &input[..input.len().min(room.max(1))];
        let bytes = memchr::memchr(b'\n', window).map_or(window.len(), |at| at + 1);
        self.head.extend_from_slice(&window[..bytes]);
        bytes
    }

    fn look<'a>(&'a mut self, base: usize, input: &'a [u8]) -> Result<Step<'a>> {
        let joined = self.held.join(input);
        match self.mark.judge_bare(joined.octets()) {
            Match::Partial => {
                self.held.push(input);
                Ok(Step {
                    consumed: base + input.len(),
                    item: None,
                })
            }
            // Whatever is held belongs to the body, and comes out as such.
            Match::No => self.head_kept(base, After::Body),
            Match::Complete { bytes, flag } => {
                let consumed = base + bytes - self.held.octets().len();
                self.held.clear();
                self.head_kept(consumed, After::BlankThenEndLine(flag))
            }
        }
    }

    fn head_kept(&mut self, consumed: usize, after: After) -> Result<Step<'_>> {
        self.start_frame(after);
        let head = head_parse::parse(&self.head, after, &self.limits)?;
        self.kind = Kind::of(head.start);
        Ok(Step {
            consumed,
            item: Some(Item::Head(head)),
        })
    }

    fn start_frame(&mut self, after: After) {
        self.at_body_start = true;
        self.other_body_bytes = 0;
        self.end_fault = EndFault::None;
        self.state = match after {
            After::EndLine(flag) | After::BlankThenEndLine(flag) => State::End(flag),
            After::Body => State::Body,
        };
    }

    fn body_in_input(&mut self, input: &[u8]) -> Result<Step<'static>> {
        let (mut from, mut clear_bytes) = (0, input.len());
        loop {
            let found = self.mark.search(&input[from..]);
            if let Some(hyphens_at) = found.hyphens_at {
                clear_bytes = clear_bytes.min(from + hyphens_at);
            }
            self.clear_bytes = clear_bytes;
            let Some(found) = found.mark else { break };
            let at = from + found;
            match self.mark.judge_bare(&input[at..]) {
                // No complete end-line fits behind one that the input cuts off.
                Match::Partial => break,
                Match::No => {}
                Match::Complete { bytes, flag } if input[..at].ends_with(b"\r\n") => {
                    return Ok(self.end_after(at - 2, at + bytes, flag));
                }
                Match::Complete { bytes, flag } if at == 0 && self.at_body_start => {
                    return Ok(self.end_after(0, bytes, flag));
                }
                Match::Complete { .. } if !self.limits.embedded_end_line_is_fatal => {}
                Match::Complete { .. } if at == 0 => return Err(Fatal::EmbeddedEndLine),
                Match::Complete { .. } => return Ok(self.body_input(at, at)),
            }
            from = at + 1;
        }
        let tail_at = self.open_tail_at(input);
        self.held.push(&input[tail_at..]);
        Ok(self.body_input(tail_at, input.len()))
    }

    /// Where the longest tail of `input` begins that may become an end-line.
    fn open_tail_at(&self, input: &[u8]) -> usize {
        let first = input.len().saturating_sub(END_LINE_BYTES_MAX - 1);
        (first..input.len())
            .find(|&at| self.mark.judge(&input[at..]) == Match::Partial)
            .unwrap_or(input.len())
    }

    /// The first `bytes` of the input are body, and `consumed` are done with.
    fn body_input(&mut self, bytes: usize, consumed: usize) -> Step<'static> {
        self.is_piece_clear = bytes <= self.clear_bytes;
        if bytes == 0 {
            return Step {
                consumed,
                item: None,
            };
        }
        self.note_body(bytes);
        Step {
            consumed,
            item: Some(Item::Body(Body::Input(0..bytes))),
        }
    }

    /// The first `bytes` of the input are body, then comes the end-line.
    fn end_after(&mut self, bytes: usize, consumed: usize, flag: Flag) -> Step<'static> {
        if bytes == 0 {
            return self.finish(consumed, flag);
        }
        self.state = State::End(flag);
        self.body_input(bytes, consumed)
    }

    fn body_held(&mut self, input: &[u8]) -> Result<Step<'_>> {
        let joined = self.held.join(input);
        let held_bytes = self.held.octets().len();
        for at in 0..held_bytes {
            match self.mark.judge(&joined.octets()[at..]) {
                Match::No => {}
                Match::Partial if at == 0 => {
                    self.held.push(input);
                    return Ok(Step {
                        consumed: input.len(),
                        item: None,
                    });
                }
                Match::Partial => return Ok(self.release(at, 0)),
                Match::Complete { bytes, flag } => {
                    let begins_line =
                        joined.octets()[at] == b'\r' || (at == 0 && self.at_body_start);
                    let consumed = at + bytes - held_bytes;
                    if begins_line && at == 0 {
                        return Ok(self.finish(consumed, flag));
                    }
                    if begins_line {
                        self.state = State::End(flag);
                        return Ok(self.release(at, consumed));
                    }
                    if self.limits.embedded_end_line_is_fatal {
                        return if at == 0 {
                            Err(Fatal::EmbeddedEndLine)
                        } else {
                            Ok(self.release(at, 0))
                        };
                    }
                }
            }
        }
        Ok(self.release(held_bytes, 0))
    }

    /// The first `bytes` held, at least one, are body after all.
    fn release(&mut self, bytes: usize, consumed: usize) -> Step<'_> {
        self.note_body(bytes);
        self.is_piece_clear = false;
        Step {
            consumed,
            item: Some(Item::Body(Body::Held(self.held.pop_front(bytes)))),
        }
    }

    fn note_body(&mut self, bytes: usize) {
        self.at_body_start = false;
        if self.kind != Kind::Send {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.other_body_bytes = self.other_body_bytes.saturating_add(bytes);
        }
    }

    fn finish(&mut self, consumed: usize, flag: Flag) -> Step<'static> {
        self.end_fault = match self.kind {
            Kind::Response if flag != Flag::Complete => EndFault::ResponseFlag,
            Kind::OtherRequest if flag != Flag::Complete => EndFault::OtherFlag,
            Kind::OtherRequest if self.other_body_bytes > OTHER_BODY_BYTES_MAX => {
                EndFault::OtherBodyTooLarge
            }
            Kind::Send | Kind::Response | Kind::OtherRequest => EndFault::None,
        };
        self.state = State::Head;
        self.held.clear();
        self.drop_head();
        Step {
            consumed,
            item: Some(Item::End(flag)),
        }
    }

    /// Gives the head's heap back, if it had any.
    fn drop_head(&mut self) {
        if self.head.capacity() > 0 {
            self.head = Vec::new();
        }
    }
}

/// Whether more comes in the same input than the body of this head: then learning it pays.
fn is_followed(head: &Head<'_>, rest: &[u8]) -> bool {
    let total = head.byte_range.and_then(|range| range.total());
    let octets = total.and_then(|total| usize::try_from(total).ok());
    octets.is_some_and(|octets| rest.len() > octets.saturating_add(END_LINE_BYTES_MAX))
}

#[cfg(test)]
mod tests;
