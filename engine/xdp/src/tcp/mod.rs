//! One TCP connection: segments and time come in, segments go out (RFC 9293). No frames, no addresses, no clock.
//!
//! ```text
//!              connect                        accept(SYN)
//!                 │                                │
//!             SynSent ───────── SYN ─────────► SynReceived
//!                 │ SYN, ACK                       │ ACK
//!                 └────────────► Established ◄─────┘
//!                   close │             │ FIN
//!               FinWait1 ◄┘             └► CloseWait
//!          ACK │    │ FIN                     │ close
//!       FinWait2   Closing                 LastAck
//!          FIN │    │ ACK                     │ ACK
//!              └────┴──► TimeWait ── time ──► Closed
//! ```
//!
//! What is to be sent is asked for segment by segment ([`Tcp::next_segment`]) and counts as sent then:
//!
//! ```text
//! una ≤ again ≤ lost_end ≤ end          what is lost in between is sent again first (`send`)
//! una .. una + sending                  octets kept until they are acknowledged, then FIN
//! next .. next + received free room     what the peer may send (`receive`)
//! ```
//!
//! **Invariant:** what was offered as window is taken; the right edge of the window never goes back.

mod cubic;
mod early;
mod ranges;
mod receive;
mod rtt;
mod segment;
mod send;
mod seq;
mod tail;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;
use std::io::ErrorKind;

use clock::Instant;

pub(crate) use receive::Effect;
pub(crate) use segment::{HEADER_BYTES, Incoming, Outgoing};
pub(crate) use seq::Seq;

use crate::limits::{
    KEEPALIVE_INTERVAL, RECEIVE_BYTES, SEGMENT_BYTES_MIN, SEND_BYTES, SILENCE_MAX, TIME_WAIT,
};
use cubic::Cubic;
use early::Early;
use ranges::Ranges;
use rtt::Rtt;
use tail::Tail;

/// Where a connection is (RFC 9293 3.3.2); there is no listening one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

/// What the states have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The handshake goes on.
    Opening,
    /// Both ends know the other's numbers; something may be on its way.
    Open,
    /// All is said; time has to pass.
    Waiting,
    Over,
}

impl State {
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::SynSent | Self::SynReceived => Phase::Opening,
            Self::Established
            | Self::FinWait1
            | Self::FinWait2
            | Self::CloseWait
            | Self::Closing
            | Self::LastAck => Phase::Open,
            Self::TimeWait => Phase::Waiting,
            Self::Closed => Phase::Over,
        }
    }
}

/// How far the shift of the window goes that we offer: [`RECEIVE_BYTES`] fits sixteen bits with it.
const OWN_SHIFT: u8 = {
    let mut shift = 0;
    while RECEIVE_BYTES >> shift > u16::MAX as usize {
        shift += 1;
    }
    shift
};

/// What the peer sends if it does not say (RFC 9293 3.7.1).
const SEGMENT_BYTES_UNSAID: u16 = 536;

/// What has been lost is being sent again until all that was under way then has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    None,
    /// Later octets have arrived.
    Fast(Seq),
    /// Nothing came for too long.
    Timeout(Seq),
}

/// See the module.
pub(crate) struct Tcp {
    state: State,
    failure: Option<ErrorKind>,
    /// What we can take in one segment, and what the peer can, of what was said and what gets through.
    segment_bytes_own: u16,
    segment_bytes: u16,

    /// The oldest number that is not acknowledged.
    una: Seq,
    /// Behind the last number ever sent.
    end: Seq,
    /// The octets from `una` on; those from `end` on have not been sent.
    sending: VecDeque<u8>,
    /// A FIN follows the last octet.
    is_ending: bool,
    /// What the peer takes from `una` on, and the most that it ever took.
    window: usize,
    window_max: usize,
    /// The numbers of the segment that said so.
    window_seq: Seq,
    window_ack: Seq,
    /// Windows of the peer are shifted by so much; `None`: neither side's are.
    shift: Option<u8>,

    /// The next number to send again, and where that ends.
    again: Seq,
    lost_end: Seq,
    recovery: Recovery,
    /// One segment may leave whatever is under way: the first of a recovery.
    is_forced: bool,
    arrived: Ranges,
    /// Acknowledgements that say nothing new, in a row.
    duplicates: u8,
    cubic: Cubic,
    rtt: Rtt,
    /// What is being measured: a number and when the octet before it was sent.
    measured: Option<(Seq, Instant)>,
    retransmit_at: Option<Instant>,
    tail: Tail,
    last_sent: Instant,
    /// A closed window is to be tried.
    owes_probe: bool,

