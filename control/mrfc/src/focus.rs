//! The task that joins SIP, H.248 and the conferences. It translates; [`conference`] decides.
//!
//! ```text
//! SIP event   -> check, find the leg -> (conference, event) -> queue
//! H.248 event -> find the request    -> (conference, event) -> queue
//! queue       -> Conference::apply -> intents -> SIP answers, H.248 requests -> queue
//! ```

mod admin;
mod audits;
mod calls;
mod joins;
mod leg;
mod mixers;
mod notices;
mod offers;
mod ports;
mod refers;
mod requests;
mod rosters;
mod run;
mod sessions;
#[cfg(test)]
mod sim;
mod terminations;
mod watchers;

use crate::audit::Piece;
use crate::cdr::Recorder;
use crate::config::{ConferenceConfig, Config};
use crate::identity::UserKey;
use crate::limits::{LOOKUPS_MAX, MODE_AGAIN_SECONDS, MRFPS_MAX, TIMERS_A_TURN};
use crate::status::{ConferenceStatus, Counters, add, set};
use crate::terms::Terms;
use crate::{Action, ActionError};
use audits::UnderAudit;
use calls::Lookup;
use clock::{Duration, Instant, TimerKey, TimerTable};
use conference::info::Departure;
use conference::roster::Roster;
use conference::subscription::EndReason;
use conference::{Conference, Event, Hangup, Intent, ParticipantId, Policy, Refusal};
use core::hash::Hash;
use h248::ast::{ActionRequest, MId, TerminationId, TransactionId};
use h248_endpoint::{Peer, Shell};
use leg::{Call, Leg, Placed};
use ports::{Controller, Sip};
use rand::SeedableRng;
use rand::rngs::StdRng;
use refers::{Refer, ReferId};
use rosters::Stale;
use sip::{Answer, DialogId, Stack, TxnId, Uri};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info, warn};
use watchers::{Watched, Watcher, WatcherId};

/// What [`crate::Mrfc`] asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    Status(oneshot::Sender<Vec<ConferenceStatus>>),
    Act(String, Action, oneshot::Sender<Result<(), ActionError>>),
    Open(
        Box<ConferenceConfig>,
        oneshot::Sender<Result<(), ActionError>>,
    ),
    /// Refuse joins, end every conference, then answer.
    Drain(oneshot::Sender<()>),
}

/// What happened.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "each is taken apart as soon as it is made"
)]
pub(crate) enum Input {
    Sip(sip::Event),
    H248(h248_endpoint::Event),
    Lookup(Lookup),
    Command(Command),
    /// The time that was asked for has come.
    Deadline,
}

/// What a focus works with.
pub(crate) struct Around<S, H> {
    pub(crate) sip: S,
    pub(crate) h248: H,
    pub(crate) counters: Arc<Counters>,
    pub(crate) registered: watch::Sender<usize>,
    pub(crate) recorder: Option<Recorder>,
    /// Everything random comes from it.
    pub(crate) seed: [u8; 32],
}

struct Room {
    conference: Conference,
    terms: Arc<Terms>,
    /// Its URI as it was dialled, once somebody has.
    uri: Option<Uri>,
    roster: Roster,
    /// Participants in the roster that did not go by themselves.
    departures: HashMap<ParticipantId, Departure>,
    /// What the roster does not have yet.
    stale: Stale,
    /// Who has been told all that there is.
    quiet_listeners: BTreeSet<ParticipantId>,
    mrfp: Option<MId>,
    context: Option<u32>,
    /// Stays when it is empty.
    is_provisioned: bool,
    /// Made by an operator, who can undo that.
    is_made: bool,
    grace: Option<TimerKey>,
}

impl Room {
    fn new(terms: Arc<Terms>, is_provisioned: bool) -> Self {
        Self {
            conference: Conference::new(terms.seats_max),
            terms,
            uri: None,
            roster: Roster::default(),
            departures: HashMap::new(),
            stale: Stale::Whole,
            quiet_listeners: BTreeSet::new(),
            mrfp: None,
            context: None,
            is_provisioned,
            is_made: false,
            grace: None,
        }
    }
}

