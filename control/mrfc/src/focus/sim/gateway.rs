//! MRFPs that keep what they are asked to keep, and nothing else.

use super::net::{controller_peer, mid};
use super::world::{Happening, World};
use clock::{Duration, Instant};
use h248::ast::{
    ActionReply, ActionRequest, AmmReply, AmmRequest, AuditReply, Command, CommandReply,
    CommandResult, ContextId, ContextProperties, Descriptor, Few, MId, Media, MediaStreams, Name,
    ObservedEvent, ObservedEvents, OctetString, PackageItem, Parm, PropertyValue, ReplyBody,
    ServiceChangeMethod, SignalItem, Stream, StreamMode, StreamParms, TerminationId,
    TerminationIds, TransactionId, Value,
};
use h248_endpoint::{
    Config, Departure, Event, Node, NodeOutput, RegistrationConfig, Request, Role, TransportAddr,
    error, error_reply, first_error, plain_service_change, refused_command,
};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;

/// How long nothing is said of a termination before it is asked whether it is known (`timerx` of H.248.36).
const HEARTBEAT: Duration = Duration::from_secs(crate::limits::HEARTBEAT_SECONDS as u64);

/// A termination.
pub(super) struct Termination {
    pub(super) context: u32,
    pub(super) mode: Option<StreamMode>,
    /// When it was spoken of last.
    touched: Instant,
}

/// An MRFP.
pub(super) struct Gateway {
    pub(super) mid: MId,
    pub(super) node: Node,
    /// Raised by every restart.
    pub(super) life: u32,
    pub(super) there: BTreeMap<String, Termination>,
    contexts: u32,
    terminations: u32,
    /// Nothing reaches it, and nothing comes from it.
    pub(super) is_cut: bool,
    pub(super) is_registered: bool,
    wait: Option<Instant>,
    /// Heartbeats that were not answered yet.
    heartbeats: BTreeMap<TransactionId, String>,
}

