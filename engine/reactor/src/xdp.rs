//! The kernel-bypass backend: frames by AF_XDP, TCP in user space (the crate `xdp`).
//!
//! ```text
//! submit:   changes the connection in the stack at once; nothing is sent yet
//! wait:     sends what connections have to send, a batch of frames in one call
//!           takes the frames that are there; sleeps when there are none and polls again
//!           reads connections that frames were for, continues their sends
//! ```
//!
//! A connection's frames arrive at the queue that the device chose, whose shard accepted it. When it
//! moves to another shard its TCP moves with it, and the shard of the queue passes its frames on
//! (`inbox`).

mod conns;
mod frames;
mod inbox;
mod interface;

pub(crate) use interface::XdpSocket;
pub use interface::{XdpInterface, XdpShard, open_xdp};

use core::net::SocketAddr;
use core::time::Duration;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ::xdp::limits::ACKNOWLEDGEMENT_PATIENCE;
use ::xdp::stack::{Detached, Event, Fate, Key, Stack};
use clock::Instant;
use switch::{Batch, ConnId, ConnectId};

use crate::backend::{Backend, Completion, Op};
use crate::limits::{PACKED_SLOT_BYTES, POOL_BYTES};
use crate::pool::{Octets, Packer, Pool};
use crate::reading::{Line, Phase, Reading, Sending};
use crate::socket::Socket;

use inbox::{Inbox, Note};
use interface::Borrowed;

type Done = Completion<Octets, Socket>;

/// How soon to look again when there was no room for frames to send.
const ROOM_RETRY: Duration = Duration::from_millis(1);

/// See the module.
#[expect(missing_debug_implementations, reason = "the stack has none")]
pub struct Xdp {
    port: Borrowed,
    stack: Stack,
    shard: u8,
    inboxes: Arc<[Inbox]>,
    waker: Option<File>,
    local_addrs: Vec<SocketAddr>,
    /// By position.
    conns: Vec<Option<Conn>>,
    /// Whose a connection of the stack is, by its place there.
    names: Vec<Option<ConnId>>,
    line: Line,
    outbox: Vec<Done>,
    packer: Packer,
    /// Something was sent and may be acknowledged.
    expects_acknowledgements: bool,
    /// Frames that belong elsewhere, until the shard they are for, or that may know them, gets them.
    misdirected: Vec<(Fate, Box<[u8]>)>,
}

#[derive(Debug)]
struct Conn {
    generation: u32,
    key: Key,
    sending: Option<Sending<Batch<Octets>>>,
    reading: Reading,
}

impl Xdp {
    /// Takes over a shard's part of an interface; `waker` is an eventfd, `seed` random.
    ///
    /// # Errors
    ///
    /// When the system lacks memory, or the shard's predecessor is still there.
    pub fn new(shard: &XdpShard, waker: Option<OwnedFd>, seed: u64) -> io::Result<Self> {
        let slot_count = u16::try_from(POOL_BYTES / PACKED_SLOT_BYTES).expect("checked in limits");
        let port = shard.borrow()?;
        let inboxes = Arc::clone(shard.inboxes());
        if port.has_predecessor() {
            let anew = shard.index();
            for inbox in others(&inboxes, anew) {
                inbox.push(Note::Anew { shard: anew });
            }
        }
        Ok(Self {
            stack: Stack::new(port.stack_config(seed)),
            local_addrs: port.listeners().to_vec(),
            port,
            shard: shard.index(),
            inboxes,
            waker: waker.map(File::from),
            conns: Vec::new(),
            names: Vec::new(),
            line: Line::default(),
            outbox: Vec::new(),
            expects_acknowledgements: false,
            packer: Packer::new(Pool::new(slot_count, PACKED_SLOT_BYTES)?),
            misdirected: Vec::new(),
        })
    }

    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(id.index as usize)?.as_mut();
        conn.filter(|conn| conn.generation == id.generation)
    }

    fn socket(&self, conn: Box<Detached>) -> Socket {
        Socket::Xdp(XdpSocket::new(conn, &self.inboxes))
    }

    /// Turns what happened in the stack into completions.
    fn take_events(&mut self) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Accepted { listener, conn } => {
                    let (peer, socket) = (conn.peer(), self.socket(conn));
                    self.outbox.push(Completion::Accepted {
                        listener,
                        socket,
                        peer,
                    });
                }
                Event::Connected { request, conn } => {
                    let (peer, socket) = (conn.peer(), self.socket(conn));
                    self.outbox.push(Completion::Connected {
                        request: ConnectId(request),
                        socket,
                        peer,
                    });
                }
                Event::ConnectFailed { request, error } => {
                    self.outbox.push(Completion::ConnectFailed {
                        request: ConnectId(request),
                        error,
                    });
                }
                Event::Ready(key) => {
                    if let Some(&Some(id)) = self.names.get(key.index()) {
                        self.look_at(id);
                    }
                }
                Event::Gone { flow, shard } => self.pass_on(shard, Note::Ended { flow }),
            }
        }
    }

    /// Sends what there is, then says how long nothing but a frame can bring work.
    fn transmit(&mut self, now: Instant, until: Option<Instant>) -> Option<Duration> {
        let is_left = self.stack.transmit(now, &mut self.port.outlet());
        self.expects_acknowledgements |= self.port.flush();
        let retry = is_left.then(|| now + ROOM_RETRY);
        let deadlines = until.into_iter().chain(self.stack.deadline()).chain(retry);
        deadlines.min().map(|at| at.since(now))
    }

    /// Sleeps; where nothing waits for acknowledgements, they alone do not end it, but nor do they wait until the
    /// next message: after a while of silence it ends once to take them.
    fn sleep(&mut self, time: Option<Duration>) -> io::Result<()> {
        let waker = self.waker.as_ref().map(AsFd::as_fd);
        let is_patient = self.expects_acknowledgements && !self.stack.waits_for_acknowledgements();
        let has_frames = self.inboxes[usize::from(self.shard)].set_patient(is_patient);
        if !is_patient {
            let time = if has_frames {
                Some(Duration::ZERO)
            } else {
                time
            };
            self.port.sleep(waker, time, true)?;
            return Ok(());
        }
        let whole = ACKNOWLEDGEMENT_PATIENCE;
        let time = time.map_or(whole, |time| time.min(whole));
        let has_news = self.port.sleep(waker, Some(time), false)?;
        // A deadline before that is no silence.
        self.expects_acknowledgements = has_news || time < whole;
        Ok(())
    }

    fn read_waker(&mut self) {
        let mut count = [0; 8];
        if let Some(mut waker) = self.waker.as_ref()
            && waker.read(&mut count).is_ok()
        {
            self.outbox.push(Completion::Woken);
        }
    }
}