struct Mrfp {
    mid: MId,
    peer: Peer,
    /// It announced its leave: no new conferences.
    is_leaving: bool,
    /// What it has is being subtracted: everything else waits until that is over.
    is_clearing: bool,
    /// Requests that it has not answered.
    outstanding: usize,
    /// Requests that wait until it has answered others.
    backlog: VecDeque<(ActionRequest, Task)>,
}

/// What a NOTIFY was about.
#[derive(Clone, Copy)]
enum Notified {
    Refer(ReferId),
    Watcher(WatcherId),
}

/// Why to wake up.
enum Timer {
    /// The MRFP of this conference did not come back.
    GraceOver(String),
    /// A session is to be refreshed or was not.
    SessionDue(ParticipantId),
    /// The outcome of a REFER was not known in time.
    ReferOver(ReferId),
    /// A participant that lost its connection did not bring another.
    MediaOver(ParticipantId),
    /// Something is to be told to a watcher, or it did not refresh.
    WatcherDue(WatcherId),
    /// What a participant may do is to be brought into force, again.
    ModeDue(ParticipantId),
    /// An MRFP that could not be audited is to be asked again.
    AuditAgain(MId, u32),
    /// Something is to be told to a participant that knows no chat rooms, or it did not answer.
    NoticeDue(ParticipantId),
}

/// An H.248 request under way.
enum Task {
    Add {
        leg: ParticipantId,
        mrfp: MId,
    },
    Modify(ParticipantId),
    /// What it may do, and nothing new of its session.
    Mode(ParticipantId),
    Subtract(ParticipantId),
    Notice(ParticipantId),
    /// One piece of an audit, which is named by its number.
    Audit(u64, Piece),
    /// All that an MRFP has is subtracted.
    Clear(MId),
    /// Nobody waits for its outcome: a termination that nobody wants any more.
    Unwatched,
}

/// The SIP side is `S`, the H.248 side `H`.
pub(crate) struct Focus<S = Stack, H = Shell> {
    config: Config,
    /// Of conferences that are not provisioned.
    terms: Arc<Terms>,
    policy: Policy,
    allow: String,
    sip: S,
    h248: H,
    rooms: BTreeMap<String, Room>,
    legs: BTreeMap<ParticipantId, Leg>,
    by_dialog: HashMap<DialogId, ParticipantId>,
    refers: HashMap<ReferId, Refer>,
    watchers: HashMap<WatcherId, Watcher>,
    /// Who watches which conference.
    watched: HashMap<String, Watched>,
    /// The legs of each user.
    by_user: HashMap<UserKey, BTreeSet<ParticipantId>>,
    by_termination: HashMap<(MId, TerminationId), ParticipantId>,
    /// Conferences whose roster changed and was not told yet.
    changed: BTreeSet<String>,
    /// NOTIFYs that await their answer.
    notifies: HashMap<TxnId, Notified>,
    /// `None` once it is listened to.
    lookups: Option<mpsc::Receiver<Lookup>>,
    lookup_sender: mpsc::Sender<Lookup>,
    mrfps: Vec<Mrfp>,
    /// MRFPs being compared with what is known of them.
    audits: HashMap<MId, UnderAudit>,
    next_audit: u64,
    /// With when they began.
    tasks: HashMap<TransactionId, (Task, Instant)>,
    queue: VecDeque<(String, Event)>,
    timers: TimerTable<Timer>,
    now: Instant,
    rng: StdRng,
    next_leg: u64,
    next_refer: u64,
    next_watcher: u64,
    counters: Arc<Counters>,
    registered: watch::Sender<usize>,
    recorder: Option<Recorder>,
    draining: Option<oneshot::Sender<()>>,
    is_draining: bool,
}

