//! The mirror and the ways to change it; every change is turned into orders at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use clock::TimerTable;
use h248::ast::{ContextId, Events, PropertyParm, TerminationId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use switch::{Command, ContextKey, Order, ShardIndex, Statistics};

use super::Config;
use super::draft::{Draft, Token};
use super::fault::Fault;
use super::forced::{self, Lost};
use super::inactivity::{self, Silence};
use super::limits::CONTEXT_ID_MAX;
use super::media::Site;
use super::mirror::{self, Context, Termination};
use super::notify::Notice;
use super::overload::{self, Overload};
use super::package::{self, item};
use super::service::Delayed;
use super::session::SharedTerms;
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
    /// Events that were dropped because too many waited for a Notify.
    pub events_dropped: u64,
    pub timers: TimerTable<Alarm>,
    /// Terminations with a quota that is not used up.
    pub watched: BTreeSet<u32>,
    /// What streams counted that ended before their termination.
    pub retired: HashMap<u32, Statistics>,
    pub terms: SharedTerms,
    /// Terminations that have come so far.
    pub added: u64,
    /// Those of them that have gone.
    pub subtracted: u64,
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
            events_dropped: 0,
            timers: TimerTable::default(),
            watched: BTreeSet::new(),
            retired: HashMap::new(),
            terms: SharedTerms::default(),
            added: 0,
            subtracted: 0,
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
        package::integer(package::one(&found.value)?)?
            .try_into()
            .ok()
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
}
