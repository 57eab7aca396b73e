//! The completion backend: io_uring with one multishot accept per listener, one multishot receive
//! per connection into shared buffers, and one gathering send per connection at a time.
//!
//! ```text
//! submit:  queue requests; nothing enters the kernel
//! wait:    give slots back; restart receives that ran out of them; one enter; reap
//! ```
//!
//! A connection ends in steps: its receive and its send are cancelled or awaited, and only when the
//! kernel has neither is the descriptor closed or given away. So a completion always finds the
//! connection it belongs to.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use clock::Instant;
use io_uring::{opcode, types};
use slab::Slab;
use socket2::{SockAddr, SockRef};
use switch::{Batch, ConnId, ConnectId};

use crate::backend::{Backend, Completion, Op};
use crate::limits::{
    ACCEPT_RETRY, DIRECT_SEND_BYTES_MIN, PACKED_SLOT_BYTES, POOL_BYTES, SENDS_KEPT_MAX,
};
use crate::pool::{Octets, Packer, Pool};
use crate::socket::{self, Socket};
use crate::tag::Tag;

mod buffers;
mod probe;
mod ring;
mod sending;

pub use probe::Unavailable;

use ring::{Reaped, Ring};
use sending::{Lent, Owned};

type Done = Completion<Octets, Socket>;

/// See the module.
#[derive(Debug)]
pub struct Uring {
    ring: Ring,
    waker: Option<Waker>,
    listeners: Vec<Listener>,
    local_addrs: Vec<SocketAddr>,
    /// By position.
    conns: Vec<Option<Conn>>,
    /// Boxed: the kernel may read the address while the request is young.
    connecting: Slab<Box<Connecting>>,
    /// Connections whose receive is to be started again, each at most once in both: those that got nothing in
    /// the last turn, then those that got so much that slots ran out. So nobody goes short for long.
    starved: VecDeque<ConnId>,
    sated: VecDeque<ConnId>,
    /// Turns taken, wrapping.
    turn: u8,
    outbox: Vec<Done>,
    reaped: Vec<Reaped>,
    /// Spent sends, for their allocations.
    spare: Vec<Owned>,
    /// The driver has enough: no more slots are lent.
    is_held: bool,
    /// Memory for what is made out of received octets; none until it is needed.
    packer: Option<Packer>,
}

#[derive(Debug)]
struct Waker {
    eventfd: OwnedFd,
    /// Where the kernel writes the count; reached through this pointer only while a read is under
    /// way, freed never (one per shard).
    count: &'static core::cell::UnsafeCell<u64>,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    /// Start accepting again at this instant.
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct Connecting {
    request: ConnectId,
    socket: OwnedFd,
    to: SocketAddr,
    address: SockAddr,
}

#[derive(Debug)]
struct Conn {
    generation: u32,
    socket: OwnedFd,
    /// The kernel has a receive; its last completion is awaited.
    is_receiving: bool,
    /// That receive was asked to stop.
    is_cancelled: bool,
    /// Stands in `starved` or `sated`.
    is_starved: bool,
    is_paused: bool,
    is_ended: bool,
    /// The turn in which octets were last received, as far as that many bits tell.
    fed_in: u8,
    sending: Option<Lent>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Detaching,
    Failed(io::ErrorKind),
}

impl Uring {
    /// Listens on `listeners`; `waker` is an eventfd. Must be called on the thread that will use it.
    ///
    /// # Errors
    ///
    /// What the kernel lacks or forbids.
    pub fn new(listeners: Vec<TcpListener>, waker: Option<OwnedFd>) -> Result<Self, Unavailable> {
        Self::over(probe::open()?, listeners, waker)
    }

