#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the model looks at a few intents only"
)]

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const A: ParticipantId = ParticipantId(1);
const B: ParticipantId = ParticipantId(2);
const C: ParticipantId = ParticipantId(3);

fn first(participant: ParticipantId) -> Intent {
    Intent::AddTermination {
        participant,
        new_context: true,
    }
}

fn further(participant: ParticipantId) -> Intent {
    Intent::AddTermination {
        participant,
        new_context: false,
    }
}

/// Runs a table from an empty conference with two seats.
#[track_caller]
fn check<const N: usize>(table: [(Event, Vec<Intent>); N]) {
    let mut conference = Conference::new(2);
    for (row, (event, expected)) in table.into_iter().enumerate() {
        assert_eq!(conference.apply(event), expected, "row {row}: {event:?}");
    }
}

use Event::*;
use Intent::{
    Answer, Ended, HangUp, PublishRoster, PublishSeat, Refuse, Release, StartGrace,
    SubtractTermination,
};

#[test]
fn one_joins_and_leaves_and_the_conference_ends() {
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Acked(A), vec![PublishSeat(A)]),
        (Left(A), vec![PublishSeat(A), SubtractTermination(A)]),
        (Subtracted(A), vec![Release(A), Ended]),
        (Invited(B), vec![first(B)]),
    ]);
}

#[test]
fn hangup_before_the_termination_is_ready() {
    check([
        (Invited(A), vec![first(A)]),
        (Left(A), vec![]),
        (TerminationReady(A), vec![SubtractTermination(A)]),
        (Subtracted(A), vec![Release(A), Ended]),
    ]);
}

#[test]
fn cancel_and_then_the_add_fails() {
    check([
        (Invited(A), vec![first(A)]),
        (Left(A), vec![]),
        (
            TerminationFailed(A, MixerFailure::Unavailable),
            vec![Release(A), Ended],
        ),
    ]);
}

#[test]
fn two_joins_at_once_share_a_context() {
    check([
        (Invited(A), vec![first(A)]),
        (Invited(B), vec![]),
        (TerminationReady(A), vec![Answer(A), further(B)]),
        (TerminationReady(B), vec![Answer(B)]),
        (Left(A), vec![SubtractTermination(A)]),
        (Left(B), vec![SubtractTermination(B)]),
        (Subtracted(B), vec![Release(B)]),
        (Subtracted(A), vec![Release(A), Ended]),
    ]);
}

#[test]
fn the_second_opens_the_context_if_the_first_fails() {
    check([
        (Invited(A), vec![first(A)]),
        (Invited(B), vec![]),
        (
            TerminationFailed(A, MixerFailure::Unsupported),
            vec![Refuse(A, Refusal::MediaUnsupported), Release(A), first(B)],
        ),
    ]);
}

#[test]
fn who_opened_the_context_and_left_stays_in_it_until_the_next_is_there() {
    check([
        (Invited(A), vec![first(A)]),
        (Invited(B), vec![]),
        (Left(A), vec![]),
        (TerminationReady(A), vec![further(B)]),
        (TerminationReady(B), vec![Answer(B), SubtractTermination(A)]),
        (Subtracted(A), vec![Release(A)]),
    ]);
}

#[test]
fn the_held_subtract_goes_out_if_the_awaited_add_fails() {
    check([
        (Invited(A), vec![first(A)]),
        (Invited(B), vec![]),
        (Left(A), vec![]),
        (TerminationReady(A), vec![further(B)]),
        (
            TerminationFailed(B, MixerFailure::Unavailable),
            vec![
                Refuse(B, Refusal::MixerUnavailable),
                Release(B),
                SubtractTermination(A),
            ],
        ),
        (Subtracted(A), vec![Release(A), Ended]),
    ]);
}

#[test]
fn a_join_while_the_last_one_is_subtracted_gets_a_new_context() {
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Left(A), vec![SubtractTermination(A)]),
        (Invited(B), vec![]),
        (Subtracted(A), vec![Release(A), first(B)]),
    ]);
}

