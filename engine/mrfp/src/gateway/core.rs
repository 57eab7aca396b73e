//! The mirror and the ways to change it; every change is turned into orders at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use clock::{Instant, TimerTable};
use h248::ast::{ContextId, Events, PropertyParm, PropertyValue, TerminationId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use switch::{Command, ContextKey, Order, SessionKey, ShardIndex, Statistics};

use super::Config;
use super::draft::{Draft, Token};
use super::fault::Fault;
use super::forced::{self, Lost};
use super::inactivity::{self, Silence};
use super::limits::CONTEXT_ID_MAX;
use super::media::Site;
use super::mirror::{self, Context, NotifyState, Settings, Termination};
use super::news::Wanted;
use super::notify::{self, Notice};
use super::overload::{self, Overload};
use super::package::item;
use super::quota::Watch;
use super::service::Delayed;
use super::session::SharedTerms;
use super::signals::Runs;
use crate::storage;

/// Keys of the switch's contexts that are not the context's number have this bit.
const GROUP_BIT: u32 = 1 << 31;

const _: () = assert!(CONTEXT_ID_MAX < GROUP_BIT);

/// Terminations are numbered from 1 on.
const TERMINATION_MAX: u32 = u32::MAX - 2;

const _: () = assert!(inactivity::ROOT == 0 && overload::ROOT > TERMINATION_MAX);
const _: () = assert!(forced::CONTEXT > overload::ROOT);

/// Where the commands of an action apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Null,
    Every,
    Context(u32),
    /// `$`, until the first termination is there.
    New,
}

impl Scope {
    /// As written in replies.
    pub(super) fn id(self) -> ContextId {
        match self {
            Self::Null => ContextId::Null,
            Self::Every => ContextId::All,
            Self::Context(number) => ContextId::Id(number),
            Self::New => ContextId::Choose,
        }
    }
}

/// Whether new terminations are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Service {
    #[default]
    In,
    /// Those that exist go on.
    Draining,
    Out,
}

/// What a timer is for, and of which termination unless ROOT's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alarm {
    /// `hangterm/thb`.
    Heartbeat(u32),
    /// `it/ito`.
    Silence,
    /// There was no controller for `context_keep`.
    Alone,
    /// The counters must be looked at.
    Quota(u32),
    /// The time of a signal, by its serial, is over.
    Signal(u64),
    /// The delay of a ServiceChange is over: of a termination, or of ROOT.
    Service(Option<u32>),
}

/// Everything but the replies that wait for shards.
#[derive(Debug)]
pub(super) struct Core {
    pub config: Config,
    /// Boxed, as are terminations: half of the room in a map's nodes is empty.
    pub contexts: BTreeMap<u32, Box<Context>>,
    pub terminations: BTreeMap<u32, Box<Termination>>,
    pub root_properties: Vec<PropertyParm>,
    pub root_events: Events,
    pub silence: Silence,
    pub overload: Overload,
    pub lost: Lost,
    pub service: Service,
    pub delayed: Delayed,
    /// Sessions per shard.
    pub loads: Vec<u32>,
    /// How often each shard was lost.
    pub lives: Vec<u32>,
    pub orders: VecDeque<(ShardIndex, Command)>,
    pub storage_orders: VecDeque<storage::Order>,
    /// Terminations of the signals that are running.
    pub signal_owners: HashMap<u64, u32>,
    /// Names signals and loads of the storage.
    pub last_signal: u64,
    /// Terminations of the scripts that are being loaded.
    pub filter_loads: HashMap<u64, u32>,
    /// Terminations whose signals an event ends.
    pub interrupted: BTreeSet<u32>,
    pub notices: VecDeque<Notice>,
    pub timers: TimerTable<Alarm>,
    /// Terminations with a quota that is not used up.
    pub watched: BTreeSet<u32>,
    /// What streams counted that ended before their termination.
    pub retired: HashMap<u32, Statistics>,
    pub terms: SharedTerms,
    last_context: u32,
    last_termination: u32,
    last_token: u64,
    last_group: u32,
    groups: BTreeSet<u32>,
    random: StdRng,
}