impl Gateway {
    pub(super) fn new(number: usize, rng: &mut StdRng) -> Self {
        let mid = mid(&format!("mrfp{number}.example"));
        Self {
            node: node(&mid, Instant::ZERO, rng.random()),
            mid,
            life: 0,
            there: BTreeMap::new(),
            contexts: 0,
            terminations: 0,
            is_cut: false,
            is_registered: false,
            wait: None,
            heartbeats: BTreeMap::new(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let touched = self.there.values().map(|t| t.touched + HEARTBEAT);
        touched.chain(self.wait).min()
    }

    fn execute(&mut self, now: Instant, context: ContextId, command: &Command) -> CommandResult {
        match command {
            Command::Add(amm) => {
                let ContextId::Id(context) = context else {
                    return refused_command(command, error(411, "no such context"));
                };
                self.terminations += 1;
                let (number, parms) = (self.terminations, parms(amm));
                let name = format!("t/{number}");
                let added = Termination {
                    context,
                    mode: mode(parms),
                    touched: now,
                };
                self.there.insert(name.clone(), added);
                CommandResult::Add(AmmReply {
                    terminations: TerminationId::Name(Name::new(&name)).into(),
                    descriptors: vec![local(number, parms.and_then(|p| p.local.as_ref()))],
                })
            }
            Command::Modify(amm) => {
                let Some(termination) = self.named(now, context, &amm.terminations) else {
                    return refused_command(command, error(430, "unknown termination"));
                };
                let parms = parms(amm);
                if let Some(mode) = mode(parms) {
                    termination.mode = Some(mode);
                }
                let mut reply = plain(&amm.terminations);
                if let Some(asked) = parms.and_then(|p| p.local.as_ref()) {
                    self.terminations += 1;
                    reply.descriptors = vec![local(self.terminations, Some(asked))];
                }
                CommandResult::Modify(reply)
            }
            Command::Subtract { terminations, .. } => {
                if terminations.0.as_slice() == [TerminationId::All] {
                    self.there.clear();
                } else if self.named(now, context, terminations).is_none() {
                    return refused_command(command, error(430, "unknown termination"));
                } else {
                    self.there.remove(&one(terminations));
                }
                CommandResult::Subtract(plain(terminations))
            }
            Command::AuditValue(audit) => {
                CommandResult::AuditValue(AuditReply::Terminations(plain(&audit.terminations)))
            }
            Command::Move(_)
            | Command::AuditCapability(_)
            | Command::Notify { .. }
            | Command::ServiceChange { .. } => refused_command(command, error(443, "not here")),
        }
    }

    fn named(
        &mut self,
        now: Instant,
        context: ContextId,
        names: &TerminationIds,
    ) -> Option<&mut Termination> {
        let found = self.there.get_mut(&one(names))?;
        found.touched = now;
        (context == ContextId::Id(found.context)).then_some(found)
    }

    fn perform(&mut self, now: Instant, request: &Request) -> ReplyBody {
        let mut replies = Vec::new();
        for action in &request.request.actions {
            let context = match action.context {
                ContextId::Choose => {
                    self.contexts += 1;
                    ContextId::Id(self.contexts)
                }
                ContextId::Id(number) if self.there.values().all(|t| t.context != number) => {
                    return error_reply(error(411, "no such context"));
                }
                other => other,
            };
            let commands = action.commands.as_slice();
            if action.context == ContextId::All
                && matches!(commands[0].command, Command::AuditValue(_))
            {
                replies.extend(self.there.iter().map(listed));
                continue;
            }
            let mut results = Vec::new();
            for asked in commands {
                let result = self.execute(now, context, &asked.command);
                let is_failed = h248_endpoint::error_of(&result).is_some();
                results.push(CommandReply {
                    optional: false,
                    wildcard_response: false,
                    result,
                });
                if is_failed && !asked.optional {
                    break;
                }
            }
            replies.push(ActionReply {
                context,
                properties: ContextProperties::default(),
                commands: results.into(),
                error: None,
            });
        }
        ReplyBody::Actions(replies.into())
    }
}

impl World {
    pub(super) fn wake_gateway(&mut self, number: usize) {
        let now = self.now;
        let gateway = &mut self.gateways[number];
        gateway.node.handle_deadline(now);
        let is_due = |t: &Termination| t.touched + HEARTBEAT <= now;
        let due = gateway.there.iter_mut().filter(|(_, t)| is_due(t));
        let mut silent = Vec::new();
        for (name, termination) in due {
            termination.touched = now;
            silent.push((termination.context, name.clone()));
        }
        for (context, name) in silent {
            let beat = notify(context, &name, ("hangterm", "thb"), &[]);
            let gateway = &mut self.gateways[number];
            let sent = gateway
                .node
                .send_request(now, controller_peer(), vec![beat]);
            if let Ok(id) = sent {
                gateway.heartbeats.insert(id, name);
            }
        }
    }

    /// A gateway tells of something at a termination.
    pub(super) fn notify_event(
        &mut self,
        number: usize,
        termination: &str,
        event: (&str, &str),
        parms: &[(&str, &str)],
    ) {
        let gateway = &mut self.gateways[number];
        let Some(known) = gateway.there.get(termination) else {
            return;
        };
        let action = notify(known.context, termination, event, parms);
        // While it is not registered there is nobody to tell.
        let _ = gateway
            .node
            .send_request(self.now, controller_peer(), vec![action]);
    }

    pub(super) fn tell_played(&mut self, number: usize, termination: &str, name: &str) {
        let status = if self.chance(30) { "408" } else { "200" };
        let parms = [("mi", name), ("sc", status)];
        self.notify_event(number, termination, ("mess", "msrs"), &parms);
    }

    /// A gateway takes a termination out of service.
    pub(super) fn force_out(&mut self, number: usize, termination: &str) {
        let gateway = &mut self.gateways[number];
        let Some(known) = gateway.there.get(termination) else {
            return;
        };
        let command = Command::ServiceChange {
            terminations: TerminationId::Name(Name::new(termination)).into(),
            services: Box::new(plain_service_change(
                ServiceChangeMethod::Forced,
                "904 Termination malfunctioning",
            )),
        };
        let action = ActionRequest::new(ContextId::Id(known.context), [command]);
        let _ = gateway
            .node
            .send_request(self.now, controller_peer(), vec![action]);
    }

    /// A gateway begins anew, with nothing, and counts from one again.
    pub(super) fn restart_gateway(&mut self, number: usize) {
        let seed = self.rng.random();
        let gateway = &mut self.gateways[number];
        gateway.node = node(&gateway.mid, self.now, seed);
        gateway.life += 1;
        gateway.there.clear();
        gateway.heartbeats.clear();
        (gateway.contexts, gateway.terminations) = (0, 0);
        (gateway.is_registered, gateway.wait) = (false, None);
    }

    pub(super) fn depart_gateway(&mut self, number: usize, departure: Departure) {
        self.gateways[number].node.depart(self.now, departure);
    }

    pub(super) fn drain_gateway(&mut self, number: usize) -> bool {
        let mut is_busy = false;
        loop {
            match self.gateways[number].node.poll() {
                NodeOutput::Wait(at) => {
                    self.gateways[number].wait = at;
                    return is_busy;
                }
                NodeOutput::Transmit { octets, .. } => {
                    if !self.gateways[number].is_cut {
                        self.transmit_h248(true, number, octets.to_vec());
                    }
                }
                NodeOutput::Connect(mgc) => {
                    let (now, node) = (self.now, &mut self.gateways[number].node);
                    node.handle_connected(now, mgc, controller_peer());
                }
                NodeOutput::Event(event) => self.handle_gateway(number, *event),
                NodeOutput::Close(_) | NodeOutput::Resolve { .. } => {}
            }
            is_busy = true;
        }
    }

    fn handle_gateway(&mut self, number: usize, event: Event) {
        match event {
            Event::Request(request) => self.answer_controller(number, &request),
            Event::Reply { id, reply, .. } => {
                let gateway = &mut self.gateways[number];
                let asked = gateway.heartbeats.remove(&id);
                // Nobody knows it: it goes (H.248.36 5).
                let is_stranger = first_error(&reply.body).is_some_and(|e| e.code == 430);
                if let Some(name) = asked.filter(|_| is_stranger) {
                    gateway.there.remove(&name);
                }
            }
            Event::Failed { id, .. } => {
                self.gateways[number].heartbeats.remove(&id);
            }
            Event::Registered(_) => self.gateways[number].is_registered = true,
            Event::Lost { .. } | Event::Departed => self.gateways[number].is_registered = false,
            Event::Late { .. }
            | Event::Leaving { .. }
            | Event::RegistrationFailed { .. }
            | Event::Problem(_) => {}
        }
    }

    fn answer_controller(&mut self, number: usize, request: &Request) {
        let (now, life) = (self.now, self.gateways[number].life);
        let is_audit = request.request.actions.iter().all(|action| {
            let mut commands = action.commands.iter();
            commands.all(|c| matches!(c.command, Command::AuditValue(_)))
        });
        let body = if !is_audit && self.chance(self.faults.refused) {
            error_reply(error(510, "scripted"))
        } else {
            self.gateways[number].perform(now, request)
        };
        let played: Vec<_> = request.request.actions.iter().flat_map(played).collect();
        for (termination, name) in played {
            // Some are never told of.
            if !self.chance(20) {
                let wait = Duration::from_millis(self.rng.random_range(0..3_000));
                self.later(wait, Happening::Played(number, life, termination, name));
            }
        }
        // With Pendings meanwhile.
        let slowest_ms = if self.chance(self.faults.slow) {
            12_000
        } else {
            self.faults.thought_ms
        };
        let wait = Duration::from_millis(self.rng.random_range(0..=slowest_ms));
        self.later(
            wait,
            Happening::Reply(number, life, request.key, Box::new(body)),
        );
    }
}

fn node(mid: &MId, now: Instant, seed: u64) -> Node {
    let config = Config::new(mid.clone(), Role::Gateway, seed);
    let mgc = TransportAddr::Udp(controller_peer().addr);
    Node::gateway(config, RegistrationConfig::new(vec![mgc]), now)
}

/// Terminations and names of the messages that an action has played.
fn played(action: &ActionRequest) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for asked in &action.commands {
        let Command::Modify(amm) = &asked.command else {
            continue;
        };
        let signals = amm.descriptors.iter().filter_map(|d| match d {
            Descriptor::Signals(items) => Some(items),
            _ => None,
        });
        for item in signals.flatten() {
            if let SignalItem::Signal(signal) = item
                && signal.name.is("mess", "sm")
                && let Some(Parm {
                    value: PropertyValue::Is(value),
                    ..
                }) = signal.parms.iter().find(|p| p.name == *"mi")
            {
                all.push((one(&amm.terminations), value.text.to_string()));
            }
        }
    }
    all
}

fn listed((name, termination): (&String, &Termination)) -> ActionReply {
    let names = vec![TerminationId::Name(Name::new(name))];
    ActionReply {
        context: ContextId::Id(termination.context),
        properties: ContextProperties::default(),
        commands: Few::One(CommandReply {
            optional: false,
            wildcard_response: false,
            result: CommandResult::AuditValue(AuditReply::ContextList(names)),
        }),
        error: None,
    }
}

fn notify(
    context: u32,
    termination: &str,
    (package, item): (&str, &str),
    parms: &[(&str, &str)],
) -> ActionRequest {
    let parm = |&(name, text): &(&str, &str)| Parm {
        name: Name::new(name),
        value: PropertyValue::Is(Value {
            text: text.into(),
            quoted: true,
        }),
    };
    let event = ObservedEvent {
        time: None,
        name: PackageItem::new(package, item),
        stream: None,
        parms: parms.iter().map(parm).collect(),
    };
    let command = Command::Notify {
        terminations: TerminationId::Name(Name::new(termination)).into(),
        observed: ObservedEvents {
            request_id: crate::commands::REQUEST,
            events: vec![event],
        },
        error: None,
    };
    ActionRequest::new(ContextId::Id(context), [command])
}

fn plain(terminations: &TerminationIds) -> AmmReply {
    AmmReply {
        terminations: terminations.clone(),
        descriptors: Vec::new(),
    }
}

fn local(number: u32, asked: Option<&OctetString>) -> Descriptor {
    let asked = asked.map_or_else(String::new, |o| String::from_utf8_lossy(&o.0).into_owned());
    let (proto, scheme) = if asked.contains("TCP/TLS/MSRP") {
        ("TCP/TLS/MSRP", "msrps")
    } else {
        ("TCP/MSRP", "msrp")
    };
    let text = format!(
        "v=0\r\nc=IN IP4 10.0.2.9\r\nm=message 2855 {proto} *\r\n\
         a=path:{scheme}://10.0.2.9:2855/s{number};tcp\r\n"
    );
    let parms = StreamParms {
        local: Some(OctetString(text.into_bytes())),
        ..StreamParms::default()
    };
    Descriptor::Media(Media {
        termination_state: None,
        streams: MediaStreams::Multiple(vec![Stream { id: 1, parms }]),
    })
}

fn parms(amm: &AmmRequest) -> Option<&StreamParms> {
    let Descriptor::Media(media) = amm.descriptors.first()? else {
        return None;
    };
    match &media.streams {
        MediaStreams::One(parms) => Some(parms),
        MediaStreams::Multiple(streams) => Some(&streams.first()?.parms),
    }
}

fn mode(parms: Option<&StreamParms>) -> Option<StreamMode> {
    parms?.local_control.as_ref()?.mode
}

fn one(terminations: &TerminationIds) -> String {
    match terminations.0.first() {
        Some(TerminationId::Name(name)) => name.to_string(),
        _ => String::new(),
    }
}
