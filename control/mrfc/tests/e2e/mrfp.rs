//! A gateway that answers by script: it makes terminations, can hold its answers or fail, and
//! tells the test what it was asked.

use base64::Engine;
use h248::ast::{
    ActionReply, ActionRequest, AmmReply, AmmRequest, AuditReply, Command, CommandReply,
    CommandRequest, CommandResult, ContextId, ContextProperties, Descriptor, Few, MId, Media,
    MediaStreams, Name, ObservedEvent, ObservedEvents, OctetString, PackageItem, Parm,
    PropertyValue, ReplyBody, ServiceChangeMethod, SignalItem, Stream, StreamParms, TerminationId,
    TerminationIds, Transaction, TransactionId, Value,
};
use h248_endpoint::{
    Config, Departure, Event, RegistrationConfig, Request, Role, Shell, TransportAddr, error,
    error_reply, first_error,
};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Add {
        context: Option<u32>,
        local: String,
        remote: Option<String>,
        /// Package properties of LocalControl: `item=value`, joined by blanks.
        properties: String,
    },
    Modify {
        /// Only where another is asked for.
        local: Option<String>,
        remote: String,
        /// The MRFP is told to open the connection.
        connects: bool,
        /// Or to close the one that it opened.
        releases: bool,
    },
    /// A Modify of the mode alone.
    Mode {
        mode: String,
    },
    /// It is told to send a message: its name, media type and text.
    Play {
        termination: String,
        name: String,
        media_type: String,
        text: String,
    },
    /// An event that we reported was answered.
    Notified,
    /// It was refused with this code.
    NotifyRefused(u16),
    /// The answer to what the test made us ask, as written.
    Answered(String),
    Subtract {
        context: u32,
        termination: String,
    },
}

enum Script {
    Hold,
    Release,
    ReleaseCrossed,
    FailNext(u16),
    Depart(Departure),
    Notify(ActionRequest),
    Ask(Few<ActionRequest>),
    Lose(String),
}

pub(crate) struct FakeMrfp {
    seen: mpsc::Receiver<Seen>,
    script: mpsc::Sender<Script>,
}

impl FakeMrfp {
    pub(crate) async fn start(mgc: TransportAddr) -> Self {
        Self::start_as("mrfp.home2.net", mgc).await
    }

    pub(crate) async fn start_as(name: &str, mgc: TransportAddr) -> Self {
        let mid = MId::Domain {
            name: Name::new(name),
            port: None,
        };
        // Transactions of one that takes another's place are no repetitions of that one's.
        let config = Config::new(mid, Role::Gateway, rand::random());
        let registration = RegistrationConfig::new(vec![mgc]);
        let shell = Shell::gateway(config, registration, &[])
            .await
            .expect("a gateway");
        let (seen_sender, seen) = mpsc::channel(64);
        let (script, scripts) = mpsc::channel(8);
        let worker = Worker {
            shell,
            seen: seen_sender,
            held: None,
            fail_next: None,
            peer: None,
            asked: None,
            contexts: 0,
            terminations: 0,
            there: BTreeMap::new(),
        };
        tokio::spawn(worker.run(scripts));
        Self { seen, script }
    }

    /// The next command that the MRFC sent.
    pub(crate) async fn seen(&mut self) -> Seen {
        self.seen.recv().await.expect("the gateway lives")
    }

    /// Adds are not answered from now on.
    pub(crate) async fn hold(&self) {
        self.tell(Script::Hold).await;
    }

    pub(crate) async fn release(&self) {
        self.tell(Script::Release).await;
    }

    /// What was held is executed, the last first, and then answered, the first first.
    pub(crate) async fn release_crossed(&self) {
        self.tell(Script::ReleaseCrossed).await;
    }

    pub(crate) async fn fail_next(&self, code: u16) {
        self.tell(Script::FailNext(code)).await;
    }

    pub(crate) async fn depart(&self, departure: Departure) {
        self.tell(Script::Depart(departure)).await;
    }

    /// Reports an event at a termination, with its parameters.
    pub(crate) async fn notify(
        &self,
        context: u32,
        termination: &str,
        event: (&'static str, &'static str),
        parms: &[(&str, &str)],
    ) {
        let action = notify(context, termination, (1, event), parms);
        self.tell(Script::Notify(action)).await;
    }

