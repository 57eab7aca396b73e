//! One suite of behaviour, run over every backend that needs no rights; `../xdp` runs it over AF_XDP.

#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod client;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod layers;
#[cfg(test)]
#[expect(dead_code, reason = "the tests over AF_XDP use the rest")]
mod rig;
#[cfg(test)]
mod rigs;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod sim_rig;

mod mio {
    crate::behaviour::suite!(crate::rigs::MioRig);
}

mod polling_mio {
    crate::behaviour::suite!(crate::rigs::PollingMioRig, polling);
}

mod adaptive_mio {
    crate::behaviour::suite!(crate::rigs::AdaptiveMioRig, polling);
}

mod mio_tls {
    crate::behaviour::suite!(crate::rigs::MioTlsRig);
}

mod mio_ws {
    crate::behaviour::suite!(crate::rigs::MioWsRig);
}

mod mio_wss {
    crate::behaviour::suite!(crate::rigs::MioWssRig);
}

mod uring {
    crate::behaviour::suite!(crate::rigs::UringRig);
}

mod polling_uring {
    crate::behaviour::suite!(crate::rigs::PollingUringRig, polling);
}

mod adaptive_uring {
    crate::behaviour::suite!(crate::rigs::AdaptiveUringRig, polling);
}

mod uring_tls {
    crate::behaviour::suite!(crate::rigs::UringTlsRig);
}

mod uring_ws {
    crate::behaviour::suite!(crate::rigs::UringWsRig);
}

mod uring_wss {
    crate::behaviour::suite!(crate::rigs::UringWssRig);
}

mod sim {
    crate::behaviour::suite!(crate::sim_rig::SimRig);
}