impl Core {
    pub(super) fn new(config: Config, seed: [u8; 32]) -> Self {
        let shards = usize::from(config.shards);
        Self {
            config,
            contexts: BTreeMap::new(),
            terminations: BTreeMap::new(),
            root_properties: Vec::new(),
            root_events: Events::default(),
            silence: Silence::default(),
            overload: Overload::default(),
            lost: Lost::default(),
            service: Service::In,
            delayed: Delayed::default(),
            loads: vec![0; shards],
            lives: vec![0; shards],
            orders: VecDeque::new(),
            storage_orders: VecDeque::new(),
            signal_owners: HashMap::new(),
            last_signal: 0,
            filter_loads: HashMap::new(),
            interrupted: BTreeSet::new(),
            notices: VecDeque::new(),
            timers: TimerTable::default(),
            watched: BTreeSet::new(),
            retired: HashMap::new(),
            terms: SharedTerms::default(),
            last_context: 0,
            last_termination: 0,
            last_token: 0,
            last_group: 0,
            groups: BTreeSet::new(),
            random: StdRng::from_seed(seed),
        }
    }

    /// A number of package root, if the controller has set it.
    pub(super) fn root_value(&self, name: &str) -> Option<u32> {
        let mut properties = self.root_properties.iter();
        let found = properties.find(|p| p.name == item(("root", name)))?;
        let PropertyValue::Is(value) = &found.value else {
            return None;
        };
        value.text.parse().ok()
    }

    /// Secret bits for a session-id.
    pub(super) fn random(&mut self) -> u128 {
        self.random.random()
    }

