//! Move (H.248.1 section 7.2.4).
//!
//! Within a shard a session moves with its connection and its counters. A session-id names its
//! shard, and the participant already has it: to a context on another shard a stream moves only
//! when the same command gives its Local anew, as it is then offered to the participant again.
//! Without that the Move is refused with 510 and says so.

use std::collections::BTreeSet;

use h248::ast::{Descriptor, ServiceState, TerminationId};
use switch::{Order, SessionKey, ShardIndex};

use super::apply::Applied;
use super::core::{Core, Scope};
use super::draft::Draft;
use super::execute::Verb;
use super::fault::Fault;
use super::mirror::{self, Settings};

impl Settings {
    /// Forgets the sessions, whose names are of another shard; which streams had one.
    fn give_up_sessions(&mut self) -> Vec<u16> {
        let streams = self.streams.iter_mut();
        let with_session = streams.filter_map(|(id, s)| s.local.take().map(|_| id));
        with_session.collect()
    }
}

impl Core {
    /// Move on one identifier: from wherever it is to this context. A wildcard takes all matches
    /// that are elsewhere.
    pub(super) fn move_here(
        &mut self,
        scope: &mut Scope,
        id: &TerminationId,
        descriptors: &[Descriptor],
        is_merged: bool,
        draft: &mut Draft,
    ) -> bool {
        let targets = match self.movable(*scope, id) {
            Ok(targets) => targets,
            Err(fault) => {
                let result = Verb::Move.result(id.clone(), vec![fault.item()]);
                draft.push(scope.id(), result, None);
                return false;
            }
        };
        let mut is_good = true;
        for number in targets {
            match self.try_move(*scope, number, descriptors, draft) {
                Ok((context, applied)) => {
                    *scope = Scope::Context(context);
                    if is_merged {
                        self.tell_brief(number, &applied.brief, draft.now);
                    } else {
                        self.report(Verb::Move, *scope, number, applied, draft);
                    }
                }
                Err(fault) => {
                    is_good = false;
                    let result = Verb::Move.result(mirror::id_of(number), vec![fault.item()]);
                    draft.push(scope.id(), result, None);
                }
            }
        }
        if is_merged && is_good {
            draft.push(scope.id(), Verb::Move.result(id.clone(), Vec::new()), None);
        }
        is_good
    }

    /// Terminations that an identifier stands for in a Move to `scope`.
    fn movable(&self, scope: Scope, id: &TerminationId) -> Result<Vec<u32>, Fault> {
        let here = match scope {
            Scope::Null | Scope::Every if *id != TerminationId::Root => {
                return Err(Fault::IllegalAction("Move needs one context"));
            }
            Scope::Null | Scope::Every => None,
            Scope::Context(context) => Some(context),
            Scope::New => None,
        };
        let mut targets = self.resolve(Scope::Every, id)?;
        if let ([number], false) = (&targets[..], super::amm::is_wildcard(id)) {
            return if here == Some(self.terminations[number].context) {
                Err(Fault::IllegalAction("Move within one context"))
            } else {
                Ok(targets)
            };
        }
        targets.retain(|number| here != Some(self.terminations[number].context));
        if targets.is_empty() {
            return Err(Fault::NoMatch("a termination elsewhere".to_owned()));
        }
        Ok(targets)
    }

    fn try_move(
        &mut self,
        scope: Scope,
        number: u32,
        descriptors: &[Descriptor],
        draft: &mut Draft,
    ) -> Result<(u32, Applied), Fault> {
        let termination = &self.terminations[&number];
        let shard = termination.shard;
        self.check_alive(shard)?;
        if termination.settings.service_state == ServiceState::OutOfService {
            return Err(Fault::OutOfService);
        }
        let mut settings = termination.settings.clone();
        let to = match scope {
            Scope::Context(context) => self.check_room(context)?,
            Scope::New | Scope::Null | Scope::Every => shard,
        };
        let given_up = if to == shard {
            Vec::new()
        } else {
            settings.give_up_sessions()
        };
        let applied = self.apply(&mut settings, (to, number), descriptors)?;
        let has_local = |id: &u16| settings.streams.get(*id).is_some_and(|s| s.local.is_some());
        if let Some(id) = given_up.iter().find(|id| !has_local(id)) {
            return Err(Fault::InsufficientResources(format!(
                "one core: this context is on another one, Local of Stream={id} must be given anew"
            )));
        }
        let context = match scope {
            Scope::Context(context) => context,
            Scope::New | Scope::Null | Scope::Every => self.new_context_number()?,
        };
        self.check_shared(context, number, &settings)?;
        self.release(number, &applied.released, draft);
        if to == shard {
            self.relocate(number, context, draft);
        } else {
            self.transplant(number, (context, to), draft);
        }
        self.replace(number, settings, &applied.renewed, draft);
        Ok((context, applied))
    }

    /// Takes a termination to a context of another shard. Its sessions end.
    fn transplant(&mut self, number: u32, (context, to): (u32, ShardIndex), draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let from = termination.context;
        let mut settings = termination.settings.clone();
        settings.streams.clear();
        self.put_settings(number, settings, &BTreeSet::new(), draft);
        if let Some(termination) = self.terminations.get_mut(&number) {
            (termination.context, termination.shard) = (context, to);
        }
        if let Some(place) = self.contexts.get_mut(&context) {
            place.terminations.insert(number);
        }
        self.leave(from, number);
    }

    /// Takes a termination, its sessions and all, to another context of its shard.
    fn relocate(&mut self, number: u32, context: u32, draft: &mut Draft) {
        let termination = self.terminations.get_mut(&number).expect("resolved");
        let from = core::mem::replace(&mut termination.context, context);
        let shard = termination.shard;
        let sessions: Vec<SessionKey> = termination.sessions().collect();
        let place = self
            .contexts
            .entry(context)
            .or_insert_with(|| Box::new(mirror::Context::new(shard)));
        place.terminations.insert(number);
        for session in sessions {
            let context = self.group(context, session.stream);
            self.order(shard, Order::Move { session, context }, draft);
        }
        self.leave(from, number);
    }
}