#[test]
fn a_leg_that_waits_may_leave() {
    check([
        (Invited(A), vec![first(A)]),
        (Invited(B), vec![]),
        (Left(B), vec![Release(B)]),
        (TerminationReady(A), vec![Answer(A)]),
    ]);
}

#[test]
fn no_ack_and_a_late_bye_subtract_once() {
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Left(A), vec![SubtractTermination(A)]),
        (Left(A), vec![]),
        (Acked(A), vec![]),
        (Expelled(A, Hangup::Removed), vec![]),
        (Subtracted(A), vec![Release(A), Ended]),
        (Subtracted(A), vec![]),
    ]);
}

#[test]
fn a_full_conference_refuses_until_somebody_leaves() {
    check([
        (Invited(A), vec![first(A)]),
        (Invited(B), vec![]),
        (Invited(C), vec![Refuse(C, Refusal::Full), Release(C)]),
        (TerminationReady(A), vec![Answer(A), further(B)]),
        (Left(A), vec![]),
        (Invited(C), vec![further(C)]),
    ]);
}

#[test]
fn an_expelled_participant_gets_a_bye_and_its_subtract() {
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Acked(A), vec![PublishSeat(A)]),
        (
            Expelled(A, Hangup::Removed),
            vec![
                HangUp(A, Hangup::Removed),
                PublishSeat(A),
                SubtractTermination(A),
            ],
        ),
    ]);
}

#[test]
fn the_mixer_is_lost_and_does_not_come_back() {
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Acked(A), vec![PublishSeat(A)]),
        (MixerLost, vec![StartGrace]),
        (MixerLost, vec![]),
        (
            Invited(B),
            vec![Refuse(B, Refusal::MixerUnavailable), Release(B)],
        ),
        (
            GraceOver,
            vec![
                HangUp(A, Hangup::MixerLost),
                Release(A),
                PublishRoster,
                Ended,
            ],
        ),
        (Invited(C), vec![first(C)]),
    ]);
}

#[test]
fn the_mixer_comes_back_with_its_contexts() {
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Invited(B), vec![further(B)]),
        (TerminationReady(B), vec![Answer(B)]),
        (MixerLost, vec![StartGrace]),
        (Left(A), vec![]),
        (MixerBack { kept: true }, vec![SubtractTermination(A)]),
        (GraceOver, vec![]),
    ]);
}

#[test]
fn the_mixer_is_lost_while_an_add_and_a_subtract_are_on_their_way() {
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Invited(B), vec![further(B)]),
        (TerminationReady(B), vec![Answer(B)]),
        (Left(A), vec![SubtractTermination(A)]),
        (Invited(C), vec![further(C)]),
        (MixerLost, vec![StartGrace]),
        (Subtracted(A), vec![Release(A)]),
        (
            TerminationFailed(C, MixerFailure::Unavailable),
            vec![Refuse(C, Refusal::MixerUnavailable), Release(C)],
        ),
        (
            MixerBack { kept: false },
            vec![
                HangUp(B, Hangup::MixerLost),
                Release(B),
                PublishRoster,
                Ended,
            ],
        ),
    ]);
}

#[test]
fn a_new_offer_changes_the_termination() {
    check([
        (
            Reoffered(A),
            vec![Intent::RefuseChange(A, Refusal::Closing)],
        ),
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Reoffered(A), vec![Intent::ModifyTermination(A)]),
        (Changed(A), vec![Intent::AnswerChange(A)]),
        (Reoffered(A), vec![Intent::ModifyTermination(A)]),
        (
            ChangeFailed(A, MixerFailure::Unsupported),
            vec![Intent::RefuseChange(A, Refusal::MediaUnsupported)],
        ),
        (Reoffered(A), vec![Intent::ModifyTermination(A)]),
        (Left(A), vec![SubtractTermination(A)]),
        (Changed(A), vec![]),
    ]);
}

