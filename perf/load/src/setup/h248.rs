//! Sessions by H.248, as an MRFC makes them: one context per conference, one termination per
//! participant (TS 29.333 clause 6.2.8).

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;

use anyhow::{Context, anyhow, bail, ensure};
use h248::ast::{
    ActionRequest, AmmRequest, Command, CommandReply, CommandResult, ContextId, Descriptor, Few,
    LocalControl, MId, Media, MediaStreams, Name, OctetString, ReplyBody, Stream, StreamMode,
    StreamParms, TerminationId, TerminationIds, TransactionId, TransactionReply,
};
use h248_endpoint::{
    AssociationConfig, Config, Event, Peer, Role, Shell, TransportAddr, TransportId, TransportKind,
    first_error,
};
use sdp::Description;
use tokio::time::{sleep, timeout};

use super::{Keeper, Leg, Sessions, Target};
use crate::limits::{ANSWER_MAX, COMMANDS_MAX, READY_MAX, TRANSACTIONS_MAX};
use crate::plan::{Plan, Transport};
use crate::process::Process;
use crate::reader::own_path;

/// A controller of one MRFP.
#[derive(Debug)]
pub struct Controller {
    shell: Shell,
    gateway: Option<Peer>,
    contexts: Vec<u32>,
    /// By participant.
    terminations: Vec<TerminationIds>,
    plan: Plan,
}

const STREAM: u16 = 1;

/// How often to look whether a system started for this run still lives.
const LOOK: Duration = Duration::from_millis(20);

/// What participants say they listen on; nobody connects to them.
const ADDRESS: &str = "127.0.0.1:9";

