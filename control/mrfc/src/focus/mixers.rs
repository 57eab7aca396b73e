//! What MRFPs say: they come and go, answer, and tell what happens.

use super::{
    Controller, Event, Focus, Hangup, MId, MRFPS_MAX, Mrfp, ParticipantId, Placed, Sip, Task,
    TerminationId, Timer, TransactionId, add, info, warn,
};
use crate::commands::{
    Added, Observed, REQUEST, added, check, mid_text, modified, observed, statistics, subtract,
    termination_text,
};
use crate::media::Reserved;
use conference::MixerFailure;
use conference::notice::Outcome;
use h248::ast::{
    ActionReply, ActionRequest, Command, CommandReply, CommandResult, ContextId, Few,
    ObservedEvents, ReplyBody, ServiceChangeMethod, ServiceChangeResult, TerminationIds,
    TransactionReply,
};
use h248_endpoint::{Event as H248Event, Registered, Request, error, error_of, refused_command};

/// The context or the termination is not there (any more), or not there together (H.248.8).
const GONE: [u16; 3] = [411, 430, 435];

impl<S: Sip, H: Controller> Focus<S, H> {
    pub(super) fn handle_h248(&mut self, event: H248Event) {
        match event {
            H248Event::Registered(registered) => self.handle_registered(registered),
            H248Event::Lost { mid, reason, .. } => {
                warn!(mrfp = %mid_text(&mid), %reason, "MRFP lost");
                add(&self.counters.mrfp_losses, 1);
                self.forget_mrfp(&mid);
                self.publish_mrfps();
                self.tell_rooms_of(&mid, Event::MixerLost);
            }
            H248Event::Leaving { mid, delay_s } => {
                info!(mrfp = %mid_text(&mid), delay_s, "MRFP takes no new conferences");
                for mrfp in self.mrfps.iter_mut().filter(|m| m.mid == mid) {
                    mrfp.is_leaving = true;
                }
            }
            H248Event::Reply {
                id, peer, reply, ..
            } => {
                self.send_next(peer);
                self.handle_reply(id, &reply);
                self.end_awaited(id);
            }
            H248Event::Failed { id, peer, reason } => {
                self.send_next(peer);
                let task = self.tasks.remove(&id).map(|(task, _)| task);
                self.log_failure(id, task.as_ref(), &reason);
                self.handle_failed(task);
                self.end_awaited(id);
            }
            H248Event::Late { mid, reply, .. } => {
                if let Ok(added) = added(&reply) {
                    self.discard(&mid, &added);
                }
            }
            H248Event::Request(request) => self.handle_request(&request),
            // Of a gateway only; or logged by the endpoint.
            H248Event::RegistrationFailed { .. } | H248Event::Departed | H248Event::Problem(_) => {}
        }
    }

    fn handle_registered(&mut self, registered: Registered) {
        let Registered {
            mid, peer, method, ..
        } = registered;
        info!(mrfp = %mid_text(&mid), %peer, ?method, "MRFP registered");
        let is_known = self.mrfps.iter().any(|m| m.mid == mid);
        if !is_known && self.mrfps.len() >= MRFPS_MAX {
            return warn!(mrfp = %mid_text(&mid), "too many MRFPs; not used");
        }
        self.forget_mrfp(&mid);
        let mut mrfp = Mrfp::new(mid.clone(), peer);
        mrfp.is_clearing = self.is_clearing(&mid);
        self.mrfps.push(mrfp);
        self.publish_mrfps();
        let kept = matches!(
            method,
            ServiceChangeMethod::Disconnected
                | ServiceChangeMethod::Failover
                | ServiceChangeMethod::HandOff
        );
        if kept && self.rooms.values().all(|r| r.mrfp.as_ref() != Some(&mid)) {
            // Its contexts are those of a controller that is gone; nobody else will end them.
            info!(mrfp = %mid_text(&mid), "whatever it has is subtracted");
            self.clear(&mid);
        } else if kept {
            self.start_audit(&mid, 0);
        }
        // A gateway that restarts without having been missed lost its contexts all the same.
        if !kept {
            self.tell_rooms_of(&mid, Event::MixerLost);
        }
        self.tell_rooms_of(&mid, Event::MixerBack { kept });
    }

    fn publish_mrfps(&self) {
        let count = self.mrfps.len();
        self.registered.send_replace(count);
    }

