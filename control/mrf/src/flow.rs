//! `mrf flow`: plays a flow of TS 24.247 A.5 and checks every step.

mod a51;
mod a52;
mod called;
mod join;
mod ladder;
mod player;
mod seed;
mod stage;
mod talk;
mod tap;
mod view;

use core::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use crate::cli::{FlowArgs, FlowName};
use crate::logging;
use crate::participant::Target;
use crate::values::LogFormat;
use called::Callee;
use ladder::{Form, Ladder};
use stage::Stage;

/// Plays the flow; succeeds when no step deviates.
#[must_use]
pub fn run(args: FlowArgs) -> ExitCode {
    match start(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mrf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: FlowArgs) -> anyhow::Result<bool> {
    let _log = logging::start(LogFormat::Text, logging::OF_CLIENTS, 0)
        .map_err(|error| anyhow::anyhow!(error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut ladder = Ladder::new(match (args.markdown, args.verbose) {
            (true, _) => Form::Markdown,
            (false, true) => Form::Verbose,
            (false, false) => Form::Plain,
        });
        let played = play(args, &mut ladder).await;
        ladder.finish();
        played?;
        Ok(ladder.is_clean())
    })
}

async fn play(args: FlowArgs, ladder: &mut Ladder) -> anyhow::Result<()> {
    match args.flow {
        FlowName::A51 => {
            let stage = Stage::set(args.target, args.via.as_ref(), seed::CONFERENCE, None).await?;
            ladder.title(a51::TITLE, &stage.place());
            a51::play(stage, ladder).await
        }
        FlowName::A52 => {
            let (transport, ip) = match &args.target {
                Some(uri) => {
                    let via = Target::resolve(uri, args.via.as_ref()).await?.via;
                    (via.transport, sip::near_addr(via.addr)?.ip())
                }
                None => (sip::Transport::Udp, IpAddr::V4(Ipv4Addr::LOCALHOST)),
            };
            let callee = Callee::bind(transport, ip).await?;
            let hop = Some(callee.hop());
            let via = args.via.as_ref();
            let stage = Stage::set(args.target, via, seed::CONFERENCE_A52, hop).await?;
            ladder.title(a52::TITLE, &stage.place());
            a52::play(stage, callee, ladder).await
        }
    }
}
