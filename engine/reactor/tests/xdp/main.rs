//! The suite of `../suite` over AF_XDP: a veth pair of its own for each test, in namespaces of its own.
//! Needs root, so that `cargo test` alone does not run it; `tests/interop/run xdp-suite` does.

#[cfg(test)]
#[path = "../suite/behaviour.rs"]
mod behaviour;
#[cfg(test)]
#[path = "../suite/client.rs"]
#[expect(dead_code, reason = "the tests of layers use the rest")]
mod client;
#[cfg(test)]
#[path = "../suite/hub.rs"]
mod hub;
#[cfg(test)]
mod queues;
#[cfg(test)]
#[path = "../suite/rig.rs"]
#[expect(dead_code, reason = "the tests of layers use the rest")]
mod rig;
#[cfg(test)]
mod world;

#[cfg(test)]
mod rigs {
    use core::net::SocketAddr;
    use core::time::Duration;

    use reactor::{BusyPoll, ReactorKind, Transport};
    use switch::{Command, Event, Order};

    use crate::client::{Client, credentials};
    use crate::hub::Mode;
    use crate::rig::{NO_POLL, any_certificate, connect_order, real_rig};
    use crate::world::World;

    const POLL: Duration = Duration::from_micros(200);

    real_rig!(Plain, World, ReactorKind::Xdp, Transport::Tcp, NO_POLL);
    real_rig!(
        Jumbo,
        World<9000>,
        ReactorKind::Xdp,
        Transport::Tcp,
        NO_POLL
    );
    real_rig!(Polling, World, ReactorKind::Xdp, Transport::Tcp, POLL);
    real_rig!(
        Adaptive,
        World,
        ReactorKind::Xdp,
        Transport::Tcp,
        BusyPoll::adaptive()
    );
    real_rig!(Tls, World, ReactorKind::Xdp, Transport::Tls, NO_POLL);
    real_rig!(Ws, World, ReactorKind::Xdp, Transport::Ws, NO_POLL);
    real_rig!(Wss, World, ReactorKind::Xdp, Transport::Wss, NO_POLL);
}

mod plain {
    crate::behaviour::suite!(crate::rigs::Plain);
}

mod jumbo {
    crate::behaviour::suite!(crate::rigs::Jumbo:
        echoes_every_size
        fans_out_to_many_exactly
        a_half_closed_peer_gets_its_answer
    );
}

mod polling {
    crate::behaviour::suite!(crate::rigs::Polling, polling);
}

mod adaptive {
    crate::behaviour::suite!(crate::rigs::Adaptive, polling);
}

mod tls {
    crate::behaviour::suite!(crate::rigs::Tls, layer);
}

mod ws {
    crate::behaviour::suite!(crate::rigs::Ws, layer);
}

mod wss {
    crate::behaviour::suite!(crate::rigs::Wss);
}
