//! The gateway driven by H.248 text, with shards that confirm at once.

mod audits;
mod book;
mod codes;
mod commands;
mod errors;
mod events;
mod messages;
mod model;
mod private;
mod quotas;
mod sdp;
mod service;
mod statement;
mod topology;
mod wire;

use ::core::net::SocketAddr;
use std::collections::VecDeque;

use clock::Duration;
use h248::ast::{
    ActionReply, AuditReply, CommandResult, Descriptor, ErrorDescriptor, Few, MediaStreams,
    MessageBody, OctetString, ReplyBody, ServiceChangeResult, StreamParms, Transaction,
    TransactionRequest,
};
use switch::{LossCause, SessionConfig, SessionKey, Setup, Statistics};

use super::*;

/// A Local to be filled in.
pub(super) const LOCAL: &str = "L{v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n}";

/// A participant at 192.0.2.10.
pub(super) const REMOTE: &str = "R{v=0\nc=IN IP4 192.0.2.10\nm=message 7394 TCP/MSRP *\n\
    a=path:msrp://192.0.2.10:7394/2s93i93idj;tcp\n}";

/// An Add of a participant who sends and receives.
pub(super) fn add() -> String {
    format!("A=${{M{{ST=1{{O{{MO=SR}},{LOCAL},{REMOTE}}}}}}}")
}

/// What shards say that a session has counted.
const COUNTED: Statistics = Statistics {
    duration: Duration::from_secs(61),
    octets_sent: 5000,
    octets_received: 9000,
    messages_sent: 34,
    messages_received: 12,
    volume_sent: 8192,
    volume_received: 4096,
    messages_dropped: 0,
    queue_percent: 0,
};

/// What a shard answers to this order if it counted so much.
fn counted(order: &Order) -> Option<Statistics> {
    match order {
        Order::Remove { .. } | Order::Audit { .. } => Some(COUNTED),
        _ => None,
    }
}

