//! An MSRP participant as a test sees it: octets in, frames out, messages put together.

use std::collections::BTreeMap;

/// A frame, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Transaction id.
    pub tid: String,
    /// What follows it in the start line: a method, or a status with its phrase.
    pub start: String,
    /// Header fields in order.
    pub fields: Vec<(String, String)>,
    /// Body octets; `None` when there is no body.
    pub body: Option<Vec<u8>>,
    /// `$`, `+` or `#`.
    pub flag: char,
}

impl Frame {
    /// A field's value; empty if it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, value)| value)
    }
}

/// Takes whole frames off the front of `octets`; what is left is the beginning of another.
///
/// # Panics
///
/// On anything that is not MSRP.
pub fn take_frames(octets: &mut Vec<u8>) -> Vec<Frame> {
    core::iter::from_fn(|| take_frame(octets).map(|(frame, _)| frame)).collect()
}

/// The same for one frame; with its octets, for whoever it is for.
///
/// # Panics
///
/// On anything that is not MSRP.
pub fn take_frame(octets: &mut Vec<u8>) -> Option<(Frame, Vec<u8>)> {
    let (frame, used) = first_frame(octets)?;
    Some((frame, octets.drain(..used).collect()))
}

fn first_frame(octets: &[u8]) -> Option<(Frame, usize)> {
    let (line, mut at) = line_at(octets, 0)?;
    let mut words = line.splitn(3, ' ');
    assert_eq!(words.next(), Some("MSRP"), "not MSRP: {line:?}");
    let mut frame = Frame {
        tid: words.next().expect("a transaction id").to_owned(),
        start: words.next().expect("a method or status").to_owned(),
        ..Frame::default()
    };
    let mark = format!("-------{}", frame.tid);
    loop {
        let (line, next) = line_at(octets, at)?;
        if let Some(flag) = line.strip_prefix(&mark) {
            frame.flag = flag.chars().next().expect("a flag");
            return Some((frame, next));
        }
        if line.is_empty() {
            let end = format!("\r\n{mark}");
            let body = find(&octets[next..], end.as_bytes())?;
            frame.body = Some(octets[next..next + body].to_vec());
            at = next + body + 2;
        } else {
            let (name, value) = line.split_once(": ").expect("a header field");
            frame.fields.push((name.to_owned(), value.to_owned()));
            at = next;
        }
    }
}

fn line_at(octets: &[u8], at: usize) -> Option<(String, usize)> {
    let len = find(&octets[at..], b"\r\n")?;
    Some((
        String::from_utf8_lossy(&octets[at..at + len]).into_owned(),
        at + len + 2,
    ))
}

fn find(octets: &[u8], text: &[u8]) -> Option<usize> {
    octets.windows(text.len()).position(|window| window == text)
}

/// A message as far as it has come, by its octets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Octet by octet; holes are `None`.
    pub octets: Vec<Option<u8>>,
    /// Set by the chunk with the flag `$`.
    pub total: Option<usize>,
    /// A chunk with the flag `#` came.
    pub is_aborted: bool,
    /// How often an octet came that was there already.
    pub repeated: usize,
}

impl Received {
    /// The message, when all of it is here.
    #[must_use]
    pub fn whole(&self) -> Option<Vec<u8>> {
        let total = self.total?;
        if self.octets.len() != total {
            return None;
        }
        self.octets.iter().copied().collect()
    }
}

/// One participant's end of an MSRP session.
#[derive(Debug)]
pub struct Peer {
    /// Its own path.
    pub path: String,
    /// The switch's path.
    pub remote: String,
    /// Its messages ask for reports of success and failure.
    pub wants_reports: bool,
    buffer: Vec<u8>,
    /// Messages from others by Message-ID.
    pub messages: BTreeMap<String, Received>,
    /// Statuses of responses to its own requests, by transaction id.
    pub answers: BTreeMap<String, String>,
    /// REPORTs: Message-ID and Status.
    pub reports: Vec<(String, String)>,
}

impl Peer {
    /// A participant with its paths.
    #[must_use]
    pub fn new(path: String, remote: String) -> Self {
        Self {
            path,
            remote,
            wants_reports: false,
            buffer: Vec::new(),
            messages: BTreeMap::new(),
            answers: BTreeMap::new(),
            reports: Vec::new(),
        }
    }

