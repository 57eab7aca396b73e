//! The task that joins SIP, H.248 and the conferences. It translates; [`conference`] decides.
//!
//! ```text
//! SIP event   -> check, find the leg -> (conference, event) -> queue
//! H.248 event -> find the request    -> (conference, event) -> queue
//! queue       -> Conference::apply -> intents -> SIP answers, H.248 requests -> queue
//! ```

mod joins;
mod mixers;
mod sessions;

use crate::commands::{Added, mid_text, termination_text};
use crate::config::Config;
use crate::headers::Fields;
use crate::limits::MRFPS_MAX;
use crate::media::{Capabilities, Offer, Reserved};
use crate::session_timer::SessionTimer;
use crate::status::{ConferenceStatus, Counters, ParticipantStatus, add, set};
use clock::{Instant, TimerKey, TimerTable};
use conference::{Conference, Event, Hangup, Intent, ParticipantId, Policy, Refusal};
use h248::ast::{MId, TransactionId};
use h248_endpoint::{Peer, Shell};
use sip::{Answer, DialogId, Stack, TxnId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info, warn};

/// What [`crate::Mrfc`] asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    Status(oneshot::Sender<Vec<ConferenceStatus>>),
    /// Refuse joins, end every conference, then answer.
    Drain(oneshot::Sender<()>),
}

/// One participant's dialog and termination.
struct Leg {
    conference: String,
    dialog: DialogId,
    /// The INVITE or UPDATE that awaits our final response.
    txn: Option<TxnId>,
    call_id: String,
    uri: String,
    /// Fields of every positive answer.
    fields: Fields,
    /// The description in force; none until the ACK answers our own offer.
    offer: Option<Offer>,
    /// The description that a Modify is to bring into force.
    next_offer: Option<Offer>,
    /// Our offer went out in a 200: the ACK must answer it.
    awaits_answer: bool,
    placed: Option<Placed>,
    origin: (u64, u64),
    session: Option<SessionTimer>,
    session_due: Option<TimerKey>,
    /// Our last description.
    answer: String,
    is_connected: bool,
    /// Nothing more happens on the SIP side.
    is_sip_over: bool,
    /// Nothing more happens on the H.248 side.
    is_media_over: bool,
}

/// A termination and where it is.
#[derive(Clone)]
struct Placed {
    mrfp: MId,
    added: Added,
    reserved: Reserved,
}

struct Room {
    conference: Conference,
    mrfp: Option<MId>,
    context: Option<u32>,
    /// Stays when it is empty.
    is_provisioned: bool,
    grace: Option<TimerKey>,
}

struct Mrfp {
    mid: MId,
    peer: Peer,
    /// It announced its leave: no new conferences.
    is_leaving: bool,
}

/// Why to wake up.
enum Timer {
    /// The MRFP of this conference did not come back.
    GraceOver(String),
    /// A session is to be refreshed or was not.
    SessionDue(ParticipantId),
}

/// An H.248 request under way.
enum Task {
    Add {
        leg: ParticipantId,
        mrfp: MId,
    },
    Modify(ParticipantId),
    Subtract(ParticipantId),
    /// A termination that nobody wants any more.
    Orphan,
}

pub(crate) struct Focus {
    config: Config,
    capabilities: Capabilities,
    policy: Policy,
    allow: String,
    sip: Stack,
    h248: Shell,
    rooms: HashMap<String, Room>,
    legs: HashMap<ParticipantId, Leg>,
    by_dialog: HashMap<DialogId, ParticipantId>,
    mrfps: Vec<Mrfp>,
    tasks: HashMap<TransactionId, Task>,
    queue: VecDeque<(String, Event)>,
    timers: TimerTable<Timer>,
    epoch: tokio::time::Instant,
    next_leg: u64,
    counters: Arc<Counters>,
    registered: watch::Sender<usize>,
    draining: Option<oneshot::Sender<()>>,
    is_draining: bool,
}

impl Focus {
    pub(crate) fn new(
        config: Config,
        allow: String,
        sip: Stack,
        h248: Shell,
        counters: Arc<Counters>,
        registered: watch::Sender<usize>,
    ) -> Self {
        let policy = Policy {
            domains: config.domains.clone(),
            names: config.conferences.iter().map(|c| c.name.clone()).collect(),
            create_on_join: config.create_on_join,
            conferences_max: usize::try_from(config.max_conferences).unwrap_or(usize::MAX),
        };
        let capabilities = Capabilities {
            accept_types: config.accept_types.clone(),
            max_size: config.max_size,
        };
        let mut focus = Self {
            config,
            capabilities,
            policy,
            allow,
            sip,
            h248,
            rooms: HashMap::new(),
            legs: HashMap::new(),
            by_dialog: HashMap::new(),
            mrfps: Vec::new(),
            tasks: HashMap::new(),
            queue: VecDeque::new(),
            timers: TimerTable::default(),
            epoch: tokio::time::Instant::now(),
            next_leg: 0,
            counters,
            registered,
            draining: None,
            is_draining: false,
        };
        let names: Vec<_> = focus
            .config
            .conferences
            .iter()
            .map(|c| c.name.clone())
            .collect();
        for name in names {
            focus.open_room(&name, true);
        }
        focus
    }