pub(super) struct Bench {
    pub gateway: Gateway<u32>,
    pub now: Instant,
    pub version: u8,
    /// Orders seen since they were last taken.
    pub orders: Vec<(ShardIndex, Order)>,
    pub storage: Vec<storage::Order>,
    pub notifies: VecDeque<(NotifyId, ActionRequest)>,
    /// What every shard says a session has counted.
    pub statistics: Statistics,
    replies: Vec<ReplyBody>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Self::config_alone();
        change(&mut config);
        Self {
            gateway: Gateway::new(config, [7; 32]),
            now: Instant::ZERO,
            version: 2,
            orders: Vec::new(),
            storage: Vec::new(),
            notifies: VecDeque::new(),
            statistics: COUNTED,
            replies: Vec::new(),
        }
    }

    pub(super) fn config_alone() -> Config {
        Config {
            fingerprint: None,
            addresses: vec![
                "198.51.100.7:2855".parse().unwrap(),
                "[2001:db8::7]:2855".parse().unwrap(),
            ],
            shards: 2,
            honour_sdp: false,
            has_storage: false,
            has_tls: false,
            matching: Matching::SessionId,
            epoch: None,
            context_keep: None,
            limits: Limits::default(),
        }
    }

    /// Context 1 with msrp/1 and msrp/2, context 2 with msrp/3, all of them talking.
    pub(super) fn conference() -> Self {
        let mut bench = Self::new();
        bench.call(&format!("C=${{{},{}}}", add(), add()));
        bench.call(&format!("C=${{{}}}", add()));
        bench.orders.clear();
        bench
    }

    /// Executes actions and returns the reply's.
    pub(super) fn call(&mut self, actions: &str) -> ReplyBody {
        let request = request(self.version, actions);
        self.gateway
            .handle_request(self.now, 1, self.version, &request, None);
        self.drain();
        assert_eq!(self.replies.len(), 1, "exactly one reply to {actions}");
        self.replies.remove(0)
    }

    /// Lets so many replies wait for shards that do not confirm.
    pub(super) fn stall(&mut self, count: u32) {
        for _ in 0..count {
            let mut draft = Draft::new(self.now, self.version);
            self.gateway
                .core
                .order(ShardIndex(0), Order::Drain, &mut draft);
            let body = ReplyBody::Actions(Few::default());
            self.gateway.await_orders(None, body, draft);
        }
        self.gateway.core.orders.clear();
    }

    /// Executes actions and compares the reply. Texts of errors are not compared, and a Local or
    /// Remote in the reply reads `v`.
    #[track_caller]
    pub(super) fn check(&mut self, actions: &str, expected: &str) {
        let mut found = self.call(actions);
        simplify(&mut found);
        let mut wanted = reply(self.version, expected);
        simplify(&mut wanted);
        assert_eq!(found, wanted, "\nrequest  {actions}\nexpected {expected}");
    }

    pub(super) fn event(&mut self, event: Event) {
        self.gateway.handle_event(self.now, ShardIndex(0), event);
        self.drain();
    }

    pub(super) fn lose(&mut self, termination: u32, cause: LossCause) {
        self.event(Event::Lost {
            session: SessionKey {
                termination,
                stream: 1,
            },
            cause,
        });
    }

    /// The oldest Notify, as the request that would be sent.
    #[track_caller]
    pub(super) fn check_notify(&mut self, expected: &str) -> NotifyId {
        let (id, action) = self.notifies.pop_front().expect("a Notify");
        assert_eq!(
            Few::One(action),
            request(2, expected).actions,
            "\nexpected {expected}"
        );
        id
    }

    pub(super) fn drain(&mut self) {
        loop {
            match self.gateway.poll() {
                Output::Order { shard, command } => {
                    let counted = match command.order {
                        Order::Remove { .. } | Order::Audit { .. } => Some(self.statistics),
                        _ => None,
                    };
                    self.orders.push((shard, command.order));
                    let done = Event::Done {
                        token: command.token,
                        statistics: counted,
                    };
                    self.gateway.handle_event(self.now, shard, done);
                }
                Output::Storage(order) => self.storage.push(order),
                Output::Reply { body, .. } => self.replies.push(body),
                Output::Notify { id, action } => self.notifies.push_back((id, action)),
                Output::Wait(_) => return,
            }
        }
    }

    /// Orders since the last call, by name, with the session they are about.
    pub(super) fn order_names(&mut self) -> Vec<String> {
        self.orders
            .drain(..)
            .map(|(shard, order)| name(shard, &order))
            .collect()
    }

    /// The configuration in the only Install or Update since the last call.
    #[track_caller]
    pub(super) fn config(&mut self) -> SessionConfig {
        let mut configs = self.orders.drain(..).filter_map(|(_, order)| match order {
            Order::Install { config, .. } | Order::Update { config, .. } => Some(*config),
            _ => None,
        });
        let config = configs.next().expect("a configuration");
        assert!(configs.next().is_none(), "one configuration only");
        config
    }
}

fn name(shard: ShardIndex, order: &Order) -> String {
    let key = |s: &SessionKey| format!("{}.{}", s.termination, s.stream);
    let rest = match order {
        Order::Install {
            session, context, ..
        } => format!("{} in {}", key(session), context.0),
        Order::Announce {
            session,
            context,
            shard,
            ..
        } => format!("{} of {} in {}", key(session), shard.0, context.0),
        Order::ShardLost { shard, life } => format!("{} {life}", shard.0),
        Order::Rehome { context, home } => format!("{} at {}", context.0, home.0),
        Order::Move { session, context } => format!("{} to {}", key(session), context.0),
        Order::Update { session, .. }
        | Order::Release { session }
        | Order::Remove { session }
        | Order::Audit { session } => key(session),
        Order::Flow { from, to, open } => {
            format!(
                "{}>{} {}",
                key(from),
                key(to),
                if *open { "open" } else { "cut" }
            )
        }
        Order::Play { session, .. } => key(session),
        Order::StopPlay { session, id } => format!("{} {id}", key(session)),
        Order::Drain => String::new(),
    };
    format!("{}: {} {rest}", shard.0, order.name())
}