impl<S: Sip, H: Controller> Focus<S, H> {
    pub(crate) fn new(config: Config, allow: String, around: Around<S, H>) -> Self {
        let Around {
            sip,
            h248,
            counters,
            registered,
            recorder,
            seed,
        } = around;
        let policy = Policy {
            domains: config.domains.clone(),
            names: config.conferences.iter().map(|c| c.name.clone()).collect(),
            create_on_join: config.create_on_join,
            conferences_max: usize::try_from(config.max_conferences).unwrap_or(usize::MAX),
        };
        let terms = Arc::new(Terms::new(&config, None));
        let (lookup_sender, lookups) = mpsc::channel(LOOKUPS_MAX);
        let mut focus = Self {
            config,
            terms,
            policy,
            allow,
            sip,
            h248,
            rooms: BTreeMap::new(),
            legs: BTreeMap::new(),
            by_dialog: HashMap::new(),
            refers: HashMap::new(),
            watchers: HashMap::new(),
            watched: HashMap::new(),
            by_user: HashMap::new(),
            by_termination: HashMap::new(),
            changed: BTreeSet::new(),
            notifies: HashMap::new(),
            lookups: Some(lookups),
            lookup_sender,
            mrfps: Vec::new(),
            audits: HashMap::new(),
            next_audit: 0,
            tasks: HashMap::new(),
            queue: VecDeque::new(),
            timers: TimerTable::default(),
            now: Instant::ZERO,
            rng: StdRng::from_seed(seed),
            next_leg: 0,
            next_refer: 0,
            next_watcher: 0,
            counters,
            registered,
            recorder,
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
        focus.update_gauges();
        focus
    }

    /// Takes in one input, and everything that follows from it.
    pub(crate) async fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Sip(event) => self.handle_sip(event).await,
            Input::H248(event) => self.handle_h248(event),
            Input::Lookup(lookup) => self.handle_lookup(lookup).await,
            Input::Command(command) => self.handle_command(command).await,
            Input::Deadline => self.handle_deadline().await,
        }
        self.drain_queue().await;
        self.publish().await;
        self.update_gauges();
    }

    /// When [`Input::Deadline`] is due.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// The time of this input.
    fn now(&self) -> Instant {
        self.now
    }

    /// So many timers that others have their turn, too: some that are due when they are armed would come
    /// again for ever.
    async fn handle_deadline(&mut self) {
        for _ in 0..TIMERS_A_TURN {
            let Some(timer) = self.timers.expired(self.now()) else {
                return;
            };
            match timer {
                Timer::GraceOver(name) => {
                    info!(conference = %name, "the MRFP did not come back in time");
                    self.queue.push_back((name, Event::GraceOver));
                }
                Timer::SessionDue(id) => self.handle_session_due(id).await,
                Timer::ReferOver(id) => self.expire_refer(id).await,
                Timer::MediaOver(id) => self.expel_unconnected(id),
                Timer::WatcherDue(id) => self.notify_watcher(id).await,
                Timer::ModeDue(id) => self.tell(id, Event::ModeDue(id)),
                Timer::NoticeDue(id) => self.tell_listener(id),
                Timer::AuditAgain(mid, tries) => self.audit_again(&mid, tries),
            }
        }
    }

    fn update_gauges(&mut self) {
        set(&self.counters.conferences, self.rooms.len());
        set(&self.counters.participants, self.legs.len());
        set(&self.counters.mrfps, self.mrfps.len());
        self.count_watchers();
        // Who watches is told of the end when it has answered what it was told before.
        if self.legs.is_empty()
            && self.watchers.is_empty()
            && let Some(reply) = self.draining.take()
        {
            // Who asked may have given up waiting.
            let _ = reply.send(());
        }
    }

    fn open_room(&mut self, name: &str, is_provisioned: bool) {
        if self.rooms.contains_key(name) {
            return;
        }
        let own = self.config.conferences.iter().find(|c| c.name == name);
        let terms = match own {
            Some(own) => Arc::new(Terms::new(&self.config, Some(own))),
            None => Arc::clone(&self.terms),
        };
        let room = Room::new(terms, is_provisioned);
        self.rooms.insert(name.to_owned(), room);
    }

    /// The terms of a conference.
    fn terms_of(&self, name: &str) -> Arc<Terms> {
        let room = self.rooms.get(name);
        Arc::clone(room.map_or(&self.terms, |room| &room.terms))
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
            Intent::Dial(id) => self.dial(id).await,
            Intent::SetMode(id) => self.set_mode(id),
            Intent::RetryMode(id) => {
                let at = self.now() + Duration::from_secs(MODE_AGAIN_SECONDS);
                self.timers.arm(at, Timer::ModeDue(id));
            }
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
            Intent::PublishSeat(id) => self.note_change(name, Some(id)),
            Intent::PublishRoster => self.note_change(name, None),
            Intent::StartGrace => self.start_grace(name),
            Intent::Ended => self.end_room(name).await,
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

    async fn end_room(&mut self, name: &str) {
        info!(conference = %name, "conference ended");
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        if let Some(key) = room.grace.take() {
            self.timers.cancel(key);
        }
        (room.mrfp, room.context) = (None, None);
        if !room.is_provisioned || self.is_draining {
            self.remove_room(name).await;
        }
    }

    async fn remove_room(&mut self, name: &str) {
        self.rooms.remove(name);
        self.end_watching(name, None, EndReason::NoResource).await;
    }

    /// The SIP side of a leg is over.
    async fn end_sip(&mut self, id: ParticipantId) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.is_sip_over = true;
        // Later answers than the first are dropped: an INVITE has its own already.
        let waits = leg.txn.take();
        let wake = leg.told.take().and_then(|told| told.wake);
        for key in [leg.session_due.take(), leg.media_due.take(), wake] {
            key.map(|key| self.timers.cancel(key));
        }
        if let Some(dialog) = leg.dialog {
            self.by_dialog.remove(&dialog);
        }
        let watchers = core::mem::take(&mut leg.watchers);
        if let Some(txn) = waits {
            self.sip.respond(txn, Answer::new(487)).await;
        }
        self.end_watching_of(id).await;
        self.forget_if_over(id);
        for refer in watchers {
            self.finish_one(refer).await;
        }
    }

    fn forget_if_over(&mut self, id: ParticipantId) {
        if self
            .legs
            .get(&id)
            .is_some_and(|leg| leg.is_sip_over && leg.is_media_over)
            && let Some(leg) = self.legs.remove(&id)
        {
            self.forget_user(id, &leg);
            if let Some(placed) = &leg.placed {
                let key = (placed.mrfp.clone(), placed.added.termination.clone());
                // An MRFP that has restarted gives its names out again: by now it may be another one's.
                if self.by_termination.get(&key) == Some(&id) {
                    self.by_termination.remove(&key);
                }
            }
            if let Some(recorder) = &self.recorder {
                recorder.put(&leg.record(id));
            }
        }
    }

    fn insert_leg(&mut self, id: ParticipantId, leg: Leg) {
        if let Some(user) = UserKey::of(&leg.identity.uri) {
            self.by_user.entry(user).or_default().insert(id);
        }
        self.legs.insert(id, leg);
    }

    fn forget_user(&mut self, id: ParticipantId, leg: &Leg) {
        if let Some(user) = UserKey::of(&leg.identity.uri) {
            withdraw(&mut self.by_user, &user, id);
        }
    }

    /// The legs of a user that have a seat in a conference.
    fn seated_of(&self, name: &str, uri: &str) -> impl Iterator<Item = (ParticipantId, &Leg)> {
        let room = self.rooms.get(name);
        let legs = UserKey::of(uri).and_then(|user| self.by_user.get(&user));
        let legs = legs.into_iter().flatten();
        let is_seated = move |id: ParticipantId| room?.conference.participant(id);
        legs.filter_map(move |&id| Some((is_seated(id)?.id, self.legs.get(&id)?)))
    }

    /// The legs that have a seat in a conference.
    fn seated(&self, name: &str) -> impl Iterator<Item = (ParticipantId, &Leg)> {
        let seats = self.rooms.get(name).map(|room| room.conference.roster());
        seats
            .into_iter()
            .flatten()
            .filter_map(|seat| Some((seat.id, self.legs.get(&seat.id)?)))
    }

    fn tell(&mut self, id: ParticipantId, event: Event) {
        if let Some(leg) = self.legs.get(&id) {
            self.queue.push_back((leg.conference.clone(), event));
        }
    }
}

/// Takes a value out of the set under a key, and the key with the last one.
fn withdraw<K: Eq + Hash, V: Ord>(index: &mut HashMap<K, BTreeSet<V>>, key: &K, value: V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(&value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
