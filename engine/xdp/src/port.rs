//! An interface opened for the shards of a process: its program, and each shard's queues.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant as SystemInstant;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::error::{Error, system};
use crate::limits::{ADDRESSES_MAX, QUEUES_MAX, REBIND_TIME, TURN_FRAMES_MAX};
use crate::program::assemble;
use crate::stack::{FrameSink, Lease, Owners};
use crate::sys::{
    AttachMode, Link, LinkInfo, PortMap, Program, Queue, Receiver, Sender, SocketMap,
};
use crate::sys::{OpenError, sleep};

/// What all shards share. The program is detached when the last of them is gone.
#[derive(Debug)]
struct Shared {
    _link: Link,
    _program: Program,
    _sockets: SocketMap,
    ports: PortMap,
    addresses: Vec<IpAddr>,
    owners: Arc<Owners>,
    /// Keep the listening ports from others, see [`keep`]; the kernel answers them when the process is gone.
    _reserved: Vec<Socket>,
    interface: String,
}

/// One shard's way to an interface.
#[derive(Debug)]
pub struct Port {
    shard: u8,
    shards: u8,
    listeners: Vec<SocketAddr>,
    receivers: Vec<Receiver>,
    sender: Sender,
    packet_bytes_max: usize,
    accepts_partial: bool,
    leaves_checksums: bool,
    polls_driver: bool,
    shared: Arc<Shared>,
    /// For packets to whom we have not heard yet: the kernel knows the way. IPv4, IPv6.
    routers: [Option<Socket>; 2],
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct PortConfig<'a> {
    /// The interface's name.
    pub interface: &'a str,
    /// Where to listen; port 0 lets the system choose, an unspecified address stands for all.
    pub listeners: &'a [SocketAddr],
    /// Among how many shards the queues are divided.
    pub shards: u8,
    /// How long shards poll before they sleep.
    pub busy_poll: Duration,
}

/// Drivers whose frames may come without a TCP checksum: they were never on a wire.
const NEVER_ON_A_WIRE: [&str; 5] = ["veth", "virtio_net", "tun", "bridge", "dummy"];

/// Receive queues of an interface; `None` if there is no such interface.
#[must_use]
pub fn queue_count(interface: &str) -> Option<u32> {
    LinkInfo::of(interface)
        .ok()
        .flatten()
        .map(|info| info.queues)
}