#[test]
fn the_focus_calls_somebody_and_its_answer_is_brought_into_force() {
    check([
        (DialOut(A), vec![first(A)]),
        (TerminationReady(A), vec![Intent::Dial(A), PublishSeat(A)]),
        (Alerted(A), vec![PublishSeat(A)]),
        (Accepted(A), vec![Intent::ModifyTermination(A)]),
        (Changed(A), vec![Intent::AnswerChange(A), PublishSeat(A)]),
        (Alerted(A), vec![]),
        (Left(A), vec![PublishSeat(A), SubtractTermination(A)]),
        (Subtracted(A), vec![Release(A), Ended]),
    ]);
}

#[test]
fn a_call_that_fails_gives_its_termination_back() {
    check([
        (DialOut(A), vec![first(A)]),
        (TerminationReady(A), vec![Intent::Dial(A), PublishSeat(A)]),
        (Left(A), vec![PublishSeat(A), SubtractTermination(A)]),
        (Accepted(A), vec![]),
        (Subtracted(A), vec![Release(A), Ended]),
    ]);
}

#[test]
fn an_answer_that_the_mixer_refuses_ends_the_call() {
    check([
        (DialOut(A), vec![first(A)]),
        (TerminationReady(A), vec![Intent::Dial(A), PublishSeat(A)]),
        (Accepted(A), vec![Intent::ModifyTermination(A)]),
        (
            ChangeFailed(A, MixerFailure::Unsupported),
            vec![Intent::RefuseChange(A, Refusal::MediaUnsupported)],
        ),
        (
            Expelled(A, Hangup::MediaFailed),
            vec![
                HangUp(A, Hangup::MediaFailed),
                PublishSeat(A),
                SubtractTermination(A),
            ],
        ),
    ]);
}

#[test]
fn somebody_removed_while_being_called_is_not_called_any_more() {
    check([
        (DialOut(A), vec![first(A)]),
        (DialOut(B), vec![]),
        (
            Expelled(B, Hangup::Removed),
            vec![Refuse(B, Refusal::Closing), Release(B)],
        ),
        (TerminationReady(A), vec![Intent::Dial(A), PublishSeat(A)]),
        (
            Expelled(A, Hangup::Removed),
            vec![
                HangUp(A, Hangup::Removed),
                PublishSeat(A),
                SubtractTermination(A),
            ],
        ),
    ]);
}

#[test]
fn a_moderator_mutes_and_locks() {
    check([
        (Muted(A, true), vec![]),
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Muted(A, true), vec![Intent::SetMode(A), PublishSeat(A)]),
        (Muted(A, true), vec![]),
        (ModeSet(A), vec![]),
        (Locked(true), vec![PublishRoster]),
        (Invited(B), vec![Refuse(B, Refusal::Locked), Release(B)]),
        (DialOut(B), vec![further(B)]),
        (Muted(A, false), vec![Intent::SetMode(A), PublishSeat(A)]),
    ]);
}

#[test]
fn who_is_muted_while_the_mixer_works_is_muted_when_it_has_answered() {
    use Intent::{AnswerChange, Dial, ModifyTermination, RefuseChange, SetMode};
    // The Add on its way says that it may speak.
    check([
        (Invited(A), vec![first(A)]),
        (Muted(A, true), vec![]),
        (TerminationReady(A), vec![Answer(A), SetMode(A)]),
        (Acked(A), vec![PublishSeat(A)]),
        (ModeSet(A), vec![]),
        (Reoffered(A), vec![ModifyTermination(A)]),
        (Muted(A, false), vec![PublishSeat(A)]),
        (Changed(A), vec![AnswerChange(A), SetMode(A)]),
        (ModeSet(A), vec![]),
        (Reoffered(A), vec![ModifyTermination(A)]),
        (Muted(A, true), vec![PublishSeat(A)]),
        (
            ChangeFailed(A, MixerFailure::Unavailable),
            vec![RefuseChange(A, Refusal::MixerUnavailable), SetMode(A)],
        ),
        (ModeSet(A), vec![]),
        (Muted(A, false), vec![SetMode(A), PublishSeat(A)]),
    ]);
    // Of one that is called, what is asked when it accepts says the mode, too.
    check([
        (DialOut(A), vec![first(A)]),
        (Muted(A, true), vec![]),
        (TerminationReady(A), vec![Dial(A), PublishSeat(A)]),
        (Accepted(A), vec![ModifyTermination(A)]),
        (Muted(A, false), vec![PublishSeat(A)]),
        (
            Changed(A),
            vec![AnswerChange(A), PublishSeat(A), SetMode(A)],
        ),
    ]);
    // Nobody can be told while the mixer is gone.
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (MixerLost, vec![StartGrace]),
        (Muted(A, true), vec![PublishSeat(A)]),
        (MixerBack { kept: true }, vec![SetMode(A)]),
    ]);
}

