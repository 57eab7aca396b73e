//! Socket options, and the listeners that shards share a port with.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use socket2::{Domain, Protocol, SockRef, Socket as SystemSocket, TcpKeepalive, Type};
use switch::Batch;

use crate::limits::{IOVECS_STACK_MAX, LISTEN_BACKLOG, TURN_BYTES_MAX};
use crate::pool::Octets;
use crate::xdp::XdpSocket;

/// A connected socket that is attached to no backend. Dropping it closes it.
#[derive(Debug)]
pub enum Socket {
    /// The system's.
    System(OwnedFd),
    /// Of the user-space TCP; only the backend over AF_XDP can take it.
    Xdp(XdpSocket),
}

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self::System(fd)
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::System(stream.into())
    }
}

impl Socket {
    /// The system's descriptor.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if it has none.
    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        match self {
            Self::System(fd) => Ok(fd),
            Self::Xdp(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// A dead peer is noticed after this long without traffic, plus nine unanswered probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Octets that the system takes for a connection and cannot send yet. It would take 4 MiB otherwise, and
/// then nothing before a third of that was read: nobody could tell a slow reader from one that stalls.
const UNSENT_BYTES_MAX: u32 = 1024 * 1024;

/// Listens on every address once per shard, so that the system spreads connections over them
/// (`SO_REUSEPORT`): element `i` of the result is for shard `i`. Port 0 is chosen once per address
/// and shared.
///
/// # Errors
///
/// The system's; [`io::ErrorKind::AddrInUse`] also when another process shares the port willingly.
pub fn bind_listeners(
    addrs: &[SocketAddr],
    shard_count: usize,
) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut shards: Vec<Vec<TcpListener>> = Vec::new();
    shards.resize_with(shard_count, Vec::new);
    for &addr in addrs {
        if addr.port() != 0 {
            // Without SO_REUSEPORT this fails where the real one would share the port with
            // somebody else and lose half of its connections to them.
            socket(addr)?.bind(&addr.into())?;
        }
        let mut addr = addr;
        for listeners in &mut shards {
            let listener = listen(addr)?;
            addr = listener.local_addr()?;
            listeners.push(listener);
        }
    }
    Ok(shards)
}

/// Listens once more on addresses that other shards of [`bind_listeners`] may listen on, for a shard in
/// the place of one that has ended.
///
/// # Errors
///
/// The system's.
pub fn rebind_listeners(addrs: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    addrs.iter().map(|addr| listen(*addr)).collect()
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(addr)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

fn socket(addr: SocketAddr) -> io::Result<SystemSocket> {
    let socket = SystemSocket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// A TCP socket as every connection needs it; what a listener accepts inherits the options.
pub(crate) fn open(addr: SocketAddr) -> io::Result<SystemSocket> {
    let socket = socket(addr)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL),
    )?;
    Ok(socket)
}

/// Chooses TCP's congestion control for what a listener accepts from now on, and for what its shard
/// connects to.
///
/// # Errors
///
/// The system's; [`io::ErrorKind::NotFound`] for one that it does not have,
/// [`io::ErrorKind::PermissionDenied`] for one that is not in `tcp_allowed_congestion_control`.
pub fn set_congestion_control(listener: &TcpListener, name: &str) -> io::Result<()> {
    SockRef::from(listener).set_tcp_congestion(name.as_bytes())
}

/// A socket to connect with, which controls congestion as what the shard accepts does.
pub(crate) fn open_like(
    addr: SocketAddr,
    listener: Option<&impl AsFd>,
) -> io::Result<SystemSocket> {
    let socket = open(addr)?;
    if let Some(listener) = listener {
        socket.set_tcp_congestion(&congestion_control(listener)?)?;
    }
    Ok(socket)
}

fn congestion_control(socket: &impl AsFd) -> io::Result<Vec<u8>> {
    let mut name = SockRef::from(socket).tcp_congestion()?;
    name.truncate(
        name.iter()
            .position(|octet| *octet == 0)
            .unwrap_or(name.len()),
    );
    Ok(name)
}

/// Makes the next close reset the connection and free what the system still holds to send.
pub(crate) fn reset_on_close(socket: &impl AsFd) {
    if let Err(error) = SockRef::from(socket).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "cannot reset a connection");
    }
}

/// Hands the system what it takes at once, without waiting, of a batch; how many octets that are. A
/// fault shows when the rest is sent.
pub(crate) fn send_now(socket: &impl AsFd, batch: &Batch<Octets>) -> usize {
    let mut runs = [IoSlice::new(&[]); IOVECS_STACK_MAX];
    let (mut count, mut octets) = (0, 0);
    for (run, slice) in runs.iter_mut().zip(batch.slices()) {
        *run = IoSlice::new(slice);
        count += 1;
        octets += slice.len();
    }
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    let taken = SockRef::from(socket).send_vectored_with_flags(&runs[..count], flags);
    taken.unwrap_or(0).min(octets)
}

/// Reads away, without waiting, what would turn an orderly close into a reset that may cost the peer
/// our last octets. Bounded; a peer that sends on is reset.
pub(crate) fn discard_unread(socket: &impl AsFd) {
    // The system copies nothing for MSG_TRUNC on TCP.
    let mut space = [core::mem::MaybeUninit::uninit(); TURN_BYTES_MAX / 8];
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    let socket = SockRef::from(socket);
    for _ in 0..8 {
        match socket.recv_with_flags(&mut space, flags) {
            Ok(count) if count == space.len() => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Whether accepting failed for one connection alone, and the next may be accepted at once.
pub(crate) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn shards_share_a_port_that_the_system_chose() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let shards = bind_listeners(&[any, any], 3).unwrap();
        let addrs = |shard: &Vec<TcpListener>| -> Vec<_> {
            shard.iter().map(|one| one.local_addr().unwrap()).collect()
        };
        assert_eq!(shards.len(), 3);
        assert_eq!(addrs(&shards[0]), addrs(&shards[1]));
        assert_eq!(addrs(&shards[0]), addrs(&shards[2]));
        assert_ne!(addrs(&shards[0])[0], addrs(&shards[0])[1]);
    }

    #[test]
    fn a_port_in_use_is_refused_though_it_could_be_shared() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = bind_listeners(&[any], 1).unwrap();
        let taken = first[0][0].local_addr().unwrap();
        let error = bind_listeners(&[taken], 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn congestion_control_is_that_of_the_listener() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = bind_listeners(&[any], 1).unwrap().remove(0).remove(0);
        // Always there, always allowed.
        set_congestion_control(&listener, "reno").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let ours = open_like(any, Some(&listener)).unwrap();
        assert_eq!(congestion_control(&accepted).unwrap(), b"reno");
        assert_eq!(congestion_control(&ours).unwrap(), b"reno");
        let error = set_congestion_control(&listener, "nonesuch").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn accepted_connections_inherit_the_options() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = bind_listeners(&[any], 1).unwrap();
        let _client = TcpStream::connect(listeners[0][0].local_addr().unwrap()).unwrap();
        let (accepted, _) = listeners[0][0].accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES_MAX);
    }
}
