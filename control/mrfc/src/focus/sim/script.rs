//! What happens in a run, one thing after the other.

use super::world::{Faults, World};
use crate::Action;
use crate::focus::{Command, ParticipantId};
use clock::Duration;
use h248_endpoint::Departure;
use rand::RngExt;
use tokio::sync::oneshot;

/// Longer than a transaction of either protocol, and what follows from its end: whoever is to learn something
/// has.
const CALM: Duration = Duration::from_secs(200);
/// Longer than subscriptions, sessions and everything else that has to be refreshed.
const NIGHT: Duration = Duration::from_secs(4_000);

const CONFERENCES: [&str; 4] = ["small", "chat", "open", "conference-factory"];

pub(super) struct Script {
    world: World,
}

impl Script {
    pub(super) fn new(seed: u64, tells: bool) -> Self {
        let phones = 2 + usize::try_from(seed % 6).expect("small");
        let gateways = 1 + usize::try_from(seed / 6 % 2).expect("small");
        Self {
            world: World::new(seed, phones, gateways, tells),
        }
    }

    /// The whole run; returns its story.
    pub(super) fn play(mut self) -> u64 {
        let world = &mut self.world;
        let faults = world.faults;
        world.faults = Faults::NONE;
        world.pass(Duration::from_secs(2));
        world.faults = faults;
        let steps = world.rng.random_range(20..120);
        for _ in 0..steps {
            self.step();
            let world = &mut self.world;
            let wait = match world.rng.random_range(0..20) {
                0..6 => 0,
                6..16 => world.rng.random_range(0..2_000),
                16..19 => world.rng.random_range(0..20_000),
                _ => world.rng.random_range(0..200_000),
            };
            world.pass(Duration::from_millis(wait));
            if world.chance(4) {
                self.rest();
            }
        }
        self.rest();
        self.go_home();
        self.world.story()
    }

    /// Nothing new happens, and nothing goes wrong, until everybody has to know the same.
    fn rest(&mut self) {
        let world = &mut self.world;
        let faults = core::mem::replace(&mut world.faults, Faults::NONE);
        world.note("rest");
        for gateway in &mut world.gateways {
            gateway.is_cut = false;
        }
        world.pass(CALM);
        world.check_calm();
        world.faults = faults;
    }

    fn step(&mut self) {
        let world = &mut self.world;
        let number = world.rng.random_range(0..world.phones.len());
        let conference = CONFERENCES[world.rng.random_range(0..CONFERENCES.len())];
        match world.rng.random_range(0..100) {
            0..22 => world.join(number, conference),
            22..27 => {
                if let Some(session) = world.some_session(number, |s| !s.is_up && !s.is_ending) {
                    world.hang_up(number, &session);
                }
            }
            27..35 => {
                if let Some(session) = world.some_session(number, |s| s.is_up) {
                    world.hang_up(number, &session);
                }
            }
            35..45 => {
                if let Some(session) = world.some_session(number, |s| s.is_up) {
                    world.reoffer(number, session.dialog);
                }
            }
            45..50 => world.subscribe(number, conference, None),
            50..55 => {
                if let Some(session) = world.some_session(number, |s| s.is_up) {
                    world.subscribe(number, &session.conference, Some(session.dialog));
                }
            }
            55..58 => world.resubscribe(number, "600"),
            58..61 => world.resubscribe(number, "0"),
            61..65 => {
                let session = world.some_session(number, |s| s.is_up);
                match session.filter(|_| world.rng.random_bool(0.7)) {
                    Some(session) => {
                        world.refer(number, &session.conference, Some(session.dialog));
                    }
                    None => world.refer(number, conference, None),
                }
            }
            65..83 => self.operate(),
            83..86 => {
                let phone = &mut world.phones[number];
                phone.set_gone(!phone.is_gone);
                let line = format!("phone {} is gone: {}", number + 1, phone.is_gone);
                world.note(&line);
            }
            _ => self.trouble(),
        }
    }