#[test]
fn what_somebody_may_do_is_asked_for_until_it_is_in_force_and_nothing_else_meanwhile() {
    use Intent::{AnswerChange, ModifyTermination, RefuseChange, RetryMode, SetMode};
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Acked(A), vec![PublishSeat(A)]),
        (Muted(A, true), vec![SetMode(A), PublishSeat(A)]),
        (Muted(A, false), vec![PublishSeat(A)]),
        (ModeSet(A), vec![SetMode(A)]),
        (ModeFailed(A, MixerFailure::Silent), vec![RetryMode(A)]),
        (ModeDue(A), vec![SetMode(A)]),
        (Reoffered(A), vec![]),
        (ModeSet(A), vec![ModifyTermination(A)]),
        // Nobody knows whether it was done.
        (
            ChangeFailed(A, MixerFailure::Silent),
            vec![RefuseChange(A, Refusal::MixerUnavailable), SetMode(A)],
        ),
        (Reoffered(A), vec![]),
        (
            ModeFailed(A, MixerFailure::Silent),
            vec![ModifyTermination(A)],
        ),
        (Changed(A), vec![AnswerChange(A)]),
        (ModeDue(A), vec![]),
    ]);
    // What failed with the mixer is asked for when that is back.
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Muted(A, true), vec![SetMode(A), PublishSeat(A)]),
        (MixerLost, vec![StartGrace]),
        (ModeFailed(A, MixerFailure::Silent), vec![]),
        (MixerBack { kept: true }, vec![SetMode(A)]),
        (Left(A), vec![SubtractTermination(A)]),
        (ModeFailed(A, MixerFailure::Silent), vec![]),
    ]);
}

#[test]
fn a_conference_ends_with_its_host() {
    check([
        (Invited(A), vec![first(A)]),
        (Hosted(A), vec![]),
        (DialOut(B), vec![]),
        (TerminationReady(A), vec![Answer(A), further(B)]),
        (TerminationReady(B), vec![Intent::Dial(B), PublishSeat(B)]),
        (
            Left(A),
            vec![
                HangUp(B, Hangup::Closing),
                PublishSeat(B),
                SubtractTermination(A),
                SubtractTermination(B),
            ],
        ),
        (Subtracted(A), vec![Release(A)]),
        (Subtracted(B), vec![Release(B), Ended]),
    ]);
    check([
        (Invited(A), vec![first(A)]),
        (Hosted(A), vec![]),
        (DialOut(B), vec![]),
        (
            TerminationFailed(A, MixerFailure::Unavailable),
            vec![
                Refuse(A, Refusal::MixerUnavailable),
                Release(A),
                Refuse(B, Refusal::Closing),
                Release(B),
                Ended,
            ],
        ),
    ]);
}

#[test]
fn closing_ends_every_leg_in_its_own_way() {
    check([
        (Invited(A), vec![first(A)]),
        (TerminationReady(A), vec![Answer(A)]),
        (Invited(B), vec![further(B)]),
        (
            Closed,
            vec![HangUp(A, Hangup::Closing), Refuse(B, Refusal::Closing)],
        ),
        (Invited(C), vec![Refuse(C, Refusal::Closing), Release(C)]),
        (
            TerminationReady(B),
            vec![SubtractTermination(A), SubtractTermination(B)],
        ),
        (Subtracted(A), vec![Release(A)]),
        (Subtracted(B), vec![Release(B), Ended]),
    ]);
}

