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

mod inbox;
mod interface;

pub(crate) use interface::XdpSocket;
pub use interface::{XdpInterface, XdpShard, open_xdp};

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ::xdp::frame::Flow;
use ::xdp::limits::ACKNOWLEDGEMENT_PATIENCE;
use ::xdp::stack::{Detached, Event, Fate, Found, Key, Read, Stack};
use clock::Instant;
use switch::{Batch, ConnId, ConnectId};

use crate::backend::{Backend, Completion, Op};
use crate::limits::{PACKED_SLOT_BYTES, POOL_BYTES, TURN_BYTES_MAX, WAIT_BYTES_MAX};
use crate::pool::{Octets, Packer, Pool};
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
    /// Connections with more to read than a turn takes, each at most once.
    unread: VecDeque<ConnId>,
    outbox: Vec<Done>,
    /// The driver has enough: nothing more is read.
    is_held: bool,
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
    sending: Option<Sending>,
    is_queued: bool,
    is_paused: bool,
    is_ended: bool,
    phase: Phase,
}

#[derive(Debug)]
struct Sending {
    batch: Batch<Octets>,
    /// Octets the stack has taken.
    taken: usize,
    /// How many of them the driver knows of.
    told: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Detaching,
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
            unread: VecDeque::new(),
            outbox: Vec::new(),
            is_held: false,
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

    fn connect(&mut self, request: ConnectId, to: SocketAddr) {
        let now = self.now();
        let outcome = self.port.lease(to).and_then(|(local, lease)| {
            let flow = Flow { local, remote: to };
            let outcome = self.stack.connect(now, request.0, flow, lease);
            outcome.map_err(io::Error::from)
        });
        if let Err(error) = outcome {
            let error = error.kind();
            self.outbox
                .push(Completion::ConnectFailed { request, error });
        }
    }

