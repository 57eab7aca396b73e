//! What runs of the simulation have found, one after the other and without their noise.

use super::phone::{Mood, Session};
use super::world::{Faults, World};
use crate::Action;
use crate::focus::{Command, ParticipantId};
use clock::Duration;
use h248::ast::StreamMode;
use sip::Method;
use tokio::sync::oneshot;

/// Polite phones, one MRFP, and nothing that goes wrong by itself.
fn world(phones: usize) -> World {
    let mut world = World::new(1, phones, 1, false);
    world.faults = Faults::NONE;
    for phone in &mut world.phones {
        phone.mood = Mood::Polite;
    }
    world.pass(Duration::from_secs(2));
    world
}

/// A phone takes part.
fn joined(world: &mut World, number: usize) -> Session {
    world.join(number, "open");
    world.pass(Duration::from_secs(2));
    let session = world.some_session(number, |session| session.is_up);
    session.expect("it joined")
}

#[test]
fn sim_an_update_that_waits_when_its_session_ends_is_answered() {
    let mut world = world(1);
    let session = joined(&mut world, 0);
    world.gateways[0].is_cut = true;
    world.reoffer_by(0, session.dialog, Method::Update);
    world.pass(Duration::from_millis(300));
    world.hang_up(0, &session);
    world.pass(Duration::from_secs(1));
    let update = world.asked.iter().find(|(key, _)| key.ends_with(" UPDATE"));
    let (_, (_, answer)) = update.expect("it was asked");
    assert_eq!(*answer, Some(487));
}

fn mute(world: &mut World, is_muted: bool) {
    let ParticipantId(participant) = *world.focus.legs.keys().next().expect("a leg");
    let action = Action::Mute {
        participant,
        is_muted,
    };
    world.command(Command::Act(
        "open".to_owned(),
        action,
        oneshot::channel().0,
    ));
}

/// What the MRFP lets its one termination do.
fn mode(world: &World) -> Option<StreamMode> {
    let mut there = world.gateways[0].there.values();
    there.next().and_then(|termination| termination.mode)
}

fn is_muted(world: &World) -> bool {
    matches!(
        mode(world),
        Some(StreamMode::SendOnly | StreamMode::Inactive)
    )
}

#[test]
fn sim_who_is_muted_while_it_joins_is_muted() {
    let mut world = world(1);
    world.faults.thought_ms = 1_000;
    world.join(0, "open");
    world.pass(Duration::from_millis(30));
    mute(&mut world, true);
    world.pass(Duration::from_secs(5));
    assert!(is_muted(&world), "{:?}", mode(&world));
}

#[test]
fn sim_a_mute_that_the_mrfp_did_not_hear_is_asked_for_again() {
    let mut world = world(1);
    joined(&mut world, 0);
    world.gateways[0].is_cut = true;
    mute(&mut world, true);
    world.pass(Duration::from_secs(12));
    world.gateways[0].is_cut = false;
    world.pass(Duration::from_secs(12));
    assert!(is_muted(&world), "{:?}", mode(&world));
    // Refused, and the end of it as well.
    world.faults.refused = 100;
    mute(&mut world, false);
    world.pass(Duration::from_secs(5));
    world.faults = Faults::NONE;
    world.pass(Duration::from_secs(12));
    assert!(!is_muted(&world), "{:?}", mode(&world));
}