    /// The SEND without body that binds the connection.
    #[must_use]
    pub fn binding(&self, tid: &str) -> Vec<u8> {
        format!(
            "MSRP {tid} SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: {tid}\r\n\
             Byte-Range: 1-0/0\r\n-------{tid}$\r\n",
            self.remote, self.path
        )
        .into_bytes()
    }

    /// One chunk of a message: `body[from..to]`.
    #[must_use]
    pub fn chunk(&self, tid: &str, message: &str, body: &[u8], from: usize, to: usize) -> Vec<u8> {
        let flag = if to == body.len() { '$' } else { '+' };
        let end = if to - from > 2048 {
            "*".to_owned()
        } else {
            to.to_string()
        };
        let reports = if self.wants_reports {
            "Success-Report: yes\r\nFailure-Report: yes\r\n"
        } else {
            ""
        };
        let mut text = format!(
            "MSRP {tid} SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: {message}\r\n\
             Byte-Range: {}-{end}/{}\r\n{reports}Content-Type: application/octet-stream\r\n\r\n",
            self.remote,
            self.path,
            from + 1,
            body.len()
        )
        .into_bytes();
        text.extend_from_slice(&body[from..to]);
        text.extend_from_slice(format!("\r\n-------{tid}{flag}\r\n").as_bytes());
        text
    }

    /// Takes what arrived; returns the responses that are due, and behind them a REPORT on each
    /// message that is whole now and asked for it.
    ///
    /// # Panics
    ///
    /// When the switch breaks the protocol in a way no participant may see.
    pub fn receive(&mut self, octets: &[u8]) -> Vec<u8> {
        self.buffer.extend_from_slice(octets);
        let mut out = Vec::new();
        for frame in take_frames(&mut self.buffer) {
            assert_eq!(frame.field("To-Path"), self.path, "{frame:?}");
            assert_eq!(frame.field("From-Path"), self.remote, "{frame:?}");
            match frame.start.as_str() {
                "SEND" => {
                    self.take_chunk(&frame);
                    let answer = format!(
                        "MSRP {0} 200 OK\r\nTo-Path: {1}\r\nFrom-Path: {2}\r\n-------{0}$\r\n",
                        frame.tid, self.remote, self.path
                    );
                    out.extend_from_slice(answer.as_bytes());
                    out.extend_from_slice(self.report(&frame).as_bytes());
                }
                "REPORT" => self.reports.push((
                    frame.field("Message-ID").to_owned(),
                    frame.field("Status").to_owned(),
                )),
                status => {
                    let earlier = self.answers.insert(frame.tid.clone(), status.to_owned());
                    assert_eq!(earlier, None, "a second answer to {}", frame.tid);
                }
            }
        }
        out
    }

    /// Tells that the message is whole, if this chunk asks for it and made it so.
    fn report(&self, frame: &Frame) -> String {
        let message = frame.field("Message-ID");
        let whole = self.messages.get(message).and_then(Received::whole);
        let Some(whole) = whole.filter(|_| frame.field("Success-Report") == "yes") else {
            return String::new();
        };
        format!(
            "MSRP r{0} REPORT\r\nTo-Path: {1}\r\nFrom-Path: {2}\r\nMessage-ID: {message}\r\n\
             Byte-Range: 1-{3}/{3}\r\nStatus: 000 200 OK\r\n-------r{0}$\r\n",
            frame.tid,
            self.remote,
            self.path,
            whole.len()
        )
    }

    fn take_chunk(&mut self, frame: &Frame) {
        let Some(body) = &frame.body else { return };
        let (start, rest) = frame.field("Byte-Range").split_once('-').expect("a range");
        let (end, _) = rest.split_once('/').expect("a total");
        let start: usize = start.parse().expect("a number");
        let offset = start - 1;
        if end != "*" {
            assert_eq!(
                end.parse::<usize>().expect("a number"),
                offset + body.len(),
                "{frame:?}"
            );
        }
        let message = self
            .messages
            .entry(frame.field("Message-ID").to_owned())
            .or_default();
        if message.octets.len() < offset + body.len() {
            message.octets.resize(offset + body.len(), None);
        }
        for (place, octet) in message.octets[offset..].iter_mut().zip(body) {
            message.repeated += usize::from(place.is_some());
            *place = Some(*octet);
        }
        match frame.flag {
            '$' => message.total = Some(offset + body.len()),
            '#' => message.is_aborted = true,
            _ => {}
        }
    }

    /// Octets that are not a whole frame yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }
}