impl Controller {
    /// Listens for an MRFP.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound.
    pub async fn listen(listen: TransportAddr) -> anyhow::Result<Self> {
        let mid = MId::Domain {
            name: Name::new("load.invalid"),
            port: None,
        };
        let config = Config::new(mid, Role::Controller, u64::from(std::process::id()));
        let shell = Shell::controller(config, AssociationConfig::default(), &[listen]).await?;
        Ok(Self {
            shell,
            gateway: None,
            contexts: Vec::new(),
            terminations: Vec::new(),
            plan: Plan::default(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn listens_on(&self) -> TransportAddr {
        self.shell.bound()[0]
    }

    /// Waits until an MRFP has registered, unless one was addressed.
    ///
    /// # Errors
    ///
    /// When none does within [`READY_MAX`], or the one that was started for this run has ended.
    pub async fn registered(&mut self, target: &mut Target) -> anyhow::Result<()> {
        // What an MRFP says before it is asked is not waited for when it was addressed.
        let registered = async {
            while self.gateway.is_none() {
                if let Event::Registered(registered) = self.shell.next().await {
                    self.gateway = Some(registered.peer);
                }
            }
        };
        let ended = async {
            while !target.process.as_mut().is_some_and(Process::has_ended) {
                sleep(LOOK).await;
            }
        };
        let outcome = timeout(READY_MAX, async {
            tokio::select! {
                () = registered => Ok(()),
                () = ended => Err(anyhow!("the MRFP ended before it had registered")),
            }
        });
        let outcome = outcome.await;
        outcome.map_err(|_| anyhow!("no MRFP registered within {READY_MAX:?}"))?
    }

    /// Speaks first, to an MRFP that listens on UDP.
    pub fn address(&mut self, addr: SocketAddr) {
        let transport = TransportId {
            kind: TransportKind::Udp,
            index: 0,
        };
        self.gateway = Some(Peer { transport, addr });
    }

    /// Makes all sessions of the plan on `target`, once it has registered, and keeps them.
    ///
    /// # Errors
    ///
    /// When no MRFP registers, or it refuses a session or does not answer.
    pub async fn sessions(mut self, mut target: Target, plan: &Plan) -> anyhow::Result<Sessions> {
        self.registered(&mut target).await?;
        let legs = self.add(plan).await?;
        Ok(Sessions {
            via: "h248",
            legs,
            listeners: Vec::new(),
            is_binding: true,
            keeper: Keeper::H248(Box::new(self)),
            target,
        })
    }

    /// Makes sessions beside those of [`Self::sessions`]; nobody will ever let one of them leave.
    ///
    /// # Errors
    ///
    /// As [`Self::sessions`].
    pub async fn add_silent(&mut self, plan: &Plan) -> anyhow::Result<Vec<Leg>> {
        self.registered(&mut Target::default()).await?;
        let legs = self.add(plan).await?;
        (self.terminations, self.contexts) = (Vec::new(), Vec::new());
        Ok(legs)
    }

    async fn add(&mut self, plan: &Plan) -> anyhow::Result<Vec<Leg>> {
        self.plan = plan.clone();
        let mut legs: Vec<Option<Added>> = Vec::new();
        legs.resize_with(plan.participant_count() as usize, || None);
        let firsts = (0..plan.conferences).map(|conference| Batch::first(plan, conference));
        let contexts = self.exchange(firsts.collect(), &mut legs).await?;
        self.contexts = (0..plan.conferences)
            .map(|conference| contexts.get(&conference).copied())
            .collect::<Option<_>>()
            .context("the MRFP made fewer contexts than it was asked for")?;
        let rest = (0..plan.conferences).flat_map(|conference| {
            let context = self.contexts[conference as usize];
            Batch::others(plan, conference, context)
        });
        let rest = rest.collect();
        self.exchange(rest, &mut legs).await?;
        let all: Vec<Added> = legs
            .into_iter()
            .collect::<Option<_>>()
            .context("the MRFP answered fewer Adds than it was asked")?;
        let (terminations, legs) = all
            .into_iter()
            .map(|one| (one.termination, one.leg))
            .unzip();
        self.terminations = terminations;
        Ok(legs)
    }

    /// Subtracts the termination of one participant.
    pub(crate) async fn leave(&mut self, number: u32) -> anyhow::Result<()> {
        let command = Command::Subtract {
            terminations: self.terminations[number as usize].clone(),
            audit: Some(h248::ast::AuditDescriptor::default()),
        };
        let context = self.contexts[(number / self.plan.participants) as usize];
        let action = ActionRequest::new(ContextId::Id(context), [command]);
        let reply = self.call(action).await?;
        match first_error(&reply.body) {
            Some(error) => bail!(
                "the MRFP refused a Subtract: {} {}",
                error.code,
                error_text(error)
            ),
            None => Ok(()),
        }
    }

    /// Adds a termination for another participant of this number.
    pub(crate) async fn join(&mut self, number: u32) -> anyhow::Result<Leg> {
        let conference = number / self.plan.participants;
        let batch = Batch {
            conference,
            context: ContextId::Id(self.contexts[conference as usize]),
            first: number,
            count: 1,
        };
        let reply = self.call(batch.action(self.plan.transport)).await?;
        let mut added = None;
        batch.take(&reply, self.plan.transport, |_, one| added = Some(one))?;
        let added = added.context("the MRFP did not answer an Add")?;
        self.terminations[number as usize] = added.termination;
        Ok(added.leg)
    }

    async fn call(&mut self, action: ActionRequest) -> anyhow::Result<TransactionReply> {
        let peer = self.gateway.context("no MRFP is known")?;
        let asked = self.shell.send_request(peer, vec![action])?;
        loop {
            let (id, reply) = self.answer().await?;
            if id == asked {
                return Ok(reply);
            }
        }
    }

    /// Sends all, some at a time; returns the context of each conference.
    async fn exchange(
        &mut self,
        batches: Vec<Batch>,
        legs: &mut [Option<Added>],
    ) -> anyhow::Result<HashMap<u32, u32>> {
        let peer = self.gateway.context("no MRFP is known")?;
        let mut waiting = batches.into_iter();
        let mut open: HashMap<TransactionId, Batch> = HashMap::new();
        let mut contexts = HashMap::new();
        loop {
            while open.len() < TRANSACTIONS_MAX
                && let Some(batch) = waiting.next()
            {
                let id = self
                    .shell
                    .send_request(peer, vec![batch.action(self.plan.transport)])?;
                open.insert(id, batch);
            }
            if open.is_empty() {
                return Ok(contexts);
            }
            let (id, reply) = self.answer().await?;
            if let Some(batch) = open.remove(&id) {
                let put = |number: u32, added| legs[number as usize] = Some(added);
                let context = batch.take(&reply, self.plan.transport, put)?;
                contexts.insert(batch.conference, context);
            }
        }
    }

    async fn answer(&mut self) -> anyhow::Result<(TransactionId, TransactionReply)> {
        let answer = async {
            loop {
                match self.shell.next().await {
                    Event::Reply { id, reply, .. } => return Ok((id, reply)),
                    Event::Failed { reason, .. } => bail!("the MRFP does not answer: {reason}"),
                    Event::Lost { reason, .. } => bail!("the MRFP was lost: {reason}"),
                    Event::Request(request) => {
                        let reply = ReplyBody::Actions(Few::default());
                        self.shell.reply(request.key, reply);
                    }
                    Event::Registered(_)
                    | Event::Late { .. }
                    | Event::Leaving { .. }
                    | Event::RegistrationFailed { .. }
                    | Event::Departed
                    | Event::Problem(_) => {}
                }
            }
        };
        timeout(ANSWER_MAX, answer)
            .await
            .map_err(|_| anyhow!("the MRFP did not answer within {ANSWER_MAX:?}"))?
    }

    /// Keeps the association alive.
    pub(crate) async fn keep(&mut self) {
        loop {
            if let Event::Request(request) = self.shell.next().await {
                let reply = ReplyBody::Actions(Few::default());
                self.shell.reply(request.key, reply);
            }
        }
    }

    /// Subtracts all terminations.
    pub(crate) async fn release(mut self) -> anyhow::Result<()> {
        let peer = self.gateway.context("no MRFP is known")?;
        let contexts = core::mem::take(&mut self.contexts);
        for some in contexts.chunks(TRANSACTIONS_MAX) {
            for context in some {
                let command = Command::Subtract {
                    terminations: TerminationId::All.into(),
                    audit: Some(h248::ast::AuditDescriptor::default()),
                };
                let action = ActionRequest::new(ContextId::Id(*context), [command]);
                self.shell.send_request(peer, vec![action])?;
            }
            for _ in some {
                self.answer().await?;
            }
        }
        Ok(())
    }
}

/// The Adds of one transaction: neighbours of one conference.
#[derive(Debug)]
struct Batch {
    conference: u32,
    context: ContextId,
    /// The first one, of all conferences.
    first: u32,
    count: u32,
}

impl Batch {
    fn first(plan: &Plan, conference: u32) -> Self {
        Self {
            conference,
            context: ContextId::Choose,
            first: conference * plan.participants,
            count: plan.participants.min(COMMANDS_MAX),
        }
    }

    fn others(plan: &Plan, conference: u32, context: u32) -> impl Iterator<Item = Self> + use<> {
        let end = (conference + 1) * plan.participants;
        let start = conference * plan.participants + COMMANDS_MAX;
        (start..end)
            .step_by(COMMANDS_MAX as usize)
            .map(move |first| Self {
                conference,
                context: ContextId::Id(context),
                first,
                count: (end - first).min(COMMANDS_MAX),
            })
    }

    fn action(&self, transport: Transport) -> ActionRequest {
        let numbers = self.first..self.first + self.count;
        ActionRequest::new(self.context, numbers.map(|number| add(transport, number)))
    }

    /// Reads what was added; returns the context.
    fn take(
        &self,
        reply: &TransactionReply,
        transport: Transport,
        mut put: impl FnMut(u32, Added),
    ) -> anyhow::Result<u32> {
        if let Some(error) = first_error(&reply.body) {
            bail!(
                "the MRFP refused an Add: {} {}",
                error.code,
                error_text(error)
            );
        }
        let ReplyBody::Actions(actions) = &reply.body else {
            bail!("the MRFP answered without an action");
        };
        let mut numbers = self.first..self.first + self.count;
        let mut context = None;
        for action in actions {
            if let ContextId::Id(id) = action.context {
                context = Some(id);
            }
            for command in &action.commands {
                let number = numbers.next().context("more answers than Adds")?;
                let added = added(command, transport, number)
                    .context("the MRFP answered an Add without a usable Local descriptor")?;
                put(number, added);
            }
        }
        ensure!(numbers.is_empty(), "fewer answers than Adds");
        context.context("the MRFP named no context")
    }
}

fn error_text(error: &h248::ast::ErrorDescriptor) -> String {
    error
        .text
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn add(transport: Transport, number: u32) -> Command {
    let proto = if transport.is_secure() {
        "TCP/TLS/MSRP"
    } else {
        "TCP/MSRP"
    };
    let local = format!(
        "v=0\r\nc=IN IP4 $\r\nm=message $ {proto} *\r\na=path:{}\r\na=setup:passive\r\n",
        transport.uri("$:$", "$")
    );
    let remote = format!(
        "v=0\r\nc=IN IP4 127.0.0.1\r\nm=message 9 {proto} *\r\na=path:{}\r\na=setup:active\r\n",
        own_path(transport, ADDRESS, number)
    );
    let parms = StreamParms {
        local_control: Some(LocalControl {
            mode: Some(StreamMode::SendReceive),
            ..LocalControl::default()
        }),
        local: Some(OctetString(local.into())),
        remote: Some(OctetString(remote.into())),
        statistics: None,
    };
    let media = Media {
        termination_state: None,
        streams: MediaStreams::Multiple(vec![Stream { id: STREAM, parms }]),
    };
    Command::Add(AmmRequest {
        terminations: TerminationId::Choose.into(),
        descriptors: vec![Descriptor::Media(media)],
    })
}

/// A termination of the MRFP and who talks to it.
struct Added {
    termination: TerminationIds,
    leg: Leg,
}

fn added(command: &CommandReply, transport: Transport, number: u32) -> Option<Added> {
    let CommandResult::Add(reply) = &command.result else {
        return None;
    };
    let media = reply.descriptors.iter().find_map(|descriptor| {
        if let Descriptor::Media(media) = descriptor {
            Some(media)
        } else {
            None
        }
    })?;
    let parms = match &media.streams {
        MediaStreams::One(parms) => parms,
        MediaStreams::Multiple(streams) => &streams.first()?.parms,
    };
    let local = &parms.local.as_ref()?.0;
    let message = Description::parse(local).ok()?.message().ok()?;
    let mut prints = message.fingerprints.iter();
    let leg = Leg {
        own: own_path(transport, ADDRESS, number),
        connect: Some(message.remote_transport_address().ok()?),
        socket: None,
        fingerprint: prints.find_map(sha256_of),
        peer: message.path?.as_str().to_owned(),
    };
    Some(Added {
        termination: reply.terminations.clone(),
        leg,
    })
}

/// The octets of `a=fingerprint:sha-256 AB:CD:…`.
pub(super) fn sha256_of(print: &sdp::Fingerprint) -> Option<[u8; 32]> {
    if print.hash != "sha-256" {
        return None;
    }
    let octets: Result<Vec<u8>, _> = print
        .value
        .split(':')
        .map(|pair| u8::from_str_radix(pair, 16))
        .collect();
    octets.ok()?.try_into().ok()
}