    fn over(
        ring: Ring,
        listeners: Vec<TcpListener>,
        waker: Option<OwnedFd>,
    ) -> Result<Self, Unavailable> {
        let mut uring = Self {
            ring,
            waker: None,
            listeners: Vec::new(),
            local_addrs: Vec::new(),
            conns: Vec::new(),
            connecting: Slab::new(),
            starved: VecDeque::new(),
            sated: VecDeque::new(),
            turn: 0,
            outbox: Vec::new(),
            reaped: Vec::new(),
            spare: Vec::new(),
            is_held: false,
            packer: None,
        };
        if let Some(eventfd) = waker {
            uring.waker = Some(Waker::new(eventfd)?);
            uring.listen_to_waker();
        }
        for socket in listeners {
            let addr = socket.local_addr().map_err(Unavailable::SelfTestIo)?;
            socket
                .set_nonblocking(false)
                .map_err(Unavailable::SelfTestIo)?;
            uring.local_addrs.push(addr);
            let retry_at = Some(Instant::ZERO);
            uring.listeners.push(Listener { socket, retry_at });
        }
        Ok(uring)
    }

    /// Whether the backend can be used here: makes a ring, tries it and throws it away.
    ///
    /// # Errors
    ///
    /// What the kernel lacks or forbids.
    pub fn probe() -> Result<(), Unavailable> {
        probe::open().map(drop)
    }

    /// Receive slots that octets still refer to.
    #[must_use]
    pub fn pinned_slot_count(&self) -> usize {
        self.ring.pinned_slot_count()
    }

    /// How often the kernel was entered: about once per turn, whatever a turn does.
    #[must_use]
    pub fn enter_count(&self) -> u64 {
        self.ring.enter_count()
    }

    fn listen_to_waker(&mut self) {
        let Some(waker) = &self.waker else {
            return;
        };
        let fd = types::Fd(waker.eventfd.as_raw_fd());
        let entry = opcode::Read::new(fd, waker.count.get().cast(), COUNT_BYTES).build();
        // SAFETY: `count` is never freed and no reference to its content is ever formed, so the
        // kernel may write the eight octets at any time.
        unsafe { self.ring.push(entry, Tag::Wake) }
    }

    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(id.index as usize)?.as_mut();
        conn.filter(|conn| conn.generation == id.generation)
    }

    fn connect(&mut self, request: ConnectId, to: SocketAddr) {
        let listener = self.listeners.first().map(|one| &one.socket);
        let socket = match socket::open_like(to, listener) {
            Ok(socket) => OwnedFd::from(socket),
            Err(error) => {
                let error = error.kind();
                self.outbox
                    .push(Completion::ConnectFailed { request, error });
                return;
            }
        };
        let key = self.connecting.insert(Box::new(Connecting {
            request,
            socket,
            to,
            address: to.into(),
        }));
        let connecting = &self.connecting[key];
        let entry = opcode::Connect::new(
            types::Fd(connecting.socket.as_raw_fd()),
            connecting.address.as_ptr().cast(),
            connecting.address.len(),
        );
        let tag = Tag::Connect(u32::try_from(key).expect("bounded by the driver"));
        // SAFETY: the address is in a box of `connecting`, which is removed by the request's
        // completion, and read by nobody until then. On tear-down the ring goes first.
        unsafe { self.ring.push(entry.build(), tag) }
    }

