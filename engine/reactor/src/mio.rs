//! The readiness backend: epoll through `mio`, edge-triggered, made to look like completions.
//!
//! ```text
//! submit Send:   try at once; what does not fit waits for a writable edge
//! wait:          poll (without blocking if anything is pending); note edges
//!                read each readable connection up to its quota; keep it in line if there is more
//!                continue sends whose socket became writable
//! ```

use core::net::SocketAddr;
use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::{AsRawFd, OwnedFd};

use ::mio::event::Event;
use ::mio::net::{TcpListener, TcpStream};
use ::mio::unix::SourceFd;
use ::mio::{Events, Interest, Poll, Token};
use clock::Instant;
use slab::Slab;
use socket2::SockRef;
use switch::{Batch, ConnId, ConnectId};

use crate::backend::{Backend, Completion, Op};
use crate::limits::{
    ACCEPT_RETRY, IOVECS_STACK_MAX, PACKED_SLOT_BYTES, POOL_BYTES, TURN_ACCEPTS_MAX, TURN_BYTES_MAX,
};
use crate::pool::{Octets, Packer, Pool};
use crate::reading::{Line, Phase, Reading, Sending};
use crate::socket::{self, Socket};
use crate::tag::Tag;

type Done = Completion<Octets, Socket>;

/// Events taken from the system per turn; the rest waits for the next.
const EVENTS_MAX: usize = 1024;

/// See the module.
#[derive(Debug)]
pub struct Mio {
    poll: Poll,
    events: Events,
    waker: Option<File>,
    listeners: Vec<Listener>,
    local_addrs: Vec<SocketAddr>,
    /// By position.
    conns: Vec<Option<Conn>>,
    connecting: Slab<Connecting>,
    line: Line,
    outbox: Vec<Done>,
    packer: Packer,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    /// There may be connections to accept, from this instant on.
    ready_at: Option<Instant>,
}

#[derive(Debug)]
struct Connecting {
    request: ConnectId,
    stream: TcpStream,
    to: SocketAddr,
}

#[derive(Debug)]
struct Conn {
    generation: u32,
    stream: TcpStream,
    /// A batch that the socket did not take as a whole.
    sending: Option<Box<Sending<Batch<Octets>>>>,
    /// The last read left something, or an edge came since.
    is_readable: bool,
    /// An edge said that the far end is done: there will be no more, so what is pending must be read
    /// to the end.
    is_last_edge: bool,
    reading: Reading,
}