    /// What a termination's media must know about us.
    pub(super) fn site(config: &Config, shard: ShardIndex, termination: u32) -> Site<'_> {
        Site {
            addresses: &config.addresses,
            fingerprint: config.fingerprint.as_ref(),
            honour_sdp: config.honour_sdp,
            shard,
            termination,
        }
    }

    /// Terminations that an identifier stands for; in the order of their numbers.
    pub(super) fn resolve(&self, scope: Scope, id: &TerminationId) -> Result<Vec<u32>, Fault> {
        match id {
            TerminationId::Root => Err(Fault::IncorrectIdentifier("ROOT".to_owned())),
            TerminationId::Choose => Err(Fault::IncorrectIdentifier("$".to_owned())),
            TerminationId::All => self.matching(scope, "*", |_| true),
            TerminationId::Name(name) if name.as_str().contains('$') => {
                Err(Fault::IncorrectIdentifier(name.to_string()))
            }
            TerminationId::Name(name) if name.as_str().contains('*') => {
                self.matching(scope, name.as_str(), |number| mirror::matches(name, number))
            }
            TerminationId::Name(name) => {
                let known = mirror::number_of(name).and_then(|n| self.terminations.get(&n));
                let termination =
                    known.ok_or_else(|| Fault::TerminationUnknown(name.to_string()))?;
                match scope {
                    Scope::Every => Ok(vec![termination.number]),
                    Scope::Context(context) if context == termination.context => {
                        Ok(vec![termination.number])
                    }
                    Scope::Context(_) | Scope::Null | Scope::New => {
                        Err(Fault::NotInContext(name.to_string()))
                    }
                }
            }
        }
    }

    fn matching(
        &self,
        scope: Scope,
        pattern: &str,
        matches: impl Fn(u32) -> bool,
    ) -> Result<Vec<u32>, Fault> {
        let found: Vec<u32> = match scope {
            Scope::Every => self.by_context().filter(|n| matches(*n)).collect(),
            Scope::Context(context) => {
                let members = self.contexts.get(&context).map(|c| &c.terminations);
                members
                    .into_iter()
                    .flatten()
                    .copied()
                    .filter(|n| matches(*n))
                    .collect()
            }
            Scope::Null | Scope::New => Vec::new(),
        };
        if found.is_empty() {
            Err(Fault::NoMatch(pattern.to_owned()))
        } else {
            Ok(found)
        }
    }

    /// All terminations, context by context.
    fn by_context(&self) -> impl Iterator<Item = u32> {
        self.contexts
            .values()
            .flat_map(|context| context.terminations.iter().copied())
    }

    /// The next free context number (H.248.1 reserves 0, 0xFFFFFFFE and 0xFFFFFFFF). A number is
    /// used again as late as possible, so that a late command cannot hit another conference.
    pub(super) fn new_context_number(&mut self) -> Result<u32, Fault> {
        self.check_context_left()?;
        loop {
            self.last_context = self.last_context % CONTEXT_ID_MAX + 1;
            if !self.contexts.contains_key(&self.last_context) {
                return Ok(self.last_context);
            }
        }
    }

    pub(super) fn check_context_left(&self) -> Result<(), Fault> {
        let max = self.config.limits.contexts_max.min(CONTEXT_ID_MAX - 1);
        if self.contexts.len() >= max as usize {
            Err(Fault::NoContextLeft(max))
        } else {
            Ok(())
        }
    }

    /// The next free termination number; also used again as late as possible.
    pub(super) fn new_termination_number(&mut self) -> Result<u32, Fault> {
        let max = self.config.limits.terminations_max.min(TERMINATION_MAX - 1);
        if self.terminations.len() >= max as usize {
            return Err(Fault::NoTerminationLeft(max));
        }
        loop {
            self.last_termination = self.last_termination % TERMINATION_MAX + 1;
            if !self.terminations.contains_key(&self.last_termination) {
                return Ok(self.last_termination);
            }
        }
    }

    /// The shard with the fewest sessions, of those that live.
    pub(super) fn least_loaded(&self) -> Result<ShardIndex, Fault> {
        (0..self.config.shards)
            .map(ShardIndex)
            .filter(|shard| !self.is_lost(*shard))
            .min_by_key(|shard| self.loads[usize::from(shard.0)])
            .ok_or(Fault::OutOfService)
    }

    /// Sends an order; the reply in the making waits for it.
    pub(super) fn order(&mut self, shard: ShardIndex, order: Order, draft: &mut Draft) {
        self.order_for(shard, order, draft, None, None);
    }

    /// As [`Self::order`]; the statistics in the answer go to a slot of the reply, or are kept for
    /// a termination.
    pub(super) fn order_for(
        &mut self,
        shard: ShardIndex,
        order: Order,
        draft: &mut Draft,
        slot: Option<usize>,
        retires: Option<u32>,
    ) {
        if self.is_lost(shard) {
            return;
        }
        self.last_token += 1;
        let token = self.last_token;
        self.orders.push_back((shard, Command { token, order }));
        draft.tokens.push(Token {
            token,
            shard,
            slot,
            stream_slot: None,
            retires,
        });
    }

    /// Puts a new termination into a context, which is made if it is not there.
    pub(super) fn insert(
        &mut self,
        number: u32,
        (context, shard): (u32, ShardIndex),
        settings: Settings,
        draft: &mut Draft,
    ) {
        let place = self
            .contexts
            .entry(context)
            .or_insert_with(|| Box::new(Context::new(shard)));
        place.terminations.insert(number);
        let termination = Termination {
            number,
            context,
            shard,
            settings,
            notify: NotifyState::default(),
            heartbeat: None,
            watch: Watch::default(),
            runs: Runs::new(),
        };
        tracing::info!(termination = %mirror::name_of(number), context, shard = shard.0, "termination added");
        self.terminations.insert(number, Box::new(termination));
        self.sync(number, &Settings::default(), &BTreeSet::new(), draft);
        self.load_filters(number);
        self.change_signals(number, &[], draft);
        self.watch(number, true, draft.now);
        self.touch(number, draft.now);
    }

    /// Replaces a termination's settings. Streams in `renewed` are told again even if unchanged:
    /// the switch then revives a lost connection.
    pub(super) fn replace(
        &mut self,
        number: u32,
        settings: Settings,
        renewed: &BTreeSet<u16>,
        draft: &mut Draft,
    ) {
        let Some(old) = self.put_settings(number, settings, renewed, draft) else {
            return;
        };
        self.load_filters(number);
        self.change_signals(number, &old.signals, draft);
        self.watch(number, false, draft.now);
        self.touch(number, draft.now);
    }

    /// Gives up the connections of streams, as they are before a change.
    pub(super) fn release(&mut self, number: u32, streams: &BTreeSet<u16>, draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let shard = termination.shard;
        let sessions: Vec<SessionKey> = termination.sessions().collect();
        for session in sessions.into_iter().filter(|s| streams.contains(&s.stream)) {
            self.order(shard, Order::Release { session }, draft);
        }
    }

    /// The same for what is no message of the controller's. Returns what was there before.
    pub(super) fn put_settings(
        &mut self,
        number: u32,
        settings: Settings,
        renewed: &BTreeSet<u16>,
        draft: &mut Draft,
    ) -> Option<Settings> {
        let termination = self.terminations.get_mut(&number)?;
        let old = core::mem::replace(&mut termination.settings, settings);
        self.sync(number, &old, renewed, draft);
        Some(old)
    }

    /// Orders that turn `old` into what the termination is now.
    fn sync(&mut self, number: u32, old: &Settings, renewed: &BTreeSet<u16>, draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let (shard, context) = (termination.shard, termination.context);
        let new = &termination.settings;
        let ids: BTreeSet<u16> = old.streams.ids().chain(new.streams.ids()).collect();
        let changes: Vec<_> = ids
            .into_iter()
            .map(|id| {
                let matching = self.config.matching;
                let config = |s: &Settings| {
                    let wanted = Wanted::of(&s.events, id);
                    s.streams.get(id)?.config(s.service_state, matching, wanted)
                };
                (id, config(old), config(new))
            })
            .collect();
        for (stream, before, after) in changes {
            let session = SessionKey {
                termination: number,
                stream,
            };
            match (before, after) {
                (None, None) => {}
                (None, Some(mut config)) => {
                    self.terms.share(&mut config);
                    self.reach(context, shard, draft);
                    let group = self.group(context, stream);
                    let order = Order::Install {
                        session,
                        context: group,
                        config: Box::new(config),
                    };
                    self.order(shard, order, draft);
                    self.change_load(shard, 1);
                    let others = self.span(context).iter().filter(|other| *other != shard);
                    others.for_each(|other| self.announce(session, other, draft));
                    self.cut_new_session(number, stream, draft);
                }
                (Some(_), None) => {
                    let order = Order::Remove { session };
                    self.order_others(context, shard, &order, draft);
                    self.order_for(shard, order, draft, None, Some(number));
                    self.change_load(shard, -1);
                }
                (Some(before), Some(mut config)) => {
                    if before != config || renewed.contains(&stream) {
                        self.terms.share(&mut config);
                        let order = Order::Update {
                            session,
                            config: Box::new(config),
                        };
                        self.order_others(context, shard, &order, draft);
                        self.order(shard, order, draft);
                    }
                }
            }
        }
    }

    /// Ends a termination, and its context with the last one. The statistics go to `slot`.
    /// Of streams in `of_streams` they go to a slot of their own too.
    pub(super) fn remove(
        &mut self,
        number: u32,
        slot: usize,
        of_streams: &BTreeMap<u16, usize>,
        draft: &mut Draft,
    ) {
        let Some(termination) = self.terminations.remove(&number) else {
            return;
        };
        let context = termination.context;
        tracing::info!(termination = %mirror::name_of(number), context, "termination subtracted");
        draft.slots[slot].terminations.push(number);
        draft.slots[slot].is_final = true;
        if let Some(timer) = termination.heartbeat {
            self.timers.cancel(timer);
        }
        self.cancel_delay(number);
        self.end_watch(number, &termination.watch);
        self.end_signals(&termination);
        for (stream, state) in termination.settings.streams.iter() {
            if state.local.is_some() {
                let order = Order::Remove {
                    session: termination.session(stream),
                };
                self.order_others(context, termination.shard, &order, draft);
                self.order_for(termination.shard, order, draft, Some(slot), None);
                if let Some(token) = draft.tokens.last_mut() {
                    token.stream_slot = of_streams.get(&stream).copied();
                }
                self.change_load(termination.shard, -1);
            }
        }
        self.leave(termination.context, number);
    }

    /// Takes a termination out of a context's lists.
    pub(super) fn leave(&mut self, context: u32, number: u32) {
        let Some(place) = self.contexts.get_mut(&context) else {
            return;
        };
        place.terminations.remove(&number);
        place.topology.forget(number);
        if place.terminations.is_empty() {
            for key in place.groups.values() {
                self.groups.remove(&key.0);
            }
            self.contexts.remove(&context);
        }
    }

    /// The switch's name for one stream of a context.
    pub(super) fn group(&mut self, context: u32, stream: u16) -> ContextKey {
        if stream == 1 {
            return ContextKey(context);
        }
        let known = self
            .contexts
            .get(&context)
            .and_then(|c| c.groups.get(&stream))
            .copied();
        if let Some(key) = known {
            return key;
        }
        loop {
            self.last_group = (self.last_group + 1) % GROUP_BIT;
            if self.groups.insert(self.last_group | GROUP_BIT) {
                break;
            }
        }
        let key = ContextKey(self.last_group | GROUP_BIT);
        if let Some(place) = self.contexts.get_mut(&context) {
            place.groups.insert(stream, key);
        }
        key
    }

    /// Restarts the heartbeat: a message concerned the termination (H.248.36).
    pub(super) fn touch(&mut self, number: u32, now: Instant) {
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        if let Some(timer) = termination.heartbeat.take() {
            self.timers.cancel(timer);
        }
        if let Some(after) = notify::heartbeat_of(&termination.settings.events) {
            termination.heartbeat = Some(self.timers.arm(now + after, Alarm::Heartbeat(number)));
        }
    }
}