    /// The next number that is expected.
    next: Seq,
    /// Octets in order that nobody has read.
    received: VecDeque<u8>,
    early: Early,
    /// Where the peer's FIN stands, once it is known.
    peer_end: Option<Seq>,
    /// The right edge of the window that was offered.
    offered: Seq,
    /// Both sides report what came out of order.
    may_report: bool,
    /// Acknowledgements to send.
    owes: u8,
    /// When a segment of the peer was last heard, and a probe last sent.
    heard_at: Instant,
    probed_at: Instant,
    owes_keepalive: bool,
    /// What was sent the usual way has not been answered: see [`Self::doubts_the_way`].
    doubts_the_way: bool,
    owes_reset: bool,
    closes_at: Option<Instant>,
    /// No other acknowledgement of something senseless before this.
    challenge_at: Instant,
}

impl Tcp {
    fn new(now: Instant, state: State, initial: Seq, segment_bytes: u16) -> Self {
        Self {
            state,
            failure: None,
            segment_bytes_own: segment_bytes,
            segment_bytes: segment_bytes.min(SEGMENT_BYTES_UNSAID),
            una: initial,
            end: initial,
            sending: VecDeque::new(),
            is_ending: false,
            window: 0,
            window_max: 0,
            window_seq: Seq(0),
            window_ack: Seq(0),
            shift: None,
            again: initial,
            lost_end: initial,
            recovery: Recovery::None,
            is_forced: false,
            arrived: Ranges::default(),
            duplicates: 0,
            cubic: Cubic::new(segment_bytes.into()),
            rtt: Rtt::default(),
            measured: None,
            retransmit_at: None,
            tail: Tail::default(),
            last_sent: now,
            owes_probe: false,
            next: Seq(0),
            received: VecDeque::new(),
            early: Early::default(),
            peer_end: None,
            offered: Seq(0),
            may_report: true,
            owes: 0,
            heard_at: now,
            probed_at: now,
            owes_keepalive: false,
            doubts_the_way: false,
            owes_reset: false,
            closes_at: None,
            challenge_at: now,
        }
    }

    /// Begins a connection; `initial` is its first number, `segment_bytes` what fits a packet here.
    pub(crate) fn connect(now: Instant, initial: Seq, segment_bytes: u16) -> Self {
        Self::new(now, State::SynSent, initial, segment_bytes)
    }

    /// Answers a SYN.
    pub(crate) fn accept(
        now: Instant,
        initial: Seq,
        segment_bytes: u16,
        syn: &Incoming<'_>,
    ) -> Self {
        let mut tcp = Self::new(now, State::SynReceived, initial, segment_bytes);
        tcp.take_syn(syn);
        tcp
    }

