//! The focus in a world of its own: user agents and MRFPs on a network and a clock that a seed drives.
//!
//! ```text
//! phones (sip::Agent) ~~ datagrams ~~ sip::Agent ── events ─► Focus ── requests ─► h248 Node ~~ datagrams ~~ gateways
//! ```
//!
//! Everything but the sockets and the MRFPs is the product's own. In each run another mixture of faults is at
//! work: losses, late turns of the focus, phones that are silent, gone or rude, MRFPs that are late, refuse,
//! forget, vanish and restart. Oracles (`check`): after every turn the tables of the focus agree with each other;
//! whenever the world has been calm for long enough, everybody knows the same; at the end nothing is left.
//!
//! `SIM_SEED=n cargo test -p mrf-mrfc sim` replays one run and tells its story; `SIM_RUNS=n` runs that many seeds.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "peers of a simulation look at what concerns them"
)]

mod answers;
mod behind;
mod cases;
mod check;
mod gateway;
mod net;
mod phone;
mod script;
mod world;

use script::Script;

/// Runs everywhere: some seconds in the dev profile.
const RUNS: u64 = 60;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// Says which run it was, if that fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("replay with SIM_SEED={seed} cargo test -p mrf-mrfc sim -- --nocapture");
        }
    }
}

fn run(seed: u64, tells: bool) -> u64 {
    let _named = Named(seed);
    Script::new(seed, tells).play()
}

#[test]
fn sim_a_conference_ends_as_it_should_whatever_happens_to_it() {
    if let Some(seed) = from_environment("SIM_SEED") {
        run(seed, true);
        return;
    }
    for seed in 0..from_environment("SIM_RUNS").unwrap_or(RUNS) {
        run(seed, false);
    }
}

#[test]
fn sim_the_same_seed_gives_the_same_story_and_another_seed_another() {
    for seed in [3, 4, 5] {
        assert_eq!(run(seed, false), run(seed, false));
        assert_ne!(run(seed, false), run(seed + 1_000, false));
    }
}