    /// Works until `commands` is closed, then closes the SIP side.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            self.drain_queue().await;
            self.update_gauges();
            let at = self
                .timers
                .deadline()
                .map(|at| self.epoch + at.since(Instant::ZERO));
            tokio::select! {
                event = self.sip.next_event() => match event {
                    Some(event) => self.handle_sip(event).await,
                    None => return warn!("the SIP stack stopped"),
                },
                event = self.h248.next() => self.handle_h248(event),
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => break,
                },
                () = sleep_until(at) => self.handle_deadline().await,
            }
        }
        self.sip.close().await;
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Status(reply) => {
                // Who asked may have gone.
                let _ = reply.send(self.status());
            }
            Command::Drain(reply) => {
                self.is_draining = true;
                self.draining = Some(reply);
                for name in self.rooms.keys() {
                    self.queue.push_back((name.clone(), Event::Closed));
                }
            }
        }
    }

    async fn handle_deadline(&mut self) {
        while let Some(timer) = self.timers.expired(self.now()) {
            match timer {
                Timer::GraceOver(name) => {
                    info!(conference = %name, "the MRFP did not come back in time");
                    self.queue.push_back((name, Event::GraceOver));
                }
                Timer::SessionDue(id) => self.handle_session_due(id).await,
            }
        }
    }

    fn update_gauges(&mut self) {
        set(&self.counters.conferences, self.rooms.len());
        set(&self.counters.participants, self.legs.len());
        set(&self.counters.mrfps, self.mrfps.len());
        if self.legs.is_empty()
            && let Some(reply) = self.draining.take()
        {
            // Who asked may have given up waiting.
            let _ = reply.send(());
        }
    }

    fn status(&self) -> Vec<ConferenceStatus> {
        let mut all: Vec<_> = self
            .rooms
            .iter()
            .map(|(name, room)| self.room_status(name, room))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn room_status(&self, name: &str, room: &Room) -> ConferenceStatus {
        let row = |id: ParticipantId| {
            let leg = self.legs.get(&id)?;
            let termination = leg
                .placed
                .as_ref()
                .map(|p| termination_text(&p.added.termination));
            Some(ParticipantStatus {
                id: id.0,
                uri: leg.uri.clone(),
                call_id: leg.call_id.clone(),
                termination,
                is_connected: leg.is_connected,
            })
        };
        ConferenceStatus {
            name: name.to_owned(),
            context: room.context,
            mrfp: room.mrfp.as_ref().map(mid_text),
            participants: room.conference.roster().filter_map(|p| row(p.id)).collect(),
        }
    }

    fn open_room(&mut self, name: &str, is_provisioned: bool) {
        let configured = self.config.conferences.iter().find(|c| c.name == name);
        let seats = configured
            .and_then(|c| c.max_participants)
            .unwrap_or(self.config.max_participants);
        self.rooms.entry(name.to_owned()).or_insert_with(|| Room {
            conference: Conference::new(usize::try_from(seats).unwrap_or(usize::MAX)),
            mrfp: None,
            context: None,
            is_provisioned,
            grace: None,
        });
    }

    /// Applies events until nothing follows from them any more.
    async fn drain_queue(&mut self) {
        while let Some((name, event)) = self.queue.pop_front() {
            let Some(room) = self.rooms.get_mut(&name) else {
                continue;
            };
            debug!(conference = %name, ?event);
            for intent in room.conference.apply(event) {
                self.perform(&name, intent).await;
            }
        }
    }

    async fn perform(&mut self, name: &str, intent: Intent) {
        debug!(conference = %name, ?intent);
        match intent {
            Intent::AddTermination {
                participant,
                new_context,
            } => {
                self.add_termination(name, participant, new_context);
            }
            Intent::SubtractTermination(id) => self.subtract_termination(id),
            Intent::ModifyTermination(id) => self.modify_termination(id),
            Intent::Answer(id) => self.accept(id).await,
            Intent::Refuse(id, why) => self.refuse(id, why).await,
            Intent::AnswerChange(id) => self.accept_change(id).await,
            Intent::RefuseChange(id, why) => self.refuse_change(id, why).await,
            Intent::HangUp(id, why) => self.hang_up(id, why).await,
            Intent::Release(id) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.is_media_over = true;
                    self.forget_if_over(id);
                }
            }
            // Nobody subscribes yet.
            Intent::PublishRoster => {}
            Intent::StartGrace => self.start_grace(name),
            Intent::Ended => self.end_room(name),
        }
    }

    fn start_grace(&mut self, name: &str) {
        let at = self.now() + self.config.mrfp_grace;
        if let Some(room) = self.rooms.get_mut(name) {
            let key = self.timers.arm(at, Timer::GraceOver(name.to_owned()));
            if let Some(old) = room.grace.replace(key) {
                self.timers.cancel(old);
            }
        }
    }

    fn end_room(&mut self, name: &str) {
        info!(conference = %name, "conference ended");
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        if let Some(key) = room.grace.take() {
            self.timers.cancel(key);
        }
        (room.mrfp, room.context) = (None, None);
        if !room.is_provisioned {
            self.rooms.remove(name);
        }
    }

    /// The SIP side of a leg is over.
    fn end_sip(&mut self, id: ParticipantId) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.is_sip_over = true;
            leg.txn = None;
            if let Some(key) = leg.session_due.take() {
                self.timers.cancel(key);
            }
            self.by_dialog.remove(&leg.dialog);
            self.forget_if_over(id);
        }
    }

    fn forget_if_over(&mut self, id: ParticipantId) {
        if self
            .legs
            .get(&id)
            .is_some_and(|leg| leg.is_sip_over && leg.is_media_over)
        {
            self.legs.remove(&id);
        }
    }

    fn tell(&mut self, id: ParticipantId, event: Event) {
        if let Some(leg) = self.legs.get(&id) {
            self.queue.push_back((leg.conference.clone(), event));
        }
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => core::future::pending().await,
    }
}
