//! Move (H.248.1 section 7.2.4).
//!
//! A session moves with its connection and its counters. It stays on its shard, since its session-id
//! names that and the participant has it already; the context it comes to then spans that shard, too.

use h248::ast::{Descriptor, ServiceState, TerminationId};
use switch::{Order, SessionKey};

use super::amm::{Merged, is_wildcard};
use super::apply::Applied;
use super::core::{Core, Scope};
use super::draft::Draft;
use super::execute::Verb;
use super::fault::Fault;
use super::mirror;

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
        let mut merged = Merged::default();
        let mut is_good = true;
        for number in targets {
            match self.try_move(*scope, number, descriptors, draft) {
                Ok((context, applied)) => {
                    *scope = Scope::Context(context);
                    if is_merged {
                        self.tell_brief(number, &applied.brief, draft.now);
                        merged.add(number, applied);
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
            self.report_merged(Verb::Move, *scope, id, merged, draft);
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
        if let ([number], false) = (&targets[..], is_wildcard(id)) {
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
        if let Scope::Context(context) = scope {
            self.check_room(context)?;
        }
        let applied = self.apply(&mut settings, (shard, number), descriptors)?;
        let context = match scope {
            Scope::Context(context) => context,
            Scope::New | Scope::Null | Scope::Every => self.new_context_number()?,
        };
        self.check_shared(context, number, &settings)?;
        self.release(number, &applied.released, draft);
        self.relocate(number, context, draft);
        self.replace(number, settings, &applied.renewed, draft);
        Ok((context, applied))
    }

    /// Takes a termination, its sessions and all, to another context.
    fn relocate(&mut self, number: u32, context: u32, draft: &mut Draft) {
        let termination = self.terminations.get_mut(&number).expect("resolved");
        let from = core::mem::replace(&mut termination.context, context);
        let shard = termination.shard;
        let sessions: Vec<SessionKey> = termination.sessions().collect();
        self.contexts
            .entry(context)
            .or_insert_with(|| Box::new(mirror::Context::new(shard)));
        if !sessions.is_empty() {
            self.reach(context, shard, draft);
        }
        let (old, new) = (self.span(from), self.span(context));
        for session in sessions {
            for at in old.union(new).iter() {
                match (old.contains(at), new.contains(at)) {
                    (true, true) => {
                        let context = self.group(context, session.stream);
                        self.order(at, Order::Move { session, context }, draft);
                    }
                    (true, false) => self.order(at, Order::Remove { session }, draft),
                    (false, _) => self.announce(session, at, draft),
                }
            }
        }
        let place = self.contexts.get_mut(&context).expect("made above");
        place.terminations.insert(number);
        self.leave(from, number);
    }
}