    fn attach(&mut self, id: ConnId, socket: Socket) {
        // A non-blocking descriptor would make requests fail instead of wait.
        let socket = socket.into_fd().and_then(|socket| {
            SockRef::from(&socket).set_nonblocking(false)?;
            Ok(socket)
        });
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) => {
                let error = Some(error.kind());
                self.outbox.push(Completion::Closed { conn: id, error });
                return;
            }
        };
        let index = id.index as usize;
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, || None);
        }
        debug_assert!(self.conns[index].is_none(), "the driver frees names first");
        self.conns[index] = Some(Conn {
            generation: id.generation,
            socket,
            is_receiving: false,
            is_cancelled: false,
            is_starved: false,
            is_paused: false,
            is_ended: false,
            fed_in: self.turn.wrapping_sub(1),
            sending: None,
            phase: Phase::Open,
        });
        self.receive(id);
    }

    /// Starts receiving if that is wanted and not under way.
    fn receive(&mut self, id: ConnId) {
        let is_stocked = self.ring.buffers().is_stocked();
        let Some(conn) = self.conn(id) else {
            return;
        };
        if conn.is_receiving || conn.is_paused || conn.is_ended || conn.phase != Phase::Open {
            return;
        }
        if !is_stocked {
            self.starve(id);
            return;
        }
        conn.is_receiving = true;
        conn.is_cancelled = false;
        let fd = types::Fd(conn.socket.as_raw_fd());
        let entry = opcode::RecvMulti::new(fd, buffers::GROUP).build();
        // SAFETY: the entry points to nothing; buffers come from the registered ring, which lives
        // until the kernel has no request left.
        unsafe { self.ring.push(entry, Tag::Receive(id)) }
    }

    fn starve(&mut self, id: ConnId) {
        let turn = self.turn;
        let Some(conn) = self.conn(id).filter(|conn| !conn.is_starved) else {
            return;
        };
        conn.is_starved = true;
        if conn.fed_in == turn {
            self.sated.push_back(id);
        } else {
            self.starved.push_back(id);
        }
    }

    fn stop_receiving(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id)
            && conn.is_receiving
            && !conn.is_cancelled
        {
            conn.is_cancelled = true;
            self.ring.cancel(Tag::Receive(id));
        }
    }

    /// Sends a large batch by a call of its own, so that its memory is free again while caches hold it:
    /// a request would keep it until all requests of the turn are submitted. A call costs far less than
    /// that many octets. What the system does not take at once becomes a request.
    fn begin_send(&mut self, id: ConnId, batch: Batch<Octets>) -> Option<Batch<Octets>> {
        let conn = self.conn(id).filter(|conn| conn.phase == Phase::Open)?;
        if batch.octet_count() < DIRECT_SEND_BYTES_MIN {
            self.request_send(id, batch);
            return None;
        }
        let taken = socket::send_now(&conn.socket, &batch);
        if taken == batch.octet_count() {
            return Some(batch);
        }
        let mut owned = self.spare.pop().unwrap_or_default();
        owned.load(batch);
        if taken > 0 {
            owned.advance(taken);
            let octets = taken;
            self.outbox
                .push(Completion::Progressed { conn: id, octets });
        }
        self.push_send(id, owned);
        None
    }

    fn request_send(&mut self, id: ConnId, batch: Batch<Octets>) {
        if self.conn(id).is_some_and(|conn| conn.phase == Phase::Open) {
            let mut owned = self.spare.pop().unwrap_or_default();
            owned.load(batch);
            self.push_send(id, owned);
        }
    }

    fn push_send(&mut self, id: ConnId, owned: Owned) {
        let Some(conn) = self.conn(id) else {
            return;
        };
        debug_assert!(conn.sending.is_none(), "one batch at a time");
        let (lent, header) = owned.lend();
        conn.sending = Some(lent);
        let fd = types::Fd(conn.socket.as_raw_fd());
        let entry = opcode::SendMsg::new(fd, header).flags(SEND_FLAGS).build();
        // SAFETY: the header, the list and all octets it names are lent: they stay in place,
        // unchanged, until `complete_send` reclaims them on the request's only completion, and are
        // leaked if that never comes.
        unsafe { self.ring.push(entry, Tag::Send(id)) }
    }

    fn leave(&mut self, id: ConnId, phase: Phase) {
        if let Some(conn) = self.conn(id)
            && conn.phase == Phase::Open
        {
            conn.phase = phase;
            self.stop_receiving(id);
            self.finish(id);
        }
    }

    fn abort(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id) {
            socket::reset_on_close(&conn.socket);
            self.fail(id, io::ErrorKind::TimedOut);
        }
    }

    /// Gives up both directions. The first fault is the one reported.
    fn fail(&mut self, id: ConnId, error: io::ErrorKind) {
        let Some(conn) = self.conn(id) else {
            return;
        };
        if !matches!(conn.phase, Phase::Failed(_)) {
            conn.phase = Phase::Failed(error);
            let is_sending = conn.sending.is_some();
            self.stop_receiving(id);
            if is_sending {
                self.ring.cancel(Tag::Send(id));
            }
        }
        self.finish(id);
    }

    /// Completes the end of a connection when the kernel has no request of it.
    fn finish(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else {
            return;
        };
        if conn.is_receiving || conn.sending.is_some() || conn.phase == Phase::Open {
            return;
        }
        let Some(Conn { socket, phase, .. }) = self.conns[id.index as usize].take() else {
            return;
        };
        let conn = id;
        self.outbox.push(match phase {
            Phase::Detaching => Completion::Detached {
                conn,
                socket: socket.into(),
            },
            Phase::Failed(error) => Completion::Closed {
                conn,
                error: Some(error),
            },
            Phase::Open | Phase::Closing => {
                socket::discard_unread(&socket);
                Completion::Closed { conn, error: None }
            }
        });
    }

    fn complete(&mut self, now: Instant, one: Reaped) {
        match one.tag {
            Tag::Wake => {
                self.outbox.push(Completion::Woken);
                self.listen_to_waker();
            }
            Tag::Cancel => {}
            Tag::Listener(index) => self.complete_accept(now, index as usize, one),
            Tag::Connect(index) => self.complete_connect(index as usize, one.result),
            Tag::Receive(conn) => self.complete_receive(conn, one),
            Tag::Send(conn) => self.complete_send(conn, one.result),
        }
    }

    fn complete_accept(&mut self, now: Instant, index: usize, one: Reaped) {
        let mut retry_at = now;
        match error_of(one.result) {
            None => {
                // SAFETY: the completion brings this open descriptor once, to us alone.
                let socket = unsafe { OwnedFd::from_raw_fd(one.result) };
                // A peer that is gone already has no address; dropping the socket closes it.
                if let Some(peer) = peer_addr(&socket) {
                    self.outbox.push(Completion::Accepted {
                        listener: index,
                        socket: socket.into(),
                        peer,
                    });
                }
            }
            Some(error) if socket::is_of_one_connection(&error) => {}
            Some(error) => {
                tracing::warn!(%error, "accepting pauses");
                retry_at = now + ACCEPT_RETRY;
            }
        }
        if !one.is_more {
            self.listeners[index].retry_at = Some(retry_at);
        }
    }

    fn complete_connect(&mut self, key: usize, result: i32) {
        let Connecting {
            request,
            socket,
            to,
            ..
        } = *self.connecting.remove(key);
        self.outbox.push(match error_of(result) {
            None => Completion::Connected {
                request,
                socket: socket.into(),
                peer: to,
            },
            Some(error) => Completion::ConnectFailed {
                request,
                error: error.kind(),
            },
        });
    }

    fn complete_receive(&mut self, id: ConnId, one: Reaped) {
        let octets = one.buffer.and_then(|used| {
            let count = usize::try_from(one.result).unwrap_or(0);
            if count == 0 {
                self.ring.buffers().unused(used);
                return None;
            }
            Some(self.ring.buffers().received(used, count))
        });
        let turn = self.turn;
        let Some(conn) = self.conn(id) else {
            debug_assert!(false, "a connection stays until its receive has ended");
            return;
        };
        conn.is_receiving = one.is_more;
        if let Some(octets) = octets {
            conn.fed_in = turn;
            self.outbox.push(Completion::Received { conn: id, octets });
        } else if one.result == 0 && conn.phase == Phase::Open {
            conn.is_ended = true;
            self.outbox.push(Completion::Ended { conn: id });
        }
        match error_of(one.result) {
            None => {}
            Some(error) => match error.raw_os_error() {
                // Out of buffers, stopped, or interrupted: start again if that is wanted.
                Some(libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN) => {}
                _ => self.fail(id, error.kind()),
            },
        }
        if !one.is_more {
            self.starve(id);
            self.finish(id);
        }
    }

    fn complete_send(&mut self, id: ConnId, result: i32) {
        let Some(conn) = self.conn(id) else {
            debug_assert!(false, "a connection stays until its send has ended");
            return;
        };
        let Some(lent) = conn.sending.take() else {
            return;
        };
        // SAFETY: this is the completion of the send it was lent for; SENDMSG has just one.
        let mut owned = unsafe { lent.reclaim() };
        let is_failed = matches!(conn.phase, Phase::Failed(_));
        let is_all = match error_of(result) {
            None => {
                let octets = usize::try_from(result).unwrap_or(0);
                let is_all = owned.advance(octets);
                if !is_all {
                    self.outbox
                        .push(Completion::Progressed { conn: id, octets });
                }
                is_all
            }
            Some(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN) => false,
                _ => {
                    self.keep(owned);
                    self.fail(id, error.kind());
                    return;
                }
            },
        };
        if is_all {
            let batch = owned.unload();
            self.outbox.push(Completion::Sent { conn: id, batch });
        } else if !is_failed {
            self.push_send(id, owned);
            return;
        }
        self.keep(owned);
        self.finish(id);
    }

    /// Keeps a spent send for its allocations.
    fn keep(&mut self, mut owned: Owned) {
        drop(owned.unload());
        if self.spare.len() < SENDS_KEPT_MAX {
            self.spare.push(owned);
        }
    }

    /// Starts what stopped for want of buffers or descriptors.
    fn restart(&mut self, now: Instant) {
        if !self.is_held {
            let starved = self.starved.len();
            self.ring.buffers().publish(starved);
        }
        self.starved.append(&mut self.sated);
        for _ in 0..self.starved.len() {
            let id = self.starved.pop_front().expect("counted");
            if let Some(conn) = self.conn(id) {
                conn.is_starved = false;
                self.receive(id);
            }
        }
        for index in 0..self.listeners.len() {
            let listener = &mut self.listeners[index];
            if listener.retry_at.is_none_or(|at| at > now) {
                continue;
            }
            listener.retry_at = None;
            let entry = opcode::AcceptMulti::new(types::Fd(listener.socket.as_raw_fd()))
                .flags(libc::SOCK_CLOEXEC)
                .build();
            let tag = Tag::Listener(u32::try_from(index).expect("a few listeners"));
            // SAFETY: the entry points to nothing.
            unsafe { self.ring.push(entry, tag) }
        }
    }

    fn timeout(&mut self, until: Option<Instant>) -> Option<Duration> {
        if !self.outbox.is_empty() || self.ring.has_completions() {
            return Some(Duration::ZERO);
        }
        let accept = self.listeners.iter().filter_map(|one| one.retry_at);
        let until = accept.chain(until).min()?;
        Some(until.since(self.now()))
    }
}

