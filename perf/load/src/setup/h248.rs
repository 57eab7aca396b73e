//! Sessions by H.248, as an MRFC makes them: one context per conference, one termination per
//! participant (TS 29.333 clause 6.2.8).

use core::net::SocketAddr;
use std::collections::HashMap;

use anyhow::{Context, anyhow, bail, ensure};
use h248::ast::{
    ActionRequest, AmmReply, AmmRequest, Command, CommandReply, CommandResult, ContextId,
    Descriptor, LocalControl, MId, Media, MediaStreams, Name, OctetString, ReplyBody, Stream,
    StreamMode, StreamParms, TerminationId, TransactionId, TransactionReply,
};
use h248_endpoint::{
    AssociationConfig, Config, Event, Peer, Role, Shell, TransportAddr, TransportId, TransportKind,
    first_error,
};
use sdp::Description;
use tokio::time::timeout;

use super::Leg;
use crate::limits::{ANSWER_MAX, COMMANDS_MAX, READY_MAX, TRANSACTIONS_MAX};
use crate::plan::Plan;
use crate::reader::own_path;

/// A controller of one MRFP.
#[derive(Debug)]
pub struct Controller {
    shell: Shell,
    gateway: Option<Peer>,
    contexts: Vec<u32>,
}

const STREAM: u16 = 1;

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
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn listens_on(&self) -> TransportAddr {
        self.shell.bound()[0]
    }

    /// Waits until an MRFP has registered; `is_alive` says whether waiting makes sense.
    ///
    /// # Errors
    ///
    /// When none does within [`READY_MAX`].
    pub async fn registered(&mut self) -> anyhow::Result<()> {
        let registered = async {
            while self.gateway.is_none() {
                if let Event::Registered(registered) = self.shell.next().await {
                    self.gateway = Some(registered.peer);
                }
            }
        };
        timeout(READY_MAX, registered)
            .await
            .map_err(|_| anyhow!("no MRFP registered within {READY_MAX:?}"))
    }

    /// Speaks first, to an MRFP that listens on UDP.
    pub fn address(&mut self, addr: SocketAddr) {
        let transport = TransportId {
            kind: TransportKind::Udp,
            index: 0,
        };
        self.gateway = Some(Peer { transport, addr });
    }

    /// Makes all sessions of the plan.
    ///
    /// # Errors
    ///
    /// When the MRFP refuses one or does not answer.
    pub async fn add(&mut self, plan: &Plan) -> anyhow::Result<Vec<Leg>> {
        let mut legs: Vec<Option<Leg>> = Vec::new();
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
        legs.into_iter()
            .collect::<Option<_>>()
            .context("the MRFP answered fewer Adds than it was asked")
    }

    /// Sends all, some at a time; returns the context of each conference.
    async fn exchange(
        &mut self,
        batches: Vec<Batch>,
        legs: &mut [Option<Leg>],
    ) -> anyhow::Result<HashMap<u32, u32>> {
        let peer = self.gateway.context("no MRFP is known")?;
        let mut waiting = batches.into_iter();
        let mut open: HashMap<TransactionId, Batch> = HashMap::new();
        let mut contexts = HashMap::new();
        loop {
            while open.len() < TRANSACTIONS_MAX
                && let Some(batch) = waiting.next()
            {
                let id = self.shell.send_request(peer, vec![batch.action()])?;
                open.insert(id, batch);
            }
            if open.is_empty() {
                return Ok(contexts);
            }
            let (id, reply) = self.answer().await?;
            if let Some(batch) = open.remove(&id) {
                let context = batch.take(&reply, legs)?;
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
                        let reply = ReplyBody::Actions(Vec::new());
                        self.shell.reply(request.key, reply);
                    }
                    Event::Registered(_)
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
                let reply = ReplyBody::Actions(Vec::new());
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

    fn action(&self) -> ActionRequest {
        let adds = (self.first..self.first + self.count).map(add);
        ActionRequest::new(self.context, adds)
    }

    /// Reads what was added; returns the context.
    fn take(&self, reply: &TransactionReply, legs: &mut [Option<Leg>]) -> anyhow::Result<u32> {
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
                let (peer, connect) = local_of(command)
                    .context("the MRFP answered an Add without a usable Local descriptor")?;
                legs[number as usize] = Some(Leg {
                    own: own_path(ADDRESS, number),
                    peer,
                    connect: Some(connect),
                    socket: None,
                });
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

fn add(number: u32) -> Command {
    let local = "v=0\r\nc=IN IP4 $\r\nm=message $ TCP/MSRP *\r\na=path:$\r\n";
    let remote = format!(
        "v=0\r\nc=IN IP4 127.0.0.1\r\nm=message 9 TCP/MSRP *\r\na=path:{}\r\n",
        own_path(ADDRESS, number)
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

/// Path and address of the MRFP's side.
fn local_of(command: &CommandReply) -> Option<(String, SocketAddr)> {
    let CommandResult::Add(AmmReply { descriptors, .. }) = &command.result else {
        return None;
    };
    let media = descriptors.iter().find_map(|descriptor| {
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
    let connect = message.remote_transport_address().ok()?;
    Some((message.path?.as_str().to_owned(), connect))
}