    fn attach(&mut self, id: ConnId, socket: Socket) {
        let detached = match socket {
            Socket::Xdp(socket) => socket.into_detached(),
            Socket::System(_) => None,
        };
        let Some(detached) = detached else {
            let error = Some(io::ErrorKind::Unsupported);
            self.outbox.push(Completion::Closed { conn: id, error });
            return;
        };
        let (flow, by) = (detached.flow(), self.shard);
        for shard in detached.known_to().filter(|one| *one != by) {
            self.inboxes[usize::from(shard)].push(Note::Claimed { flow, by });
        }
        let now = self.now();
        let key = self.stack.attach(now, *detached, &mut self.port.outlet());
        let index = id.index as usize;
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, || None);
        }
        self.conns[index] = Some(Conn {
            generation: id.generation,
            key,
            sending: None,
            is_queued: false,
            is_paused: false,
            is_ended: false,
            phase: Phase::Open,
        });
        if self.names.len() <= key.index() {
            self.names.resize(key.index() + 1, None);
        }
        self.names[key.index()] = Some(id);
    }

    fn continue_send(&mut self, id: ConnId) {
        let Self {
            conns,
            stack,
            outbox,
            ..
        } = self;
        let Some(conn) = conns.get_mut(id.index as usize).and_then(Option::as_mut) else {
            return;
        };
        if conn.generation != id.generation {
            return;
        }
        let Some(sending) = &mut conn.sending else {
            return;
        };
        let mut skip = sending.taken;
        for slice in sending.batch.slices() {
            if skip >= slice.len() {
                skip -= slice.len();
                continue;
            }
            let rest = &slice[skip..];
            let count = stack.write(conn.key, rest);
            sending.taken += count;
            skip = 0;
            if count < rest.len() {
                break;
            }
        }
        if sending.taken == sending.batch.octet_count()
            && let Some(Sending { batch, .. }) = conn.sending.take()
        {
            outbox.push(Completion::Sent { conn: id, batch });
            self.finish(id);
        } else if let Some(sending) = &mut conn.sending {
            let octets = sending.taken - sending.told;
            sending.told = sending.taken;
            if octets > 0 {
                outbox.push(Completion::Progressed { conn: id, octets });
            }
        }
    }

    /// Looks at a connection that something happened to.
    fn look_at(&mut self, id: ConnId) {
        self.note_unread(id);
        self.continue_send(id);
        let Some(conn) = self.conn(id) else {
            return;
        };
        // Who reads learns of the end behind the last octet.
        let reads = conn.phase == Phase::Open && !conn.is_paused && !conn.is_ended;
        let key = conn.key;
        if !reads && let Some(error) = self.stack.failure(key) {
            self.fail(id, error);
        }
    }

    fn note_unread(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id)
            && conn.phase == Phase::Open
            && !conn.is_paused
            && !conn.is_ended
            && !core::mem::replace(&mut conn.is_queued, true)
        {
            self.unread.push_back(id);
        }
    }

    /// Reads from those that may have something, as much as a turn may bring; the others are the first
    /// in the next one.
    fn read_all(&mut self) {
        let mut quota = WAIT_BYTES_MAX;
        for _ in 0..self.unread.len() {
            if quota == 0 || self.is_held {
                return;
            }
            let id = self.unread.pop_front().expect("counted");
            quota = quota.saturating_sub(self.read(id));
        }
    }

    /// Reads up to a connection's quota; how many octets.
    fn read(&mut self, id: ConnId) -> usize {
        let Self {
            conns,
            packer,
            stack,
            outbox,
            ..
        } = self;
        let Some(conn) = conns.get_mut(id.index as usize).and_then(Option::as_mut) else {
            return 0;
        };
        if conn.generation != id.generation {
            return 0;
        }
        conn.is_queued = false;
        if conn.phase != Phase::Open || conn.is_paused || conn.is_ended {
            return 0;
        }
        let mut taken = 0;
        while taken < TURN_BYTES_MAX {
            let mut outcome = Read::Empty;
            let octets = packer.fill(&mut |space| {
                let mut count = 0;
                while count < space.len() {
                    let rest = &mut space[count..];
                    outcome = stack.read(conn.key, |octets| {
                        let fits = octets.len().min(rest.len());
                        rest[..fits].copy_from_slice(&octets[..fits]);
                        fits
                    });
                    let Read::Octets(more) = outcome else {
                        break;
                    };
                    count += more;
                }
                count
            });
            if let Some(octets) = octets {
                taken += octets.as_ref().len();
                outbox.push(Completion::Received { conn: id, octets });
            }
            match outcome {
                Read::Octets(_) => {}
                Read::Empty => return taken,
                Read::Ended => {
                    conn.is_ended = true;
                    outbox.push(Completion::Ended { conn: id });
                    return taken;
                }
                Read::Failed(error) => {
                    self.fail(id, error);
                    return taken;
                }
            }
        }
        self.note_unread(id);
        taken
    }

    fn resume(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id) {
            conn.is_paused = false;
            self.note_unread(id);
        }
    }

    fn leave(&mut self, id: ConnId, phase: Phase) {
        if let Some(conn) = self.conn(id) {
            conn.phase = phase;
            self.finish(id);
        }
    }

    /// Completes a close or a handover when nothing is being sent.
    fn finish(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else {
            return;
        };
        if conn.sending.is_some() {
            return;
        }
        match conn.phase {
            Phase::Open => {}
            Phase::Closing => {
                let key = conn.key;
                self.forget(id);
                self.stack.close(self.now(), key);
                let (conn, error) = (id, None);
                self.outbox.push(Completion::Closed { conn, error });
            }
            Phase::Detaching => {
                let key = conn.key;
                self.forget(id);
                let completion = match self.stack.detach(key) {
                    Some(detached) => Completion::Detached {
                        conn: id,
                        socket: self.socket(detached),
                    },
                    None => Completion::Closed {
                        conn: id,
                        error: Some(io::ErrorKind::NotConnected),
                    },
                };
                self.outbox.push(completion);
            }
        }
    }

    fn fail(&mut self, id: ConnId, error: io::ErrorKind) {
        if let Some(key) = self.forget(id) {
            self.stack.abort(self.now(), key);
            let error = Some(error);
            self.outbox.push(Completion::Closed { conn: id, error });
        }
    }

    fn forget(&mut self, id: ConnId) -> Option<Key> {
        self.conn(id)?;
        let conn = self.conns[id.index as usize].take()?;
        self.names[conn.key.index()] = None;
        Some(conn.key)
    }

    /// Takes the frames that are there; returns how many.
    fn receive(&mut self, now: Instant) -> usize {
        let Self {
            port,
            stack,
            misdirected,
            ..
        } = self;
        let mut count = port.receive(|frame, outlet| {
            let fate = stack.receive(now, frame, false, outlet);
            if matches!(fate, Fate::Away(_) | Fate::Astray) {
                misdirected.push((fate, frame.into()));
            }
        });
        let mut misdirected = core::mem::take(&mut self.misdirected);
        for (fate, frame) in misdirected.drain(..) {
            match fate {
                Fate::Away(shard) => self.pass_on(shard, Note::Frame(frame)),
                Fate::Astray => self.look_elsewhere(now, frame, self.shard),
                Fate::Taken | Fate::Dropped => {}
            }
        }
        self.misdirected = misdirected;
        let inboxes = Arc::clone(&self.inboxes);
        let inbox = &inboxes[usize::from(self.shard)];
        for note in inbox.drain() {
            count += 1;
            self.take_note(now, note);
        }
        count
    }

    fn pass_on(&self, shard: u8, note: Note) {
        if let Some(inbox) = self.inboxes.get(usize::from(shard)) {
            inbox.push(note);
        }
    }

    /// Shows a frame that arrived at the queue of shard `from` to the shard behind this one; when all have
    /// seen it, it is nobody's.
    fn look_elsewhere(&mut self, now: Instant, frame: Box<[u8]>, from: u8) {
        let next = usize::from(self.shard) + 1;
        let next = if next == self.inboxes.len() { 0 } else { next };
        match u8::try_from(next) {
            Ok(next) if next != from => self.pass_on(next, Note::Astray { frame, from }),
            Ok(_) | Err(_) => self.stack.refuse(now, &frame, &mut self.port.outlet()),
        }
    }

    fn take_note(&mut self, now: Instant, note: Note) {
        match note {
            Note::Frame(frame) => {
                self.stack
                    .receive(now, &frame, true, &mut self.port.outlet());
            }
            Note::Astray { frame, from } => {
                let outlet = &mut self.port.outlet();
                match self.stack.look_for(now, &frame, from, outlet) {
                    Found::Here(flow) => {
                        let by = self.shard;
                        self.pass_on(from, Note::Claimed { flow, by });
                    }
                    Found::Moving => {}
                    // Whoever has it is asked at once; who does not have it any more passes it on.
                    Found::Away(shard) if shard != from => {
                        self.pass_on(shard, Note::Astray { frame, from });
                    }
                    Found::Away(_) => {}
                    Found::Nowhere => self.look_elsewhere(now, frame, from),
                }
            }
            Note::Anew { shard } => self.stack.forget_shard(shard),
            Note::Claimed { flow, by } => {
                for frame in self.stack.hand_over(flow, by) {
                    self.inboxes[usize::from(by)].push(Note::Frame(frame));
                }
            }
            Note::Ended { flow } => self.stack.forget(flow),
            Note::Unwanted(conn) => {
                self.stack
                    .abort_detached(now, *conn, &mut self.port.outlet());
            }
        }
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
        if !is_patient {
            self.port.sleep(waker, time, true)?;
            return Ok(());
        }
        let time = time.map_or(ACKNOWLEDGEMENT_PATIENCE, |time| {
            time.min(ACKNOWLEDGEMENT_PATIENCE)
        });
        self.expects_acknowledgements = self.port.sleep(waker, Some(time), false)?;
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
                    conn.is_paused = true;
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
        let mut taken = 0;
        for slice in batch.slices() {
            let count = stack.write(conn.key, slice);
            taken += count;
            if count < slice.len() {
                break;
            }
        }
        if taken == batch.octet_count() {
            return Some(batch);
        }
        let told = taken;
        conn.sending = Some(Sending { batch, taken, told });
        if taken > 0 {
            let progress = Completion::Progressed {
                conn: id,
                octets: taken,
            };
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
        let has_to_read = !self.unread.is_empty() && !self.is_held;
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
        self.is_held = is_held;
    }

    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> Option<Octets> {
        self.packer.fill(read)
    }

    fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }
}