    /// Operators: they see who is there, and act on that.
    fn operate(&mut self) {
        let world = &mut self.world;
        let mut seats: Vec<(String, ParticipantId)> = Vec::new();
        for (name, room) in &world.focus.rooms {
            seats.extend(room.conference.roster().map(|seat| (name.clone(), seat.id)));
        }
        // Often whoever came last: it may be in the middle of joining.
        seats.sort_by_key(|(_, id)| *id);
        let which = match seats.len() {
            0 => None,
            count if world.rng.random_bool(0.5) => Some(count - 1),
            count => Some(world.rng.random_range(0..count)),
        };
        let seat = which.map(|which| seats[which].clone());
        let (name, action) = match (world.rng.random_range(0..20), seat) {
            (0..12, Some((name, id))) => {
                let is_muted = world.rng.random_bool(0.6);
                let participant = id.0;
                (
                    name,
                    Action::Mute {
                        participant,
                        is_muted,
                    },
                )
            }
            (12..14, Some((name, id))) => (name, Action::Remove { participant: id.0 }),
            (14, Some((name, _))) => (name, Action::Close),
            (15, Some((name, _))) => (name, Action::Lock(world.rng.random_bool(0.4))),
            _ => {
                let number = world.rng.random_range(1..=world.phones.len());
                let uri = super::phone::Phone::uri(number);
                let rooms: Vec<_> = world.focus.rooms.keys().cloned().collect();
                let name = rooms[world.rng.random_range(0..rooms.len())].clone();
                (name, Action::Invite(uri))
            }
        };
        world.note(&format!("operator: {name} {action:?}"));
        world.command(Command::Act(name, action, oneshot::channel().0));
    }

    /// An MRFP does something that nobody asked for.
    fn trouble(&mut self) {
        let world = &mut self.world;
        let number = world.rng.random_range(0..world.gateways.len());
        let names: Vec<_> = world.gateways[number].there.keys().cloned().collect();
        let name =
            (!names.is_empty()).then(|| names[world.rng.random_range(0..names.len())].clone());
        match (world.rng.random_range(0..14), name) {
            (0..3, Some(name)) => world.notify_event(number, &name, ("nt", "netfail"), &[]),
            (3, Some(name)) => {
                let parms = [("nick", "%4aim")];
                world.notify_event(number, &name, ("xmrf", "nick"), &parms);
            }
            (4, Some(name)) => world.force_out(number, &name),
            (5, Some(name)) => {
                world.note(&format!("gateway {number} forgets {name}"));
                world.gateways[number].there.remove(&name);
            }
            (6..9, _) => {
                world.note(&format!("gateway {number} restarts"));
                world.restart_gateway(number);
            }
            (9, _) => {
                world.depart_gateway(number, Departure::Forced);
                world.pass(Duration::from_secs(1));
                world.restart_gateway(number);
            }
            (10..13, _) => {
                let gateway = &mut world.gateways[number];
                gateway.is_cut = !gateway.is_cut;
                let line = format!("gateway {number} is cut: {}", gateway.is_cut);
                world.note(&line);
            }
            _ => {}
        }
    }

    /// All leave, in one of several ways; then nothing is left.
    fn go_home(&mut self) {
        let world = &mut self.world;
        match world.rng.random_range(0..4) {
            0 => {
                world.note("everybody leaves");
                for number in 0..world.phones.len() {
                    for session in world.phones[number].sessions.clone() {
                        if session.is_up || !session.is_ending {
                            world.hang_up(number, &session);
                        }
                    }
                }
            }
            1 => {
                world.note("drain");
                world.command(Command::Drain(oneshot::channel().0));
            }
            2 => {
                world.note("everybody vanishes");
                for phone in &mut world.phones {
                    phone.set_gone(true);
                }
            }
            _ => {
                world.note("every conference is closed");
                for name in world.focus.rooms.keys().cloned().collect::<Vec<_>>() {
                    world.command(Command::Act(name, Action::Close, oneshot::channel().0));
                }
            }
        }
        // With the faults of before for a while.
        world.pass(Duration::from_secs(60));
        world.faults = Faults::NONE;
        for gateway in &mut world.gateways {
            gateway.is_cut = false;
        }
        // Whoever is left does not come back, and is asked for in vain.
        for phone in &mut world.phones {
            phone.set_gone(true);
        }
        world.pass(NIGHT);
        world.check_end();
    }
}