    /// Reports an event that nobody asked for.
    pub(crate) async fn notify_unasked(&self, event: (&'static str, &'static str)) {
        let action = notify(1, "t/1", (99, event), &[]);
        self.tell(Script::Notify(action)).await;
    }

    /// Sends these actions.
    pub(crate) async fn ask(&self, actions: &str) {
        let text = format!("!/2 <mrfp.home2.net> T=1{{{actions}}}");
        let message = h248::parse(text.as_bytes(), &h248::Limits::default()).expect("readable");
        let [Transaction::Request(request)] = message.transactions() else {
            panic!("{text}");
        };
        self.tell(Script::Ask(request.actions.clone())).await;
    }

    /// Forgets a termination without a word.
    pub(crate) async fn lose(&self, termination: &str) {
        self.tell(Script::Lose(termination.to_owned())).await;
    }

    /// Takes one termination out of service.
    pub(crate) async fn force_out(&self, context: u32, termination: &str) {
        let command = Command::ServiceChange {
            terminations: TerminationId::Name(Name::new(termination)).into(),
            services: Box::new(h248_endpoint::plain_service_change(
                ServiceChangeMethod::Forced,
                "904 Termination malfunctioning",
            )),
        };
        let action = ActionRequest::new(ContextId::Id(context), [command]);
        self.tell(Script::Notify(action)).await;
    }

    async fn tell(&self, script: Script) {
        self.script.send(script).await.expect("the gateway lives");
    }
}

struct Worker {
    shell: Shell,
    seen: mpsc::Sender<Seen>,
    held: Option<Vec<Request>>,
    fail_next: Option<u16>,
    /// Who asked last.
    peer: Option<h248_endpoint::Peer>,
    asked: Option<TransactionId>,
    contexts: u32,
    terminations: u32,
    /// By name, with their contexts.
    there: BTreeMap<String, u32>,
}