impl Mio {
    /// Listens on `listeners`; `waker` is an eventfd.
    ///
    /// # Errors
    ///
    /// When the system lacks descriptors or memory.
    pub fn new(listeners: Vec<StdListener>, waker: Option<OwnedFd>) -> io::Result<Self> {
        let slot_count = u16::try_from(POOL_BYTES / PACKED_SLOT_BYTES).expect("checked in limits");
        let mut mio = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            waker: waker.map(File::from),
            listeners: Vec::new(),
            local_addrs: Vec::new(),
            conns: Vec::new(),
            connecting: Slab::new(),
            line: Line::default(),
            outbox: Vec::new(),
            packer: Packer::new(Pool::new(slot_count, PACKED_SLOT_BYTES)?),
        };
        if let Some(waker) = &mio.waker {
            let fd = waker.as_raw_fd();
            mio.poll.registry().register(
                &mut SourceFd(&fd),
                Tag::Wake.into_token(),
                Interest::READABLE,
            )?;
        }
        for listener in listeners {
            mio.listen(listener)?;
        }
        Ok(mio)
    }

    /// Receive slots that octets still refer to, or that is being filled.
    #[must_use]
    pub fn pinned_slot_count(&self) -> usize {
        self.packer.pinned_count()
    }

    fn listen(&mut self, listener: StdListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        self.local_addrs.push(listener.local_addr()?);
        let mut socket = TcpListener::from_std(listener);
        let tag = Tag::Listener(u32::try_from(self.listeners.len()).expect("a few listeners"));
        self.poll
            .registry()
            .register(&mut socket, tag.into_token(), Interest::READABLE)?;
        self.listeners.push(Listener {
            socket,
            ready_at: Some(Instant::ZERO),
        });
        Ok(())
    }

    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(id.index as usize)?.as_mut();
        conn.filter(|conn| conn.generation == id.generation)
    }

    fn connect(&mut self, request: ConnectId, to: SocketAddr) {
        let listener = self.listeners.first().map(|one| &one.socket);
        let outcome = socket::open_like(to, listener).and_then(|socket| {
            socket.set_nonblocking(true)?;
            match socket.connect(&to.into()) {
                Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
                Ok(()) | Err(_) => Ok(TcpStream::from_std(socket.into())),
            }
        });
        let outcome = outcome.and_then(|stream| {
            let entry = self.connecting.vacant_entry();
            let tag = Tag::Connect(u32::try_from(entry.key()).expect("bounded by the driver"));
            let connecting = entry.insert(Connecting {
                request,
                stream,
                to,
            });
            let (stream, interest) = (&mut connecting.stream, Interest::WRITABLE);
            let registry = self.poll.registry();
            registry
                .register(stream, tag.into_token(), interest)
                .inspect_err(|_| {
                    self.connecting.remove(tag.index() as usize);
                })
        });
        if let Err(error) = outcome {
            let error = error.kind();
            self.outbox
                .push(Completion::ConnectFailed { request, error });
        }
    }

    fn attach(&mut self, id: ConnId, socket: Socket) {
        let stream = socket.into_fd().map(StdStream::from);
        let outcome = stream.and_then(|stream| {
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            self.poll.registry().register(
                &mut stream,
                Tag::Receive(id).into_token(),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            Ok(stream)
        });
        let index = id.index as usize;
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, || None);
        }
        match outcome {
            Ok(stream) => {
                self.conns[index] = Some(Conn {
                    generation: id.generation,
                    stream,
                    sending: None,
                    is_readable: false,
                    is_last_edge: false,
                    reading: Reading::new(),
                });
                // Whatever came before the registration need not make an edge of its own.
                self.note_readable(id);
            }
            Err(error) => self.outbox.push(Completion::Closed {
                conn: id,
                error: Some(error.kind()),
            }),
        }
    }

    /// Sends what is taken at once; gives the batch back if that is all.
    fn begin_send(&mut self, id: ConnId, batch: Batch<Octets>) -> Option<Batch<Octets>> {
        let conn = self.conn(id)?;
        debug_assert!(conn.sending.is_none(), "one batch at a time");
        let mut sending = Sending::new(batch);
        match push(&conn.stream, &mut sending) {
            Ok(true) => return Some(sending.batch),
            Ok(false) => {
                let octets = sending.progress();
                conn.sending = Some(Box::new(sending));
                self.tell_progress(id, octets);
            }
            Err(error) => self.fail(id, error.kind()),
        }
        None
    }

    fn continue_send(&mut self, id: ConnId) {
        if let Some(batch) = self.push(id) {
            self.outbox.push(Completion::Sent { conn: id, batch });
            self.finish(id);
        }
    }

    /// Sends on; the batch when all of it is taken.
    fn push(&mut self, id: ConnId) -> Option<Batch<Octets>> {
        let conn = self.conn(id)?;
        let sending = conn.sending.as_mut()?;
        match push(&conn.stream, sending) {
            Ok(false) => {
                let octets = sending.progress();
                self.tell_progress(id, octets);
            }
            Ok(true) => return conn.sending.take().map(|sending| sending.batch),
            Err(error) => self.fail(id, error.kind()),
        }
        None
    }

    fn tell_progress(&mut self, id: ConnId, octets: usize) {
        if octets > 0 {
            let progress = Completion::Progressed { conn: id, octets };
            self.outbox.push(progress);
        }
    }

    fn note_readable(&mut self, id: ConnId) {
        let Self { conns, line, .. } = self;
        if let Some(Some(conn)) = conns.get_mut(id.index as usize)
            && conn.generation == id.generation
        {
            conn.is_readable = true;
            line.note(id, &mut conn.reading);
        }
    }

    /// Reads from those that have something, as much as a turn may bring.
    fn read_all(&mut self) {
        let (mut turn, mut bytes) = (self.line.begin(), 0);
        while let Some(id) = self.line.next(&mut turn, bytes) {
            bytes = self.read(id);
        }
    }

    /// Reads up to a connection's quota; how many octets.
    fn read(&mut self, id: ConnId) -> usize {
        let Self {
            conns,
            packer,
            outbox,
            ..
        } = self;
        let Some(conn) = conns.get_mut(id.index as usize).and_then(Option::as_mut) else {
            return 0;
        };
        if conn.generation != id.generation {
            return 0;
        }
        if !conn.reading.begin() {
            return 0;
        }
        let mut taken = 0;
        loop {
            let mut space_bytes = 0;
            let outcome = packer.read(|space| {
                space_bytes = space.len();
                (&conn.stream).read(space)
            });
            match outcome {
                Ok(Some(octets)) => {
                    let count = octets.as_ref().len();
                    outbox.push(Completion::Received { conn: id, octets });
                    taken += count;
                    if count < space_bytes && !conn.is_last_edge {
                        // Less than there was room for: the next octet, or the end, makes an edge.
                        conn.is_readable = false;
                        return taken;
                    }
                    if taken >= TURN_BYTES_MAX {
                        self.note_readable(id);
                        return taken;
                    }
                }
                Ok(None) => {
                    conn.reading.is_ended = true;
                    outbox.push(Completion::Ended { conn: id });
                    return taken;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    conn.is_readable = false;
                    return taken;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.fail(id, error.kind());
                    return taken;
                }
            }
        }
    }

    fn resume(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id) {
            conn.reading.is_paused = false;
            if conn.is_readable {
                self.note_readable(id);
            }
        }
    }

    fn leave(&mut self, id: ConnId, phase: Phase) {
        if let Some(conn) = self.conn(id) {
            conn.reading.phase = phase;
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
        match conn.reading.phase {
            Phase::Open => {}
            Phase::Closing => {
                socket::discard_unread(&conn.stream);
                self.forget(id);
                let (conn, error) = (id, None);
                self.outbox.push(Completion::Closed { conn, error });
            }
            Phase::Detaching => {
                if let Some(stream) = self.forget(id) {
                    let socket = OwnedFd::from(stream).into();
                    self.outbox.push(Completion::Detached { conn: id, socket });
                }
            }
        }
    }

    fn abort(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id) {
            socket::reset_on_close(&conn.stream);
            self.fail(id, io::ErrorKind::TimedOut);
        }
    }

    fn fail(&mut self, id: ConnId, error: io::ErrorKind) {
        if self.forget(id).is_some() {
            let error = Some(error);
            self.outbox.push(Completion::Closed { conn: id, error });
        }
    }

    fn forget(&mut self, id: ConnId) -> Option<TcpStream> {
        self.conn(id)?;
        let mut conn = self.conns[id.index as usize].take()?;
        if let Err(error) = self.poll.registry().deregister(&mut conn.stream) {
            tracing::debug!(%error, "deregistering failed");
        }
        Some(conn.stream)
    }

    fn note(&mut self, now: Instant, event: &Note) {
        match event.tag {
            Tag::Wake => {
                let mut count = [0; 8];
                if let Some(mut waker) = self.waker.as_ref() {
                    // Nothing to read means that an earlier read saw this wake-up too.
                    _ = waker.read(&mut count);
                }
                self.outbox.push(Completion::Woken);
            }
            Tag::Listener(index) => {
                if let Some(listener) = self.listeners.get_mut(index as usize) {
                    listener.ready_at = Some(now);
                }
            }
            Tag::Connect(index) => self.complete_connect(index as usize),
            Tag::Receive(conn) => {
                if event.is_readable {
                    if let Some(conn) = self.conn(conn) {
                        conn.is_last_edge |= event.is_last;
                    }
                    self.note_readable(conn);
                }
                if event.is_writable {
                    self.continue_send(conn);
                }
            }
            Tag::Send(_) | Tag::Cancel => {}
        }
    }

    fn complete_connect(&mut self, key: usize) {
        let Some(connecting) = self.connecting.get(key) else {
            return;
        };
        let fault = match connecting.stream.take_error() {
            Ok(fault) => fault.or_else(|| connecting.stream.peer_addr().err()),
            Err(fault) => Some(fault),
        };
        if fault
            .as_ref()
            .is_some_and(|fault| fault.kind() == io::ErrorKind::NotConnected)
        {
            return; // a spurious edge: still under way
        }
        let Connecting {
            request,
            mut stream,
            to,
        } = self.connecting.remove(key);
        if let Err(error) = self.poll.registry().deregister(&mut stream) {
            tracing::debug!(%error, "deregistering failed");
        }
        self.outbox.push(match fault {
            None => Completion::Connected {
                request,
                socket: OwnedFd::from(stream).into(),
                peer: to,
            },
            Some(fault) => Completion::ConnectFailed {
                request,
                error: fault.kind(),
            },
        });
    }

    fn accept(&mut self, now: Instant) {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if listener.ready_at.is_none_or(|at| at > now) {
                continue;
            }
            for _ in 0..TURN_ACCEPTS_MAX {
                match listener.socket.accept() {
                    Ok((stream, peer)) => {
                        self.outbox.push(Completion::Accepted {
                            listener: index,
                            socket: OwnedFd::from(stream).into(),
                            peer,
                        });
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listener.ready_at = None;
                        break;
                    }
                    Err(error) if socket::is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "accepting pauses");
                        listener.ready_at = Some(now + ACCEPT_RETRY);
                        break;
                    }
                }
            }
        }
    }

    /// How long to block.
    fn timeout(&self, until: Option<Instant>) -> Option<core::time::Duration> {
        if !self.outbox.is_empty() || !self.line.is_empty() {
            return Some(core::time::Duration::ZERO);
        }
        let accept = self.listeners.iter().filter_map(|one| one.ready_at);
        let until = accept.chain(until).min()?;
        Some(until.since(self.now()))
    }
}

