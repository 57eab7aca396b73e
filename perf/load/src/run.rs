//! One run: connects the sessions, lets the generator loose, watches it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::HashMap;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use anyhow::{Context, anyhow, bail, ensure};
use reactor::{
    Control, Full, Mailbox, ReactorKind, ShardHandle, ShardLinks, ShardThreadConfig, spawn_shard,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use switch::ShardIndex;
use tokio::sync::mpsc;
use tokio::time::{Interval, interval_at};

use crate::generator::{Generator, GeneratorConfig, LegConfig, Move, News, Ticket, Totals, Word};
use crate::limits::{CONNECTIONS_PER_ADDRESS, LEAVING_MAX};
use crate::plan::Plan;
use crate::process::raise_descriptor_limit;
use crate::report::{Row, Summary};
use crate::setup::{Keeper, Leg, Sessions};
use crate::watch::Watch;
use crate::wire::tls_config;

/// Carries a plan out over sessions that are set up. `on_row` gets one row per second.
///
/// # Errors
///
/// When participants cannot connect or bind. What goes wrong afterwards is in the summary.
pub async fn run(
    plan: &Plan,
    sessions: Sessions,
    on_row: impl FnMut(&Row),
) -> anyhow::Result<Summary> {
    run_until(core::future::pending(), plan, sessions, on_row).await
}

/// The same, unless `halt` comes first: then nothing new begins, and what was sent is waited for and told.
///
/// # Errors
///
/// As [`run`], and when it is halted before messages flow.
pub async fn run_until(
    halt: impl Future<Output = ()>,
    plan: &Plan,
    sessions: Sessions,
    mut on_row: impl FnMut(&Row),
) -> anyhow::Result<Summary> {
    plan.check()?;
    raise_descriptor_limit();
    let mut started = Started::new(plan, sessions)?;
    let mut watch = Watch::new(started.target);
    let mut rows = Vec::new();
    let mut keep_row = |row: &Row| {
        on_row(row);
        rows.push(*row);
    };
    let outcome = started.follow(halt, &mut watch, &mut keep_row).await;
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
    let mut summary = watch.summary(plan, sessions.via, &totals);
    summary.rows = rows;
    Ok(summary)
}

struct Started {
    shard: ShardHandle,
    sessions: Sessions,
    word: Arc<Word>,
    moves: Sender<Move>,
    churn: Churn,
    news: mpsc::UnboundedReceiver<News>,
    target: Option<u32>,
}

impl Started {
    /// Starts the generator and gives it all connections.
    fn new(plan: &Plan, mut sessions: Sessions) -> anyhow::Result<Self> {
        let (news_tx, news) = mpsc::unbounded_channel();
        let word = Arc::new(Word::default());
        let links = links(plan, &sessions.legs);
        let (moves, moves_rx) = std::sync::mpsc::channel();
        let config = GeneratorConfig {
            plan: plan.clone(),
            legs: sessions.legs.iter().map(leg_config).collect(),
            links: links.clone(),
            is_binding: sessions.is_binding,
            tls: tls_config()?,
            word: Arc::clone(&word),
            moves: moves_rx,
            news: news_tx,
        };
        let mailbox = Mailbox::new()?;
        let shard_links = ShardLinks::new(std::slice::from_ref(&mailbox));
        let mut thread =
            ShardThreadConfig::new(ShardIndex(0), mailbox, shard_links, Box::new(|_| ()));
        // io_uring where there is one; elsewhere the other one will do.
        thread.reactor = ReactorKind::Auto;
        thread.core = plan.core;
        // Those who leave may still be there when others take their place.
        let leaving_max = if plan.churn > 0.0 { LEAVING_MAX } else { 0 };
        thread.connections_max = links.len().max(1) + leaving_max + sessions.listeners.len();
        thread.listeners = core::mem::take(&mut sessions.listeners);
        let shard = spawn_shard(thread, move || Generator::new(config))?;
        for (number, legs) in (0_u32..).zip(&links) {
            let leg = &mut sessions.legs[legs[0] as usize];
            let (socket, peer) = connect(number, leg)?;
            adopt(
                &shard,
                Ticket {
                    link: number,
                    turn: 0,
                },
                socket,
                peer,
            );
        }
        Ok(Self {
            target: sessions.target.id,
            shard,
            sessions,
            word,
            moves,
            churn: Churn::new(plan, &links),
            news,
        })
    }

    async fn follow(
        &mut self,
        halt: impl Future<Output = ()>,
        watch: &mut Watch,
        on_row: &mut impl FnMut(&Row),
    ) -> anyhow::Result<Totals> {
        let mut halt = core::pin::pin!(halt);
        let mut turnstile = self.churn.turnstile();
        let (mut is_flowing, mut is_halted) = (false, false);
        let mut is_open = false;
        let mut is_over = false;
        loop {
            let news = tokio::select! {
                biased;
                () = &mut halt, if !is_halted => {
                    ensure!(is_flowing, "halted before any message was sent");
                    is_halted = true;
                    self.word.halt.store(true, Ordering::Release);
                    continue;
                }
                news = self.news.recv() => news.context("the generator ended")?,
                _ = turnstile.tick(), if is_open => {
                    self.ask_to_leave()?;
                    continue;
                }
                () = self.sessions.keeper.keep() => bail!("the control plane ended"),
            };
            match news {
                News::Bound => {
                    is_flowing = true;
                    self.word.go.store(true, Ordering::Release);
                }
                News::Begun => {
                    watch.begin();
                    is_open = !self.churn.legs.is_empty();
                    turnstile.reset();
                }
                News::Row(mut row) => {
                    watch.complete(&mut row);
                    on_row(&row);
                }
                News::Left { leg } => self.replace(leg).await?,
                News::Over => {
                    (is_open, is_over) = (false, true);
                    watch.end();
                }
                News::Done(totals) => return Ok(*totals),
                News::Failed(reason) => return Err(anyhow!(reason)),
            }
            if is_over && self.churn.leaving.is_empty() {
                // Nobody listens any more: the generator has failed, and says so.
                let _ = self.moves.send(Move::End);
            }
        }
    }

    fn ask_to_leave(&mut self) -> anyhow::Result<()> {
        if let Some((leg, hangs_up)) = self.churn.next() {
            let leave = Move::Leave { leg, hangs_up };
            self.moves.send(leave).context(GENERATOR_GONE)?;
        }
        Ok(())
    }

    /// Somebody has left, so another one joins.
    async fn replace(&mut self, number: u32) -> anyhow::Result<()> {
        let link = self.churn.left(number);
        let keeper = &mut self.sessions.keeper;
        keeper.leave(number).await.context("a leave")?;
        let at = reactor::now();
        let mut leg = keeper.join(number).await.context("a join")?;
        let config = leg_config(&leg);
        let turn = u32::try_from(self.churn.done).context("too many have come and gone")?;
        let join = Move::Join {
            leg: number,
            turn,
            config,
            at,
        };
        self.moves.send(join).context(GENERATOR_GONE)?;
        let (socket, peer) = connect(link, &mut leg)?;
        adopt(&self.shard, Ticket { link, turn }, socket, peer);
        Ok(())
    }
}

const GENERATOR_GONE: &str = "the generator ended";

/// Who is replaced when.
struct Churn {
    rate: f64,
    /// Link and leg of those who can be.
    legs: Vec<(u32, u32)>,
    /// From one to the next: about half of them, and no divisor of their number.
    stride: usize,
    /// So many were told to leave.
    asked: usize,
    /// The links of those who were told to leave, and have not, by leg.
    leaving: HashMap<u32, u32>,
    /// So many have left.
    done: usize,
}

impl Churn {
    fn new(plan: &Plan, links: &[Vec<u32>]) -> Self {
        let mut legs = Vec::new();
        if plan.churn > 0.0 {
            let link_of: HashMap<u32, u32> = links.iter().map(|legs| legs[0]).zip(0..).collect();
            let can_go = plan.recipients_only();
            legs = can_go
                .filter_map(|leg| Some((*link_of.get(&leg)?, leg)))
                .collect();
        }
        let stride = (legs.len() / 2..).find(|stride| gcd(*stride, legs.len()) == 1);
        Self {
            rate: plan.churn,
            stride: stride.unwrap_or(1),
            legs,
            asked: 0,
            leaving: HashMap::new(),
            done: 0,
        }
    }

    /// When the next one goes. One that came late is followed by the next at once.
    fn turnstile(&self) -> Interval {
        let period = if self.legs.is_empty() {
            Duration::MAX
        } else {
            Duration::from_secs_f64(1.0 / self.rate)
        };
        interval_at(
            tokio::time::Instant::now() + period.min(IDLE),
            period.min(IDLE),
        )
    }

    /// Who is to leave now, and whether it hangs up: everybody once before anybody twice, neighbours far apart; every other one
    /// hangs up. `None` while the one whose turn it is has not left since it was told to.
    fn next(&mut self) -> Option<(u32, bool)> {
        let count = self.legs.len();
        let place = self.asked % count * self.stride % count;
        let round = self.asked / count;
        let hangs_up = (self.asked + round).is_multiple_of(2);
        let (link, leg) = self.legs[place];
        if self.leaving.contains_key(&leg) {
            return None;
        }
        self.leaving.insert(leg, link);
        self.asked += 1;
        Some((leg, hangs_up))
    }

    /// Somebody has left; the link that it had.
    fn left(&mut self, leg: u32) -> u32 {
        self.done += 1;
        let link = self.leaving.remove(&leg);
        link.expect("nobody leaves who was not told to")
    }
}

/// The period of a turnstile that nobody passes.
const IDLE: Duration = Duration::from_secs(3_600);

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn leg_config(leg: &Leg) -> LegConfig {
    LegConfig {
        own: leg.own.as_bytes().into(),
        peer: leg.peer.as_bytes().into(),
        host: leg.connect.map_or(Ipv4Addr::LOCALHOST.into(), |to| to.ip()),
        fingerprint: leg.fingerprint,
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
pub(crate) fn open(number: u32, to: SocketAddr) -> anyhow::Result<Socket> {
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
fn adopt(shard: &ShardHandle, ticket: Ticket, socket: OwnedFd, peer: SocketAddr) {
    let mut control = Control::Adopt {
        socket: socket.into(),
        peer,
        layer: None,
        octets: ticket.write(),
    };
    while let Err(Full(back)) = shard.send(control) {
        control = back;
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_replaced_once_before_anybody_is_twice_by_turns_hanging_up() {
        let plan = Plan {
            conferences: 3,
            participants: 5,
            churn: 1.0,
            ..Plan::default()
        };
        let links: Vec<_> = (0..15).map(|leg| vec![leg]).collect();
        let mut churn = Churn::new(&plan, &links);
        let mut ways = HashMap::new();
        for round in 0..2 {
            let mut gone: Vec<u32> = (0..12)
                .map(|_| {
                    let (leg, hangs_up) = churn.next().unwrap();
                    assert_eq!(churn.left(leg), leg);
                    ways.entry(leg).or_insert_with(Vec::new).push(hangs_up);
                    leg
                })
                .collect();
            gone.sort_unstable();
            let all: Vec<u32> = plan.recipients_only().collect();
            assert_eq!(gone, all, "round {round}");
        }
        assert!(ways.values().all(|both| both[0] != both[1]), "{ways:?}");
    }

    #[test]
    fn nobody_is_told_to_leave_twice() {
        let plan = Plan {
            participants: 3,
            churn: 1.0,
            ..Plan::default()
        };
        let mut churn = Churn::new(&plan, &[vec![0], vec![1], vec![2]]);
        let (first, _) = churn.next().unwrap();
        let (second, _) = churn.next().unwrap();
        assert_ne!(first, second);
        assert_eq!(churn.next(), None);
        churn.left(second);
        assert_eq!(churn.next(), None, "it is the turn of the other one");
        churn.left(first);
        assert_eq!(churn.next().unwrap().0, first);
    }
}