    fn tell_rooms_of(&mut self, mid: &MId, event: Event) {
        for (name, room) in &mut self.rooms {
            if room.mrfp.as_ref() != Some(mid) {
                continue;
            }
            if matches!(event, Event::MixerBack { .. })
                && let Some(key) = room.grace.take()
            {
                self.timers.cancel(key);
            }
            self.queue.push_back((name.clone(), event));
        }
    }

    /// The MRFP with the fewest conferences.
    pub(super) fn choose_mrfp(&self) -> Option<MId> {
        let load = |mid: &MId| {
            self.rooms
                .values()
                .filter(|r| r.mrfp.as_ref() == Some(mid))
                .count()
        };
        let usable: Vec<_> = self.mrfps.iter().filter(|m| !m.is_leaving).collect();
        // The usual case needs no counting.
        let chosen = match usable.as_slice() {
            [only] => Some(*only),
            several => several.iter().copied().min_by_key(|m| load(&m.mid)),
        };
        chosen.map(|m| m.mid.clone())
    }

    fn handle_reply(&mut self, id: TransactionId, reply: &TransactionReply) {
        if matches!(self.tasks.get(&id), Some((Task::Audit(..), _))) {
            if let Some(Task::Audit(serial, piece)) = self.ended_task(id) {
                self.handle_audited(serial, &piece, reply);
            }
            return;
        }
        let outcome = check(reply);
        let error = h248_endpoint::first_error(&reply.body);
        if let Some(error) = error {
            self.counters.outcomes().h248_errors.count(error.code);
        }
        let is_gone = error.is_some_and(|error| GONE.contains(&error.code));
        let error = error.map(h248_endpoint::describe);
        let task = self.ended_task(id);
        if let Some(error) = &error {
            add(&self.counters.h248_failures, 1);
            self.log_failure(id, task.as_ref(), error);
        }
        if let Some(Task::Add { leg, .. } | Task::Modify(leg)) = &task
            && let Some(leg) = self.legs.get_mut(leg)
        {
            leg.fault = error;
        }
        match task {
            None | Some(Task::Unwatched | Task::Audit(..)) => {}
            Some(Task::Clear(mid)) => self.end_clearing(&mid),
            Some(Task::Notice(leg)) if outcome.is_err() => self.notice_over(leg, Outcome::Refused),
            // Its fate comes as an event.
            Some(Task::Notice(_)) => {}
            Some(Task::Add { leg, mrfp }) => self.handle_added(leg, mrfp, added(reply)),
            Some(Task::Modify(leg)) => {
                let event = match modified(reply) {
                    Ok(local) => self.handle_modified(leg, local.as_deref()),
                    Err(why) => Event::ChangeFailed(leg, why),
                };
                self.tell(leg, event);
                if is_gone {
                    self.tell(leg, Event::Expelled(leg, Hangup::MediaFailed));
                }
            }
            Some(Task::Mode(leg)) if is_gone => {
                self.tell(leg, Event::Expelled(leg, Hangup::MediaFailed));
            }
            Some(Task::Mode(leg)) => self.handle_mode(leg, outcome.err()),
            Some(Task::Subtract(leg)) => {
                if let Some(gone) = self.legs.get_mut(&leg) {
                    gone.statistics = statistics(reply);
                }
                self.tell(leg, Event::Subtracted(leg));
            }
        }
    }

    /// A request that was answered, and how long that took.
    fn ended_task(&mut self, id: TransactionId) -> Option<Task> {
        let (task, began) = self.tasks.remove(&id)?;
        let took = self.now().since(began);
        self.counters.outcomes().h248_latency.record(took);
        Some(task)
    }

    /// One line that a search for the leg, its Call-ID or its termination finds.
    fn log_failure(&self, id: TransactionId, task: Option<&Task>, why: &dyn core::fmt::Display) {
        let about = match task {
            Some(
                Task::Add { leg, .. }
                | Task::Modify(leg)
                | Task::Mode(leg)
                | Task::Subtract(leg)
                | Task::Notice(leg),
            ) => Some(leg),
            Some(Task::Audit(..) | Task::Clear(_) | Task::Unwatched) | None => None,
        };
        let found = about.and_then(|id| Some((id.0, self.legs.get(id)?)));
        let Some((leg, found)) = found else {
            return info!(transaction = id.0, %why, "H.248 request failed");
        };
        let placed = found.placed.as_ref();
        let termination = placed.map(|p| termination_text(&p.added.termination));
        info!(conference = %found.conference, leg, call_id = %found.call_id,
            termination = termination.as_deref(), transaction = id.0, %why, "H.248 request failed");
    }