impl Waker {
    fn new(eventfd: OwnedFd) -> Result<Self, Unavailable> {
        // A non-blocking descriptor would make the read fail instead of wait.
        let flags = libc::O_RDWR;
        // SAFETY: F_SETFL takes an integer; the descriptor is open.
        if unsafe { libc::fcntl(eventfd.as_raw_fd(), libc::F_SETFL, flags) } < 0 {
            return Err(Unavailable::SelfTestIo(io::Error::last_os_error()));
        }
        let count = Box::leak(Box::new(core::cell::UnsafeCell::new(0)));
        Ok(Self { eventfd, count })
    }
}

impl Backend for Uring {
    type Octets = Octets;
    type Socket = Socket;

    fn now(&self) -> Instant {
        crate::time::now()
    }

    fn submit(&mut self, op: Op<Octets, Socket>) {
        match op {
            Op::Connect { request, to } => self.connect(request, to),
            Op::Attach { conn, socket } => self.attach(conn, socket),
            Op::Send { conn, batch } => self.request_send(conn, batch),
            Op::Pause { conn } => {
                if let Some(entry) = self.conn(conn) {
                    entry.is_paused = true;
                    self.stop_receiving(conn);
                }
            }
            Op::Resume { conn } => {
                if let Some(entry) = self.conn(conn) {
                    entry.is_paused = false;
                    self.receive(conn);
                }
            }
            Op::Close { conn } => self.leave(conn, Phase::Closing),
            Op::Abort { conn } => self.abort(conn),
            Op::Detach { conn } => self.leave(conn, Phase::Detaching),
        }
    }

