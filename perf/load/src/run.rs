//! One run: connects the sessions, lets the generator loose, watches it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow, bail};
use clock::Instant;
use reactor::{
    Control, Full, Mailbox, ReactorKind, ShardHandle, ShardLinks, ShardThreadConfig, spawn_shard,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use switch::ShardIndex;
use tokio::sync::mpsc;

use crate::generator::{Generator, GeneratorConfig, LegConfig, News, Totals};
use crate::limits::CONNECTIONS_PER_ADDRESS;
use crate::plan::{Plan, Rate};
use crate::process::{cpu_nanos, resident_bytes, thread_nanos};
use crate::report::{Row, Summary};
use crate::setup::{Keeper, Leg, Sessions};

/// Carries a plan out over sessions that are set up. `on_row` gets one row per second.
///
/// # Errors
///
/// When participants cannot connect or bind. What goes wrong afterwards is in the summary.
pub async fn run(
    plan: &Plan,
    sessions: Sessions,
    mut on_row: impl FnMut(&Row),
) -> anyhow::Result<Summary> {
    plan.check()?;
    raise_descriptor_limit();
    let mut started = Started::new(plan, sessions)?;
    let mut watch = Watch::new(started.target);
    let outcome = started.follow(&mut watch, &mut on_row).await;
    started.shard.stop();
    let Started {
        shard,
        mut sessions,
        ..
    } = started;
    shard.join()?;
    let totals = outcome?;
    if sessions.target.process.is_none() {
        let keeper = core::mem::replace(&mut sessions.keeper, Keeper::None);
        keeper.release().await?;
    }
    Ok(summary(plan, sessions.via, &totals, &watch))
}

struct Started {
    shard: ShardHandle,
    sessions: Sessions,
    go: Arc<AtomicBool>,
    news: mpsc::UnboundedReceiver<News>,
    target: Option<u32>,
}

impl Started {
    /// Starts the generator and gives it all connections.
    fn new(plan: &Plan, mut sessions: Sessions) -> anyhow::Result<Self> {
        let (news_tx, news) = mpsc::unbounded_channel();
        let go = Arc::new(AtomicBool::new(false));
        let links = links(plan, &sessions.legs);
        let legs = sessions.legs.iter().map(|leg| LegConfig {
            own: leg.own.as_bytes().into(),
            peer: leg.peer.as_bytes().into(),
        });
        let config = GeneratorConfig {
            plan: plan.clone(),
            legs: legs.collect(),
            links: links.clone(),
            is_binding: sessions.is_binding,
            go: Arc::clone(&go),
            news: news_tx,
        };
        let mailbox = Mailbox::new()?;
        let shard_links = ShardLinks::new(std::slice::from_ref(&mailbox));
        let mut thread =
            ShardThreadConfig::new(ShardIndex(0), mailbox, shard_links, Box::new(|_| ()));
        // io_uring where there is one; elsewhere the other one will do.
        thread.reactor = ReactorKind::Auto;
        thread.core = plan.core;
        thread.connections_max = links.len().max(1) + sessions.listeners.len();
        thread.listeners = core::mem::take(&mut sessions.listeners);
        let shard = spawn_shard(thread, move || Generator::new(config))?;
        for (number, legs) in (0_u32..).zip(&links) {
            let leg = &mut sessions.legs[legs[0] as usize];
            let (socket, peer) = connect(number, leg)?;
            adopt(&shard, number, socket, peer);
        }
        Ok(Self {
            target: sessions.target.id,
            shard,
            sessions,
            go,
            news,
        })
    }

    async fn follow(
        &mut self,
        watch: &mut Watch,
        on_row: &mut impl FnMut(&Row),
    ) -> anyhow::Result<Totals> {
        loop {
            let news = tokio::select! {
                news = self.news.recv() => news.context("the generator ended")?,
                () = self.sessions.keeper.keep() => bail!("the control plane ended"),
            };
            match news {
                News::Bound => self.go.store(true, Ordering::Release),
                News::Begun => watch.begin(),
                News::Row(mut row) => {
                    row.target_cpu = watch.cores_since_last();
                    on_row(&row);
                }
                News::Over => watch.end(),
                News::Done(totals) => return Ok(*totals),
                News::Failed(reason) => return Err(anyhow!(reason)),
            }
        }
    }
}

/// The CPU time of the system under test and of the generator.
struct Watch {
    target: Option<u32>,
    begun: Option<Sample>,
    last: Option<Sample>,
    over: Option<Sample>,
    resident_bytes: Option<u64>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    target: u64,
    generator: u64,
}

/// The generator's thread as the reactor names it.
const GENERATOR_THREAD: &str = "shard-0";

impl Watch {
    fn new(target: Option<u32>) -> Self {
        Self {
            target,
            begun: None,
            last: None,
            over: None,
            resident_bytes: None,
        }
    }

    fn sample(&self) -> Sample {
        Sample {
            target: self.target.map_or(0, cpu_nanos),
            generator: thread_nanos(GENERATOR_THREAD),
            at: reactor::now(),
        }
    }

    fn begin(&mut self) {
        self.begun = Some(self.sample());
        self.last = self.begun;
    }

    fn end(&mut self) {
        self.over = Some(self.sample());
        self.resident_bytes = self.target.map(resident_bytes);
    }

    fn cores_since_last(&mut self) -> Option<f64> {
        let (last, now) = (self.last?, self.sample());
        self.last = Some(now);
        self.target
            .map(|_| share(last.target, now.target, last, now))
    }
}

fn share(from: u64, to: u64, begun: Sample, over: Sample) -> f64 {
    to.saturating_sub(from) as f64 / over.at.since(begun.at).as_nanos().max(1) as f64
}

fn summary(plan: &Plan, via: &'static str, totals: &Totals, watch: &Watch) -> Summary {
    let samples = watch.begun.zip(watch.over);
    let target = samples.filter(|_| watch.target.is_some());
    let nanos = |(begun, over): (Sample, Sample)| over.target.saturating_sub(begun.target) as f64;
    Summary {
        via,
        conferences: plan.conferences,
        participants: plan.participants,
        senders: plan.senders,
        size: plan.size,
        rate: match plan.rate {
            Rate::Fixed(rate) => Some(rate),
            Rate::Max => None,
        },
        seconds: totals.measured.as_secs_f64(),
        delivered_per_second: totals.delivered_per_second,
        octets_per_second: totals.octets_per_second,
        latency: totals.latency,
        curve: totals.curve.clone(),
        counts: totals.counts,
        generator_busy: totals.busy.clamp(0.0, 1.0),
        generator_cpu: samples.map_or(0.0, |(b, o)| share(b.generator, o.generator, b, o)),
        target_cpu: target.map(|(b, o)| share(b.target, o.target, b, o)),
        target_nanos_per_delivery: target
            .filter(|_| totals.delivered > 0)
            .map(|both| nanos(both) / totals.delivered as f64),
        target_resident_bytes: watch.resident_bytes,
    }
}

/// The legs of each connection that we open. Recipients may share one (RFC 4975 section 5.4).
fn links(plan: &Plan, legs: &[Leg]) -> Vec<Vec<u32>> {
    let mut links: Vec<Vec<u32>> = Vec::new();
    let mut shared: Option<usize> = None;
    let share = plan.sessions_per_connection as usize;
    for (number, leg) in (0_u32..).zip(legs) {
        if leg.connect.is_none() {
            continue;
        }
        let is_sender = number % plan.participants < plan.senders;
        if is_sender || share == 1 {
            links.push(vec![number]);
            continue;
        }
        match shared.filter(|at| links[*at].len() < share) {
            Some(at) => links[at].push(number),
            None => {
                shared = Some(links.len());
                links.push(vec![number]);
            }
        }
    }
    links
}

fn connect(number: u32, leg: &mut Leg) -> anyhow::Result<(OwnedFd, SocketAddr)> {
    let to = leg.connect.context("a session that connects to nobody")?;
    let socket = match leg.socket.take() {
        Some(bound) => Socket::from(bound),
        None => open(number, to)?,
    };
    socket
        .connect(&to.into())
        .with_context(|| format!("connection {number} to {to}"))?;
    socket.set_tcp_nodelay(true)?;
    Ok((TcpStream::from(socket).into(), to))
}

/// A socket that has not connected; on loopback from another address when ports run out.
fn open(number: u32, to: SocketAddr) -> anyhow::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))
        .context("no further socket; raise the limit of open files (ulimit -n)")?;
    let group = number / CONNECTIONS_PER_ADDRESS;
    if let (IpAddr::V4(ip), Ok(last @ 1..)) = (to.ip(), u8::try_from(group))
        && ip.is_loopback()
    {
        SockRef::from(&socket).set_reuse_address(true)?;
        let from = SocketAddr::from((Ipv4Addr::new(127, 0, 1, last), 0));
        socket.bind(&from.into())?;
    }
    Ok(socket)
}

/// Hands a connection to the generator, waiting while its mailbox is full.
fn adopt(shard: &ShardHandle, number: u32, socket: OwnedFd, peer: SocketAddr) {
    let mut control = Control::Adopt {
        socket,
        peer,
        layer: None,
        octets: number.to_le_bytes().to_vec(),
    };
    while let Err(Full(back)) = shard.send(control) {
        control = back;
        std::thread::yield_now();
    }
}

/// As many descriptors as this process may have.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}