/// What a scripted mixer and SIP side may do next, chosen by numbers.
#[derive(Clone, Debug)]
enum Step {
    Invite,
    Call,
    Answer { which: usize, ok: bool },
    Leave(usize),
    Mute(usize, bool),
    Offer(usize),
    Lose,
    Return { kept: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Invite),
        3 => Just(Step::Call),
        6 => (0_usize..8, prop::bool::weighted(0.8)).prop_map(|(which, ok)| Step::Answer { which, ok }),
        4 => (0_usize..8).prop_map(Step::Leave),
        3 => (0_usize..8, any::<bool>()).prop_map(|(which, is_muted)| Step::Mute(which, is_muted)),
        2 => (0_usize..8).prop_map(Step::Offer),
        1 => Just(Step::Lose),
        1 => any::<bool>().prop_map(|kept| Step::Return { kept }),
    ]
}

/// The mixer's view: what exists there, and what was asked of it.
#[derive(Default)]
struct Model {
    /// With whether the participant was muted when that was asked.
    asked: Vec<(Intent, bool)>,
    /// Whom the mixer has muted.
    muted: HashMap<ParticipantId, bool>,
    /// Ready terminations, with whether a subtract was asked for.
    terminations: HashMap<ParticipantId, bool>,
    legs: Vec<ParticipantId>,
    is_lost: bool,
    ended: bool,
}