impl Worker {
    async fn run(mut self, mut scripts: mpsc::Receiver<Script>) {
        loop {
            tokio::select! {
                script = scripts.recv() => match script {
                    Some(script) => self.play(script),
                    None => return,
                },
                event = self.shell.next() => {
                    match event {
                        Event::Request(request) => self.handle(request).await,
                        Event::Reply { id, reply, .. } if self.asked == Some(id) => {
                            let reply = Transaction::Reply(reply);
                            let text = h248::print_transaction(&reply, 2, h248::Encoding::Compact);
                            let text = String::from_utf8(text).expect("text");
                            let (_, body) = text.split_once('{').expect("a body");
                            let seen = Seen::Answered(body.to_owned());
                            self.seen.send(seen).await.expect("the test lives");
                        }
                        Event::Reply { reply, .. } => {
                            let refused = first_error(&reply.body).map(|e| e.code);
                            let seen = refused.map_or(Seen::Notified, Seen::NotifyRefused);
                            self.seen.send(seen).await.expect("the test lives");
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn play(&mut self, script: Script) {
        match script {
            Script::Hold => self.held = Some(Vec::new()),
            Script::Release => {
                for request in self.held.take().into_iter().flatten() {
                    self.answer(&request);
                }
            }
            Script::ReleaseCrossed => {
                let held = self.held.take().unwrap_or_default();
                let bodies = held.iter().rev().map(|request| self.perform(request));
                let bodies: Vec<_> = bodies.collect();
                for (request, body) in held.iter().zip(bodies.into_iter().rev()) {
                    self.shell.reply(request.key, body);
                }
            }
            Script::FailNext(code) => self.fail_next = Some(code),
            Script::Lose(termination) => {
                self.there.remove(&termination);
            }
            Script::Depart(departure) => self.shell.depart(departure),
            Script::Ask(actions) => {
                let peer = self.peer.expect("somebody asked before");
                let actions = actions.into_iter().collect();
                self.asked = Some(self.shell.send_request(peer, actions).expect("sent"));
            }
            Script::Notify(action) => {
                let peer = self.peer.expect("somebody asked before");
                self.shell.send_request(peer, vec![action]).expect("sent");
            }
        }
    }

    async fn handle(&mut self, request: Request) {
        self.peer = Some(request.peer);
        for action in &request.request.actions {
            for command in &action.commands {
                if let Some(seen) = seen(action.context, &command.command) {
                    self.seen.send(seen).await.expect("the test lives");
                }
            }
        }
        match &mut self.held {
            Some(held) => held.push(request),
            None => self.answer(&request),
        }
    }

    fn answer(&mut self, request: &Request) {
        if let Some(code) = self.fail_next.take() {
            self.shell
                .reply(request.key, error_reply(error(code, "scripted")));
            return;
        }
        let body = self.perform(request);
        self.shell.reply(request.key, body);
    }

    fn perform(&mut self, request: &Request) -> ReplyBody {
        let mut replies = Vec::new();
        for action in &request.request.actions {
            let context = match action.context {
                ContextId::Choose => {
                    self.contexts += 1;
                    ContextId::Id(self.contexts)
                }
                other => other,
            };
            if let [
                CommandRequest {
                    command: Command::AuditValue(audit),
                    ..
                },
            ] = action.commands.as_slice()
                && action.context == ContextId::All
            {
                assert_eq!(audit.terminations, TerminationId::All.into());
                replies.extend(self.there.iter().map(listed));
                continue;
            }
            let commands = action.commands.iter().map(|c| CommandReply {
                optional: false,
                wildcard_response: false,
                result: self.execute(context, &c.command),
            });
            replies.push(ActionReply {
                context,
                properties: ContextProperties::default(),
                commands: commands.collect(),
                error: None,
            });
        }
        ReplyBody::Actions(replies.into())
    }

    fn execute(&mut self, context: ContextId, command: &Command) -> CommandResult {
        match command {
            Command::Add(amm) => {
                self.terminations += 1;
                let number = self.terminations;
                let name = format!("t/{number}");
                if let ContextId::Id(context) = context {
                    self.there.insert(name.clone(), context);
                }
                CommandResult::Add(AmmReply {
                    terminations: TerminationId::Name(Name::new(&name)).into(),
                    descriptors: vec![local(number, parms(amm).local.as_ref())],
                })
            }
            Command::Modify(amm) => {
                let mut reply = plain(&amm.terminations);
                if !matches!(amm.descriptors[..], [Descriptor::Signals(_)])
                    && let Some(asked) = &parms(amm).local
                {
                    self.terminations += 1;
                    reply.descriptors = vec![local(self.terminations, Some(asked))];
                }
                CommandResult::Modify(reply)
            }
            Command::Subtract { terminations, .. } => {
                let all = terminations.0.as_slice() == [TerminationId::All];
                self.there
                    .retain(|name, _| !all && *name != one(terminations));
                CommandResult::Subtract(plain(terminations))
            }
            Command::AuditValue(audit) => {
                let all = plain(&audit.terminations);
                CommandResult::AuditValue(h248::ast::AuditReply::Terminations(all))
            }
            other => panic!("not for a gateway of this test: {other:?}"),
        }
    }
}

/// A termination and its context, as an audit tells them.
fn listed((name, context): (&String, &u32)) -> ActionReply {
    let names = vec![TerminationId::Name(Name::new(name))];
    ActionReply {
        context: ContextId::Id(*context),
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
    (request_id, (package, item)): (u32, (&str, &str)),
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
            request_id,
            events: vec![event],
        },
        error: None,
    };
    ActionRequest {
        context: ContextId::Id(context),
        properties: ContextProperties::default(),
        audit: None,
        commands: Few::One(CommandRequest {
            optional: false,
            wildcard_response: false,
            command,
        }),
    }
}

fn plain(terminations: &TerminationIds) -> AmmReply {
    AmmReply {
        terminations: terminations.clone(),
        descriptors: Vec::new(),
    }
}

/// In clear or over TLS, as it was asked for.
fn local(number: u32, asked: Option<&OctetString>) -> Descriptor {
    let asked = text(asked).unwrap_or_default();
    let (proto, scheme, print) = if asked.contains("TCP/TLS/MSRP") {
        ("TCP/TLS/MSRP", "msrps", "a=fingerprint:sha-256 01:23\r\n")
    } else {
        ("TCP/MSRP", "msrp", "")
    };
    let text = format!(
        "v=0\r\nc=IN IP4 198.51.100.7\r\nm=message 2855 {proto} *\r\n\
         a=path:{scheme}://198.51.100.7:2855/s{number};tcp\r\n{print}"
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

fn parms(amm: &AmmRequest) -> &StreamParms {
    match amm.descriptors.first() {
        Some(Descriptor::Media(media)) => match &media.streams {
            MediaStreams::One(parms) => parms,
            MediaStreams::Multiple(streams) => &streams.first().expect("a stream").parms,
        },
        other => panic!("no Media descriptor: {other:?}"),
    }
}

fn properties(parms: &StreamParms) -> String {
    let control = parms.local_control.as_ref();
    let shown = control.into_iter().flat_map(|control| &control.properties);
    let shown = shown.map(|p| match &p.value {
        PropertyValue::Is(value) => format!("{}={}", p.name.item(), value.text),
        other => panic!("{other:?}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn text(octets: Option<&OctetString>) -> Option<String> {
    octets.map(|o| String::from_utf8(o.0.clone()).expect("SDP is text"))
}

fn seen(context: ContextId, command: &Command) -> Option<Seen> {
    let number = match context {
        ContextId::Id(number) => Some(number),
        _ => None,
    };
    match command {
        Command::Add(amm) => Some(Seen::Add {
            context: number,
            local: text(parms(amm).local.as_ref()).expect("Local"),
            remote: text(parms(amm).remote.as_ref()),
            properties: properties(parms(amm)),
        }),
        Command::Modify(amm) if matches!(amm.descriptors[..], [Descriptor::Signals(_)]) => {
            Some(play(amm))
        }
        Command::Modify(amm) if parms(amm).remote.is_none() => {
            let control = parms(amm).local_control.as_ref().expect("LocalControl");
            Some(Seen::Mode {
                mode: format!("{:?}", control.mode.expect("a mode")),
            })
        }
        Command::Modify(amm) => Some(Seen::Modify {
            local: text(parms(amm).local.as_ref()),
            remote: text(parms(amm).remote.as_ref()).expect("Remote"),
            connects: has_signal(amm, "EstBNC"),
            releases: has_signal(amm, "RelBNC"),
        }),
        Command::Subtract { terminations, .. } => Some(Seen::Subtract {
            context: number.expect("a context"),
            termination: one(terminations),
        }),
        _ => None,
    }
}

fn has_signal(amm: &AmmRequest, item: &str) -> bool {
    let signals = amm.descriptors.iter().filter_map(|d| match d {
        Descriptor::Signals(items) => Some(items),
        _ => None,
    });
    let is_it = |s: &SignalItem| matches!(s, SignalItem::Signal(s) if s.name.item() == *item);
    signals.flatten().any(is_it)
}

fn one(terminations: &TerminationIds) -> String {
    match terminations.0.first() {
        Some(TerminationId::Name(name)) => name.to_string(),
        other => panic!("{other:?}"),
    }
}

/// What a `mess/sm` is to send.
fn play(amm: &AmmRequest) -> Seen {
    let signal = match amm.descriptors.first() {
        Some(Descriptor::Signals(items)) => match items.first() {
            Some(SignalItem::Signal(signal)) => signal,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(signal.name.package().as_str(), "mess");
    let parm = |name: &str| match &signal.parms.iter().find(|p| p.name == *name) {
        Some(Parm {
            value: PropertyValue::Is(value),
            ..
        }) => value.text.to_string(),
        other => panic!("{name}: {other:?}"),
    };
    let reference = parm("mcr");
    let data = reference.strip_prefix("data:").expect("a data: URI");
    let (media_type, body) = data.split_once(";base64,").expect("in base64");
    let octets = base64::engine::general_purpose::STANDARD.decode(body);
    Seen::Play {
        termination: one(&amm.terminations),
        name: parm("mi"),
        media_type: media_type.to_owned(),
        text: String::from_utf8(octets.expect("base64")).expect("UTF-8"),
    }
}