fn others(inboxes: &[Inbox], shard: u8) -> impl Iterator<Item = &Inbox> {
    let all = inboxes.iter().enumerate();
    all.filter(move |(index, _)| *index != usize::from(shard))
        .map(|(_, inbox)| inbox)
}

impl Drop for Xdp {
    /// Tells those connected that nobody is here any more.
    fn drop(&mut self) {
        let now = self.now();
        self.stack.abort_all();
        let mut left = self.stack.conn_count();
        while self.stack.transmit(now, &mut self.port.outlet()) {
            self.port.flush();
            let now = self.stack.dirty_count();
            if now >= left {
                // A link that is down.
                break;
            }
            left = now;
        }
        self.port.flush();
    }
}

impl Backend for Xdp {
    type Octets = Octets;
    type Socket = Socket;

    fn now(&self) -> Instant {
        crate::time::now()
    }

    fn submit(&mut self, op: Op<Octets, Socket>) {
        match op {
            Op::Connect { request, to } => self.connect(request, to),
            Op::Attach { conn, socket } => self.attach(conn, socket),
            Op::Send { conn, batch } => {
                if let Some(batch) = self.send(conn, batch) {
                    self.outbox.push(Completion::Sent { conn, batch });
                    self.finish(conn);
                }
            }
            Op::Pause { conn } => {
                if let Some(conn) = self.conn(conn) {
                    conn.reading.is_paused = true;
                }
            }
            Op::Resume { conn } => self.resume(conn),
            Op::Close { conn } => self.leave(conn, Phase::Closing),
            Op::Abort { conn } => self.fail(conn, io::ErrorKind::TimedOut),
            Op::Detach { conn } => self.leave(conn, Phase::Detaching),
        }
    }

    fn send(&mut self, id: ConnId, batch: Batch<Octets>) -> Option<Batch<Octets>> {
        let Self { conns, stack, .. } = self;
        let conn = conns.get_mut(id.index as usize)?.as_mut()?;
        if conn.generation != id.generation {
            return None;
        }
        debug_assert!(conn.sending.is_none(), "one batch at a time");
        let taken = stack.write(conn.key, batch.slices());
        if taken == batch.octet_count() {
            return Some(batch);
        }
        let mut sending = Sending::new(batch);
        sending.taken = taken;
        let octets = sending.progress();
        conn.sending = Some(sending);
        if octets > 0 {
            let progress = Completion::Progressed { conn: id, octets };
            self.outbox.push(progress);
        }
        None
    }

    fn wait(&mut self, until: Option<Instant>, done: &mut Vec<Done>) -> io::Result<()> {
        let mut now = self.now();
        let time = self.transmit(now, until);
        let is_quiet = self.receive(now) == 0;
        // Frames that waited for their connection to be attached have made events without new ones.
        self.take_events();
        let has_to_read = !self.line.is_empty() && !self.line.is_held;
        if is_quiet && !has_to_read && self.outbox.is_empty() && time != Some(Duration::ZERO) {
            self.sleep(time)?;
            self.read_waker();
            now = self.now();
            self.receive(now);
        }
        self.stack.handle_deadline(now);
        self.take_events();
        self.read_all();
        done.append(&mut self.outbox);
        Ok(())
    }

    fn hold_receiving(&mut self, is_held: bool) {
        self.line.is_held = is_held;
    }

    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> Option<Octets> {
        self.packer.fill(read)
    }

    fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }
}