    /// Goes on with a handshake of which only its end is known: `incoming` acknowledges our SYN, which offered nothing but
    /// `segment_bytes_own`; the peer takes segments of `said` octets.
    pub(crate) fn resume(
        now: Instant,
        incoming: &Incoming<'_>,
        (segment_bytes_own, said): (u16, u16),
    ) -> Self {
        let mut tcp = Self::new(
            now,
            State::SynReceived,
            incoming.ack.before(),
            segment_bytes_own,
        );
        tcp.end = incoming.ack;
        tcp.again = tcp.end;
        tcp.lost_end = tcp.end;
        tcp.segment_bytes = said.clamp(SEGMENT_BYTES_MIN, segment_bytes_own);
        tcp.cubic = Cubic::new(tcp.segment_bytes.into());
        tcp.may_report = false;
        tcp.next = incoming.seq;
        tcp.offered = tcp.next + RECEIVE_BYTES.min(u16::MAX.into());
        tcp
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// What ended it before its time.
    pub(crate) fn failure(&self) -> Option<ErrorKind> {
        self.failure
    }

    /// Octets in order that can be read.
    pub(crate) fn received_count(&self) -> usize {
        self.received.len()
    }

    /// Octets that are not acknowledged, or not sent.
    pub(crate) fn sending_count(&self) -> usize {
        self.sending.len()
    }

    /// What a segment of the peer that belongs here moves.
    pub(crate) fn progress(&self) -> (Seq, Seq, State) {
        (self.next, self.una, self.state)
    }

    /// Lets `read` take octets; it says how many.
    pub(crate) fn read(&mut self, read: impl FnOnce(&[u8]) -> usize) -> usize {
        let (octets, _) = self.received.as_slices();
        if octets.is_empty() {
            return 0;
        }
        let count = read(octets).min(octets.len());
        self.received.drain(..count);
        // A window that opens by less than it is worth a segment is not worth telling (RFC 9293 3.8.6.2.2).
        let room = RECEIVE_BYTES - self.received.len();
        let wins = (self.next + room).octets_since(self.offered);
        let open = self.offered.octets_since(self.next);
        if wins >= 2 * usize::from(self.segment_bytes_own) && open < RECEIVE_BYTES / 2 {
            self.owes = self.owes.max(1);
        }
        count
    }

    /// Drops what nobody will read.
    pub(crate) fn discard(&mut self) {
        while self.read(<[u8]>::len) > 0 {}
    }

    /// Whether the peer has sent its last octet; there may be some to read yet.
    pub(crate) fn is_ended(&self) -> bool {
        self.peer_end.is_some_and(|end| end.is_before(self.next))
    }

    /// Takes octets to send, as many as there is room for.
    pub(crate) fn write(&mut self, octets: &[u8]) -> usize {
        if self.is_ending || !matches!(self.state, State::Established | State::CloseWait) {
            return 0;
        }
        let count = octets.len().min(SEND_BYTES - self.sending.len());
        self.sending.extend(&octets[..count]);
        count
    }

    /// Sends what is there, then the end.
    pub(crate) fn close(&mut self) {
        match self.state {
            State::SynSent => self.state = State::Closed,
            State::SynReceived => {
                // Nobody has it yet who could have written something.
                self.abort();
            }
            State::Established => {
                self.is_ending = true;
                self.state = State::FinWait1;
            }
            State::CloseWait => {
                self.is_ending = true;
                self.state = State::LastAck;
            }
            State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => {}
        }
    }

    /// Ends it at once; the peer is told if it knows of it.
    pub(crate) fn abort(&mut self) {
        self.owes_reset = !matches!(self.state, State::Closed | State::SynSent | State::TimeWait);
        self.state = State::Closed;
    }

    fn fail(&mut self, error: ErrorKind) {
        self.state = State::Closed;
        self.failure = Some(error);
    }

    /// Whether the peer is to be told that it ended.
    pub(crate) fn owes_reset(&self) -> bool {
        self.owes_reset
    }

    /// Whether what is sent now is better sent another way than the peer's last segments came (RFC 1122 3.3.1.4): every
    /// second attempt is, so that neither way has to work.
    pub(crate) fn doubts_the_way(&self) -> bool {
        self.doubts_the_way
    }

    /// A segment that belongs here has come.
    fn hear(&mut self, now: Instant) {
        self.heard_at = now;
        self.doubts_the_way = false;
    }

    /// When to call [`Self::handle_deadline`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state.phase() {
            Phase::Over => None,
            Phase::Waiting => self.closes_at,
            Phase::Opening => self.retransmit_at,
            Phase::Open => {
                let idle = self.heard_at.max(self.probed_at) + KEEPALIVE_INTERVAL;
                let idle = idle.min(self.heard_at + SILENCE_MAX);
                let all = [self.retransmit_at, self.tail.deadline(), Some(idle)];
                all.into_iter().flatten().min()
            }
        }
    }

    /// Notes whose time has come.
    pub(crate) fn handle_deadline(&mut self, now: Instant) {
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        match self.state.phase() {
            Phase::Over => {}
            Phase::Waiting => self.state = State::Closed,
            Phase::Opening => self.time_out(now),
            Phase::Open => {
                if self.heard_at + SILENCE_MAX <= now {
                    self.abort();
                    self.failure = Some(ErrorKind::TimedOut);
                    return;
                }
                if self.retransmit_at.is_some_and(|at| at <= now) {
                    self.time_out(now);
                } else if self.tail.deadline().is_some_and(|at| at <= now) {
                    self.try_tail(now);
                } else {
                    self.owes_keepalive = true;
                    self.doubts_the_way = self.heard_at < self.probed_at;
                    self.probed_at = now;
                    self.rest();
                }
            }
        }
    }

    /// Gives back the room of buffers that nothing was in for a while.
    fn rest(&mut self) {
        if self.sending.is_empty() {
            self.sending = VecDeque::new();
        }
        if self.received.is_empty() {
            self.received = VecDeque::new();
        }
    }

    fn wait_out(&mut self, now: Instant) {
        self.state = State::TimeWait;
        self.retransmit_at = None;
        self.closes_at = Some(now + TIME_WAIT);
    }

    /// Acknowledges something senseless, seldom (RFC 5961 10).
    fn challenge(&mut self, now: Instant) {
        const INTERVAL: Duration = Duration::from_millis(200);
        if self.challenge_at <= now {
            self.challenge_at = now + INTERVAL;
            self.owes = self.owes.max(1);
        }
    }

    /// Takes from a SYN what it says.
    fn take_syn(&mut self, syn: &Incoming<'_>) {
        let options = syn.options();
        self.segment_bytes = syn
            .segment_bytes()
            .clamp(SEGMENT_BYTES_MIN, self.segment_bytes_own);
        self.cubic = Cubic::new(self.segment_bytes.into());
        self.shift = options.shift;
        self.may_report = options.may_report;
        self.next = syn.seq + 1;
        self.offered = self.next + RECEIVE_BYTES.min(u16::MAX.into());
        self.window = syn.window.into();
        self.window_max = self.window;
        self.window_seq = syn.seq;
        self.window_ack = syn.ack;
    }

    /// Octets of a segment with so many of options.
    fn payload_bytes_max(&self, options_bytes: usize) -> usize {
        usize::from(self.segment_bytes) - options_bytes
    }
}

impl core::fmt::Debug for Tcp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tcp")
            .field("state", &self.state)
            .field("una", &self.una)
            .field("end", &self.end)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
