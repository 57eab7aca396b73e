//! The backends over sockets of the system, on loopback.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::{TcpListener, TcpStream};

use reactor::{
    BusyPoll, Mailbox, ReactorKind, ShardThreadConfig, Socket, Transport, bind_listeners,
};
use switch::{Command, Event, Order};

use crate::client::{Client, credentials};
use crate::hub::Mode;
use crate::rig::{NO_POLL, Net, any_certificate, connect_order, real_rig};

/// Each shard has a port of its own.
pub(crate) struct Loopback;

impl Net for Loopback {
    type Place = Vec<TcpListener>;

    fn new(_shards: usize) -> Self {
        Self
    }

    fn places(&self, mailboxes: &[Mailbox<Socket>], _busy_poll: Duration) -> Vec<Self::Place> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen = |_| bind_listeners(&[any], 1).unwrap().remove(0);
        mailboxes.iter().map(listen).collect()
    }

    fn settle(config: &mut ShardThreadConfig, place: Self::Place) {
        config.listeners = place;
    }

    fn beside_shards<R>(&self, run: impl FnOnce() -> R) -> R {
        run()
    }

    fn connect(&self, _shard: usize, to: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(to)
    }

    fn listen(&self) -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }
}

real_rig!(MioRig, Loopback, ReactorKind::Mio, Transport::Tcp, NO_POLL);
real_rig!(
    MioTlsRig,
    Loopback,
    ReactorKind::Mio,
    Transport::Tls,
    NO_POLL
);
real_rig!(MioWsRig, Loopback, ReactorKind::Mio, Transport::Ws, NO_POLL);
real_rig!(
    MioWssRig,
    Loopback,
    ReactorKind::Mio,
    Transport::Wss,
    NO_POLL
);
real_rig!(
    UringRig,
    Loopback,
    ReactorKind::Uring,
    Transport::Tcp,
    NO_POLL
);
real_rig!(
    UringTlsRig,
    Loopback,
    ReactorKind::Uring,
    Transport::Tls,
    NO_POLL
);
real_rig!(
    UringWsRig,
    Loopback,
    ReactorKind::Uring,
    Transport::Ws,
    NO_POLL
);
real_rig!(
    UringWssRig,
    Loopback,
    ReactorKind::Uring,
    Transport::Wss,
    NO_POLL
);
real_rig!(
    PollingMioRig,
    Loopback,
    ReactorKind::Mio,
    Transport::Tcp,
    BUSY_POLL
);
real_rig!(
    PollingUringRig,
    Loopback,
    ReactorKind::Uring,
    Transport::Tcp,
    BUSY_POLL
);
real_rig!(
    AdaptiveMioRig,
    Loopback,
    ReactorKind::Mio,
    Transport::Tcp,
    BusyPoll::adaptive()
);
real_rig!(
    AdaptiveUringRig,
    Loopback,
    ReactorKind::Uring,
    Transport::Tcp,
    BusyPoll::adaptive()
);

/// Longer than anything on loopback takes, so that polling ends by a completion.
const BUSY_POLL: Duration = Duration::from_millis(5);
