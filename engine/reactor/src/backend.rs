//! What a reactor must be able to do: completion semantics for a few operations on TCP connections.

use core::net::SocketAddr;
use std::io;

use clock::Instant;
use switch::{Batch, ConnId, ConnectId};

/// One way of doing network I/O. Completion is the common vocabulary: io_uring speaks it natively,
/// readiness emulates it, a simulation makes it up.
///
/// The driver names connections; a backend knows a connection from [`Op::Attach`] until it reports
/// [`Completion::Closed`] or [`Completion::Detached`], when nothing of it is outstanding any more.
/// An operation on a connection whose end was reported, but not yet seen by the driver, is ignored.
pub trait Backend {
    /// Received octets.
    type Octets: switch::Octets + From<Vec<u8>>;
    /// A connected socket that is not attached to any backend. Dropping it closes it.
    type Socket;

    /// The time, from the epoch that all shards of the process share.
    fn now(&self) -> Instant;

    /// Takes an operation; its outcome comes from a later [`Self::wait`]. Nothing needs to reach the
    /// system before that.
    fn submit(&mut self, op: Op<Self::Octets, Self::Socket>);

    /// Sends as [`Op::Send`] does, but gives the batch back if the system takes all of it at once; no
    /// completion follows then. What was written last is so reused while caches hold it.
    fn send(&mut self, conn: ConnId, batch: Batch<Self::Octets>) -> Option<Batch<Self::Octets>> {
        self.submit(Op::Send { conn, batch });
        None
    }

    /// Starts what was submitted, waits for at least one completion or until `until` (`None`: as
    /// long as it takes; the past: not at all) and appends what happened. May return with nothing.
    ///
    /// # Errors
    ///
    /// Only faults that end the whole reactor; a connection's faults are completions.
    fn wait(
        &mut self,
        until: Option<Instant>,
        done: &mut Vec<Completion<Self::Octets, Self::Socket>>,
    ) -> io::Result<()>;

    /// From here on whether to bring what connections receive: while it is held back, no more octets
    /// come than are on their way to [`Self::wait`] already. For a driver that has enough of them.
    fn hold_receiving(&mut self, is_held: bool);

    /// Lets `read` fill some receive memory, once; what it filled, `None` if that is nothing. For
    /// octets that are made out of received ones.
    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> Option<Self::Octets> {
        let mut space = vec![0; FILL_BYTES];
        let count = read(&mut space);
        space.truncate(count);
        (count > 0).then(|| space.into())
    }

    /// Where connections are accepted.
    fn local_addrs(&self) -> &[SocketAddr];
}

/// How much memory a backend without a pool offers at once.
const FILL_BYTES: usize = 16 * 1024;

/// What the driver asks for.
#[derive(Debug)]
pub enum Op<B, S> {
    /// Open a connection; answered by `Connected` or `ConnectFailed`.
    Connect {
        /// Correlates the answer.
        request: ConnectId,
        /// Where to.
        to: SocketAddr,
    },
    /// Take charge of a connected socket and begin to read.
    Attach {
        /// Its name from now on.
        conn: ConnId,
        /// The socket, in any blocking mode.
        socket: S,
    },
    /// Send all of a batch, which is not empty; answered by `Sent`, with any number of `Progressed`
    /// before it, or never if the connection ends. At most one is outstanding per connection.
    Send {
        /// On which connection.
        conn: ConnId,
        /// What.
        batch: Batch<B>,
    },
    /// Stop reading. Octets already on their way may still be reported.
    Pause {
        /// Which connection.
        conn: ConnId,
    },
    /// Read again.
    Resume {
        /// Which connection.
        conn: ConnId,
    },
    /// Stop reading, send what is outstanding, close in order; answered by `Closed`.
    Close {
        /// Which connection.
        conn: ConnId,
    },
    /// Give up what is outstanding and reset; answered by `Closed`.
    Abort {
        /// Which connection.
        conn: ConnId,
    },
    /// Stop reading, send what is outstanding, give the socket back; answered by `Detached` (or
    /// `Closed` when it failed). Octets are reported as received until then.
    Detach {
        /// Which connection.
        conn: ConnId,
    },
}

/// What happened.
#[derive(Debug)]
pub enum Completion<B, S> {
    /// A listener accepted a connection.
    Accepted {
        /// Which listener, by position in the backend's list.
        listener: usize,
        /// Not attached yet.
        socket: S,
        /// The far end.
        peer: SocketAddr,
    },
    /// An [`Op::Connect`] succeeded.
    Connected {
        /// Which.
        request: ConnectId,
        /// Not attached yet.
        socket: S,
        /// The far end.
        peer: SocketAddr,
    },
    /// An [`Op::Connect`] failed.
    ConnectFailed {
        /// Which.
        request: ConnectId,
        /// Why.
        error: io::ErrorKind,
    },
    /// Octets arrived; never empty.
    Received {
        /// On which connection.
        conn: ConnId,
        /// Which.
        octets: B,
    },
    /// The far end sent its last octet. Sending is still possible.
    Ended {
        /// On which connection.
        conn: ConnId,
    },
    /// The system took some more of the batch that is being sent, but not its end.
    Progressed {
        /// On which connection.
        conn: ConnId,
        /// How many octets, since the batch was submitted or this was last said.
        octets: usize,
    },
    /// A batch is wholly handed to the system.
    Sent {
        /// On which connection.
        conn: ConnId,
        /// The batch.
        batch: Batch<B>,
    },
    /// The connection is closed and forgotten.
    Closed {
        /// Which.
        conn: ConnId,
        /// The fault that ended it; `None` if it was closed because of [`Op::Close`].
        error: Option<io::ErrorKind>,
    },
    /// The connection is forgotten, its socket open.
    Detached {
        /// Which.
        conn: ConnId,
        /// Its socket.
        socket: S,
    },
    /// Somebody used the waker.
    Woken,
}