/// Parses the actions of a request.
pub(super) fn request(version: u8, actions: &str) -> TransactionRequest {
    let text = format!("!/{version} <mrfc.example.net> T=1{{{actions}}}");
    match transactions(&text).pop() {
        Some(Transaction::Request(request)) => request,
        other => panic!("{text}: {other:?}"),
    }
}

fn reply(version: u8, actions: &str) -> ReplyBody {
    let text = format!("!/{version} <mrfp.example.net> P=1{{{actions}}}");
    match transactions(&text).pop() {
        Some(Transaction::Reply(reply)) => reply.body,
        other => panic!("{text}: {other:?}"),
    }
}

fn transactions(text: &str) -> Vec<Transaction> {
    let message = h248::parse(text.as_bytes(), &h248::Limits::default())
        .unwrap_or_else(|e| panic!("{text}: {e:?}"));
    match message.body {
        MessageBody::Transactions(list) => list,
        MessageBody::Error(error) => panic!("{text}: {error:?}"),
    }
}

fn simplify(body: &mut ReplyBody) {
    let bare = |error: &mut ErrorDescriptor| error.text = None;
    match body {
        ReplyBody::Error(error) => bare(error),
        ReplyBody::Actions(actions) => {
            for action in actions {
                action.error.iter_mut().for_each(bare);
                for command in &mut action.commands {
                    match &mut command.result {
                        CommandResult::Notify { error, .. } => error.iter_mut().for_each(bare),
                        CommandResult::ServiceChange {
                            result: ServiceChangeResult::Error(error),
                            ..
                        } => bare(error),
                        other => statistics::descriptors(other).iter_mut().for_each(simple),
                    }
                }
            }
        }
    }
}

fn simple(descriptor: &mut Descriptor) {
    match descriptor {
        Descriptor::Error(error) => error.text = None,
        Descriptor::Media(media) => {
            // One stream, written directly or by number, is the same.
            if let MediaStreams::One(parms) = &media.streams {
                let stream = h248::ast::Stream {
                    id: 1,
                    parms: parms.clone(),
                };
                media.streams = MediaStreams::Multiple(vec![stream]);
            }
            if let MediaStreams::Multiple(streams) = &mut media.streams {
                streams.iter_mut().for_each(|s| hide_sdp(&mut s.parms));
            }
        }
        _ => {}
    }
}

fn hide_sdp(parms: &mut StreamParms) {
    let sides = [&mut parms.local, &mut parms.remote];
    sides
        .into_iter()
        .flatten()
        .for_each(|sdp| *sdp = OctetString(b"v".to_vec()));
}

/// The Local of the first stream of the first command.
#[track_caller]
pub(super) fn local(body: &ReplyBody) -> String {
    let ReplyBody::Actions(actions) = body else {
        panic!("{body:?}")
    };
    let ActionReply { commands, .. } = &actions[0];
    let amm = match &commands[0].result {
        CommandResult::Add(amm) | CommandResult::Modify(amm) | CommandResult::Move(amm) => amm,
        CommandResult::AuditValue(AuditReply::Terminations(amm)) => amm,
        other => panic!("{other:?}"),
    };
    let streams = amm.descriptors.iter().find_map(|d| match d {
        Descriptor::Media(media) => Some(&media.streams),
        _ => None,
    });
    match streams {
        Some(MediaStreams::Multiple(streams)) => {
            let local = streams[0].parms.local.as_ref().expect("a Local");
            String::from_utf8(local.0.clone()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The value of the only `a=path`.
pub(super) fn path(sdp: &str) -> &str {
    sdp.lines()
        .find_map(|l| l.strip_prefix("a=path:"))
        .expect("a=path")
}

pub(super) const ACTIVE: Setup = Setup::Active {
    to: SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10)),
        7394,
    ),
};