/// Opens an interface: element `i` of the result is for shard `i`. Says in the log how.
///
/// # Errors
///
/// [`Error`], which names what is missing.
pub fn open(config: &PortConfig<'_>) -> Result<Vec<Port>, Error> {
    let name = config.interface;
    let info = LinkInfo::of(name)
        .map_err(|error| system(format!("cannot look at interface {name}"), error))?
        .ok_or_else(|| Error::NoInterface(name.to_owned()))?;
    if !info.is_up {
        return Err(Error::Down(name.to_owned()));
    }
    if info.queues < config.shards.into() {
        return Err(Error::TooFewQueues {
            interface: name.to_owned(),
            queues: info.queues,
            shards: config.shards,
        });
    }
    if info.queues > QUEUES_MAX {
        return Err(Error::TooManyQueues(name.to_owned()));
    }
    let addresses = local_addresses(name, &info, config.listeners)?;
    let map = |error| system("cannot make a BPF map", error);
    let ports = PortMap::new().map_err(map)?;
    let sockets = SocketMap::new(2 * info.queues).map_err(map)?;
    let program = Program::load(&ports, &sockets, |ports, sockets| {
        assemble(&addresses, info.queues, ports, sockets)
    })
    .map_err(|error| system("cannot load the XDP program", error))?;
    let mut queues = Vec::new();
    for queue in 0..info.queues {
        let one = patiently(|| Queue::open(info.index, queue, config.busy_poll))
            .map_err(|error| of_queue(name, queue, error))?;
        let both = [
            (queue, one.receiver.socket()),
            (info.queues + queue, one.receiver.acknowledgement_socket()),
        ];
        for (place, socket) in both {
            sockets
                .set(place, socket)
                .map_err(|error| system("cannot enter a socket in a BPF map", error))?;
        }
        queues.push(one);
    }
    let (listeners, reserved) = reserve(name, config.listeners)?;
    for (addr, listener) in config.listeners.iter().zip(&listeners) {
        ports.open(listener.port(), mask(&addresses, addr.ip()));
    }
    let (link, mode) = attach(&program, info.index)
        .map_err(|error| system(format!("cannot attach an XDP program to {name}"), error))?;
    let accepts_partial = info.is_loopback || NEVER_ON_A_WIRE.contains(&&*info.driver);
    let fits = queues
        .iter()
        .map(Queue::packet_bytes_max)
        .min()
        .unwrap_or(0);
    let packet_bytes_max = info.mtu.clamp(576, fits);
    let is_zero_copy = queues.iter().all(|queue| queue.is_zero_copy);
    let leaves_checksums = queues.iter().all(|queue| queue.leaves_checksums);
    tracing::info!(
        interface = name,
        driver = info.driver,
        mode = if mode == AttachMode::Native {
            "native"
        } else {
            "generic"
        },
        copy = if is_zero_copy { "zero-copy" } else { "copy" },
        queues = info.queues,
        mtu = info.mtu,
        packet_bytes_max,
        checksums = if leaves_checksums { "kernel" } else { "here" },
        polls = !config.busy_poll.is_zero(),
        "AF_XDP is up"
    );
    let shared = Arc::new(Shared {
        _link: link,
        _program: program,
        _sockets: sockets,
        ports,
        addresses,
        owners: Arc::default(),
        _reserved: reserved,
        interface: name.to_owned(),
    });
    let mut shards: Vec<Vec<Queue>> = (0..config.shards).map(|_| Vec::new()).collect();
    for (number, queue) in queues.into_iter().enumerate() {
        shards[number % usize::from(config.shards)].push(queue);
    }
    let shards = (0..).zip(shards).map(|(shard, queues)| {
        let (mut receivers, mut senders) = (Vec::new(), Vec::new());
        for mut queue in queues {
            queue.sender.leaves_checksums = leaves_checksums;
            receivers.push(queue.receiver);
            senders.push(queue.sender);
        }
        Port {
            shard,
            shards: config.shards,
            listeners: listeners.clone(),
            receivers,
            sender: senders.swap_remove(0),
            packet_bytes_max,
            accepts_partial,
            leaves_checksums,
            polls_driver: is_zero_copy && !config.busy_poll.is_zero(),
            routers: [router(name, Domain::IPV4), router(name, Domain::IPV6)],
            shared: Arc::clone(&shared),
        }
    });
    Ok(shards.collect())
}

/// The addresses that the program takes frames for.
fn local_addresses(
    name: &str,
    info: &LinkInfo,
    listeners: &[SocketAddr],
) -> Result<Vec<IpAddr>, Error> {
    let mut found: Vec<IpAddr> = Vec::new();
    for listener in listeners {
        let ip = listener.ip();
        let matching = info
            .addresses
            .iter()
            .filter(|one| **one == ip || ip.is_unspecified() && one.is_ipv4() == ip.is_ipv4());
        let before = found.len();
        let mut is_there = false;
        for one in matching {
            is_there = true;
            if !found.contains(one) {
                found.push(*one);
            }
        }
        if !is_there {
            debug_assert_eq!(before, found.len());
            return Err(Error::NoAddress {
                addr: ip,
                interface: name.to_owned(),
            });
        }
    }
    if found.len() > ADDRESSES_MAX {
        return Err(Error::TooManyAddresses(name.to_owned()));
    }
    Ok(found)
}

/// The bits of the addresses that an address stands for.
fn mask(addresses: &[IpAddr], ip: IpAddr) -> u64 {
    let bits = addresses
        .iter()
        .enumerate()
        .filter(|(_, one)| **one == ip || ip.is_unspecified() && one.is_ipv4() == ip.is_ipv4());
    bits.map(|(bit, _)| 1 << bit).sum()
}

