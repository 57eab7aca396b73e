//! Sessions that are bound and then say nothing: what they cost whoever keeps them.

use core::net::SocketAddr;
use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, bail, ensure};
use msrp::{Deframer, Flag, Item, Start, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::limits::{BIND_MAX, IDLE_CONNECTIONS_AT_ONCE};
use crate::plan::{Plan, Transport};
use crate::process::{raise_descriptor_limit, resident_bytes};
use crate::run::open;
use crate::setup::Leg;
use crate::setup::h248::Controller;

/// What idle sessions cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Sessions that are idle.
    pub sessions: u32,
    /// Connections that carry them.
    pub connections: usize,
    /// By how many octets the resident memory of the system under test grew with each session of the
    /// second half, where it is known: what is there once is not in it.
    pub resident_bytes_each: Option<f64>,
}

/// Sets up about so many idle sessions, in conferences like those of the plan, and measures what they
/// cost the system under test.
///
/// # Errors
///
/// When the MRFP refuses a session, or one cannot be bound.
pub async fn measure(
    controller: &mut Controller,
    plan: &Plan,
    sessions: u32,
    target: Option<u32>,
) -> anyhow::Result<(Idle, Measured)> {
    ensure!(
        plan.transport == Transport::Tcp,
        "silent sessions speak plain TCP"
    );
    raise_descriptor_limit();
    let plan = Plan {
        conferences: (sessions / plan.participants).div_ceil(2).max(1),
        ..plan.clone()
    };
    plan.check()?;
    let per_connection = plan.sessions_per_connection as usize;
    let mut idle = Idle::default();
    let mut resident = [None; 2];
    for after in &mut resident {
        let legs = controller.add_silent(&plan).await?;
        idle = spawn_blocking(move || idle.bind(&legs, per_connection).map(|()| idle)).await??;
        *after = target.map(resident_bytes);
    }
    let grown = resident[0].zip(resident[1]);
    let each = |(one, two): (u64, u64)| {
        two.saturating_sub(one) as f64 / f64::from(plan.participant_count())
    };
    let measured = Measured {
        sessions: 2 * plan.participant_count(),
        connections: idle.connection_count(),
        resident_bytes_each: grown.map(each),
    };
    Ok((idle, measured))
}

/// The connections of idle sessions; dropping it closes them.
#[derive(Debug, Default)]
pub struct Idle {
    streams: Vec<TcpStream>,
}

impl Idle {
    /// With room for so many connections, so that more of them cost no memory.
    #[must_use]
    pub fn with_capacity(connections: usize) -> Self {
        Self {
            streams: Vec::with_capacity(connections),
        }
    }

    /// Connections held.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.streams.len()
    }

    /// Connects these sessions and binds them, `sessions_per_connection` to a connection (RFC 4975
    /// section 5.4). Blocks.
    ///
    /// # Errors
    ///
    /// When one cannot connect, or is not answered with 200.
    pub fn bind(&mut self, legs: &[Leg], sessions_per_connection: usize) -> anyhow::Result<()> {
        let groups: Vec<&[Leg]> = legs.chunks(sessions_per_connection).collect();
        for some in groups.chunks(IDLE_CONNECTIONS_AT_ONCE) {
            let begun = self.streams.len();
            for group in some {
                let stream = self.connect(&group[0])?;
                (&stream).write_all(&requests(group))?;
                self.streams.push(stream);
            }
            for (stream, group) in self.streams[begun..].iter().zip(some) {
                expect_answers(stream, group.len())?;
            }
        }
        Ok(())
    }

    fn connect(&self, leg: &Leg) -> anyhow::Result<TcpStream> {
        let to: SocketAddr = leg.connect.context("a session that connects to nobody")?;
        let number = u32::try_from(self.streams.len())?;
        let socket = open(number, to)?;
        socket
            .connect(&to.into())
            .with_context(|| format!("idle connection {number} to {to}"))?;
        socket.set_read_timeout(Some(BIND_MAX))?;
        Ok(socket.into())
    }
}

/// The SENDs without body by which sessions bind their connection.
fn requests(legs: &[Leg]) -> Vec<u8> {
    let mut text = Vec::new();
    for (number, leg) in legs.iter().enumerate() {
        let id = format!("idle{number:08}");
        let (id, to, from) = (id.as_bytes(), leg.peer.as_bytes(), leg.own.as_bytes());
        msrp::SendHead::new(id, to, from, id)
            .byte_range(msrp::ByteRange::whole(0))
            .write(&mut text);
        msrp::write::end_line(&mut text, id, Flag::Complete);
    }
    text
}

fn expect_answers(mut stream: &TcpStream, count: usize) -> anyhow::Result<()> {
    let mut deframer = Deframer::default();
    let mut space = [0; 4096];
    let mut answered = 0;
    while answered < count {
        let octets = stream
            .read(&mut space)
            .context("an idle session's answer")?;
        ensure!(octets > 0, "closed before all its sessions were bound");
        let mut input = &space[..octets];
        while let step = deframer.next(input)?
            && let Some(item) = step.item
        {
            match item {
                Item::Head(head) => match head.start {
                    Start::Response { status, .. } if status == StatusCode::OK => {}
                    other @ (Start::Response { .. } | Start::Request(_)) => {
                        bail!("an idle session got {other:?} instead of 200")
                    }
                },
                Item::Body(_) => bail!("an idle session got a message"),
                Item::End(_) => answered += 1,
            }
            input = &input[step.consumed..];
        }
    }
    Ok(())
}
