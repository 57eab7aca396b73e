//! What only the simulation can show: any mixture of faults, and the same run twice.

use core::time::Duration;

use reactor::sim::{Faults, SimNet};

use crate::behaviour::noise;
use crate::hub::{COUNT_CONNECTIONS, Mode};
use crate::rig::Rig;
use crate::sim_rig::SimRig;

/// Runs a small fan-out; what each receiver got, and the trace.
fn run(net: SimNet) -> (Vec<Vec<u8>>, Vec<u8>, u64) {
    let mut rig = SimRig::with_net(net, &[Mode::FanOut], 100);
    let mut clients: Vec<_> = (0..5).map(|_| rig.connect(0)).collect();
    let octets = noise(40_000, 9);
    for piece in octets.chunks(3000) {
        rig.send(&mut clients[0], piece);
    }
    let received = clients[1..]
        .iter_mut()
        .map(|client| rig.drain(client))
        .collect();
    (received, octets, rig.net.trace_hash())
}

#[test]
fn every_mixture_of_faults_delivers_everything() {
    for seed in 0..50 {
        let net = SimNet::new(seed);
        let faults = net.faults();
        let (received, octets, _) = run(net);
        for one in received {
            assert!(one == octets, "seed {seed}: {faults:?}");
        }
    }
}

#[test]
fn a_seed_replays_to_the_same_trace() {
    for seed in 0..10 {
        assert_eq!(run(SimNet::new(seed)).2, run(SimNet::new(seed)).2);
    }
    assert_ne!(run(SimNet::new(1)).2, run(SimNet::new(2)).2);
}

#[test]
fn resets_cut_streams_but_never_alter_them() {
    let mut resets = 0;
    for seed in 0..50 {
        let faults = Faults {
            resets_per_million: 10_000,
            ..Faults::draw(seed)
        };
        let (received, octets, _) = run(SimNet::with_faults(seed, faults));
        for one in received {
            assert!(octets.starts_with(&one), "seed {seed}: {faults:?}");
            resets += usize::from(one != octets);
        }
    }
    assert!(resets > 0, "the fault never happened");
}

#[test]
fn a_peer_that_never_reads_is_reset_when_its_time_is_up() {
    let mut rig = SimRig::with_net(SimNet::with_faults(1, Faults::default()), &[Mode::Echo], 10);
    let mut client = rig.connect(0);
    rig.stall(&client);
    rig.send(&mut client, &noise(1024 * 1024, 1));
    rig.shutdown(&mut client);
    assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 1);
    rig.advance(reactor::limits::LINGER + Duration::from_secs(1));
    assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 0);
}