/// Keeps the ports, so that port 0 becomes a port.
fn reserve(
    interface: &str,
    listeners: &[SocketAddr],
) -> Result<(Vec<SocketAddr>, Vec<Socket>), Error> {
    let all = listeners.iter().map(|&addr| {
        let socket = keep(interface, addr).map_err(|source| Error::Reserve { addr, source })?;
        Ok((bound(&socket), socket))
    });
    Ok(all.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

/// A socket that keeps a port from others and the kernel silent about it.
///
/// What the program leaves to the kernel may be for us all the same: fragments, of which only the first says for which
/// port. Where nobody listens the kernel would answer them with RST, which ends a connection that it knows nothing of;
/// where somebody listens who hears nothing, it does not. Other interfaces are none of its business.
fn keep(interface: &str, addr: SocketAddr) -> io::Result<Socket> {
    // Of every packet no octet is taken.
    const BPF_RETURN: u16 = 0x06;
    let nothing = SockFilter::new(BPF_RETURN, 0, 0, 0);
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // What is left of an earlier process is no reason not to begin.
    socket.set_reuse_address(addr.port() != 0)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.attach_filter(&[nothing])?;
    socket.bind(&addr.into())?;
    socket.listen(1)?;
    Ok(socket)
}

fn bound(socket: &Socket) -> SocketAddr {
    let addr = socket.local_addr().ok().and_then(|addr| addr.as_socket());
    addr.expect("an address of the family asked for")
}

fn of_queue(name: &str, queue: u32, error: OpenError) -> Error {
    match error {
        OpenError::Socket(error) => system("cannot open an AF_XDP socket", error),
        OpenError::Memory(error) => system("cannot register memory for frames", error),
        OpenError::Bind(error) => system(format!("cannot bind to queue {queue} of {name}"), error),
    }
}

/// Native where the driver has it, else generic.
fn attach(program: &Program, index: u32) -> io::Result<(Link, AttachMode)> {
    let try_mode = |mode| patiently(|| program.attach(index, mode).map_err(OpenError::Bind));
    let mut last = None;
    for mode in [AttachMode::Native, AttachMode::Generic] {
        match try_mode(mode) {
            Ok(link) => return Ok((link, mode)),
            Err(OpenError::Bind(error) | OpenError::Socket(error) | OpenError::Memory(error)) => {
                tracing::debug!(?mode, %error, "cannot attach the XDP program so");
                let is_busy = error.raw_os_error() == Some(libc::EBUSY);
                last = Some(error);
                if is_busy {
                    break;
                }
            }
        }
    }
    Err(last.expect("two modes were tried"))
}

/// Tries again for a while what is busy: the kernel takes a queue apart after its user has gone.
#[expect(
    clippy::disallowed_methods,
    reason = "the start of the process, before any turn: a real clock and real waiting"
)]
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let end = SystemInstant::now() + REBIND_TIME;
    loop {
        match attempt() {
            Err(OpenError::Bind(error))
                if error.raw_os_error() == Some(libc::EBUSY) && SystemInstant::now() < end =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

/// A socket for whole packets, whose way the kernel finds.
fn router(interface: &str, domain: Domain) -> Option<Socket> {
    let open = || -> io::Result<Socket> {
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
        socket.bind_device(Some(interface.as_bytes()))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    open()
        .inspect_err(|error| tracing::debug!(%error, ?domain, "no way to begin connections"))
        .ok()
}

impl Port {
    /// Where connections are accepted.
    #[must_use]
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// What the stack of this shard is made with.
    #[must_use]
    pub fn stack_config(&self, seed: u64) -> crate::stack::Config {
        crate::stack::Config {
            shard: self.shard,
            shards: self.shards,
            listeners: self.listeners.clone(),
            packet_bytes_max: self.packet_bytes_max,
            accepts_partial: self.accepts_partial,
            leaves_checksums: self.leaves_checksums,
            seed,
            owners: Arc::clone(&self.shared.owners),
        }
    }

    /// Shows received frames to `take`, with room for answers, a bounded number of each queue. Returns
    /// how many.
    pub fn receive(&mut self, mut take: impl FnMut(&[u8], &mut Outlet<'_>)) -> usize {
        let mut outlet = Outlet {
            sender: &mut self.sender,
            routers: &self.routers,
        };
        let mut count = 0;
        for receiver in &mut self.receivers {
            let of_queue = receiver.receive(TURN_FRAMES_MAX, |frame| take(frame, &mut outlet));
            if of_queue == 0 && self.polls_driver {
                receiver.wake();
            }
            count += of_queue;
        }
        count
    }

    /// Where frames go.
    pub fn outlet(&mut self) -> Outlet<'_> {
        Outlet {
            sender: &mut self.sender,
            routers: &self.routers,
        }
    }

    /// Has the kernel send what was put into the outlet; whether there was anything.
    pub fn flush(&mut self) -> bool {
        self.sender.flush()
    }

    /// Sleeps until a frame arrives, `waker` can be read, or the time is over, which `false` says. Who does not want
    /// `acknowledgements` is not woken by those without octets.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn sleep(
        &self,
        waker: Option<BorrowedFd<'_>>,
        time: Option<Duration>,
        acknowledgements: bool,
    ) -> io::Result<bool> {
        let fds = self.receivers.iter().map(Receiver::socket).chain(waker);
        let bare = self.receivers.iter().filter(|_| acknowledgements);
        sleep(fds.chain(bare.map(Receiver::acknowledgement_socket)), time)
    }

    /// Reserves a local port for a connection to `remote`: the address we are seen from, and the
    /// right to the port.
    ///
    /// # Errors
    ///
    /// When there is no way to `remote` through the interface, or no port is left.
    pub fn lease(&self, remote: SocketAddr) -> io::Result<(SocketAddr, Arc<Lease>)> {
        let ip = self.source(remote)?;
        let socket = keep(&self.shared.interface, SocketAddr::from((ip, 0)))?;
        let local = bound(&socket);
        let reservation = Reservation {
            shared: Arc::clone(&self.shared),
            port: local.port(),
            mask: mask(&self.shared.addresses, ip),
            _socket: socket,
        };
        self.shared.ports.open(reservation.port, reservation.mask);
        let owners = Arc::clone(&self.shared.owners);
        let lease = Lease::new(owners, local.port(), self.shard, Box::new(reservation));
        Ok((local, Arc::new(lease)))
    }

    /// The address from which the kernel would speak to `remote`, if it is one of ours.
    fn source(&self, remote: SocketAddr) -> io::Result<IpAddr> {
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = std::net::UdpSocket::bind((any, 0))?;
        socket2::SockRef::from(&socket).bind_device(Some(self.shared.interface.as_bytes()))?;
        socket.connect(remote)?;
        let ip = socket.local_addr()?.ip();
        let ours = &self.shared.addresses;
        if ours.contains(&ip) {
            return Ok(ip);
        }
        let of_family = ours.iter().find(|one| one.is_ipv4() == ip.is_ipv4());
        of_family
            .copied()
            .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }
}

/// Gives a port back to the kernel when it is dropped.
struct Reservation {
    shared: Arc<Shared>,
    port: u16,
    mask: u64,
    _socket: Socket,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.ports.close(self.port, self.mask);
    }
}

/// See [`Port::outlet`].
#[derive(Debug)]
pub struct Outlet<'a> {
    sender: &'a mut Sender,
    routers: &'a [Option<Socket>; 2],
}

impl FrameSink for Outlet<'_> {
    fn has_room(&mut self) -> bool {
        self.sender.has_room()
    }

    fn send<R>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        self.sender.send(bytes, write)
    }

    fn send_routed(&mut self, to: IpAddr, packet: &[u8]) {
        let Some(router) = &self.routers[usize::from(to.is_ipv6())] else {
            return;
        };
        if let Err(error) = router.send_to(packet, &SocketAddr::from((to, 0)).into()) {
            // Like any lost packet it is sent again, until the connect is given up.
            tracing::debug!(%error, %to, "the kernel finds no way");
        }
    }
}