    pub(super) fn handle_failed(&mut self, task: Option<Task>) {
        add(&self.counters.h248_failures, 1);
        add(&self.counters.h248_unanswered, 1);
        let failure = MixerFailure::Silent;
        match task {
            None | Some(Task::Unwatched) => {}
            Some(Task::Audit(serial, _)) => self.fail_audit(serial),
            Some(Task::Clear(mid)) => self.end_clearing(&mid),
            Some(Task::Add { leg, .. }) => self.tell(leg, Event::TerminationFailed(leg, failure)),
            Some(Task::Modify(leg)) => self.tell(leg, Event::ChangeFailed(leg, failure)),
            Some(Task::Mode(leg)) => self.handle_mode(leg, Some(failure)),
            Some(Task::Subtract(leg)) => self.tell(leg, Event::Subtracted(leg)),
            Some(Task::Notice(leg)) => self.notice_over(leg, Outcome::Lost),
        }
    }

    fn handle_added(&mut self, id: ParticipantId, mrfp: MId, added: Result<Added, MixerFailure>) {
        let added = match added {
            Ok(added) => added,
            Err(why) => return self.tell(id, Event::TerminationFailed(id, why)),
        };
        self.touch(&mrfp, &added.termination);
        let reserved = Reserved::parse(&added.local);
        let leg = self.legs.get_mut(&id).filter(|leg| !leg.is_media_over);
        let (Some(leg), Some(reserved)) = (leg, reserved) else {
            self.discard(&mrfp, &added);
            return self.tell(id, Event::TerminationFailed(id, MixerFailure::Unavailable));
        };
        info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, context = added.context,
            termination = %termination_text(&added.termination), "termination added");
        if let Some(room) = self.rooms.get_mut(&leg.conference) {
            room.context = Some(added.context);
        }
        let key = (mrfp.clone(), added.termination.clone());
        self.by_termination.insert(key, id);
        leg.placed = Some(Placed {
            mrfp,
            added,
            reserved,
        });
        self.tell(id, Event::TerminationReady(id));
    }

    /// Nobody waits for it (any more), or it is of no use: it must not stay.
    fn discard(&mut self, mrfp: &MId, added: &Added) {
        warn!(mrfp = %mid_text(mrfp), context = added.context, "unusable termination subtracted");
        self.touch(mrfp, &added.termination);
        add(&self.counters.subtracts, 1);
        self.send(mrfp, subtract(added), Task::Unwatched);
    }

    /// A request of an MRFP: events that nobody armed, or terminations going out of service.
    fn handle_request(&mut self, request: &Request) {
        let mut replies = Few::default();
        let mut actions = request.request.actions.iter();
        let is_complete = actions.all(|action| {
            let (reply, is_good) = self.execute_action(&request.mid, action);
            replies.push(reply);
            is_good
        });
        let mut body = ReplyBody::Actions(replies);
        if let Some(broken) = request.broken.as_ref().filter(|_| is_complete) {
            broken.append_to(&mut body);
        }
        self.h248.reply(request.key, body);
    }

    /// Up to the first command that fails and is not optional; says whether there was none.
    fn execute_action(&mut self, mid: &MId, action: &ActionRequest) -> (ActionReply, bool) {
        let mut reply = ActionReply {
            context: action.context,
            properties: h248::ast::ContextProperties::default(),
            commands: Few::default(),
            error: None,
        };
        if action.commands.is_empty() {
            reply.error = Some(error(421, "contexts are a controller's business"));
            return (reply, false);
        }
        for command in &action.commands {
            let result = self.execute(mid, action.context, &command.command);
            let is_failed = error_of(&result).is_some();
            reply.commands.push(CommandReply {
                optional: false,
                wildcard_response: false,
                result,
            });
            if is_failed && !command.optional {
                return (reply, false);
            }
        }
        (reply, true)
    }

    fn execute(&mut self, mid: &MId, context: ContextId, command: &Command) -> CommandResult {
        match command {
            Command::Notify {
                terminations,
                observed,
                ..
            } => {
                let refusal = if self.is_stranger(mid, terminations) {
                    Some(error(430, "Unknown TerminationID"))
                } else if observed.request_id != REQUEST {
                    Some(error(458, "Unexpected Event/Request ID"))
                } else {
                    self.handle_observed(mid, context, terminations, observed);
                    None
                };
                CommandResult::Notify {
                    terminations: terminations.clone(),
                    error: refusal,
                }
            }
            Command::ServiceChange {
                terminations,
                services,
            } => {
                if services.method == ServiceChangeMethod::Forced {
                    self.expel_terminations(mid, context, terminations);
                }
                CommandResult::ServiceChange {
                    terminations: terminations.clone(),
                    result: ServiceChangeResult::Empty,
                }
            }
            Command::Add(_)
            | Command::Modify(_)
            | Command::Move(_)
            | Command::Subtract { .. }
            | Command::AuditValue(_)
            | Command::AuditCapability(_) => {
                refused_command(command, error(443, "Unsupported or unknown command"))
            }
        }
    }

    /// Whether an MRFP speaks of a termination that no participant has. While it is asked for one it may be
    /// that one: over UDP what it says of it may come before the reply that names it.
    fn is_stranger(&self, mid: &MId, named: &TerminationIds) -> bool {
        let [named @ TerminationId::Name(_)] = named.0.as_slice() else {
            return false;
        };
        let is_known = |named: &TerminationId| {
            let key = (mid.clone(), named.clone());
            self.by_termination.contains_key(&key)
        };
        let is_asked =
            |(task, _): &(Task, _)| matches!(task, Task::Add { mrfp, .. } if mrfp == mid);
        !is_known(named) && !self.tasks.values().any(is_asked)
    }

    fn handle_observed(
        &mut self,
        mid: &MId,
        context: ContextId,
        terminations: &TerminationIds,
        events: &ObservedEvents,
    ) {
        for id in self.legs_at(mid, context, terminations) {
            for event in &events.events {
                match observed(event) {
                    Some(Observed::ConnectionLost) => self.start_media_grace(id),
                    Some(Observed::Nickname(nickname)) => self.name_leg(id, nickname),
                    Some(Observed::Played(name, status)) => self.notice_told(id, &name, status),
                    None => {}
                }
            }
        }
    }

    fn name_leg(&mut self, id: ParticipantId, nickname: Option<String>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.nickname = nickname;
            let name = leg.conference.clone();
            self.note_change(&name, Some(id));
        }
    }

    /// A lost connection is no BYE: the participant may bring another (RFC 4975 5.4).
    fn start_media_grace(&mut self, id: ParticipantId) {
        let at = self.now() + self.config.media_grace;
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.is_sip_over) else {
            return;
        };
        info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, "connection lost");
        let key = self.timers.arm(at, Timer::MediaOver(id));
        if let Some(old) = leg.media_due.replace(key) {
            self.timers.cancel(old);
        }
    }

    pub(super) fn expel_unconnected(&mut self, id: ParticipantId) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.media_due = None;
        }
        self.tell(id, Event::Expelled(id, Hangup::MediaFailed));
    }

    fn expel_terminations(&mut self, mid: &MId, context: ContextId, gone: &TerminationIds) {
        for id in self.legs_at(mid, context, gone) {
            self.tell(id, Event::Expelled(id, Hangup::MediaFailed));
        }
    }

    /// The legs whose terminations are named.
    fn legs_at(&self, mid: &MId, context: ContextId, named: &TerminationIds) -> Vec<ParticipantId> {
        // The usual case needs no search.
        if let [named @ TerminationId::Name(_)] = named.0.as_slice() {
            let found = self.by_termination.get(&(mid.clone(), named.clone()));
            return found.copied().into_iter().collect();
        }
        let is_it = |placed: &Placed| {
            placed.mrfp == *mid
                && (context == ContextId::All || context == ContextId::Id(placed.added.context))
                && named
                    .0
                    .iter()
                    .any(|t| *t == TerminationId::All || *t == placed.added.termination)
        };
        self.legs
            .iter()
            .filter(|(_, leg)| leg.placed.as_ref().is_some_and(is_it))
            .map(|(&id, _)| id)
            .collect()
    }
}