    fn send(&mut self, conn: ConnId, batch: Batch<Octets>) -> Option<Batch<Octets>> {
        self.begin_send(conn, batch)
    }

    fn wait(&mut self, until: Option<Instant>, done: &mut Vec<Done>) -> io::Result<()> {
        let now = self.now();
        self.restart(now);
        self.turn = self.turn.wrapping_add(1);
        let timeout = self.timeout(until);
        self.ring.enter(timeout)?;
        let mut reaped = core::mem::take(&mut self.reaped);
        self.ring.reap(&mut reaped);
        for one in reaped.drain(..) {
            self.complete(now, one);
        }
        self.reaped = reaped;
        done.append(&mut self.outbox);
        Ok(())
    }

    fn hold_receiving(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> Option<Octets> {
        if self.packer.is_none() {
            self.packer = Pool::new(slot_count(), PACKED_SLOT_BYTES)
                .ok()
                .map(Packer::new);
        }
        match &mut self.packer {
            Some(packer) => packer.fill(read),
            None => {
                let mut space = vec![0; PACKED_SLOT_BYTES];
                let count = read(&mut space);
                (count > 0).then(|| Octets::copied(&space[..count]))
            }
        }
    }

    fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        let Self { ring, conns, .. } = self;
        let is_quiet = ring.quiesce(|one| {
            if let Tag::Listener(_) = one.tag
                && error_of(one.result).is_none()
            {
                // SAFETY: the completion brings this open descriptor once, to us alone.
                drop(unsafe { OwnedFd::from_raw_fd(one.result) });
            }
            if let Tag::Send(id) = one.tag
                && let Some(Some(conn)) = conns.get_mut(id.index as usize)
                && let Some(lent) = conn.sending.take()
            {
                // SAFETY: this is the completion of the send it was lent for; SENDMSG has just one.
                drop(unsafe { lent.reclaim() });
            }
        });
        if !is_quiet {
            // The kernel copied the addresses when the requests began, but nothing promises that.
            core::mem::take(&mut self.connecting)
                .drain()
                .for_each(core::mem::forget);
        }
    }
}

/// Slots of the pool for what is made out of received octets.
fn slot_count() -> u16 {
    u16::try_from(POOL_BYTES / PACKED_SLOT_BYTES).expect("checked in limits")
}

/// Not MSG_WAITALL: that a send made progress is told.
const SEND_FLAGS: u32 = libc::MSG_NOSIGNAL as u32;
const COUNT_BYTES: u32 = 8;

fn error_of(result: i32) -> Option<io::Error> {
    (result < 0).then(|| io::Error::from_raw_os_error(-result))
}

fn peer_addr(socket: &OwnedFd) -> Option<SocketAddr> {
    SockRef::from(socket).peer_addr().ok()?.as_socket()
}

/// What an idle connection may cost in this table, where nothing of it is on the heap.
const IDLE_BYTES_MAX: usize = 64;
const _: () = assert!(size_of::<Option<Conn>>() <= IDLE_BYTES_MAX);

#[cfg(test)]
mod tests;