impl Model {
    fn note(&mut self, intents: Vec<Intent>, conference: &Conference) -> Result<(), TestCaseError> {
        self.ended = false;
        let is_muted = |id| conference.participant(id).is_some_and(|seat| seat.is_muted);
        for intent in intents {
            match intent {
                Intent::AddTermination {
                    new_context,
                    participant,
                } => {
                    let adds = self
                        .asked
                        .iter()
                        .any(|(i, _)| matches!(i, Intent::AddTermination { .. }));
                    let used = self.terminations.values().any(|subtracting| !subtracting);
                    prop_assert!(
                        new_context || used,
                        "an Add into a context that may be gone"
                    );
                    prop_assert!(!new_context || !(adds || used), "a second context");
                    self.asked.push((intent, is_muted(participant)));
                }
                Intent::SubtractTermination(id) => {
                    let subtracting = self.terminations.get_mut(&id);
                    let subtracting = subtracting.expect("a termination that exists");
                    prop_assert!(!*subtracting, "subtracted twice");
                    *subtracting = true;
                    self.asked.push((intent, false));
                }
                Intent::ModifyTermination(id) | Intent::SetMode(id) => {
                    let is_second = |asked: &Intent| match asked {
                        Intent::SetMode(of) => *of == id,
                        Intent::ModifyTermination(of) => *of == id && intent == Intent::SetMode(id),
                        _ => false,
                    };
                    let is_asked = self.asked.iter().any(|(asked, _)| is_second(asked));
                    prop_assert!(!is_asked, "a mode is under way with something else");
                    self.asked.push((intent, is_muted(id)));
                }
                Intent::Dial(_) | Intent::RefuseChange(..) | Intent::RetryMode(_) => {
                    self.asked.push((intent, false));
                }
                Intent::Refuse(id, _) | Intent::HangUp(id, _) => self.legs.retain(|leg| *leg != id),
                Intent::Ended => self.ended = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn answer(&mut self, which: usize, ok: bool) -> Option<Event> {
        if self.asked.is_empty() {
            return None;
        }
        let (asked, was_muted) = self.asked.remove(which % self.asked.len());
        match asked {
            Intent::AddTermination { participant, .. } if ok && !self.is_lost => {
                self.terminations.insert(participant, false);
                self.muted.insert(participant, was_muted);
                Some(TerminationReady(participant))
            }
            Intent::AddTermination { participant, .. } => {
                Some(TerminationFailed(participant, MixerFailure::Unavailable))
            }
            Intent::SubtractTermination(id) => {
                self.terminations.remove(&id);
                Some(Subtracted(id))
            }
            Intent::Dial(id) if ok => Some(Accepted(id)),
            Intent::Dial(id) => {
                self.legs.retain(|leg| *leg != id);
                Some(Left(id))
            }
            // What fails may have been done.
            Intent::ModifyTermination(id) => {
                self.muted.insert(id, was_muted);
                Some(if ok && !self.is_lost {
                    Changed(id)
                } else {
                    ChangeFailed(id, MixerFailure::Silent)
                })
            }
            Intent::SetMode(id) if ok && !self.is_lost => {
                self.muted.insert(id, was_muted);
                Some(ModeSet(id))
            }
            Intent::SetMode(id) => Some(ModeFailed(id, MixerFailure::Unavailable)),
            Intent::RetryMode(id) => Some(ModeDue(id)),
            Intent::RefuseChange(id, _) => Some(Expelled(id, Hangup::MediaFailed)),
            _ => None,
        }
    }
}

proptest! {
    #[test]
    fn every_termination_is_subtracted_once_whatever_the_order(steps in prop::collection::vec(step(), 0..80)) {
        let mut conference = Conference::new(5);
        let mut model = Model::default();
        let mut next = 0;
        let mut apply = |event: Option<Event>, model: &mut Model| match event {
            Some(event) => {
                let intents = conference.apply(event);
                model.note(intents, &conference)?;
                let seats: Vec<_> = conference.roster().collect();
                Ok::<_, TestCaseError>((conference.is_empty(), seats))
            }
            None => Ok((conference.is_empty(), Vec::new())),
        };
        for step in steps {
            let event = match step {
                Step::Invite | Step::Call => {
                    next += 1;
                    let id = ParticipantId(next);
                    model.legs.push(id);
                    Some(if matches!(step, Step::Call) {
                        DialOut(id)
                    } else {
                        Invited(id)
                    })
                }
                Step::Answer { which, ok } => model.answer(which, ok),
                Step::Leave(_) if model.legs.is_empty() => None,
                Step::Leave(which) => {
                    let at = which % model.legs.len();
                    Some(Left(model.legs.remove(at)))
                }
                Step::Mute(..) | Step::Offer(_) if model.legs.is_empty() => None,
                Step::Mute(which, is_muted) => {
                    Some(Muted(model.legs[which % model.legs.len()], is_muted))
                }
                Step::Offer(which) => {
                    let id = model.legs[which % model.legs.len()];
                    // An offer waits for the answer to the one before.
                    let is_open = model.terminations.contains_key(&id)
                        && !model.asked.iter().any(|(asked, _)| *asked == Intent::ModifyTermination(id));
                    is_open.then_some(Reoffered(id))
                }
                Step::Lose => {
                    model.is_lost = true;
                    Some(MixerLost)
                }
                Step::Return { kept } => {
                    // An endpoint fails what was under way before it tells of a return.
                    while let Some(event) = model.is_lost.then(|| model.answer(0, false)).flatten() {
                        apply(Some(event), &mut model)?;
                    }
                    if model.is_lost && !kept {
                        model.terminations.clear();
                    }
                    model.is_lost = false;
                    Some(MixerBack { kept })
                }
            };
            apply(event, &mut model)?;
        }
        // Everything is answered, well: then the mixer has muted who is.
        while let Some(event) = model.is_lost.then(|| model.answer(0, false)).flatten() {
            apply(Some(event), &mut model)?;
        }
        model.is_lost = false;
        let (_, mut seats) = apply(Some(MixerBack { kept: true }), &mut model)?;
        while let Some(event) = model.answer(0, true) {
            seats = apply(Some(event), &mut model)?.1;
        }
        for seat in seats {
            if matches!(seat.state, SeatState::Answered | SeatState::Connected) {
                prop_assert_eq!(model.muted.get(&seat.id), Some(&seat.is_muted));
            }
        }
        while let Some(leg) = model.legs.pop() {
            apply(Some(Left(leg)), &mut model)?;
        }
        let (mut is_empty, _) = apply(None, &mut model)?;
        while let Some(event) = model.answer(0, true) {
            (is_empty, _) = apply(Some(event), &mut model)?;
        }
        prop_assert!(is_empty, "something is left");
        prop_assert!(model.terminations.is_empty(), "leaked: {:?}", model.terminations);
    }
}