/// An event, copied out of the system's list.
struct Note {
    tag: Tag,
    is_readable: bool,
    is_last: bool,
    is_writable: bool,
}

impl From<&Event> for Note {
    fn from(event: &Event) -> Self {
        Self {
            tag: Tag::from_token(event.token()),
            is_readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            is_last: event.is_read_closed() || event.is_error(),
            is_writable: event.is_writable() || event.is_write_closed() || event.is_error(),
        }
    }
}

impl Backend for Mio {
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
                if let Some(batch) = self.begin_send(conn, batch) {
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
            Op::Abort { conn } => self.abort(conn),
            Op::Detach { conn } => self.leave(conn, Phase::Detaching),
        }
    }

    fn send(&mut self, conn: ConnId, batch: Batch<Octets>) -> Option<Batch<Octets>> {
        self.begin_send(conn, batch)
    }

    fn wait(&mut self, until: Option<Instant>, done: &mut Vec<Done>) -> io::Result<()> {
        let timeout = self.timeout(until);
        let mut events = core::mem::replace(&mut self.events, Events::with_capacity(0));
        let outcome = self.poll.poll(&mut events, timeout);
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let now = self.now();
        for event in &events {
            self.note(now, &event.into());
        }
        self.events = events;
        self.accept(now);
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

/// Sends until all is taken (`true`) or the system takes no more (`false`).
fn push(stream: &TcpStream, sending: &mut Sending<Batch<Octets>>) -> io::Result<bool> {
    let socket = SockRef::from(stream);
    while !sending.is_over() {
        let mut runs = [IoSlice::new(&[]); IOVECS_STACK_MAX];
        let mut count = 0;
        for (run, slice) in runs.iter_mut().zip(sending.rest()) {
            *run = IoSlice::new(slice);
            count += 1;
        }
        match socket.send_vectored_with_flags(&runs[..count], libc::MSG_NOSIGNAL) {
            Ok(taken) => sending.taken += taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// What an idle connection may cost in this table, where nothing of it is on the heap.
const IDLE_BYTES_MAX: usize = 64;
const _: () = assert!(size_of::<Option<Conn>>() <= IDLE_BYTES_MAX);

impl Tag {
    fn into_token(self) -> Token {
        Token(usize::try_from(self.pack()).expect("a 64-bit system"))
    }

    fn from_token(token: Token) -> Self {
        Self::unpack(token.0 as u64)
    }
}
